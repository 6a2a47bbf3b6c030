"""BatchNorm [+ ReLU] [+ MaxPool2D]: statistics of the whole batch, then everything else in one pass.

    y = (x - μ) a + β    with  a = γ / √(σ² + ε)            then ReLU, then the largest of each window

Each chunk sums x and x² per channel; one barrier is enough where the textbook needs two. The sums are taken of x - s
with s the chunk's first row, which is close to the mean, and combined in float64:

    Σ x = Σ (x - s) + n s            Σ x² = Σ (x - s)² + 2 s Σ (x - s) + n s²

so that E[x²] - E[x]² cancels nothing that matters. Backward takes two passes: one for Σ dz and Σ dz x̂, a barrier, and
one for dx. Behind a max-pool the first of them visits the argmax of each window only, and dz, which would be three
quarters zeros, is never written.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.kernels.batchnorm.apply import input_gradient, normalise_pool
from scratchnet.compiled.kernels.batchnorm.statistics import (
    affine_coefficients,
    batch_statistics,
    gradient_coefficients,
    gradient_moments,
    load_running_stats,
    shifted_moments,
    update_running_stats,
)
from scratchnet.compiled.kernels.conv.direct import NO_GRADIENT
from scratchnet.compiled.layers.base import CompiledLayer
from scratchnet.compiled.simd.intrinsics import LANES
from scratchnet.layers import MaxPool2D, ReLU


class PoolWindows(NamedTuple):
    """Where the windows of a max-pool are in a chunk's images, read as flat; without a pool each has one cell."""

    starts: np.ndarray  # int32: the first cell of each window
    cells: np.ndarray  # int32: how far a window's cells are from its first, in row-major order
    rest: np.ndarray  # int32: the positions that belong to no window


class BatchStats(NamedTuple):
    """What is known of the whole batch, for each channel."""

    moments: np.ndarray  # float64 (2, c): μ and σ²
    mean: np.ndarray  # the same in float32, and what follows:
    scale: np.ndarray  # 1 / √(σ² + ε)
    a: np.ndarray  # γ scale
    constant: np.ndarray  # of dx = a dz - (constant + slope (x - μ))
    slope: np.ndarray

    @classmethod
    def allocate(cls, c: int) -> BatchStats:
        """Memory for c channels."""
        return cls(np.empty((2, c)), *aligned_empty((5, c)))


class Workspace(NamedTuple):
    """The memory of a chunk."""

    windows: PoolWindows
    y: np.ndarray
    argmax: np.ndarray
    centered_max: np.ndarray  # x - μ at the argmax
    dx: np.ndarray
    scratch: np.ndarray
    stats: BatchStats


class CompiledBatchNorm(CompiledLayer):
    """BatchNorm, alone or with ReLU and a max-pool whose windows do not overlap behind it."""

    @classmethod
    def supports(cls, layers, input_shape, needs_dx: bool):
        pool = layers[-1]
        if not isinstance(pool, MaxPool2D):
            return True
        return len(input_shape) == 3 and pool.stride == pool.pool_size and np.prod(pool.pool_size) < NO_GRADIENT

    def __init__(self, layers, input_shape, needs_dx: bool):
        self.layers, self.norm, self.shape, self.c = layers, layers[0], input_shape, input_shape[-1]
        self.needs_dx = needs_dx
        self.relu = any(isinstance(layer, ReLU) for layer in layers)
        self.positions = int(np.prod(input_shape[:-1]))
        # (rows, columns) of the image; what is no image is one row of positions
        self.size = input_shape[:2] if len(input_shape) == 3 else (1, self.positions)
        self.window, self.y_shape = (1, 1), self.shape
        if isinstance(layers[-1], MaxPool2D):
            self.window = p_h, p_w = layers[-1].pool_size
            self.y_shape = self.size[0] // p_h, self.size[1] // p_w, self.c

    @property
    def synchronizes(self):
        """A frozen one has no statistics to take of the batch."""
        return self.norm.trainable

    def windows(self, n) -> PoolWindows:
        """The windows of n images."""
        (h, w), (p_h, p_w) = self.size, self.window
        at = np.arange(n * h * w, dtype=np.int32).reshape(n, h, w) * np.int32(self.c)
        inside = at[:, : h // p_h * p_h, : w // p_w * p_w]
        cells = ((np.arange(p_h)[:, None] * w + np.arange(p_w)) * self.c).reshape(-1).astype(np.int32)
        rest = np.setdiff1d(at, inside) if inside.size < at.size else at[:0].reshape(-1)
        return PoolWindows(np.ascontiguousarray(inside[:, ::p_h, ::p_w]).reshape(-1), cells, rest)

    def allocate(self, n):
        shape, scratch = (n, *self.y_shape), aligned_empty(2 * -(-self.c // LANES) * LANES)
        y, centered_max, dx = aligned_empty(shape), aligned_empty(shape), aligned_empty((n, *self.shape))
        stats = BatchStats.allocate(self.c)
        return Workspace(self.windows(n), y, np.empty(shape, np.uint8), centered_max, dx, scratch, stats)

    def allocate_partial_sums(self, chunks):
        return np.empty((2, chunks, 2, self.c))

    def forward(self, x, ctx):
        x, norm, work = ctx.contiguous(x), self.norm, ctx.workspace(self, len(x))
        stats, m = work.stats, 0
        if ctx.training and norm.trainable:
            (sums, _), chunk = ctx.partial_sums(self)
            ctx.call(shifted_moments, x.reshape(-1, self.c), sums[chunk], work.scratch)
            m = self.finish_forward(sums, len(x), stats, ctx)
        else:
            ctx.call(load_running_stats, norm.running_mean, norm.running_var, stats.moments)
            ctx.call(affine_coefficients, stats.moments, norm.gamma, norm.epsilon, stats.mean, stats.scale, stats.a)
        (starts, cells, _), outputs = work.windows, (work.argmax, work.centered_max, work.y)
        ctx.call(normalise_pool, x, starts, cells, stats.mean, stats.a, norm.beta, self.relu, *outputs)
        return work.y, (x, work, m, ctx)

    def backward(self, dy, cache):
        dx, ctx = cache[1].dx, cache[3]
        grads = self.backward_into(dy, cache, dx, through_relu=False)
        return dx if self.needs_dx or ctx.needs_dx else None, grads

    def backward_into(self, dy, cache, dx, through_relu: bool) -> dict[str, Any]:
        """Write dx, which may be x itself. through_relu: only where x > 0, as the ReLU in front would pass it on."""
        x, work, m, ctx = cache
        dy, stats, (starts, cells, rest) = ctx.contiguous(dy), work.stats, work.windows
        grads = self.finish_backward(dy, work.argmax, work.centered_max, stats, m, work.scratch, ctx)
        coefficients = stats.mean, stats.a, stats.constant, stats.slope
        if not (self.needs_dx or ctx.needs_dx):
            return grads
        ctx.call(input_gradient, dy, work.argmax, x, starts, cells, rest, *coefficients, through_relu, dx)
        return grads

    def finish_forward(self, sums, n, stats: BatchStats, ctx) -> int:
        """From the sums of all chunks, each in its row, the statistics; returns of how many numbers they are."""
        norm, m = self.norm, ctx.examples(n) * self.positions
        ctx.barrier()
        ctx.call(batch_statistics, sums, m, norm.gamma, norm.epsilon, stats.moments, stats.mean, stats.scale, stats.a)
        ctx.after_step(update_running_stats, norm.running_mean, norm.running_var, stats.moments, norm.momentum)
        return m

    def finish_backward(self, dy, argmax, centered_max, stats: BatchStats, m, scratch, ctx) -> dict[str, Any]:
        """dβ and dγ, and from those of all chunks the constant and the slope of dx."""
        ((_, sums), chunk), grads = ctx.partial_sums(self), ctx.gradients(self)
        if not self.norm.trainable:  # μ and σ² are constants
            ctx.call(gradient_coefficients, sums[:0], 0, stats.a, stats.scale, stats.constant, stats.slope)
            return {}
        to = sums[chunk], grads["beta"], grads["gamma"], scratch
        ctx.call(gradient_moments, dy, argmax, centered_max, stats.scale, *to)
        ctx.barrier()
        ctx.call(gradient_coefficients, sums, m, stats.a, stats.scale, stats.constant, stats.slope)
        return grads
