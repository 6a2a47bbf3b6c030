"""Is this epoch better than the best so far?

A loss is better when it is lower, an accuracy when it is higher. A value that is not finite never counts as better:
all comparisons with NaN are false, so a best of NaN could never be beaten.
"""

from __future__ import annotations

import math
import operator
from typing import Any, SupportsIndex

import numpy as np

from scratchnet.callbacks.base import Callback
from scratchnet.callbacks.recorded import check_recorded, not_recorded

MODES = ("auto", "min", "max")


class Monitor(Callback):
    """Base class of callbacks that watch one quantity of the history.

    monitor: its name, such as "val_loss". mode: "min" or "max", which is better; "auto" is "max" for an accuracy.
    min_delta: the smallest change that counts as an improvement. A name that the history will not have is a
    ValueError before the first step.

    >>> watch = Monitor("val_loss")
    >>> watch.on_train_begin(run=None)
    >>> [watch.improved({"val_loss": value}) for value in (float("nan"), 0.5, 0.7, 0.4)]
    [False, True, False, True]
    """

    arguments: tuple[str, ...] = ("monitor", "mode", "min_delta")
    memory: tuple[str, ...] = ("best",)

    def __init__(self, monitor: str, mode: str = "auto", min_delta: float = 0.0):
        if mode not in MODES:
            raise ValueError(f'{type(self).__name__}: mode must be "auto", "min" or "max", got {mode!r}')
        if not min_delta >= 0:
            raise ValueError(f"{type(self).__name__}: min_delta must be 0 or more, got {min_delta!r}")
        self.monitor, self.mode, self.min_delta = monitor, mode, float(min_delta)
        self.best: float | None = None

    def on_train_begin(self, run: Any) -> None:
        self.best = None
        check_recorded(f"{type(self).__name__}: monitor", self.monitor, run)

    def improved(self, logs: dict[str, float]) -> bool:
        """Whether the monitored value is a new best; if so, remember it."""
        if self.monitor not in logs:
            raise KeyError(f"{type(self).__name__}: {not_recorded(self.monitor, logs)}")
        value = logs[self.monitor]
        if not math.isfinite(value):
            return False
        sign = 1 if self.mode == "max" or (self.mode == "auto" and self.monitor.endswith("accuracy")) else -1
        if self.best is not None and not sign * (value - self.best) > self.min_delta:
            return False
        self.best = value
        return True


def patience_of(name: str, epochs: SupportsIndex, least: int = 0) -> int:
    """A number of epochs as an int, from any integer type, or an error that names the argument."""
    try:
        number = least - 1 if isinstance(epochs, bool | np.bool_) else operator.index(epochs)
    except TypeError:
        number = least - 1
    if number < least:
        raise ValueError(f"{name} must be a whole number of epochs, {least} or more, got {epochs!r}")
    return number
