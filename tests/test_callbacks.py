"""Callbacks: when they are called, what they see, what they print and write."""

import contextlib
import csv
import errno
import io
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import scratchnet as sn
from scratchnet.callbacks import epoch_line
from scratchnet.training import History

ROOT = Path(__file__).parents[1]


def network(engine="numpy", seed=0, units=4):
    layers = [
        sn.Rescale(), sn.Conv2D(4, 3), sn.BatchNorm(), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(), sn.Dropout(0.3),
        sn.Dense(units),
    ]  # fmt: skip
    return sn.Sequential(layers, (10, 10, 1), engine=engine, seed=seed)


class Diary(sn.Callback):
    """Writes down every call."""

    def __init__(self, calls, name=""):
        self.calls, self.name = calls, name

    def on_train_begin(self, run):
        self.calls.append(f"{self.name}train begins")

    def on_epoch_begin(self, run):
        self.calls.append(f"{self.name}epoch {run.epoch} begins")

    def on_batch_end(self, run, logs):
        self.calls.append(f"{self.name}batch ends with {', '.join(logs)}")

    def on_epoch_end(self, run, logs):
        self.calls.append(f"{self.name}epoch {run.epoch} ends")

    def on_train_end(self, run):
        self.calls.append(f"{self.name}train ends")


def test_hooks_are_called_in_order(stripes):
    calls = []
    network().fit(*stripes, epochs=2, batch_size=40, callbacks=[Diary(calls)], verbose=False)
    batch = "batch ends with training_loss"
    assert calls == [
        "train begins", "epoch 0 begins", batch, batch, "epoch 0 ends", "epoch 1 begins", batch, batch, "epoch 1 ends",
        "train ends",
    ]  # fmt: skip


def test_several_callbacks_are_called_in_the_order_given(stripes):
    calls = []
    network().fit(*stripes, batch_size=80, callbacks=[Diary(calls, "a: "), Diary(calls, "b: ")], verbose=False)
    assert [call[0] for call in calls] == ["a", "b"] * 5


def test_a_callback_sees_the_run_and_a_history_that_is_complete(stripes):
    seen = []

    class Look(sn.Callback):
        def on_epoch_end(self, run, logs):
            seen.append((run.epochs, run.batch_size, run.examples, run.batches_per_epoch, run.optimizer.steps))
            assert run.history.epochs[-1] == logs and run.model is model

    model = network()
    model.fit(*stripes, epochs=2, batch_size=32, callbacks=[Look()], verbose=False)
    assert seen == [(2, 32, 80, 3, 3), (2, 32, 80, 3, 6)]


def test_train_end_is_told_even_when_the_training_breaks_off(stripes):
    calls = []

    class Break(sn.Callback):
        def on_batch_end(self, run, logs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        network().fit(*stripes, callbacks=[Diary(calls), Break()], verbose=False)
    assert calls[-1] == "train ends"


def test_what_is_no_callback_is_refused(stripes):
    with pytest.raises(TypeError, match="callbacks must be Callback objects, got <function"):
        network().fit(*stripes, callbacks=[lambda run, logs: None], verbose=False)


# Progress

LINE = r"epoch \d/2  loss \d\.\d{4}  accuracy \d+\.\d\d %  val_loss \d\.\d{4}  val_accuracy \d+\.\d\d %  \d+\.\d s"


def test_on_something_that_is_no_terminal_progress_is_one_clean_line_per_epoch(stripes, capsys):
    network().fit(*stripes, epochs=2, validation_data=stripes)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all(re.fullmatch(LINE, line) for line in lines)
    assert [line[:9] for line in lines] == ["epoch 1/2", "epoch 2/2"]


def test_each_line_reaches_a_pipe_before_the_next_epoch():
    program = """
import os, sys
import numpy as np
import scratchnet as sn
class Vanish(sn.Callback):
    def on_epoch_begin(self, run):
        if run.epoch == 1:
            os._exit(0)  # nothing that waits in a buffer survives this
model = sn.Sequential([sn.Dense(2)], (3,), engine="numpy")
model.fit(np.zeros((4, 3)), np.zeros(4, int), epochs=2, callbacks=[Vanish()])
"""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, env=buffered)
    assert done.returncode == 0 and done.stderr == ""
    assert re.fullmatch(r"epoch 1/2  loss .* s\n", done.stdout)


def test_verbose_false_prints_nothing(stripes, capsys):
    network().fit(*stripes, verbose=False)
    assert capsys.readouterr() == ("", "")


def test_the_line_pads_the_epoch_and_leaves_out_the_moving_loss():
    run = SimpleNamespace(epoch=4, epochs=10)
    logs = {"epoch": 5, "training_loss": 9.0, "seconds": 12.34, "lr": 0.1, "loss": 0.07123, "accuracy": 0.97855}
    assert epoch_line(run, logs) == "epoch  5/10  loss 0.0712  accuracy 97.86 %  12.3 s"


@pytest.mark.parametrize("breaks", [False, True])
def test_on_a_terminal_a_bar_runs_and_the_cursor_comes_back(stripes, monkeypatch, breaks):
    import rich.console

    screen, make = io.StringIO(), rich.console.Console
    monkeypatch.setattr(rich.console, "Console", lambda **_: make(file=screen, force_terminal=True, width=100))

    class Break(sn.Callback):
        def on_batch_end(self, run, logs):
            if breaks and run.optimizer.steps == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) if breaks else contextlib.nullcontext():
        network().fit(*stripes, epochs=2, batch_size=8, callbacks=[Break()])
    shown = screen.getvalue()
    assert "epoch 1/2" in shown and "loss" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # shown again after it was last hidden


# CSVLogger


def test_csv_logger_writes_the_history(stripes, tmp_path):
    path = tmp_path / "history.csv"
    history = network().fit(*stripes, epochs=3, validation_data=stripes, callbacks=[sn.CSVLogger(path)], verbose=False)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == history.epochs


def test_csv_logger_is_up_to_date_after_every_epoch(stripes, tmp_path):
    path, counts = tmp_path / "history.csv", []

    class Count(sn.Callback):
        def on_epoch_end(self, run, logs):
            counts.append(len(path.read_text().splitlines()))

    network().fit(*stripes, epochs=3, callbacks=[sn.CSVLogger(path), Count()], verbose=False)
    assert counts == [2, 3, 4]


def test_csv_logger_takes_a_column_that_comes_later(tmp_path):
    epochs = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4, "val_loss": 0.6}]
    run = SimpleNamespace(history=History(epochs))
    sn.CSVLogger(tmp_path / "h.csv").on_epoch_end(run, epochs[-1])
    assert (tmp_path / "h.csv").read_text().split() == ["epoch,loss,val_loss", "1,0.5,", "2,0.4,0.6"]


# ModelCheckpoint


def saved_after(values, monitor, **options):
    """The epochs after which ModelCheckpoint saves, if `monitor` takes these values."""
    saved = []
    callback = sn.ModelCheckpoint("best.safetensors", monitor, **options)
    callback.on_train_begin(None)
    for epoch, value in enumerate(values):
        model = SimpleNamespace(save=lambda path, epoch=epoch: saved.append(epoch))
        callback.on_epoch_end(SimpleNamespace(model=model), {monitor: value})
    return saved


def test_model_checkpoint_saves_what_is_better_than_ever_before():
    assert saved_after([0.5, 0.7, 0.6, 0.7, 0.8, 0.1], "val_accuracy") == [0, 1, 4]
    assert saved_after([0.5, 0.7, 0.4, 0.4, 0.3, 0.9], "val_loss") == [0, 2, 4]
    assert saved_after([0.5, 0.7, 0.4], "val_loss", mode="max") == [0, 1]


def test_model_checkpoint_is_not_stuck_with_a_first_value_that_is_no_number():
    assert saved_after([math.nan, 0.5, math.nan, 0.4, -math.inf, 0.3], "val_loss") == [1, 3, 5]
    assert saved_after([math.inf, 0.5], "val_loss") == [1]


def test_model_checkpoint_can_keep_the_last_model_and_not_the_best():
    assert saved_after([0.5, 0.7, 0.6], "val_loss", save_best_only=False) == [0, 1, 2]


def test_a_disk_that_is_full_is_one_warning_and_the_model_is_saved_when_there_is_room(stripes, tmp_path, monkeypatch):
    model, path, tries = network(), tmp_path / "new" / "best.safetensors", []

    def save(target):
        tries.append(target)
        if len(tries) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        sn.Sequential.save(model, target)

    monkeypatch.setattr(model, "save", save)
    callback = sn.ModelCheckpoint(path, "lr")  # constant: the first value stays the best
    with pytest.warns(UserWarning, match="best.safetensors could not be written: No space left .* continues") as caught:
        model.fit(*stripes, epochs=5, callbacks=[callback], verbose=False)
    assert len(caught) == 1 and len(tries) == 3
    assert sn.load_model(path, "numpy").predict(stripes[0]).shape == (80, 4)


def test_the_saved_model_is_the_one_with_the_best_accuracy(stripes, tmp_path):
    path, (x, labels) = tmp_path / "best.safetensors", stripes
    validation = x[40:], labels[40:]
    model = network()
    history = model.fit(
        x[:40], labels[:40], epochs=8, batch_size=8, optimizer=sn.Adam(0.05), validation_data=validation,
        callbacks=[sn.ModelCheckpoint(path)], verbose=False,
    )  # fmt: skip
    best = sn.load_model(path, engine="numpy")
    assert best.evaluate(*validation)["accuracy"] == max(history["val_accuracy"])


def test_monitoring_what_is_not_measured_lists_what_is(stripes):
    with pytest.raises(ValueError, match=r"'val_accuracy' is measured on validation_data.*one of: epoch, .*loss, acc"):
        network().fit(*stripes, callbacks=[sn.ModelCheckpoint("unused")], verbose=False)


def test_a_file_name_may_have_numbers_of_the_epoch_in_it(stripes, tmp_path):
    path = tmp_path / "{a run}" / "w.{epoch:02d}-{val_loss:.2f}-{{}}.safetensors"
    callback = sn.ModelCheckpoint(path, save_best_only=False)
    history = network().fit(*stripes, epochs=3, validation_data=stripes, callbacks=[callback], verbose=False)
    expected = [f"w.{epoch:02d}-{loss:.2f}-{{}}.safetensors" for epoch, loss in enumerate(history["val_loss"], 1)]
    assert sorted(file.name for file in (tmp_path / "{a run}").iterdir()) == expected


@pytest.mark.parametrize(("name", "message"), [
    ("w-{val_loss:.2f}", r"file name 'w-\{val_loss:.2f\}.*': 'val_loss' is measured on validation_data"),
    ("w-{acuracy}", r"'acuracy' will not be recorded. Recorded: epoch, .*, accuracy. Did you mean 'accuracy'\?"),
])  # fmt: skip
def test_a_number_that_will_not_be_there_is_missed_before_the_first_step(stripes, tmp_path, name, message):
    steps, path = [], tmp_path / "new" / f"{name}.safetensors"
    count = sn.LambdaCallback(on_batch_end=lambda run, logs: steps.append(1))
    with pytest.raises(ValueError, match=message):
        network().fit(*stripes, callbacks=[count, sn.ModelCheckpoint(path, save_best_only=False)], verbose=False)
    assert not steps and not path.parent.exists()


@pytest.mark.parametrize("path", ["w{}", "w{0}", "w{epoch", "w{epoch:.2x}", "w{loss:02d}", "{epoch}/w"])
def test_a_file_name_that_cannot_be_filled_in_is_refused_when_it_is_given(path):
    with pytest.raises(ValueError, match=r"ModelCheckpoint: .*fill"):
        sn.ModelCheckpoint(path)
