"""Faults while a checkpoint is written, or in a written one: training continues, or can be resumed."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

import scratchnet as sn
from scratchnet.checkpoint.generations import newest, previous
from tests.interrupted import STAGES, fault, train

ROOT = Path(__file__).parents[1]
NAMES = ["checkpoint.previous.safetensors", "checkpoint.safetensors"]
posix = pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What the training gives if nothing happens."""
    return train(tmp_path_factory.mktemp("whole"))


def start(folder, *arguments):
    """The training as a process of its own; waits for its first batch."""
    command = [sys.executable, "-m", "tests.interrupted", str(folder), *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"begun\n"
    return process


# M4: killed


def killed_after(seconds, folder):
    process = start(folder)
    time.sleep(seconds)
    process.kill()
    process.communicate()


def killed_at(stage, save, folder):
    process = start(folder, stage, save)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def resumes(folder, whole):
    """Resume where there is a checkpoint; the result, and that nothing is left lying about."""
    there = [name for name in NAMES if (folder / name).exists()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the newest generation is whole, always
        assert train(folder, resume=folder if there else None) == whole
    assert sorted(os.listdir(folder)) == NAMES


@posix
@pytest.mark.parametrize("seed", range(2))
def test_M4_killed_at_a_random_moment_and_resumed_the_bits_are_the_same(whole, tmp_path, seed):
    killed_after(random.Random(seed).uniform(0, 0.2), tmp_path)
    resumes(tmp_path, whole)


@posix
@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 32))
def test_M4_killed_at_thirty_random_moments(whole, tmp_path, seed):
    killed_after(random.Random(seed).uniform(0, 0.25), tmp_path)
    resumes(tmp_path, whole)


@posix
@pytest.mark.parametrize(("stage", "save"), [("write", 2), ("keep", 41), ("replace", 30)])
def test_M4_killed_within_a_save_and_resumed_the_bits_are_the_same(whole, tmp_path, stage, save):
    killed_at(stage, save, tmp_path)
    resumes(tmp_path, whole)


@posix
@pytest.mark.long
@pytest.mark.parametrize("save", [2, 17, 41, 82])
@pytest.mark.parametrize("stage", STAGES)
def test_M4_killed_at_every_stage_of_a_save(whole, tmp_path, stage, save):
    killed_at(stage, save, tmp_path)
    resumes(tmp_path, whole)


# M6: a disk that is full, broken or forbidden

FAULTS = [errno.ENOSPC, errno.EIO, errno.EACCES]


@pytest.mark.parametrize("error", FAULTS, ids=errno.errorcode.get)
@pytest.mark.parametrize("stage", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("save", [2, 3, 5, 8, 10])
def test_M6_a_failed_save_warns_once_and_leaves_the_file_as_it_was(tmp_path, stage, save, error):
    path, before, after = tmp_path / NAMES[1], [], []

    class Around(sn.Checkpoint):
        def save(self, run):
            before.append(path.read_bytes() if path.exists() else None)
            super().save(run)
            after.append(path.read_bytes() if path.exists() else None)
            assert not list(tmp_path.glob(".*"))

    def fail():
        raise OSError(error, os.strerror(error))

    around = Around(path, every_batches=1)
    with fault(stage, save, fail, times=2), pytest.warns(UserWarning, match="could not be written") as caught:
        steps = train(tmp_path / "other", around, n=10)[2]
    assert steps == 10 and len(caught) == 1 and os.strerror(error) in str(caught[0].message)
    failed = [number for number in range(len(after)) if after[number] == before[number]]
    assert len(failed) == 2 and len(after) == 12
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        newest(path)


@pytest.mark.parametrize("error", FAULTS, ids=errno.errorcode.get)
def test_M6_if_the_former_generation_cannot_be_kept_the_newest_stays(tmp_path, error):
    def fail():
        raise OSError(error, os.strerror(error))

    with fault("keep", 5, fail, times=10**6), pytest.warns(UserWarning, match="could not be written"):
        train(tmp_path, n=10)
    assert newest(tmp_path / NAMES[1]).data["batch"] == 4 and not list(tmp_path.glob(".*"))


def test_M6_where_files_have_only_one_name_the_former_generation_is_copied(tmp_path, monkeypatch, whole):
    def no_links(old, new):
        raise OSError(errno.EPERM, "this file system has no links")

    monkeypatch.setattr(os, "link", no_links)
    assert train(tmp_path) == whole
    assert newest(tmp_path / NAMES[0]).data["epoch"] == 1 and newest(tmp_path / NAMES[1]).data["epoch"] == 2


def test_M6_a_folder_that_cannot_be_made_is_found_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    seen = []
    with pytest.raises(OSError):
        train(tmp_path / "file" / "run", sn.LambdaCallback(on_batch_end=lambda run, logs: seen.append(1)))
    assert not seen


# M9: damaged afterwards


@pytest.fixture(scope="module")
def two_generations(tmp_path_factory):
    """The bytes of both files, as a training leaves them."""
    folder = tmp_path_factory.mktemp("two")
    train(folder, n=10)
    return {name: (folder / name).read_bytes() for name in NAMES}


def damaged(content: bytes, number: int) -> bytes:
    """One of many ways: cut off, a flipped bit, zeroes in a block, empty, not ours at all."""
    rng = random.Random(number)
    place = rng.randrange(len(content))
    return [
        content[:place],
        content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :],
        content[:place] + bytes(512) + content[place + 512 :],
        content + bytes(rng.randrange(1, 9)),
        [b"", b"\0" * len(content), b"PK\x03\x04", rng.randbytes(len(content))][number // 5 % 4],
    ][number % 5]


@pytest.mark.parametrize("number", range(100))
def test_M9_of_a_damaged_newest_generation_the_one_before_is_taken_and_that_is_said(tmp_path, two_generations, number):
    for name, content in two_generations.items():
        (tmp_path / name).write_bytes(content)
    spoiled = damaged(two_generations[NAMES[1]], number)
    assert spoiled != two_generations[NAMES[1]]
    (tmp_path / NAMES[1]).write_bytes(spoiled)
    message = r"checkpoint.safetensors: .* Resuming from the previous one, .*previous"
    with pytest.warns(UserWarning, match=message) as caught:
        saved = newest(tmp_path / NAMES[1])
    assert len(caught) == 1 and (saved.data["epoch"], saved.data["batch"]) == (1, 5)
    assert (tmp_path / NAMES[1]).read_bytes() == spoiled


def test_M9_resumed_from_the_generation_before_the_bits_are_the_same_and_the_good_one_is_kept(tmp_path, whole):
    train(tmp_path, epochs=1)
    good = (tmp_path / NAMES[0]).read_bytes()
    (tmp_path / NAMES[1]).write_bytes(b"damaged")

    class Look(sn.Callback):
        last = True  # after the first save, which must not have put the damaged file in the good one's place

        def on_epoch_end(self, run, logs):
            if run.epoch == 0:
                assert (tmp_path / NAMES[0]).read_bytes() == good

    with pytest.warns(UserWarning, match="Resuming from the previous one"):
        assert train(tmp_path, Look(), resume=tmp_path) == whole


def test_M9_a_missing_newest_generation_is_said_too(tmp_path, whole):
    train(tmp_path, epochs=1)
    (tmp_path / NAMES[1]).unlink()
    resumed = r"no such model file. Resuming from the previous one, .*\(epoch 1, batch 40\)"
    with pytest.warns(UserWarning, match=resumed):
        assert train(tmp_path, resume=tmp_path) == whole


@pytest.mark.parametrize("number", range(5))
def test_M9_if_both_are_damaged_both_are_named_and_nothing_is_deleted(tmp_path, two_generations, number):
    for name, content in two_generations.items():
        (tmp_path / name).write_bytes(damaged(content, number))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    message = r"no checkpoint can be read. .*checkpoint.safetensors: .*previous.safetensors: .*Nothing was changed"
    with pytest.raises(sn.ModelFileError, match=message):
        train(tmp_path, resume=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_previous_has_a_name_beside_the_newest():
    assert previous(Path("runs/x/checkpoint.safetensors")) == Path("runs/x/checkpoint.previous.safetensors")


# what a save costs


def test_within_an_epoch_a_save_waits_and_the_longer_it_takes_the_longer(monkeypatch, tmp_path):
    clock, saves = [0.0], []

    class Slow(sn.Checkpoint):
        def save(self, run):
            saves.append(clock[0])
            super().save(run)

    def each_batch_takes_a_second(run, logs):
        clock[0] += 1.0

    def slow_write(*args, **options):
        clock[0] += 0.5

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr("scratchnet.checkpoint.generations.write_file", slow_write)
    tick = sn.LambdaCallback(on_batch_end=each_batch_takes_a_second)
    train(tmp_path, tick, Slow(tmp_path / "c"), n=200, epochs=1)
    # 30 s at first; a save of half a second is 1 % of 50 seconds; the epoch's end
    assert saves == [30.0, 80.5, 101.0]
