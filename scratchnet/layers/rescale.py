"""Rescale: from the bytes of an image file to the numbers a network likes.

It stands first in a model, so that the model carries its own preprocessing: the same uint8 images go in
during training, in a script and on a web page, and nobody can forget to divide by 255.
"""

from __future__ import annotations

from scratchnet.keywords import explained
from scratchnet.layers.base import Layer


class Rescale(Layer):
    """y = scale · x + offset.

    Backward: dx = scale · dy.

    Integer images become the model's dtype; floating ones keep theirs. Any shape.

    >>> y, _ = Rescale(1 / 255).forward(np.array([[0, 255]], np.uint8), Context())
    >>> y
    array([[0., 1.]], dtype=float32)
    """

    @explained
    def __init__(self, scale: float = 1 / 255, offset: float = 0.0):
        self.scale, self.offset = float(scale), float(offset)

    def forward(self, x, ctx):
        if x.dtype.kind != "f":
            x = x.astype(self.dtype)
        return self.scale * x + self.offset, None

    def backward(self, dy, cache):
        return self.scale * dy, {}
