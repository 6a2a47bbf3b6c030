"""Callbacks: what happens beside the training, without an `if` in the loop.

The loop tells every callback what it is about to do or has done; a callback looks at `run` (the model,
the optimizer, the epoch, the history so far) and at the latest numbers, and may set `run.stop`.
"""

from __future__ import annotations

import csv
import json
import os
import time
from typing import Any

from scratchnet.saving import ModelFileError, explaining, fill, read_file, write_file


class Callback:
    """Override what you need. logs: the newest numbers, name -> value.

    >>> class Shout(Callback):
    ...     def on_epoch_end(self, run, logs):
    ...         print(f"{logs['accuracy']:.1%}!")
    """

    def on_train_begin(self, run) -> None:
        """Before the first epoch. Forget what an earlier training left."""

    def on_epoch_begin(self, run) -> None:
        """Before the first batch of an epoch."""

    def on_batch_end(self, run, logs: dict[str, float]) -> None:
        """After every optimizer step; logs has the batch's "training_loss"."""

    def on_epoch_end(self, run, logs: dict[str, float]) -> None:
        """After evaluation; logs has everything that goes into the history."""

    def on_train_end(self, run) -> None:
        """After the last epoch, or when the training ends by an error or Ctrl-C."""


class Callbacks:
    """Several callbacks as one: each call goes to all of them, in order."""

    def __init__(self, run, callbacks):
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks must be Callback objects, got {callback!r}")
        self.run, self.callbacks = run, list(callbacks)

    def on_train_begin(self):
        for callback in self.callbacks:
            callback.on_train_begin(self.run)

    def on_epoch_begin(self):
        for callback in self.callbacks:
            callback.on_epoch_begin(self.run)

    def on_batch_end(self, logs):
        for callback in self.callbacks:
            callback.on_batch_end(self.run, logs)

    def on_epoch_end(self, logs):
        for callback in self.callbacks:
            callback.on_epoch_end(self.run, logs)

    def on_train_end(self):
        for callback in self.callbacks:
            callback.on_train_end(self.run)


class Progress(Callback):
    """A live line on a terminal; elsewhere (a file, a pipe, a notebook log) one flushed line per epoch."""

    def on_train_begin(self, run):
        from rich.console import Console

        self.console = Console()
        self.bar: Any = None

    def on_epoch_begin(self, run):
        if not self.console.is_terminal:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, TextColumn("loss {task.fields[loss]:.4f}"),
                            console=self.console, transient=True)  # fmt: skip
        self.bar.start()
        title = f"epoch {run.epoch + 1}/{run.epochs}"
        for logs in run.history.epochs[-1:]:  # the accuracy so far: that of the epoch before
            title += f"  accuracy {logs.get('val_accuracy', logs['accuracy']):.2%}"
        self.task = self.bar.add_task(title, total=run.batches_per_epoch, loss=float("nan"))
        self.done, self.smooth, self.shown = 0, None, time.monotonic()

    def on_batch_end(self, run, logs):
        if self.bar is None:
            return
        value, self.done = logs["training_loss"], self.done + 1
        self.smooth = value if self.smooth is None else 0.95 * self.smooth + 0.05 * value
        if time.monotonic() - self.shown > 0.1:
            self.bar.update(self.task, completed=self.done, loss=self.smooth)
            self.shown = time.monotonic()

    def on_epoch_end(self, run, logs):
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
        print(epoch_line(run, logs), flush=True)

    def on_train_end(self, run):
        if self.bar is not None:  # interrupted: give the terminal back
            self.bar.stop()


def epoch_line(run, logs: dict[str, float]) -> str:
    """epoch 1/5  loss 0.0712  accuracy 97.86 %  val_loss 0.0745  val_accuracy 97.70 %  12.3 s"""
    words = [f"epoch {run.epoch + 1:>{len(str(run.epochs))}}/{run.epochs}"]
    for name, value in logs.items():
        if name.endswith("accuracy"):
            words.append(f"{name} {value:.2%}".replace("%", " %"))
        elif name.endswith("loss") and name != "training_loss":
            words.append(f"{name} {value:.4f}")
    return "  ".join([*words, f"{logs['seconds']:.1f} s"])


class CSVLogger(Callback):
    """One line per epoch in a CSV file, written at once, so that it can be watched and plotted."""

    def __init__(self, path):
        self.path = path

    def on_epoch_end(self, run, logs):
        names = dict.fromkeys(name for epoch in run.history.epochs for name in epoch)
        with open(self.path, "w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(names))
            writer.writeheader()
            writer.writerows(run.history.epochs)


class ModelCheckpoint(Callback):
    """Save the model whenever `monitor` is better than ever before (higher if it is an accuracy)."""

    def __init__(self, path, monitor: str = "val_accuracy"):
        self.path, self.monitor = path, monitor

    def on_epoch_end(self, run, logs):
        values = run.history[self.monitor]
        best = max(values) if self.monitor.endswith("accuracy") else min(values)
        if logs[self.monitor] == best and best not in values[:-1]:
            run.model.save(self.path)


class Checkpoint(Callback):
    """At the end of every epoch, save all that `fit(resume=path)` needs to go on as if nothing had been."""

    def __init__(self, path):
        self.path = path

    def on_epoch_end(self, run, logs):
        arrays = {**run.model.parameters(), **run.model.state()}
        optimizer = run.optimizer
        for name, memory in optimizer.memory.items():
            arrays |= {f"optimizer.{slot}.{name}": a for slot, a in zip(optimizer.slots, memory, strict=True)}
        meta = {
            "model": run.model.config(), "optimizer": type(optimizer).__name__, "steps": optimizer.steps,
            "epoch": run.epoch + 1, "history": run.history.epochs,
        }  # fmt: skip
        write_file(self.path, arrays, meta)


def restore(run, path: str | os.PathLike) -> None:
    """Bring a run to where the checkpoint at `path` was written."""
    arrays, meta = read_file(path)
    with explaining(path):
        config = json.loads(json.dumps(run.model.config()))  # as it looks once written: tuples are lists
        for what, mine in (("model", config), ("optimizer", type(run.optimizer).__name__)):
            if meta.get(what) != mine:
                raise ModelFileError(f"the checkpoint is of another {what}: {meta.get(what)} instead of {mine}")
        params = run.model.parameters()
        memory = {name: run.optimizer.remembered(name, p) for name, p in params.items()}
        targets = {**params, **run.model.state()}
        for name, slots in memory.items():
            targets |= {f"optimizer.{s}.{name}": a for s, a in zip(run.optimizer.slots, slots, strict=True)}
        fill(targets, arrays)
        run.optimizer.steps, run.epoch = meta["steps"], meta["epoch"]
        run.history.epochs[:] = meta["history"]
