"""Flatten: from images to rows of numbers, and back. Nothing is computed; only the shape changes."""

from __future__ import annotations

import math

import numpy as np

from scratchnet.layers.base import Context, Layer, Shape


class Flatten(Layer):
    """(n, h, w, c) -> (n, h·w·c).

    Backward: dx is dy in the input's shape.

    Any shape; no input is an error.

    >>> Flatten().build((5, 5, 64), np.random.default_rng(0))
    (1600,)
    """

    def build(self, input_shape: Shape, rng: np.random.Generator) -> Shape:
        return (math.prod(input_shape),)

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, Shape]:
        return x.reshape(len(x), math.prod(x.shape[1:])), x.shape

    def backward(self, dy: np.ndarray, x_shape: Shape) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return dy.reshape(x_shape), {}
