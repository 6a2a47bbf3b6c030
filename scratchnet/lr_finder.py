"""The learning rate range test: one sweep over all learning rates.

Train for a few hundred steps and raise the learning rate at each of them by the same factor, from far too small to
far too large. The loss is flat while the steps are too small to matter, then it falls, reaches a minimum, and
diverges. Two points of that curve are good learning rates (Smith 2015, arXiv 1506.01186):

    the steepest descent        each step gains the most here
    a tenth of the lowest       at the lowest loss itself the steps are already on the verge of too large

and the smaller of the two is the safe choice. A single batch's loss is noisy, so the losses are first smoothed
along the logarithm of the rate, with a window that is symmetric: a running mean would lag behind and move
everything to the right, to larger rates.
"""

from __future__ import annotations

import copy
import csv
import io
import itertools
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnet.arguments import check_examples
from scratchnet.data.atomic import replacing
from scratchnet.data.batches import batches, epoch_order
from scratchnet.divergence import TrainingDivergedError
from scratchnet.losses import as_loss
from scratchnet.optimizers import as_optimizer
from scratchnet.training import train_step

DIVERGED = 4.0  # stop when the smoothed loss is so many times its lowest value
WINDOW = 0.1  # width (standard deviation) of the smoothing, in decades of the learning rate
WORTH = 0.05  # by so much the smoothed loss must fall, or there is nothing to suggest


@dataclass(frozen=True)
class LearningRates:
    """What a sweep found. Three arrays of equal length: the rate of each step, the batch's loss before it, smoothed.

    >>> rates = np.geomspace(1e-4, 1, 5)
    >>> found = LearningRates(rates, rates, np.array([2.0, 1.5, 0.5, 1.0, 9.0]))
    >>> found.lowest, found.suggestion
    (0.01..., 0.001)
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray

    @property
    def lowest(self) -> float:
        """The rate at which the smoothed loss is lowest."""
        return float(self.rates[self.smoothed.argmin()])

    @property
    def steepest(self) -> float:
        """The rate at which the smoothed loss falls fastest, per factor of the rate; before the lowest."""
        end = int(self.smoothed.argmin()) + 1
        slope = np.gradient(self.smoothed, np.log(self.rates))
        return float(self.rates[slope[:end].argmin()])

    @property
    def suggestion(self) -> float | None:
        """A good learning rate, to two digits; None if the loss never fell."""
        if not self.smoothed.min() < (1 - WORTH) * self.smoothed[0]:
            return None
        return float(f"{min(self.steepest, self.lowest / 10):.1e}")

    @property
    def reason(self) -> str:
        """The suggestion in one sentence."""
        if self.suggestion is None:
            return (
                f"No suggestion: between {self.rates[0]:.0e} and {self.rates[-1]:.0e} the loss never fell below "
                f"{1 - WORTH:.0%} of its first value, {self.smoothed[0]:.3g}."
            )
        which = "where the loss falls fastest" if self.steepest <= self.lowest / 10 else "a tenth of the lowest's"
        return (
            f"Use a learning rate of about {self.suggestion:.1e}, {which}: the steepest descent is at "
            f"{self.steepest:.1e}, the lowest loss at {self.lowest:.1e}."
        )

    def save_csv(self, path: str | os.PathLike) -> None:
        """Write the columns lr, loss, smoothed_loss."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["lr", "loss", "smoothed_loss"])
        writer.writerows(zip(self.rates.tolist(), self.losses.tolist(), self.smoothed.tolist(), strict=True))
        with replacing(path) as file:
            file.write(text.getvalue().encode())

    def plot(self, path: str | os.PathLike) -> None:
        """Draw the curve and both candidates into an image file; the title is the suggestion."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.5, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.plot(self.rates, self.losses, ".", color="0.7", markersize=3, label="loss of a batch")
        axes.plot(self.rates, self.smoothed, color="#0072b2", linewidth=2, label="smoothed")
        if found := self.suggestion is not None:
            for rate, name, style in (self.steepest, "steepest", "--"), (self.lowest / 10, "lowest / 10", ":"):
                axes.axvline(rate, color="#d55e00", linestyle=style, label=f"{name}: {rate:.1e}")
        low, first = self.smoothed.min(), self.smoothed[0]
        axes.set(
            xscale="log", xlabel="learning rate", ylabel="training loss", ylim=(low - 0.1 * first, 1.6 * first),
            title=f"a learning rate of {self.suggestion:.1e} is a good start" if found else "the loss never fell",
        )  # fmt: skip
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left" if first < 1.2 * self.smoothed[-1] else "best")
        figure.savefig(path, dpi=120)


def lr_find(
    model: Any, x: Any, y: Any, *, optimizer: Any = None, batch_size: int = 128, start: float = 1e-6, end: float = 10.0,
    steps: int = 250, loss: Any = None, augment: Any = None,
) -> LearningRates:  # fmt: skip
    """Sweep the learning rate from `start` to `end` in `steps` steps on a copy of the model.

    x, y, batch_size, loss, augment: as for `fit`. optimizer: by default Adam; a copy of it is used, whatever its
    own learning rate. Neither the model nor the optimizer nor any random state is changed.
    The sweep ends early when the smoothed loss has passed four times its lowest value.

    Raises ValueError for rates that are not positive and rising, and for fewer than 10 steps.

    >>> found = lr_find(model, x, y, steps=20)
    >>> len(found.rates) == len(found.losses) <= 20
    True
    """
    if not 0 < start < end:
        raise ValueError(f"lr_find: expected 0 < start < end, got {start!r} and {end!r}")
    if steps < 10:
        raise ValueError(f"lr_find: a curve needs at least 10 steps, got {steps}")
    optimizer, loss = as_optimizer(optimizer), as_loss(loss)
    x, y = check_examples(model, x, y, loss=loss)
    optimizer.check_owner(model.parameters())
    stand_in, optimizer = trained_copy(model), copy.deepcopy(optimizer)
    rates, losses = np.geomspace(start, end, steps), []
    running, lowest = 0.0, math.inf
    with np.errstate(all="ignore"):  # the sweep ends where numbers overflow
        for rate, rows in zip(rates, endless_batches(len(x), batch_size, model.seed), strict=False):
            optimizer.lr = float(rate)
            try:
                value = train_step(stand_in, loss, optimizer, x[rows], y[rows], augment)
            except TrainingDivergedError:
                break
            losses.append(value)
            running = 0.9 * running + 0.1 * value
            smooth = running / (1 - 0.9 ** len(losses))  # as Adam corrects a mean that started at 0
            lowest = min(lowest, smooth)
            if smooth > DIVERGED * lowest:
                break
    if len(losses) < 2:
        raise ValueError(f"lr_find: the loss is not finite at a learning rate of {start:.0e} already. Start lower.")
    rates = rates[: len(losses)]
    return LearningRates(rates, np.array(losses), smoothed(np.log10(rates), np.array(losses)))


def trained_copy(model: Any) -> Any:
    """A model with parameters and state of its own, equal to this one's."""
    other = model.untrained_copy()
    for mine, its in ((model.parameters(), other.parameters()), (model.state(), other.state())):
        for name, array in its.items():
            array[...] = mine[name]
    return other


def endless_batches(n: int, batch_size: int, seed: int) -> Iterator[np.ndarray]:
    """The batches of one epoch after the other, in the order of a training run."""
    return itertools.chain.from_iterable(batches(epoch_order(n, seed, e), batch_size) for e in itertools.count())


def smoothed(position: np.ndarray, values: np.ndarray) -> np.ndarray:
    """At each position the mean of all values, weighted by exp(-d²/2) of their distance d in units of WINDOW.

    >>> smoothed(np.array([0.0, 0.1, 5.0]), np.array([1.0, 3.0, 7.0])).round(2)
    array([1.76, 2.24, 7.  ])
    """
    weights = np.exp(-0.5 * ((position[:, None] - position) / WINDOW) ** 2)
    return weights @ values / weights.sum(axis=1)
