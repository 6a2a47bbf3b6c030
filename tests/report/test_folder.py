"""A run has a folder of its own: none is written over, and two that begin together never share one."""

import subprocess
import sys
from pathlib import Path

import pytest

from scratchnet.report import check_absent, check_no_run, new_folder, run_folder

ROOT = Path(__file__).parents[2]


def test_a_name_that_is_taken_gets_a_number(tmp_path):
    names = [new_folder(tmp_path / "runs" / "a").name for _ in range(3)]
    assert names == ["a", "a-2", "a-3"]


def test_processes_that_begin_together_get_a_folder_each(tmp_path):
    program = "import sys; from scratchnet.report import new_folder; sys.stdin.read(1)\n"
    program += "for _ in range(50): print(new_folder(sys.argv[1]))"
    command = [sys.executable, "-c", program, str(tmp_path / "a")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    made = [line for process in processes for line in process.communicate(timeout=60)[0].split()]
    assert len(made) == len(set(made)) == 150


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "checkpoint.safetensors", "history.csv"])
def test_a_folder_with_a_run_in_it_is_refused_with_what_is_there_and_what_to_do(tmp_path, name):
    folder = tmp_path / "my run"
    folder.mkdir()
    (folder / name).write_text("of a former run")
    with pytest.raises(FileExistsError, match=rf"my run already contains a run \({name}\)[.] .*--resume '.*--ov"):
        run_folder(folder)
    assert (folder / name).read_text() == "of a former run"


def test_missing_empty_and_other_folders_are_fine(tmp_path):
    assert run_folder(tmp_path / "new" / "one").is_dir()
    (tmp_path / "figures").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert run_folder(tmp_path) == tmp_path
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_overwriting_removes_the_run_and_nothing_else(tmp_path):
    for name in ("config.json", "checkpoint.previous.safetensors", "notes.txt"):
        (tmp_path / name).write_text("former")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "curves.png").write_text("former")
    run_folder(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_search_is_never_written_over(tmp_path):
    (tmp_path / "study.log").write_text("{}")
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="already contains a search"):
            run_folder(tmp_path, overwrite)


def test_a_file_in_the_folders_place_is_called_one(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(FileExistsError, match="out is a file"):
        check_no_run(tmp_path / "out")


def test_files_that_would_be_replaced_are_named(tmp_path):
    (tmp_path / "a.png").write_text("")
    check_absent([tmp_path / "b.png"])
    with pytest.raises(FileExistsError, match=r"a\.png: already exists"):
        check_absent([tmp_path / "a.png", tmp_path / "b.png"])
