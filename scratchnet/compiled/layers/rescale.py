"""Rescale: bytes become float32, once per chunk.

A chunk's images take four times the space of their bytes, but only a chunk at a time: the data set stays as it is.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.layers.base import CompiledLayer


class CompiledRescale(CompiledLayer):
    """Rescale."""

    def __init__(self, layers, input_shape, needs_dx: bool):
        self.layers, self.rescale, self.shape = layers, layers[0], input_shape

    def allocate(self, n):
        return {"y": aligned_empty((n, *self.shape)), "dx": aligned_empty((n, *self.shape))}

    def forward(self, x, ctx):
        work = ctx.workspace(self, len(x))
        x, factor, offset = ctx.contiguous(x, x.dtype), self.rescale.scale, self.rescale.offset
        ctx.call(scale, x.reshape(-1), np.float32(factor), np.float32(offset), work["y"].reshape(-1))
        return work["y"], (work["dx"], ctx)

    def backward(self, dy, cache):
        dx, ctx = cache
        ctx.call(scale, ctx.contiguous(dy).reshape(-1), np.float32(self.rescale.scale), np.float32(0), dx.reshape(-1))
        return dx, {}


@jit
def scale(x, factor, offset, y):
    """y = factor · x + offset"""
    for i in range(x.size):
        y[i] = factor * np.float32(x[i]) + offset
