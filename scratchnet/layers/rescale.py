"""Rescale: from the bytes of an image file to numbers between 0 and 1.

As the first layer, it makes the preprocessing part of the model: training, scripts and web pages pass the same
uint8 images, and the division by 255 cannot be forgotten.
"""

from __future__ import annotations

import numpy as np

from scratchnet.keywords import explained
from scratchnet.layers.base import Context, Layer


class Rescale(Layer):
    """y = scale · x + offset.

    Backward: dx = scale · dy.

    Integer images become the model's dtype; floating ones keep theirs. Any shape.

    Raises ValueError or TypeError for a scale that is no number.

    >>> y, _ = Rescale(1 / 255).forward(np.array([[0, 255]], np.uint8), Context())
    >>> y
    array([[0., 1.]], dtype=float32)
    """

    @explained
    def __init__(self, scale: float = 1 / 255, offset: float = 0.0):
        self.scale, self.offset = float(scale), float(offset)

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, None]:
        if x.dtype.kind != "f":
            x = x.astype(self.dtype)
        return self.scale * x + self.offset, None

    def backward(self, dy: np.ndarray, cache: None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return self.scale * dy, {}
