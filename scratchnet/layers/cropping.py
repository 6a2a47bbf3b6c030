"""Cropping: an edge that is always empty teaches nothing, and costs as much as the rest.

The digits of MNIST lie in the middle of their image: of its 28×28 pixels, the 22×22 in the middle hold nearly
everything, and are 62 % of the area. What lies beyond is not seen any more: a digit drawn there is not either.
"""

from __future__ import annotations

import numpy as np

from scratchnet.keywords import explained
from scratchnet.layers.base import Context, Layer, Shape, Size, expect_images, pair, show_shape


class Cropping2D(Layer):
    """Remove b_h rows above and below, and b_w columns left and right: (n, h, w, c) -> (n, h - 2 b_h, w - 2 b_w, c).

    border: b_h and b_w, one integer or two. Backward: dx is dy, with zeros around it.

    Raises ValueError if nothing would be left of the image.

    >>> Cropping2D(3).build((28, 28, 1), np.random.default_rng(0))
    (22, 22, 1)
    """

    @explained
    def __init__(self, border: Size = 1):
        self.border = pair(border, "Cropping2D border")

    def build(self, input_shape: Shape, rng: np.random.Generator) -> Shape:
        h, w, c = expect_images(input_shape, "Cropping2D")
        b_h, b_w = self.border
        if h <= 2 * b_h or w <= 2 * b_w:
            raise ValueError(f"Cropping2D: a border of {b_h}×{b_w} leaves nothing of {show_shape(input_shape)}")
        return h - 2 * b_h, w - 2 * b_w, c

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, None]:
        b_h, b_w = self.border
        return x[:, b_h : x.shape[1] - b_h, b_w : x.shape[2] - b_w], None

    def backward(self, dy: np.ndarray, cache: None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        b_h, b_w = self.border
        return np.pad(dy, ((0, 0), (b_h, b_h), (b_w, b_w), (0, 0))), {}
