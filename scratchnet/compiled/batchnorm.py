"""BatchNorm [+ ReLU] [+ MaxPool2D]: statistics of the whole batch, then everything else in one pass.

    y = (x - μ) a + β    with  a = γ / √(σ² + ε)            then ReLU, then the largest of each window

Each chunk sums x and x² per channel; one meeting of the chunks is enough where the textbook needs two. The
sums are taken of x - s with s the chunk's first row, which is close to the mean, and put together in float64:

    Σ x = Σ (x - s) + n s            Σ x² = Σ (x - s)² + 2 s Σ (x - s) + n s²

so that E[x²] - E[x]² cancels nothing that matters. Backward, two passes: one for Σ dz and Σ dz x̂, a meeting
of the chunks, and one for dx. Behind a max-pool the first of them visits the winners only, and dz, which
would be three quarters zeros, is never written down.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scratchnet.compiled.batchnorm_sums import (
    line_through,
    means_of_gradient,
    recall,
    remember,
    statistics,
    sums_about_first,
    winners_sums,
)
from scratchnet.compiled.convolution import DEAD
from scratchnet.compiled.memory import aligned_empty
from scratchnet.compiled.normalise import input_gradient, normalise_pool
from scratchnet.compiled.simd import LANES
from scratchnet.compiled.twin import Twin, contiguous
from scratchnet.layers import MaxPool2D, ReLU


class Windows(NamedTuple):
    """Where the windows of a max-pool lie in a chunk's images, read as flat; without a pool each has one cell."""

    starts: np.ndarray  # int32: the first cell of each window
    cells: np.ndarray  # int32: how far a window's cells are from its first, in row-major order
    rest: np.ndarray  # int32: the positions that belong to no window


class BatchNormTwin(Twin):
    """Twin of BatchNorm, alone or with ReLU and a max-pool whose windows do not overlap behind it."""

    @classmethod
    def accepts(cls, layers, input_shape, wants_dx: bool):
        pool = layers[-1]
        if not isinstance(pool, MaxPool2D):
            return True
        return len(input_shape) == 3 and pool.stride == pool.pool_size and np.prod(pool.pool_size) < DEAD

    def __init__(self, layers, input_shape, wants_dx: bool):
        self.layers, self.norm, self.shape, self.c = layers, layers[0], input_shape, input_shape[-1]
        self.relu = any(isinstance(layer, ReLU) for layer in layers)
        self.positions = int(np.prod(input_shape[:-1]))
        # (rows, columns) of the image; what is no image is one row of positions
        self.size = input_shape[:2] if len(input_shape) == 3 else (1, self.positions)
        self.window, self.y_shape = (1, 1), self.shape
        if isinstance(layers[-1], MaxPool2D):
            self.window = p_h, p_w = layers[-1].pool_size
            self.y_shape = self.size[0] // p_h, self.size[1] // p_w, self.c

    def windows(self, n) -> Windows:
        """The windows of n images."""
        (h, w), (p_h, p_w) = self.size, self.window
        at = np.arange(n * h * w, dtype=np.int32).reshape(n, h, w) * np.int32(self.c)
        inside = at[:, : h // p_h * p_h, : w // p_w * p_w]
        cells = ((np.arange(p_h)[:, None] * w + np.arange(p_w)) * self.c).reshape(-1).astype(np.int32)
        rest = np.setdiff1d(at, inside) if inside.size < at.size else at[:0].reshape(-1)
        return Windows(np.ascontiguousarray(inside[:, ::p_h, ::p_w]).reshape(-1), cells, rest)

    def allocate(self, n):
        winner = np.empty((n, *self.y_shape), np.uint8)
        scratch = aligned_empty(2 * -(-self.c // LANES) * LANES)
        y, won = aligned_empty((n, *self.y_shape)), aligned_empty((n, *self.y_shape))
        numbers, moments = aligned_empty((5, self.c)), np.empty((2, self.c))
        return self.windows(n), y, winner, won, aligned_empty((n, *self.shape)), scratch, numbers, moments

    def allocate_shared(self, chunks):
        return np.empty((2, chunks, 2, self.c))

    def forward(self, x, ctx):
        x, norm = contiguous(x), self.norm
        windows, y, winner, won, _, block, numbers, moments = ctx.arrays(self, len(x))
        mean, scale, a, *_ = numbers
        if ctx.training:
            (sums, _), here = ctx.shared(self)
            sums_about_first(x.reshape(-1, self.c), sums[here], block)
            m = self.meet_forward(sums, len(x), numbers, moments, ctx)
        else:
            m = 0
            recall(norm.running_mean, norm.running_var, moments)
            line_through(moments, norm.gamma, norm.epsilon, mean, scale, a)
        starts, cells, _ = windows
        normalise_pool(x, starts, cells, mean, a, norm.beta, self.relu, winner, won, y)
        return y, (x, windows, winner, won, numbers, m, ctx)

    def backward(self, dy, cache):
        x, ctx = cache[0], cache[-1]
        dx = ctx.arrays(self, len(x))[4]
        return dx, self.backward_into(dy, cache, dx, False)

    def backward_into(self, dy, cache, dx, gated: bool):
        """Write dx, which may be x itself; if gated, only where x > 0, as ReLU would pass it on."""
        x, (starts, cells, rest), winner, won, numbers, m, ctx = cache
        dy, grads, block = contiguous(dy), ctx.gradients(self), ctx.arrays(self, len(x))[5]
        self.meet_backward(dy, winner, won, numbers, m, grads, block, ctx)
        mean, _, a, constant, slope = numbers
        input_gradient(dy, winner, x, starts, cells, rest, mean, a, constant, slope, gated, dx)
        return grads

    def meet_forward(self, sums, n, numbers, moments, ctx) -> int:
        """When the sums of this chunk, n examples, are in its row: what follows from all; of how many numbers."""
        norm, (mean, scale, a, *_), m = self.norm, numbers, ctx.examples(n) * self.positions
        ctx.meet()
        statistics(sums, m, norm.gamma, norm.epsilon, moments, mean, scale, a)
        ctx.once(remember, norm.running_mean, norm.running_var, moments, norm.momentum)
        return m

    def meet_backward(self, dy, winner, won, numbers, m, grads, block, ctx) -> None:
        """dβ and dγ, and from those of all chunks the constant and the slope of dx."""
        ((_, sums), here), (_, scale, a, constant, slope) = ctx.shared(self), numbers
        winners_sums(dy, winner, won, scale, sums[here], grads["beta"], grads["gamma"], block)
        ctx.meet()
        means_of_gradient(sums, m, a, scale, constant, slope)
