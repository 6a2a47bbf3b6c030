"""Cropping2D: the interior of each image, copied into contiguous memory, as all kernels expect it."""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty, aligned_zeros
from scratchnet.compiled.kernels.copy import copy_from_interior, copy_to_interior
from scratchnet.compiled.layers.base import CompiledLayer


class CompiledCropping2D(CompiledLayer):
    """Cropping2D, for bytes and for float32."""

    def __init__(self, layers, input_shape, needs_dx: bool):
        self.layers, self.cropping, self.needs_dx = layers, layers[0], needs_dx
        (self.top, self.left), (h, w, c) = self.cropping.border, input_shape
        self.shape, self.y_shape = input_shape, (h - 2 * self.top, w - 2 * self.left, c)

    def allocate(self, n):
        shape, dx = (n, *self.y_shape), aligned_zeros((n, *self.shape))
        return {"bytes": aligned_empty(shape, np.uint8), "y": aligned_empty(shape), "dx": dx}

    def forward(self, x, ctx):
        work, dtype = ctx.workspace(self, len(x)), np.uint8 if x.dtype == np.uint8 else np.float32
        y = work["bytes" if dtype == np.uint8 else "y"]
        ctx.call(copy_from_interior, ctx.contiguous(x, dtype), self.top, self.left, y)
        return y, (work["dx"], ctx)

    def backward(self, dy, cache):
        dx, ctx = cache
        if not (self.needs_dx or ctx.needs_dx):
            return None, {}
        ctx.call(copy_to_interior, ctx.contiguous(dy), self.top, self.left, dx)
        return dx, {}
