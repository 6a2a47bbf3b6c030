"""A file that is being written has another name until it is complete."""

import os
import platform
import stat
import subprocess
import sys

import pytest

from scratchnet.data.atomic import DAY, replacing


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a") as file:
        file.write(b"half")
        assert len(list(tmp_path.iterdir())) == 2
        raise ZeroDivisionError
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


def test_parts_of_killed_writers_are_removed_and_those_of_living_ones_are_not(tmp_path):
    here, gone = platform.node(), subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(timeout=60)
    stay = {f".a.{here}-{os.getpid()}-1f.part", ".a.elsewhere-7-2e.part", ".b.elsewhere-7-3d.part", "a.part", ".a.part"}
    go = {f".a.{here}-{gone.pid}-4c.part", ".a.elsewhere-7-5b.part"}
    for name in stay | go:
        (tmp_path / name).write_bytes(b"half")
    for name in (".a.elsewhere-7-5b.part", ".b.elsewhere-7-3d.part"):  # of another machine only the age is known
        os.utime(tmp_path / name, (0, (tmp_path / name).stat().st_mtime - 2 * DAY))
    with replacing(tmp_path / "a") as file:
        file.write(b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a"} | stay


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    with replacing(tmp_path / "a"):
        pass
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_two_writers_of_one_name_do_not_mix(tmp_path):
    with replacing(tmp_path / "a") as first, replacing(tmp_path / "a") as second:
        first.write(b"first")
        second.write(b"second")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"first")]


def test_the_name_changes_and_nothing_is_copied(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with replacing(tmp_path / "a") as file:
        file.write(b"new")
        number = os.fstat(file.fileno()).st_ino
    assert (tmp_path / "a").read_bytes() == b"new" and (tmp_path / "a").stat().st_ino == number


def test_a_folder_that_is_not_there_is_an_ordinary_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "nowhere" / "a"):
        pass
