"""Learning from corrections, in seconds.

A few images alone would make a network forget the others. So the corrections, repeated under small random changes, are
mixed with images of the data set, and the convolutions are frozen: what they see is right more often than what is made
of it (`transfer`). The result is another model; the one that was corrected is not changed.

Before and after are measured on the test images and on the corrections. The latter are the images that were learned
from: that they are right afterwards shows that the network learned, and not how well it reads others.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from scratchnet.callbacks import Callback
from scratchnet.data.augment import Augment
from scratchnet.layers import Conv2D, DepthwiseConv2D
from scratchnet.optimizers import Adam
from scratchnet.schedules import Cosine
from scratchnet.transfer import freeze_normalisation

STEPS, EPOCHS, BATCH, RATE = 380, 20, 32, 1e-3  # about 380 steps, in at most 20 epochs
SHARE, TIMES, OTHERS = 300, 30, 2700  # images of an epoch: the corrections, each at most 30 times, and others
MOST_TESTS = 10_000
Images = tuple[np.ndarray, np.ndarray]


class Lesson(NamedTuple):
    """What came of the corrections: the taught model, and shares of right answers before and after, None without."""

    model: Any
    corrections: tuple[float, float]
    test: tuple[float, float] | None
    test_images: int
    other_images: int  # of the data set, learned from again in each epoch

    def numbers(self) -> dict[str, Any]:
        """As plain data."""
        return {name: value for name, value in self._asdict().items() if name != "model"}


class Progress(Callback):
    """Tell how far the training run is, from 0 to 1, and stop it when asked."""

    def __init__(self, tell: Callable[[float], None], stopped: Callable[[], bool]):
        self.tell, self.stopped = tell, stopped

    def on_batch_end(self, run: Any, logs: dict[str, float]) -> None:
        self.tell((run.epoch + run.batch / run.batches_per_epoch) / run.epochs)
        if self.stopped():
            raise StoppedError


class StoppedError(Exception):
    """Learning was stopped; nothing came of it."""


def learn(
    model: Any, corrections: Images, others: Images | None = None, test: Images | None = None, seed: int = 0,
    tell: Callable[[float], None] = lambda share: None, stopped: Callable[[], bool] = bool,
) -> Lesson:  # fmt: skip
    """A copy of the model, taught; and what changed. others: images of the data set, against forgetting.

    >>> lesson = learn(model, (np.uint8(x[:3]), y[:3]))
    >>> lesson.corrections[1] >= lesson.corrections[0], lesson.test
    (True, None)
    """
    x, y = corrections
    if not len(x):
        raise ValueError("there are no corrections yet")
    taught = copy.deepcopy(model)
    freeze_filters(taught)
    images, labels = mixture(x, y, others, np.random.default_rng(seed))
    batches = math.ceil(len(images) / BATCH)
    epochs = min(math.ceil(STEPS / batches), EPOCHS)
    schedule = Cosine(RATE, epochs * batches)  # a rate that ends at 0: a constant one forgets 0.4 % of the test images
    taught.fit(
        images, labels, epochs=epochs, batch_size=BATCH, optimizer=Adam(schedule), augment=Augment.light(),
        callbacks=[Progress(tell, stopped)], verbose=False,
    )  # fmt: skip
    taught.unfreeze()
    tests = None if test is None else (test[0][:MOST_TESTS], test[1][:MOST_TESTS])
    return Lesson(
        taught,
        (right(model, *corrections), right(taught, *corrections)),
        None if tests is None else (right(model, *tests), right(taught, *tests)),
        0 if tests is None else len(tests[0]),
        min(len(others[0]), OTHERS) if others else 0,
    )


def freeze_filters(model: Any) -> None:
    """Freeze the convolutions, unless nothing else is left to be trained."""
    model.unfreeze()
    filters = [i for i, layer in enumerate(model.layers) if isinstance(layer, Conv2D | DepthwiseConv2D)]
    if filters:
        model.freeze(*filters)
        freeze_normalisation(model)
    if not model.trainable_parameters():
        model.unfreeze()


def mixture(x: np.ndarray, y: np.ndarray, others: Images | None, rng: np.random.Generator) -> Images:
    """The images of an epoch: the corrections, each as often as its share allows, and some of the others.

    >>> mixture(np.zeros((3, 2, 2, 1)), np.arange(3), None, np.random.default_rng(0))[0].shape
    (90, 2, 2, 1)
    """
    times = min(max(1, math.ceil(SHARE / len(x))), TIMES)
    images, labels = np.repeat(x, times, axis=0), np.repeat(y.astype(np.int64), times)
    if others is None:
        return images, labels
    chosen = rng.permutation(len(others[0]))[:OTHERS]
    return (
        np.concatenate([images, others[0][chosen].reshape(-1, *x.shape[1:])]),
        np.concatenate([labels, others[1][chosen].astype(np.int64)]),
    )


def right(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    """The share of right answers."""
    return float((model.predict(x).argmax(axis=1) == y).mean())
