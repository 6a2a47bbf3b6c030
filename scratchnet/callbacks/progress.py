"""The console output during training: one line for each epoch, with a bar while it runs."""

from __future__ import annotations

import time
from typing import Any

from scratchnet import html
from scratchnet.callbacks.base import Callback
from scratchnet.process.pipes import console, say


class Progress(Callback):
    """A live line on a terminal, a live table in a notebook; elsewhere (a file, a pipe) one flushed line per epoch.

    `fit` adds one itself, unless verbose=False.

    >>> history = model.fit(x, y, epochs=1, callbacks=[Progress()], verbose=False)
    epoch 1/1  loss ...  accuracy ... %  ... s
    """

    writes = True

    def on_train_begin(self, run: Any) -> None:
        self.console = console()
        self.bar: Any = None
        self.table = html.Shown(in_html(run)) if html.in_notebook() else None
        self.shown = time.monotonic()

    def on_epoch_begin(self, run: Any) -> None:
        if not self.console.is_terminal or self.table:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, TextColumn("loss {task.fields[loss]:.4f}"),
                            console=self.console, transient=True)  # fmt: skip
        self.bar.start()
        title = f"epoch {run.epoch + 1}/{run.epochs}"
        for logs in run.history.epochs[-1:]:  # the accuracy so far: that of the epoch before
            if "accuracy" in logs:
                title += f"  accuracy {logs.get('val_accuracy', logs['accuracy']):.2%}"
        self.task = self.bar.add_task(title, total=run.batches_per_epoch, loss=float("nan"))
        self.smooth: float | None = None
        self.shown = time.monotonic()

    def on_batch_end(self, run: Any, logs: dict[str, float]) -> None:
        if self.table and time.monotonic() - self.shown > 0.2:
            self.table.replace(in_html(run))
            self.shown = time.monotonic()
        if self.bar is None:
            return
        value = logs["training_loss"]
        self.smooth = value if self.smooth is None else 0.95 * self.smooth + 0.05 * value
        if time.monotonic() - self.shown > 0.1:
            self.bar.update(self.task, completed=run.batch, loss=self.smooth)
            self.shown = time.monotonic()

    def on_epoch_end(self, run: Any, logs: dict[str, float]) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
        if self.table:
            self.table.replace(in_html(run))
        else:
            say(epoch_line(run, logs))

    def on_train_end(self, run: Any) -> None:
        if self.bar is not None:  # interrupted: give the terminal back
            self.bar.stop()


def in_html(run: Any) -> str:
    """A bar for the current epoch, if there is one, and the table of the finished ones."""
    batch, count = run.batch, run.batches_per_epoch
    bar = f'<progress value="{batch}" max="{count}"></progress> epoch {run.epoch + 1} of {run.epochs}'
    return (bar if batch < count else "") + (run.history._repr_html_() if run.history.epochs else "")


def epoch_line(run: Any, logs: dict[str, float]) -> str:
    """epoch 1/5  loss 0.0712  accuracy 97.86 %  val_loss 0.0745  val_accuracy 97.70 %  12.3 s"""
    words = [f"epoch {run.epoch + 1:>{len(str(run.epochs))}}/{run.epochs}"]
    for name, value in logs.items():
        if name.endswith("accuracy"):
            words.append(f"{name} {value:.2%}".replace("%", " %"))
        elif name.endswith("loss") and name != "training_loss":
            words.append(f"{name} {value:.4f}")
    return "  ".join([*words, f"{logs['seconds']:.1f} s"])
