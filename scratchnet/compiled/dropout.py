"""Dropout with the mask made on the way.

The mask is a function of (seed, step, draw, example, position), as `scratchnet.randomness` defines it, so
the kernel draws the very numbers the textbook draws; and no array of random numbers is ever in memory.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.jit import jit
from scratchnet.compiled.memory import aligned_empty
from scratchnet.compiled.randomness import uniform
from scratchnet.compiled.twin import Twin, contiguous
from scratchnet.randomness import ExampleRandom


class DropoutTwin(Twin):
    """Twin of Dropout. With a generator that is not ours (a user's NumPy generator), the textbook works."""

    def __init__(self, layers, input_shape, wants_dx: bool):
        self.layers, self.dropout = layers, layers[0]
        self.shape = input_shape

    def allocate(self, n):
        return tuple(aligned_empty((n, *self.shape)) for _ in range(3))

    def forward(self, x, ctx):
        if not ctx.training or self.dropout.rate == 0 or not isinstance(ctx.rng, ExampleRandom):
            y, mask = self.dropout.forward(x, ctx)
            return y, (mask, None)
        y, mask, _ = ctx.arrays(self, len(x))
        first = ctx.rng.first * (x.size // len(x))
        drop(contiguous(x).reshape(-1), ctx.key(), first, self.dropout.rate, y.reshape(-1), mask.reshape(-1))
        return y, (mask, ctx)

    def backward(self, dy, cache):
        mask, ctx = cache
        if ctx is None:
            return self.dropout.backward(dy, mask)
        dx = ctx.arrays(self, len(dy))[2]
        multiply(contiguous(dy).reshape(-1), mask.reshape(-1), dx.reshape(-1))
        return dx.reshape(dy.shape), {}

    def describe(self):
        return "compiled"


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
