"""Zero padding as a layer of its own: for borders that differ from side to side.

Conv2D and the pools pad by themselves where all sides are alike, or where padding="same" says how much. Published
networks also pad only below and to the right, for instance in front of a convolution of stride 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.keywords import explained
from scratchnet.layers.base import Context, Layer, Shape, expect_images, integer

Sides = tuple[tuple[int, int], tuple[int, int]]  # (top, bottom), (left, right)


class ZeroPadding2D(Layer):
    """Put rows and columns of zeros around images: (n, h, w, c) -> (n, top + h + bottom, left + w + right, c).

    padding: pixels on every side, or (height, width), or ((top, bottom), (left, right)).
    Backward: dx is the part of dy that lies within the borders.

    Raises ValueError for a negative padding.

    >>> ZeroPadding2D(((0, 1), (0, 1))).build((28, 28, 1), np.random.default_rng(0))
    (29, 29, 1)
    """

    @explained
    def __init__(self, padding: int | tuple[int, int] | Sides = 1):
        self.padding = four_sides(padding)

    def __repr__(self) -> str:
        (top, bottom), (left, right) = self.padding
        if top != bottom or left != right:
            return f"ZeroPadding2D({self.padding})"
        return f"ZeroPadding2D({top if top == left else (top, left)})"

    def build(self, input_shape: Shape, rng: np.random.Generator) -> Shape:
        h, w, c = expect_images(input_shape, "ZeroPadding2D")
        (top, bottom), (left, right) = self.padding
        return top + h + bottom, left + w + right, c

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, None]:
        return np.pad(x, ((0, 0), *self.padding, (0, 0))), None

    def backward(self, dy: np.ndarray, cache: None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        (top, bottom), (left, right) = self.padding
        return dy[:, top : dy.shape[1] - bottom, left : dy.shape[2] - right], {}


def four_sides(value: Any) -> Sides:
    """The three ways to write a padding as ((top, bottom), (left, right)), or an error.

    >>> four_sides((1, 2))
    ((1, 1), (2, 2))
    """
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    sides = [tuple(side) if isinstance(side, tuple | list) else (side, side) for side in values]
    if len(sides) != 2 or any(len(side) != 2 for side in sides):
        raise ValueError(
            "ZeroPadding2D padding must be a number of pixels, (height, width) or ((top, bottom), (left, right)), "
            f"got {value!r}"
        )
    (top, bottom), (left, right) = ([integer(n, "ZeroPadding2D padding", 0) for n in side] for side in sides)
    return (top, bottom), (left, right)
