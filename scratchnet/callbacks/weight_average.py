"""An average of the weights along the optimizer's path, in place of the last weights.

Near a minimum each batch moves the weights in a different direction, further for larger learning rates. The centre of
that motion is better than any single iterate (Polyak, Juditsky 1992; Izmailov et al. 2018, arXiv 1803.05407), and an
exponential moving average estimates it without storing the iterates:

    a = d a + (1 - d) w          after every step; a averages over about the last 1 / (1 - d) steps

The first weights are poor, so the window starts short and grows: in step t = 0, 1, ... d is at most
(1 + t) / (10 + t).

BatchNorm's running statistics are averaged with the weights: those of the last weights would not fit the average.
"""

from __future__ import annotations

from typing import Any

from scratchnet.callbacks.base import Callback
from scratchnet.callbacks.early_stopping import weights


class WeightAverage(Callback):
    """Train the weights, but evaluate, save and return their exponential moving average.

    decay: d above, the share of the average that a step keeps. 0.99 averages about a hundred steps, 0.999 a thousand.

    During an epoch's batches, the model holds the trained weights. From the epoch's last batch to the start of the
    next epoch it holds the average: evaluation, ModelCheckpoint, EarlyStopping and the final model use averages.
    A run that ends within an epoch leaves the trained weights.

    Raises ValueError for a decay outside of [0, 1).

    >>> history = model.fit(x, y, epochs=2, callbacks=[WeightAverage(0.99)], verbose=False)
    """

    arguments = ("decay",)
    memory = ("other", "averaged", "steps")

    def __init__(self, decay: float = 0.999):
        if not 0 <= decay < 1:
            raise ValueError(f"WeightAverage: decay must be in [0, 1), got {decay!r}")
        self.decay = float(decay)

    def on_train_begin(self, run: Any) -> None:
        self.other = {name: array.copy() for name, array in weights(run.model).items()}  # those not in the model
        self.averaged, self.steps = False, 0  # averaged: the average is in the model, the trained weights in `other`

    def on_epoch_begin(self, run: Any) -> None:
        if self.averaged and run.batch == 0:  # else resumed after the last batch, before evaluating the average
            self.swap(run.model)

    def on_batch_end(self, run: Any, logs: dict[str, float]) -> None:
        d = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, w in weights(run.model).items():
            a = self.other[name]
            a += (1 - d) * (w - a)
        self.steps += 1

    def on_evaluation_begin(self, run: Any) -> None:
        if not self.averaged:
            self.swap(run.model)

    def swap(self, model: Any) -> None:
        """Exchange the model's arrays with `other`."""
        for name, array in weights(model).items():
            array[...], self.other[name] = self.other[name], array.copy()
        self.averaged = not self.averaged
