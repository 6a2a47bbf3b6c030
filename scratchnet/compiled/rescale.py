"""Rescale: the bytes of the images become numbers, once per chunk.

From here on everything is float32; a chunk's images take four times the space of their bytes, but only for
a chunk at a time: the data set itself stays as it is on disk.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.jit import jit
from scratchnet.compiled.memory import aligned_empty
from scratchnet.compiled.twin import Twin, contiguous


class RescaleTwin(Twin):
    """Twin of Rescale."""

    def __init__(self, layers, input_shape, wants_dx: bool):
        self.layers, self.rescale, self.shape = layers, layers[0], input_shape

    def allocate(self, n):
        return (aligned_empty((n, *self.shape)),)

    def forward(self, x, ctx):
        (y,) = ctx.arrays(self, len(x))
        x = contiguous(x, x.dtype)
        scale(x.reshape(-1), np.float32(self.rescale.scale), np.float32(self.rescale.offset), y.reshape(-1))
        return y, None

    def backward(self, dy, cache):
        return self.rescale.backward(dy, cache)


@jit
def scale(x, factor, offset, y):
    """y = factor · x + offset"""
    for i in range(x.size):
        y[i] = factor * np.float32(x[i]) + offset
