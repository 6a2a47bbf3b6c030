"""Dropout: train a different thinned network at each step, use them all at the end.

In training each value is set to 0 with probability `rate`, so no unit can rely on another one being
there. The survivors are divided by 1 - rate: the expected value stays what it was, and in evaluation
the layer has nothing to do ("inverted" dropout).

Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014 (JMLR 15).
"""

from __future__ import annotations

import numpy as np

from scratchnet.keywords import explained
from scratchnet.layers.base import Context, Layer


class Dropout(Layer):
    """y = x · mask in training, y = x in evaluation; mask is 0 with probability rate, else 1 / (1 - rate).

    Backward: dx = dy · mask.

    rate: the fraction of values that is dropped, in [0, 1).

    Any shape. Raises ValueError for another rate, and in training without random numbers.

    >>> y, _ = Dropout(0.9).forward(np.ones((1, 1000)), Context(training=True, rng=np.random.default_rng(0)))
    >>> round(float((y == 0).mean()), 1)
    0.9
    """

    @explained
    def __init__(self, rate: float):
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise ValueError(f"Dropout rate is the fraction that is dropped, in [0, 1); got {rate!r}")
        self.rate = float(rate)

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, np.ndarray | None]:
        if not ctx.training or self.rate == 0:
            return x, None
        if ctx.rng is None:
            raise ValueError("Dropout needs random numbers in training: Context(training=True, rng=...)")
        keep = ctx.rng.random(x.shape) >= self.rate
        mask = keep.astype(x.dtype) / x.dtype.type(1 - self.rate)
        return x * mask, mask

    def backward(self, dy: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return (dy if mask is None else dy * mask), {}
