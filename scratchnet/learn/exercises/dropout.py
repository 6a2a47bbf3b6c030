"""Exercise 14: dropout, in training and in evaluation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnet.layers.base import Context
from scratchnet.layers.dropout import Dropout
from scratchnet.learn.exercise import Exercise

Dropped = tuple[np.ndarray, ...]


def dropout(x: np.ndarray, dy: np.ndarray, draws: np.ndarray, rate: float, training: bool) -> tuple[np.ndarray, ...]:
    """Inverted dropout, forward and backward.

    In training a value stays where its draw is at least `rate`, and becomes 0 elsewhere. The ones that stay are divided
    by 1 - rate, so that the expected value is x. In evaluation nothing happens.

    x, dy: any shape; dy is dL/dy. draws: uniform in [0, 1), of the same shape. rate: the fraction dropped, in [0, 1).
    Returns y and dx.
    """
    raise NotImplementedError


class Draws:
    """A generator that gives the draws of the case."""

    def __init__(self, draws: np.ndarray):
        self.draws = draws

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        """The draws, which have this shape."""
        return self.draws


def textbook(x: np.ndarray, dy: np.ndarray, draws: np.ndarray, rate: float, training: bool) -> Dropped:
    """The library's layer."""
    layer = Dropout(rate)
    y, mask = layer.forward(x, Context(training=training, rng=Draws(draws)))
    return y, layer.backward(dy, mask)[0]


def cases(rng: np.random.Generator) -> Iterator[tuple]:
    """Two in three cases are in training; rates other than one half, at which kept and dropped could be exchanged."""
    for i in range(30):
        shape = (1 + i // 5, 1 + i // 4)
        x, dy = rng.standard_normal(shape), rng.standard_normal(shape)
        yield x, dy, rng.random(shape), float(rng.choice([0.2, 0.3, 0.8])), i % 3 != 2


def kept(draws: np.ndarray, rate: float, training: bool) -> np.ndarray:
    """1 where a value stays, 0 where it is dropped."""
    return (draws >= rate) * 1.0 if training else np.ones_like(draws)


def not_scaled(x: np.ndarray, dy: np.ndarray, draws: np.ndarray, rate: float, training: bool) -> Dropped:
    """The values that stay are not divided by 1 - rate: on average y is too small, and evaluation would have to make up
    for it."""
    mask = kept(draws, rate, training)
    return x * mask, dy * mask


def scaled_in_evaluation(x: np.ndarray, dy: np.ndarray, draws: np.ndarray, rate: float, training: bool) -> Dropped:
    """Evaluation multiplies by 1 - rate and training does not: the first form of dropout. Here training divides, and
    evaluation has nothing to do."""
    mask = kept(draws, rate, training) * (1 if training else 1 - rate)
    return x * mask, dy * mask


def dropped_in_evaluation(x: np.ndarray, dy: np.ndarray, draws: np.ndarray, rate: float, training: bool) -> Dropped:
    """Values are dropped in evaluation, too: the answer for an image would be another one at each call."""
    mask = kept(draws, rate, True) / (1 - rate)
    return x * mask, dy * mask


def rate_is_what_stays(x: np.ndarray, dy: np.ndarray, draws: np.ndarray, rate: float, training: bool) -> Dropped:
    """The rate is taken for the fraction that stays; it is the fraction that is dropped. Old TensorFlow meant the
    former."""
    mask = (draws < rate) / rate if training else np.ones_like(draws)
    return x * mask, dy * mask


def gradient_not_masked(x: np.ndarray, dy: np.ndarray, draws: np.ndarray, rate: float, training: bool) -> Dropped:
    """dx is dy everywhere. A value that was dropped had no influence, and gets no gradient; the others get theirs
    divided by 1 - rate."""
    return textbook(x, dy, draws, rate, training)[0], dy.copy()


def gradient_not_scaled(x: np.ndarray, dy: np.ndarray, draws: np.ndarray, rate: float, training: bool) -> Dropped:
    """dx lacks the factor 1 / (1 - rate) that y has: use the same mask for both."""
    return textbook(x, dy, draws, rate, training)[0], dy * kept(draws, rate, training)


EXERCISE = Exercise(
    number=14, lesson=6, title="dropout in training and in evaluation", stub=dropout, outputs=("y", "dx"),
    textbook=textbook, cases=cases, library="layers/dropout.py: Dropout",
    loss=lambda x, dy, *rest: (dy * textbook(x, dy, *rest)[0]).sum(), gradients={"dx": "x"},
    mistakes=(
        not_scaled, scaled_in_evaluation, dropped_in_evaluation, rate_is_what_stays, gradient_not_masked,
        gradient_not_scaled,
    ),
)  # fmt: skip
