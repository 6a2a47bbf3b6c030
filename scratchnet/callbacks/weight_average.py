"""The average of the weights on their way, in place of the last ones.

Near a minimum the weights do not stand still: every batch pulls them to another side, and the larger the learning
rate the wider they wander about. What they wander about is better than any place on the way (Polyak, Juditsky
1992; Izmailov et al. 2018, arXiv 1803.05407), and an exponential moving average finds it without a list of them:

    a = d a + (1 - d) w          after every step; a remembers about the last 1 / (1 - d) steps

The first weights are worth little, so the memory begins short and grows: in step t = 0, 1, ... d is at most
(1 + t) / (10 + t).

BatchNorm's running statistics are averaged with the weights: those of the last weights would not fit the average.
"""

from __future__ import annotations

from scratchnet.callbacks.base import Callback
from scratchnet.callbacks.early_stopping import weights


class WeightAverage(Callback):
    """Train the weights, but evaluate, save and return their exponential moving average.

    decay: how much of the average a step keeps, d above. 0.99 remembers about a hundred steps, 0.999 a thousand.

    While an epoch's batches are done, the model holds the weights that are trained. From the epoch's last batch to
    the beginning of the next one it holds the average: what is evaluated, what ModelCheckpoint saves, what
    EarlyStopping brings back, and what is left when the training ends, are averages. A training that breaks off
    within an epoch leaves the trained weights.

    >>> history = model.fit(x, y, epochs=2, callbacks=[WeightAverage(0.99)], verbose=False)
    """

    arguments = ("decay",)
    memory = ("other", "averaged", "steps")

    def __init__(self, decay: float = 0.999):
        if not 0 <= decay < 1:
            raise ValueError(f"WeightAverage: decay must be in [0, 1), got {decay!r}")
        self.decay = float(decay)

    def on_train_begin(self, run):
        self.other = {name: array.copy() for name, array in weights(run.model).items()}  # what is not in the model
        self.averaged, self.steps = False, 0  # averaged: the average is in the model, the trained weights in `other`

    def on_epoch_begin(self, run):
        if self.averaged and run.batch == 0:  # else resumed after the last batch: the average is to be evaluated
            self.swap(run.model)

    def on_batch_end(self, run, logs):
        d = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, w in weights(run.model).items():
            a = self.other[name]
            a += (1 - d) * (w - a)
        self.steps += 1

    def on_evaluation_begin(self, run):
        if not self.averaged:
            self.swap(run.model)

    def swap(self, model) -> None:
        """Put into the model what was kept beside it, and keep what was in it."""
        for name, array in weights(model).items():
            array[...], self.other[name] = self.other[name], array.copy()
        self.averaged = not self.averaged
