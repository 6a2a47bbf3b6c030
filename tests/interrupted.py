"""A training to be interrupted, with everything that must survive; and faults in the writing of its checkpoints.

As a program, `python -m tests.interrupted FOLDER [STAGE SAVE]`, it says "begun" at the first batch and is killed by
itself at a stage of the writing, or by whoever started it.
"""

from __future__ import annotations

import builtins
import os
import signal
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np

import scratchnet as sn
from scratchnet.data import atomic

STAGES = ("open", "write", "fsync", "keep", "replace", "replaced")


def train(folder, *callbacks, resume=None, engine="numpy", epochs=2, n=80, save=True):
    """Dropout, BatchNorm, Adam on a schedule, shuffling, callbacks with a memory -> all that came of it."""
    rng = np.random.default_rng(7)
    x, labels = rng.integers(0, 256, (n + 8, 6, 6)).astype(np.uint8), np.arange(n + 8) % 3
    layers = [
        sn.Rescale(), sn.Conv2D(3, 3), sn.BatchNorm(momentum=0.8), sn.ReLU(), sn.Flatten(), sn.Dropout(0.4),
        sn.Dense(3),
    ]  # fmt: skip
    model = sn.Sequential(layers, (6, 6, 1), seed=1, engine=engine)
    optimizer = sn.Adam(sn.Cosine(0.02, steps=500))
    steering = [sn.EarlyStopping("val_loss", patience=9), sn.ReduceLROnPlateau("loss", patience=1, factor=0.7)]
    if save and not any(isinstance(callback, sn.Checkpoint) for callback in callbacks):
        steering.append(sn.Checkpoint(Path(folder) / "checkpoint.safetensors", every_batches=1))
    history = model.fit(
        x[:n], labels[:n], epochs=epochs, batch_size=2, optimizer=optimizer, validation_data=(x[n:], labels[n:]),
        callbacks=[*steering, *callbacks], resume=resume, verbose=False,
    )  # fmt: skip
    memory = {f"{name}[{i}]": a for name, slots in optimizer.memory.items() for i, a in enumerate(slots)}
    arrays = {**model.parameters(), **model.state(), **memory}
    epochs_ = [{name: value for name, value in logs.items() if name != "seconds"} for logs in history.epochs]
    return {name: a.tobytes() for name, a in arrays.items()}, epochs_, optimizer.steps, optimizer.lr_scale


@contextmanager
def fault(stage, save, happen, times=1):
    """Within the block, `happen()` is called at a stage of the writing of the `save`-th file (1, 2, ...)."""
    saves, replace, fsync = [0], os.replace, os.fsync
    due = lambda where: where == stage and save <= saves[0] < save + times  # noqa: E731

    class File:
        def __init__(self, *args):
            saves[0] += 1
            if due("open"):
                happen()
            self.file = builtins.open(*args)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, data):
            self.file.write(data[: len(data) // 2])
            self.file.flush()
            if due("write"):
                happen()
            self.file.write(data[len(data) // 2 :])

    def failing_fsync(descriptor):
        if due("fsync"):
            happen()
        fsync(descriptor)

    def failing_replace(old, new):
        if due("keep" if ".previous" in Path(new).name else "replace"):
            happen()
        replace(old, new)
        if due("replaced") and ".previous" not in Path(new).name:
            happen()

    atomic.open, os.replace, os.fsync = File, failing_replace, failing_fsync
    try:
        yield saves
    finally:
        del atomic.open
        os.replace, os.fsync = replace, fsync


class SayBegun(sn.Callback):
    """Tells the parent process when the first batch is done."""

    def on_batch_end(self, run, logs):
        if run.optimizer.steps == 1:
            print("begun", flush=True)


def main(folder, stage=None, save=0):
    """Train; if there is a stage, die there."""
    die = fault(stage, int(save), lambda: os.kill(os.getpid(), signal.SIGKILL)) if stage else nullcontext()
    with die:
        train(folder, SayBegun())


if __name__ == "__main__":
    main(*sys.argv[1:])
