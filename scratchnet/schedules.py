"""Schedules: from the step number to the learning rate.

A large learning rate makes fast progress, a small one lets the weights converge; so most schedules start large and end
small. A schedule is any function of the step (0, 1, 2, ...); these are the common ones, as small
records, so that they can be printed, compared and written into a run's config.

>>> optimizer = Adam(lr=OneCycle(peak=0.01, steps=235))
>>> optimizer = SGD(lr=WarmUp(Cosine(0.1, steps=1000), steps=50), momentum=0.9)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi


@dataclass(frozen=True)
class Constant:
    """The same learning rate at every step.

    >>> Constant(0.1)(1000)
    0.1
    """

    lr: float

    def __call__(self, step: int) -> float:
        return self.lr


@dataclass(frozen=True)
class StepDecay:
    """lr · factor^⌊step / every⌋: a decreasing staircase, one stair per `every` steps.

    >>> [StepDecay(0.1, every=100)(step) for step in (0, 99, 100, 200)]
    [0.1, 0.1, 0.05, 0.025]
    """

    lr: float
    every: int
    factor: float = 0.5

    def __call__(self, step: int) -> float:
        return self.lr * self.factor ** (step // max(self.every, 1))


@dataclass(frozen=True)
class Cosine:
    """Half a cosine wave from lr at step 0 down to `final` at step `steps` and after (arXiv 1608.03983).

    >>> [round(Cosine(0.1, steps=100)(step), 3) for step in (0, 50, 100, 200)]
    [0.1, 0.05, 0.0, 0.0]
    """

    lr: float
    steps: int
    final: float = 0.0

    def __call__(self, step: int) -> float:
        done = min(step / max(self.steps, 1), 1.0)
        return self.final + (self.lr - self.final) * (1 + cos(pi * done)) / 2


@dataclass(frozen=True)
class OneCycle:
    """Up to `peak` during the first `rise` of all steps, then down to almost nothing, both as half cosines.

    Starts at peak / start_divisor, ends at peak / end_divisor (Smith 2018, arXiv 1803.09820).

    >>> [round(OneCycle(0.1, steps=100)(step), 5) for step in (0, 30, 100)]
    [0.004, 0.1, 1e-05]
    """

    peak: float
    steps: int
    rise: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4

    def __call__(self, step: int) -> float:
        top = self.rise * self.steps
        if step < top:
            low, done = self.peak / self.start_divisor, step / top
        else:
            low, done = self.peak / self.end_divisor, 1 - min((step - top) / max(self.steps - top, 1e-9), 1.0)
        return low + (self.peak - low) * (1 - cos(pi * done)) / 2


@dataclass(frozen=True)
class WarmUp:
    """Rise in a straight line to the first value of another schedule in `steps` steps, then follow it.

    >>> [round(WarmUp(Constant(0.1), steps=4)(step), 3) for step in range(6)]
    [0.025, 0.05, 0.075, 0.1, 0.1, 0.1]
    """

    schedule: Callable[[int], float]
    steps: int

    def __call__(self, step: int) -> float:
        if step < self.steps:
            return self.schedule(0) * (step + 1) / self.steps
        return self.schedule(step - self.steps)


SCHEDULES: dict[str, Callable[[float, int], Callable[[int], float]]] = {
    "constant": lambda lr, steps: Constant(lr),
    "cosine": Cosine,
    "one-cycle": OneCycle,
}  # from the largest rate, and how many steps the training has
