"""Cropping2D: the middle of each image, copied to where it lies in one piece as all kernels expect it."""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.gate import copy_into_middle
from scratchnet.compiled.jit import jit
from scratchnet.compiled.memory import aligned_empty, aligned_zeros
from scratchnet.compiled.twin import Twin, contiguous


class CroppingTwin(Twin):
    """Twin of Cropping2D, for bytes and for float32."""

    def __init__(self, layers, input_shape, wants_dx: bool):
        self.layers, self.cropping, self.wants_dx = layers, layers[0], wants_dx
        (self.top, self.left), (h, w, c) = self.cropping.border, input_shape
        self.shape, self.y_shape = input_shape, (h - 2 * self.top, w - 2 * self.left, c)

    def allocate(self, n):
        y = {np.dtype(kind): aligned_empty((n, *self.y_shape), kind) for kind in (np.uint8, np.float32)}
        return y, aligned_zeros((n, *self.shape))

    def forward(self, x, ctx):
        y = ctx.arrays(self, len(x))[0].get(x.dtype)
        if y is None:
            return self.cropping.forward(x, ctx)[0], ctx
        copy_middle(contiguous(x, x.dtype), self.top, self.left, y)
        return y, ctx

    def backward(self, dy, ctx):
        if not (self.wants_dx or ctx.wants_dx):
            return None, {}
        dx = ctx.arrays(self, len(dy))[1]
        copy_into_middle(contiguous(dy), self.top, self.left, dx)
        return dx, {}


@jit
def copy_middle(x, top, left, y):
    """y = x without `top` rows and `left` columns at each end."""
    for i in range(len(y)):
        for u in range(y.shape[1]):
            for v in range(y.shape[2]):
                for c in range(y.shape[3]):
                    y[i, u, v, c] = x[i, top + u, left + v, c]
