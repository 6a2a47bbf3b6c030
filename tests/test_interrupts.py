"""M7: Ctrl-C and SIGTERM end a training in order: after the batch, with a checkpoint, and the signal passed on."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.checkpoint.generations import newest
from scratchnet.process.interrupts import HeldSignals, Interrupted
from tests.deadlock import within
from tests.interrupted import train

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does it")


class Send(sn.Callback):
    """Sends this process a signal in the middle of a batch's end, once."""

    def __init__(self, step, number=signal.SIGINT, times=1):
        self.step, self.number, self.times = step, number, times

    def on_batch_end(self, run, logs):
        if run.optimizer.steps == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


# in a program of one's own, or a notebook


def test_M7_ctrl_c_reaches_the_caller_after_the_batch_and_the_state_is_saved(tmp_path):
    whole = train(tmp_path / "whole")
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, Send(step=53))
    assert signal.getsignal(signal.SIGINT) is before
    assert newest(tmp_path / "checkpoint.safetensors").data["steps"] == 53
    assert train(tmp_path, resume=tmp_path) == whole


@pytest.mark.parametrize("moment", ["on_train_begin", "on_epoch_begin", "on_epoch_end", "evaluation"])
def test_M7_ctrl_c_at_any_other_moment(tmp_path, moment, monkeypatch):
    whole, sent = train(tmp_path / "whole"), []

    def send(run=None, logs=None):
        if not sent:
            sent.append(1)
            os.kill(os.getpid(), signal.SIGINT)

    callbacks = [] if moment == "evaluation" else [sn.LambdaCallback(**{moment: send})]
    if moment == "evaluation":
        evaluate = sn.training.evaluate
        monkeypatch.setattr(sn.training, "evaluate", lambda *args, **words: send() or evaluate(*args, **words))
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, *callbacks)
    begun = (tmp_path / "checkpoint.safetensors").exists()
    assert begun or moment == "on_train_begin"
    assert train(tmp_path, resume=tmp_path if begun else None) == whole


def test_M7_ctrl_c_while_kernels_are_compiled_does_not_wait_for_the_compiler(stripes, monkeypatch):
    """An exception raised in the compiler's own callbacks would be lost there, and the training would go on."""
    model = sn.Sequential([sn.Flatten(), sn.Dense(4)], (10, 10, 1), engine="numpy")
    compiled, seen = threading.Event(), []

    def prepare(*_):
        seen.append(threading.current_thread())
        os.kill(os.getpid(), signal.SIGINT)
        compiled.wait(30)
        return 0.0

    monkeypatch.setattr(model.backend, "prepare", prepare)
    look_on = sn.LambdaCallback(on_train_begin=seen.append)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*stripes, callbacks=[look_on], verbose=False)
    assert not compiled.is_set() and len(seen) == 1 and seen[0] is not threading.main_thread()
    compiled.set()


def test_what_goes_wrong_while_kernels_are_compiled_is_the_callers_error(stripes, monkeypatch):
    model = sn.Sequential([sn.Flatten(), sn.Dense(4)], (10, 10, 1), engine="numpy")
    monkeypatch.setattr(model.backend, "prepare", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.fit(*stripes, verbose=False)


def test_M7_a_handler_that_does_not_raise_gets_its_signal_and_the_history_so_far_is_returned(stripes, monkeypatch):
    got = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    try:
        model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(4)], (10, 10, 1), engine="numpy")
        history = model.fit(*stripes, epochs=9, batch_size=40, callbacks=[Send(5, signal.SIGTERM)], verbose=False)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert got == [signal.SIGTERM] and history["epoch"] == [1, 2]


def test_M7_a_second_ctrl_c_is_not_held_back_and_harms_no_file(tmp_path):
    whole = train(tmp_path / "whole")

    class Twice(Send):
        last = True  # told before the checkpoint if it stands before it, so twice at once

    after = []
    hooks = sn.LambdaCallback(on_batch_end=lambda run, logs: after.append(run.optimizer.steps))
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, Twice(20, times=2), hooks)
    assert newest(tmp_path / "checkpoint.safetensors").data["steps"] in (19, 20) and after[-1] == 20
    assert train(tmp_path, resume=tmp_path) == whole


def test_outside_the_main_thread_no_handler_is_touched(stripes):
    seen = []
    look = sn.LambdaCallback(on_batch_end=lambda run, logs: seen.append(signal.getsignal(signal.SIGINT)))
    model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(4)], (10, 10, 1), engine="numpy")
    thread = threading.Thread(target=lambda: model.fit(*stripes, callbacks=[look], verbose=False))
    thread.start()
    thread.join(20)
    assert seen == [signal.getsignal(signal.SIGINT)]


def test_a_signal_that_nobody_handles_keeps_its_meaning():
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with HeldSignals():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler


def test_an_error_goes_before_a_signal_and_the_handlers_come_back():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), HeldSignals():
        os.kill(os.getpid(), signal.SIGINT)
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt), HeldSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            signals.check()


def test_ctrl_c_in_the_callers_thread_sends_home_those_who_wait_in_a_sum():
    """The first chunk's thread is interrupted between two chunks: the other chunk's sum will never be complete."""
    left = []

    def work(chunk):
        try:
            return chunk.sum(np.ones(1))
        finally:
            left.append(chunk.index)

    def interrupted_map():
        run = sn.team.Team(2)
        original = sn.team.ParallelCall.take_chunks

        def take(self, place):
            if threading.current_thread() is caller:
                time.sleep(0.05)
                raise KeyboardInterrupt
            original(self, place)

        caller = threading.current_thread()
        sn.team.ParallelCall.take_chunks = take
        try:
            run.map(work, 2)
        finally:
            sn.team.ParallelCall.take_chunks = original

    with pytest.raises(KeyboardInterrupt):
        within(20, interrupted_map)
    for _ in range(200):
        if left:
            break
        time.sleep(0.05)
    assert left


# scripts/train.py


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A data set of 600 small pictures, as IDX files."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name, n in (("train", 600), ("t10k", 40)):
        sn.write_idx(folder / f"{name}-images-idx3-ubyte", rng.integers(0, 256, (n, 28, 28)).astype(np.uint8))
        sn.write_idx(folder / f"{name}-labels-idx1-ubyte", (np.arange(n) % 10).astype(np.uint8))
    return folder


def program(data_dir, out, *arguments):
    command = [sys.executable, "scripts/train.py", "--data-dir", data_dir, "--engine", "numpy", "--preset", "mlp"]
    command += ["--batch-size", "8", "--epochs", "3", "--out", out, *arguments]
    return subprocess.Popen(
        list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    """The files of a run that nobody interrupted."""
    out = tmp_path_factory.mktemp("finished")
    process = program(data_dir, out)
    output = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return out


def interrupted(data_dir, out, after, *numbers):
    """Start, send signals so many seconds after the first epoch's line; (exit code, seconds, stderr)."""
    process = program(data_dir, out)
    for line in process.stdout:
        if line.startswith("epoch 1/3"):
            break
    time.sleep(after)
    start = time.monotonic()
    for number in numbers:
        process.send_signal(number)
    stderr = process.communicate(timeout=60)[1]
    return process.returncode, time.monotonic() - start, stderr


def ends_the_same(data_dir, out, finished):
    process = program(data_dir, out, "--resume", out)
    output = process.communicate(timeout=120)
    assert process.returncode == 0, output
    for name in ("checkpoint.safetensors", "model.safetensors"):
        ours, expected = (sn.saving.read_file(folder / name)[0] for folder in (out, finished))
        assert ours.keys() == expected.keys()
        for array in ours:
            if array != "run.history":  # it has seconds in it
                np.testing.assert_array_equal(ours[array], expected[array], err_msg=array)
    texts = [(folder / "history.csv").read_text() for folder in (out, finished)]
    ours, expected = (re.sub(r"(?m)^((?:[^,\n]*,){2})[^,\n]*", r"\1", text) for text in texts)  # without "seconds"
    assert ours == expected


def test_M7_the_script_stops_in_order_says_how_to_go_on_and_goes_on_to_the_same_bits(data_dir, finished, tmp_path):
    code, _, stderr = interrupted(data_dir, tmp_path, 0.05, signal.SIGINT)
    assert code == 130, stderr
    message = rf"\nstopped; saved in epoch \d, after \d+ batches. Resume with: .*train.py --resume {tmp_path}\n"
    assert re.fullmatch(message, stderr)
    ends_the_same(data_dir, tmp_path, finished)


def test_M7_the_script_takes_sigterm_as_it_takes_ctrl_c(data_dir, tmp_path):
    code, _, stderr = interrupted(data_dir, tmp_path, 0.05, signal.SIGTERM)
    assert code == 143 and stderr.startswith("\nstopped; saved in epoch")
    assert newest(tmp_path / "checkpoint.safetensors").data["steps"] > 67  # the first epoch's


def test_M5_the_script_refuses_another_training_in_one_line_and_changes_nothing(data_dir, finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    process = program(data_dir, run, "--resume", run, "--lr", "0.5", "--limit", "300")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2 and stderr.count("\n") == 1
    assert "the checkpoint belongs to a different run: optimizer.lr was 0.001 and is 0.5; data.x was 'uint8 (" in stderr
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_M8_the_script_says_in_one_line_that_the_training_diverged(data_dir, tmp_path):
    process = program(data_dir, tmp_path, "--lr", "1e18")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.fullmatch(r"error: the training has diverged.* step \d+.*layer \d \(Dense\).*\n", stderr)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(30))
def test_M7_at_thirty_random_moments(data_dir, finished, tmp_path, seed):
    rng = random.Random(seed)
    number, code = rng.choice([(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    found, seconds, stderr = interrupted(data_dir, tmp_path, rng.uniform(0, 0.6), number)
    if found == 0:  # it was through already
        return
    assert found == code and "Traceback" not in stderr and seconds < 2
    ends_the_same(data_dir, tmp_path, finished)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_M7_twice_at_random_moments(data_dir, finished, tmp_path, seed):
    after = random.Random(seed).uniform(0, 0.3)
    found, seconds, stderr = interrupted(data_dir, tmp_path, after, signal.SIGINT, signal.SIGINT)
    assert found in (0, 130) and "Traceback" not in stderr and seconds < 2
    ends_the_same(data_dir, tmp_path, finished)
