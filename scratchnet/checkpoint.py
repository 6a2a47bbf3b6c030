"""Checkpoints: all that a training needs to go on as if nothing had been."""

from __future__ import annotations

import json
import os

from scratchnet.callbacks import Callback
from scratchnet.saving import ModelFileError, explaining, fill, read_file, write_file


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
            "model": run.model.config(), "optimizer": type(optimizer).__name__,
            "steps": optimizer.steps, "lr_scale": optimizer.lr_scale,
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
        run.optimizer.lr_scale = meta["lr_scale"]
        run.history.epochs[:] = meta["history"]
