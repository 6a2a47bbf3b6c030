"""Two generations of checkpoints: the newest, and the one before it.

    checkpoint.safetensors             written atomically, with its checksum inside
    checkpoint.previous.safetensors    the file that had that name before

A file can be damaged after it was written, so the newest file with a valid checksum is used. A damaged file never
replaces the previous good one.
"""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Any

from scratchnet.callbacks import Callback
from scratchnet.callbacks.base import warn_on_os_error
from scratchnet.checkpoint.contents import Saved
from scratchnet.checkpoint.setup import ADDED, differences
from scratchnet.divergence import check_finite
from scratchnet.saving import read_file, write_file
from scratchnet.saving.container import ModelFileError

NAME = "checkpoint.safetensors"  # in the folder of a run
COST = 0.01  # the largest share of the time for checkpoints within an epoch


class Checkpoint(Callback):
    """Save everything that `fit(resume=path)` needs: after every epoch, on Ctrl-C, and at intervals within an epoch.

    every_seconds: the shortest interval within an epoch; it grows if saving would take more than 1 % of the time.
    every_batches: an interval in batches instead.
    A failed save (a full disk) is a warning: training continues, the files are unchanged, and the next save is tried.
    A diverged model is not saved.

    Raises ValueError for every_batches below 1.

    >>> history = model.fit(x, y, callbacks=[Checkpoint("checkpoint.safetensors")], verbose=False)
    >>> len(model.fit(x, y, epochs=1, resume="checkpoint.safetensors", verbose=False).epochs)  # nothing left to do
    1
    """

    last = True  # it saves the state of the others
    writes = True

    def __init__(self, path: str | os.PathLike[str], every_seconds: float = 30.0, every_batches: int | None = None):
        if every_batches is not None and every_batches < 1:
            raise ValueError(f"Checkpoint: every_batches must be at least 1, got {every_batches!r}")
        self.path, self.every_seconds, self.every_batches = Path(path), every_seconds, every_batches

    def on_train_begin(self, run: Any) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.warned, self.mine = False, False
        self.saved_at, self.cost = time.monotonic(), 0.0

    def on_batch_end(self, run: Any, logs: dict[str, float]) -> None:
        if self.every_batches is not None:
            due = run.batch % self.every_batches == 0
        else:
            due = time.monotonic() - self.saved_at >= max(self.every_seconds, self.cost / COST)
        if due:
            self.save(run)

    def on_epoch_end(self, run: Any, logs: dict[str, float]) -> None:
        self.save(run)

    def on_interrupt(self, run: Any) -> None:
        self.save(run)

    def save(self, run: Any) -> None:
        """Write a new generation; the newest one so far becomes the previous one."""
        begin = time.monotonic()
        check_finite(run.model, run.optimizer)
        saved = Saved.of(run)
        with warn_on_os_error(self, self.path):
            good = self.mine or is_whole(self.path)
            write_file(self.path, saved.arrays, saved.data, previous=previous(self.path) if good else None)
            self.mine = True
        self.saved_at = time.monotonic()
        self.cost = self.saved_at - begin


def load(path: str | os.PathLike[str], run: Any) -> Saved:
    """Read the newest intact checkpoint, and check that it belongs to this run.

    path: the file, or the folder of a run. Raises ModelFileError if no generation is intact or if the setups
    differ, FileNotFoundError if there is none. Nothing is deleted or changed.
    """
    path = Path(path) / NAME if Path(path).is_dir() else Path(path)
    saved = newest(path)
    with_setup = saved.data.get("setup")
    if with_setup is None:
        raise ModelFileError(f"{saved.path}: a model file, not a checkpoint: it cannot be resumed")
    if found := differences({**ADDED, **with_setup} if isinstance(with_setup, dict) else with_setup, run.setup):
        raise ModelFileError(
            f"{saved.path}: the checkpoint belongs to a different run: {'; '.join(found)}. "
            "Resume with the original settings and data, or start a new run."
        )
    return saved


def newest(path: Path) -> Saved:
    """The newest generation with a valid checksum; a warning if that is the previous one."""
    problems: list[Exception] = []
    for candidate in (path, previous(path)):
        try:
            saved = Saved(*read_file(candidate), candidate)
        except (ModelFileError, OSError) as error:
            problems.append(error)
            continue
        if problems:
            position = f"epoch {saved.data.get('epoch', 0) + 1}, batch {saved.data.get('batch')}"
            warnings.warn(f"{problems[0]}. Resuming from the previous one, {candidate} ({position}).", stacklevel=4)
        return saved
    if all(isinstance(error, FileNotFoundError) for error in problems):
        raise FileNotFoundError(f"{problems[0]}. There is nothing to resume yet: start the run again (--overwrite)")
    raise ModelFileError(f"no checkpoint can be read. {'. '.join(map(str, problems))}. Nothing was changed.")


def previous(path: Path) -> Path:
    """checkpoint.safetensors -> checkpoint.previous.safetensors"""
    return path.with_suffix(f".previous{path.suffix}")


def is_whole(path: Path) -> bool:
    """Whether the file exists and its checksum is valid."""
    try:
        read_file(path)
    except (ModelFileError, OSError):
        return False
    return True
