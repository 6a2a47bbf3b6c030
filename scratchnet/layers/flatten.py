"""Flatten: from images to rows of numbers, and back. Nothing is computed; only the shape changes."""

from __future__ import annotations

import math

from scratchnet.layers.base import Layer


class Flatten(Layer):
    """(n, h, w, c) -> (n, h·w·c).

    Backward: dx is dy in the input's shape.

    >>> Flatten().build((5, 5, 64), np.random.default_rng(0))
    (1600,)
    """

    def build(self, input_shape, rng):
        return (math.prod(input_shape),)

    def forward(self, x, ctx):
        return x.reshape(len(x), math.prod(x.shape[1:])), x.shape

    def backward(self, dy, x_shape):
        return dy.reshape(x_shape), {}
