"""Learning rates that adapt during training.

An optimizer's `lr` is a number or a schedule of the step; `lr_scale`, initially 1, is a factor in front of it.
ReduceLROnPlateau lowers the scale, so it works with a schedule as with a number: the schedule keeps its shape and is
scaled as a whole. LearningRateSchedule sets `lr` itself, once per epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scratchnet.callbacks.base import Callback
from scratchnet.callbacks.monitor import Monitor, patience_of


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by `factor` when `monitor` has not improved for `patience` epochs.

    cooldown: epochs after a reduction that do not count. min_lr: the lower bound of the rate (with a schedule: of
    the rate at the step of the reduction). min_delta: the smallest change that counts as an improvement.
    The reduction remains in the optimizer, as its `lr_scale`.

    Raises ValueError for a factor outside of (0, 1).

    >>> callbacks = [ReduceLROnPlateau("loss", factor=0.5, patience=3, min_lr=1e-7)]
    >>> history = model.fit(x, y, callbacks=callbacks, verbose=False)
    """

    arguments = ("monitor", "mode", "min_delta", "factor", "patience", "cooldown", "min_lr")
    memory = ("best", "wait", "rest")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        super().__init__(monitor, mode, min_delta)
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be between 0 and 1, got {factor!r}")
        if not min_lr >= 0:
            raise ValueError(f"ReduceLROnPlateau: min_lr must be 0 or more, got {min_lr!r}")
        self.factor, self.min_lr = float(factor), float(min_lr)
        self.patience = patience_of("ReduceLROnPlateau: patience", patience)
        self.cooldown = patience_of("ReduceLROnPlateau: cooldown", cooldown)

    def on_train_begin(self, run: Any) -> None:
        super().on_train_begin(run)
        self.wait = self.rest = 0

    def on_epoch_end(self, run: Any, logs: dict[str, float]) -> None:
        improved, resting = self.improved(logs), self.rest > 0
        if resting:
            self.rest -= 1
        if improved or resting:
            self.wait = 0
            return
        self.wait += 1
        if self.wait >= max(self.patience, 1):
            self.wait, self.rest = 0, self.cooldown
            rate = run.optimizer.learning_rate()
            if rate > self.min_lr:
                run.optimizer.lr_scale *= max(self.factor, self.min_lr / rate)


class LearningRateSchedule(Callback):
    """The learning rate of each epoch, from a function of its number (0, 1, ...).

    Any of `scratchnet.schedules` works; here it counts epochs, as the optimizer's `lr` it counts steps.
    The optimizer gets its own `lr` back when training ends.

    Raises TypeError for a schedule that is no function; `fit` raises ValueError for a rate that is not positive.

    >>> callbacks = [LearningRateSchedule(StepDecay(0.01, every=10))]
    >>> model.fit(x, y, callbacks=callbacks, verbose=False)["lr"]
    [0.01]
    """

    arguments = ("schedule",)

    def __init__(self, schedule: Callable[[int], float]):
        if not callable(schedule):
            raise TypeError(f"LearningRateSchedule: expected a function epoch -> learning rate, got {schedule!r}")
        self.schedule = schedule

    def on_train_begin(self, run: Any) -> None:
        self.former = run.optimizer.lr

    def on_epoch_begin(self, run: Any) -> None:
        rate = float(self.schedule(run.epoch))
        if not rate > 0:
            raise ValueError(f"LearningRateSchedule: expected a positive rate for epoch {run.epoch}, got {rate}")
        run.optimizer.lr = rate

    def on_train_end(self, run: Any) -> None:
        run.optimizer.lr = self.former
