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

from scratchnet.compiled.jit import inline, jit
from scratchnet.compiled.memory import aligned_empty
from scratchnet.compiled.simd import (
    LANES,
    broadcast,
    fma,
    load,
    load_first,
    maximum,
    narrow,
    select,
    store,
    store_first,
    widen,
)
from scratchnet.compiled.twin import Twin, contiguous
from scratchnet.layers import MaxPool2D, ReLU

DEAD = 255  # the winner of a window whose maximum ReLU removed
BLOCK = 64  # rows whose sums stay in float32 before they are added up in float64


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
        cells = at[0, :p_h, :p_w].reshape(-1).copy()
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
            ctx.meet()
            m = ctx.examples(len(x)) * self.positions
            statistics(sums, m, norm.gamma, norm.epsilon, moments, mean, scale, a)
            ctx.once(remember, norm.running_mean, norm.running_var, moments, norm.momentum)
        else:
            m = 0
            moments[:] = norm.running_mean, norm.running_var
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
        x, (starts, cells, rest), winner, won, (mean, scale, a, constant, slope), m, ctx = cache
        dy, grads, block = contiguous(dy), ctx.gradients(self), ctx.arrays(self, len(x))[5]
        (_, sums), here = ctx.shared(self)
        winners_sums(dy, winner, won, scale, sums[here], grads["beta"], grads["gamma"], block)
        ctx.meet()
        means_of_gradient(sums, m, a, scale, constant, slope)
        input_gradient(dy, winner, x, starts, cells, rest, mean, a, constant, slope, gated, dx)
        return grads


@inline
def load_channels(x, at, left):
    """LANES channels at x[at], or the `left` that there are."""
    if left >= LANES:
        vector = load(x, at)
    else:
        vector = load_first(x, at, left)
    return vector


@inline
def store_channels(x, at, vector, left):
    """Write LANES channels to x[at], or the `left` that there are."""
    if left >= LANES:
        store(x, at, vector)
    else:
        store_first(x, at, vector, left)


@inline
def add_to(sums, row, c, block, at, left):
    """sums[row, c + k] += block[at + k], in float64, for the LANES channels from c on or the `left` that there are."""
    for k in range(min(left, LANES)):
        sums[row, c + k] += np.float64(block[at + k])


@jit
def sums_about_first(x, sums, block):
    """sums[0] = Σ x, sums[1] = Σ x², per channel: two registers of running sums for LANES channels at a time."""
    n, channels = x.shape
    sums[:] = 0
    for first in range(0, n, BLOCK):
        for c in range(0, channels, LANES):
            left = channels - c
            s = load_channels(x, c, left)
            total, squares = broadcast(np.float32(0)), broadcast(np.float32(0))
            for i in range(first, min(first + BLOCK, n)):
                d = load_channels(x, i * channels + c, left) - s
                total = total + d
                squares = fma(d, d, squares)
            store(block, 0, total)
            store(block, LANES, squares)
            add_to(sums, 0, c, block, 0, left)
            add_to(sums, 1, c, block, LANES, left)
    for c in range(channels):
        s = np.float64(x[0, c])
        sums[1, c] += 2 * s * sums[0, c] + n * s * s
        sums[0, c] += n * s


@jit
def statistics(sums, m, gamma, epsilon, moments, mean, scale, a):
    """Every chunk adds up what all have found, in their order: moments = (μ, σ²), and what follows from them."""
    for c in range(gamma.size):
        total, squares = 0.0, 0.0
        for chunk in range(len(sums)):
            total += sums[chunk, 0, c]
            squares += sums[chunk, 1, c]
        moments[0, c] = total / m
        moments[1, c] = max(squares / m - moments[0, c] * moments[0, c], 0.0)
    line_through(moments, gamma, epsilon, mean, scale, a)


@jit
def line_through(moments, gamma, epsilon, mean, scale, a):
    """scale = 1 / √(σ² + ε), a = γ scale"""
    for c in range(gamma.size):
        mean[c] = moments[0, c]
        scale[c] = 1 / np.sqrt(moments[1, c] + epsilon)
        a[c] = gamma[c] * scale[c]


@jit
def remember(running_mean, running_var, moments, momentum):
    """The running averages move a step of 1 - momentum towards the batch's moments."""
    for c in range(running_mean.size):
        running_mean[c] = momentum * running_mean[c] + (1 - momentum) * moments[0, c]
        running_var[c] = momentum * running_var[c] + (1 - momentum) * moments[1, c]


@jit
def means_of_gradient(sums, m, a, scale, constant, slope):
    """constant = a · mean of dz, slope = a scale · mean of dz x̂: dx = a dz - (constant + slope (x - μ)).

    m is how many numbers each is a mean of; 0 in evaluation, where μ and σ² are constants and dx = a dz.
    """
    for c in range(a.size):
        total, along = 0.0, 0.0
        for chunk in range(len(sums)):
            total += sums[chunk, 0, c]
            along += sums[chunk, 1, c]
        constant[c] = a[c] * total / m if m > 0 else 0.0
        slope[c] = a[c] * scale[c] * along / m if m > 0 else 0.0


@jit
def normalise_pool(x, starts, cells, mean, a, beta, relu, winner, won, y):
    """y = the largest (x - μ) a + β of each window, after ReLU; winner: which cell it was in, or DEAD; won: its x - μ.

    The candidates of LANES channels are compared in registers; nothing of the normalised image is written but
    the winners.
    """
    channels = mean.size
    floor = np.float32(0 if relu else -np.inf)
    for window in range(starts.size):
        start = starts[window]
        for c in range(0, channels, LANES):
            left = channels - c
            m, a_c, b_c = load_channels(mean, c, left), load_channels(a, c, left), load_channels(beta, c, left)
            first = load_channels(x, start + c, left) - m
            best = fma(first, a_c, b_c)
            which, total = broadcast(0), best
            for k in range(1, cells.size):
                other = load_channels(x, start + cells[k] + c, left) - m
                rival = fma(other, a_c, b_c)
                which = select(rival > best, broadcast(k), which)
                first = select(rival > best, other, first)
                best = select(rival > best, rival, best)
                total = total + rival
            store_channels(won, window * channels + c, first, left)
            best = select(total == total, best, total)  # NaN if one of them is, which no comparison would notice
            which = select(best > floor, which, broadcast(DEAD))
            store_channels(winner, window * channels + c, narrow(which), left)
            store_channels(y, window * channels + c, maximum(floor, best), left)


@jit
def winners_sums(dy, winner, won, scale, sums, dbeta, dgamma, block):
    """dβ = Σ dz, dγ = Σ dz x̂, both in sums too; dz is dy at the winners and 0 elsewhere; won is x - μ there."""
    channels = scale.size
    windows = winner.size // channels
    sums[:] = 0
    for first in range(0, windows, BLOCK):
        block[:] = 0
        for window in range(first, min(first + BLOCK, windows)):
            for c in range(0, channels, LANES):
                at, left = window * channels + c, channels - c
                which = widen(load_channels(winner, at, left))
                g = select(which == broadcast(DEAD), broadcast(np.float32(0)), load_channels(dy, at, left))
                distance = load_channels(won, at, left) * load_channels(scale, c, left)
                store(block, 2 * c, load(block, 2 * c) + g)
                store(block, 2 * c + LANES, fma(g, distance, load(block, 2 * c + LANES)))
        for c in range(0, channels, LANES):
            add_to(sums, 0, c, block, 2 * c, channels - c)
            add_to(sums, 1, c, block, 2 * c + LANES, channels - c)
    for c in range(channels):
        dbeta[c], dgamma[c] = sums[0, c], sums[1, c]


@jit
def input_gradient(dy, winner, x, starts, cells, rest, mean, a, constant, slope, gated, dx):
    """dx = a dz - constant - slope (x - μ), in every cell of every window, and where no window is (there dz = 0).

    gated: x came out of a ReLU, and dx is to be what goes into it: 0 where x is. That saves a pass over all of
    x and dx, which are too large for the cache; and dx may lie where x is, which saves half of that memory.
    """
    channels = a.size
    floor = np.float32(0 if gated else -np.inf)
    for window in range(starts.size):
        start = starts[window]
        for c in range(0, channels, LANES):
            left = channels - c
            which = widen(load_channels(winner, window * channels + c, left))
            g = load_channels(a, c, left) * load_channels(dy, window * channels + c, left)
            constant_c, slope_c = load_channels(constant, c, left), load_channels(slope, c, left)
            m = load_channels(mean, c, left)
            for k in range(cells.size):
                at = start + cells[k] + c
                here = load_channels(x, at, left)
                dz = select(which == broadcast(k), g, broadcast(np.float32(0)))
                d = dz - fma(slope_c, here - m, constant_c)
                store_channels(dx, at, select(here <= floor, broadcast(np.float32(0)), d), left)
    for position in range(rest.size):
        for c in range(0, channels, LANES):
            left = channels - c
            at = rest[position] + c
            here = load_channels(x, at, left)
            d = fma(load_channels(slope, c, left), load_channels(mean, c, left) - here, broadcast(np.float32(0)))
            d = d - load_channels(constant, c, left)
            store_channels(dx, at, select(here <= floor, broadcast(np.float32(0)), d), left)
