"""A training to be seen again: what `observe` saw at some of its steps, in the folder of the run.

In its first steps a network changes as much as later in an epoch. The steps are therefore spaced by ratio: 0, 1, 2, 3,
5, 7, 11 ... The file is JSON of a few hundred kilobytes; `serve` and `export --to html` put it into the page, where a
slider plays it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.callbacks import Callback
from scratchnet.callbacks.base import warn_on_os_error
from scratchnet.data.atomic import replacing
from scratchnet.page.observe import Observer

COUNT = 24
FILE = "snapshots.json"
LARGEST = 8 * 2**20  # bytes of a file that is read


def steps_to_keep(total: int, count: int = COUNT) -> list[int]:
    """At most `count` steps from 0 to total, each about the same ratio after the one before.

    >>> steps_to_keep(1000, 8)
    [0, 1, 3, 10, 32, 100, 316, 1000]
    """
    return np.unique([0, *np.rint(np.geomspace(1, max(total, 1), count - 1)).astype(int)]).tolist()


class Snapshots(Callback):
    """Keep a snapshot of the network at some steps; write them into a file at the end of each epoch.

    It changes nothing of the training, and takes about 1 % of its time. Without validation images it keeps nothing.

    >>> snapshots = Snapshots("snapshots.json")
    >>> history = model.fit(x, y, validation_data=(x, y), epochs=4, callbacks=[snapshots], verbose=False)
    >>> [snapshot["step"] for snapshot in read_snapshots("snapshots.json")["snapshots"]]
    [0, 1, 2, 3, 4]
    """

    def __init__(self, path: str | os.PathLike[str], count: int = COUNT):
        self.path, self.count = Path(path), count
        self.snapshots: list[dict[str, Any]] = []
        self.observer: Observer | None = None

    def on_train_begin(self, run: Any) -> None:
        self.snapshots, self.warned = [], False
        if run.validation_data is None or not run.measures_accuracy:
            return
        self.observer = Observer(*run.validation_data)
        done, total = run.optimizer.steps, run.epochs * run.batches_per_epoch
        former = read_snapshots(self.path) if done else None
        self.snapshots = [taken for taken in former["snapshots"] if taken["step"] <= done] if former else []
        self.steps = set(steps_to_keep(total, self.count))
        if not self.snapshots:
            self.keep(run, None)

    def on_batch_end(self, run: Any, logs: dict[str, float]) -> None:
        if self.observer is not None and run.optimizer.steps in self.steps:
            self.keep(run, logs["training_loss"])

    def keep(self, run: Any, loss: float | None) -> None:
        """Take a snapshot now."""
        if self.observer is None:
            return
        step = run.optimizer.steps
        when = {"step": step, "epoch": step / run.batches_per_epoch, "loss": loss}
        self.snapshots.append({**when, **self.observer.snapshot(run.model)})

    def on_epoch_end(self, run: Any, logs: dict[str, float]) -> None:
        if self.observer is None:
            return
        with warn_on_os_error(self, self.path), replacing(self.path) as file:
            file.write(json.dumps(as_page_data(self.observer, self.snapshots, run.model)).encode())


def as_page_data(observer: Observer, snapshots: list[dict[str, Any]], model: Any) -> dict[str, Any]:
    """What the page reads: the watched image, the names of the classes, and the snapshots."""
    names = model.class_names or [str(k) for k in range(model.shapes[-1][-1])]
    return {"format": 1, "watched": observer.image(), "classNames": list(names), "snapshots": snapshots}


def read_snapshots(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What Snapshots wrote; None if there is no such file, or another one."""
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            return None
        found = json.loads(path.read_text())
        whole = found["format"] == 1 and all(isinstance(taken["step"], int) for taken in found["snapshots"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return found if whole else None
