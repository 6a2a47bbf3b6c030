"""Flatten: another shape for the same numbers, so no kernel at all."""

from __future__ import annotations

import math

from scratchnet.compiled.layers.base import CompiledLayer


class CompiledFlatten(CompiledLayer):
    """Flatten."""

    def __init__(self, layers, input_shape, needs_dx: bool):
        self.layers, self.shape = layers, input_shape

    def forward(self, x, ctx):
        return ctx.contiguous(x, x.dtype).reshape(len(x), math.prod(self.shape)), ctx

    def backward(self, dy, ctx):
        return ctx.contiguous(dy).reshape(len(dy), *self.shape), {}
