"""Dropout: the mask is drawn while it is applied.

The mask is a function of (seed, step, draw, example, position), as `scratchnet.randomness` defines it. So the kernel
draws the numbers that the textbook draws, and no array of random numbers is ever in memory.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.kernels.splitmix import uniform
from scratchnet.compiled.layers.base import CompiledLayer
from scratchnet.randomness import ExampleRandom


class CompiledDropout(CompiledLayer):
    """Dropout. With a generator other than the training loop's, NumPy's for instance, the textbook's layer runs."""

    def __init__(self, layers, input_shape, needs_dx: bool):
        self.layers, self.dropout, self.shape = layers, layers[0], input_shape

    def allocate(self, n):
        return {name: aligned_empty((n, *self.shape)) for name in ("y", "mask", "dx")}

    def forward(self, x, ctx):
        if not ctx.training or self.dropout.rate == 0:
            return x, (None, ctx)
        if not isinstance(ctx.rng, ExampleRandom):
            y, mask = self.dropout.forward(x, ctx)
            return y, ({"mask": mask}, ctx)
        work, first = ctx.workspace(self, len(x)), ctx.rng.first * (x.size // max(1, len(x)))
        y, mask = work["y"].reshape(-1), work["mask"].reshape(-1)
        ctx.call(drop, ctx.contiguous(x).reshape(-1), ctx.key(), first, self.dropout.rate, y, mask)
        return work["y"], (work, ctx)

    def backward(self, dy, cache):
        work, ctx = cache
        if work is None:
            return dy, {}
        if "dx" not in work:
            return self.dropout.backward(dy, work["mask"])
        ctx.call(multiply, ctx.contiguous(dy).reshape(-1), work["mask"].reshape(-1), work["dx"].reshape(-1))
        return work["dx"], {}


@jit
def drop(x, key, first, rate, y, mask):
    """mask = 0 where the uniform number of counter first + i is under rate, else 1 / (1 - rate); y = x · mask.

    key: the key of these random numbers, in an array.
    """
    start, keep = key[0], np.float32(1) / np.float32(1 - rate)
    for i in range(x.size):
        m = np.float32(0) if uniform(start, first + i) < rate else keep
        mask[i] = m
        y[i] = x[i] * m


@jit
def multiply(dy, mask, dx):
    """dx = dy · mask"""
    for i in range(dx.size):
        dx[i] = dy[i] * mask[i]
