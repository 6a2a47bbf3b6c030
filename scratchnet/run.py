"""A training run in progress, and its records.

`Run` is the one object that the loop, the callbacks and the checkpoints share: what is trained, how, on what, and
how far it has come. No other object holds state of a training run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from scratchnet import checkpoint, html, transfer
from scratchnet.kept_outputs import KeptOutputs
from scratchnet.optimizers import Optimizer


class History:
    """What was recorded at the end of each epoch.

    `history.epochs` is a list of dicts, `history["val_accuracy"]` one quantity over the epochs. The time that
    kernels took to compile before the first epoch is in no epoch's "seconds", but in `compile_seconds`. In a notebook
    it shows itself as a table and a picture. A quantity that was not recorded is a KeyError.

    >>> history = model.fit(x, y, epochs=2, verbose=False)
    >>> len(history["loss"]), sorted(history.epochs[0])
    (2, ['accuracy', 'epoch', 'images', 'loss', 'lr', 'seconds', 'training_loss'])
    """

    def __init__(self, epochs: Iterable[dict[str, float]] = ()) -> None:
        self.epochs: list[dict[str, float]] = list(epochs)
        self.compile_seconds = 0.0

    def __getitem__(self, name: str) -> list[float]:
        if not any(name in logs for logs in self.epochs):
            known = ", ".join(self.epochs[0]) if self.epochs else "nothing yet"
            raise KeyError(f"{name!r} was not recorded. Recorded: {known}")
        return [logs[name] for logs in self.epochs if name in logs]

    @property
    def history(self) -> dict[str, list[float]]:
        """Name -> values, for those who know it from Keras."""
        return {name: self[name] for name in (self.epochs[0] if self.epochs else ())}

    def _repr_html_(self) -> str:
        """For notebooks: a row for each epoch, and the losses as curves."""
        names = list(self.epochs[0]) if self.epochs else []
        rows = [[f"{logs.get(name, math.nan):.4g}" for name in names] for logs in self.epochs]
        losses = {name: self[name] for name in names if name in ("training_loss", "val_loss")}
        return html.table(names, rows) + (html.curves(losses, "loss over epochs") if losses else "")


def no_signal() -> bool:
    """The answer before `fit` watches the signals: none is waiting."""
    return False


@dataclass
class Run:
    """A training run in progress: the first argument of every hook of a callback."""

    model: Any
    optimizer: Optimizer
    loss: Any
    epochs: int
    batch_size: int
    x: np.ndarray
    y: np.ndarray  # with weights of classes or examples: see `losses.weighted`
    validation_data: tuple[np.ndarray, np.ndarray] | None = None
    augment: Any = None
    callbacks: list[Any] = field(default_factory=list)
    shuffle: bool = True  # False: every epoch in the order of x
    initial_epoch: int = 0  # the first one of this run, counted from 0
    epoch: int = 0  # the current epoch, from 0
    batch: int = 0  # how many of its batches are done
    losses: list[float] = field(default_factory=list)  # of these batches
    seconds: float = 0.0  # that they took
    history: History = field(default_factory=History)
    measures_accuracy: bool = True  # whether the labels are classes
    stop: bool = False  # set it to end the training after this epoch
    interrupted: Callable[[], bool] = no_signal  # is a signal waiting? A callback that waits must ask
    frozen: list[str] = field(default_factory=list)  # the layers that are frozen at its start
    lr_factors: dict[str, float] = field(default_factory=dict)  # and the factors on their rates
    kept: KeptOutputs | None = None  # the outputs of these layers, if they are kept

    def __post_init__(self) -> None:
        self.frozen, self.lr_factors = transfer.frozen(self.model), transfer.lr_factors(self.model)

    @property
    def examples(self) -> int:
        return len(self.x)

    @property
    def batches_per_epoch(self) -> int:
        return -(-self.examples // self.batch_size)

    @property
    def position(self) -> tuple[int, int]:
        """(epoch, batch) of what is to be done next. An epoch is done when it stands in the history."""
        done = self.initial_epoch + len(self.history.epochs) > self.epoch
        return (self.epoch + 1, 0) if done else (self.epoch, self.batch)

    @cached_property
    def setup(self) -> dict[str, Any]:
        """The configuration of this run, as plain data."""
        return checkpoint.setup_of(self)
