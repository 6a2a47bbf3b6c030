"""ReLU and LeakyReLU that stand alone, not behind a layer that computes them along with its own result.

The other activations need exponentials, for which the vocabulary of vector operations has none: they run as the
textbook's layers.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.layers.base import CompiledLayer
from scratchnet.layers import ReLU


class CompiledActivation(CompiledLayer):
    """ReLU, LeakyReLU."""

    def __init__(self, layers, input_shape, needs_dx: bool):
        self.layers, self.shape = layers, input_shape

    def slope(self) -> np.float32:
        """What a number below 0 is multiplied by."""
        return np.float32(0 if isinstance(self.layers[0], ReLU) else self.layers[0].slope)

    def allocate(self, n):
        return {name: aligned_empty((n, *self.shape)) for name in ("y", "dx")}

    def forward(self, x, ctx):
        x, work = ctx.contiguous(x), ctx.workspace(self, len(x))
        ctx.call(bend, x.reshape(-1), self.slope(), work["y"].reshape(-1))
        return work["y"], (x, work, ctx)

    def backward(self, dy, cache):
        x, work, ctx = cache
        ctx.call(bend_gradient, ctx.contiguous(dy).reshape(-1), x.reshape(-1), self.slope(), work["dx"].reshape(-1))
        return work["dx"], {}


@jit
def bend(x, slope, y):
    """y = x where x > 0, and slope · x elsewhere; 0 for a slope of 0. NaN stays NaN."""
    for i in range(x.size):
        below = slope * x[i] if slope > 0 else np.float32(0)
        y[i] = below if x[i] <= 0 else x[i]


@jit
def bend_gradient(dy, x, slope, dx):
    """dx = dy where x > 0, and slope · dy elsewhere."""
    for i in range(dx.size):
        dx[i] = dy[i] if x[i] > 0 else slope * dy[i]
