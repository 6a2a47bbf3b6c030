"""BatchNorm [+ ReLU] [+ MaxPool2D]: statistics of the whole batch, then everything else in one pass.

Each chunk sums x and x² per channel, in float64: then E[x²] - E[x]² loses nothing that matters (float32
data has 24 bits, the sums 53), and one meeting of the chunks is enough where the textbook needs two.

    y = x · a + b    with    a = γ / √(σ² + ε)  and  b = β - μ a

The backward pass is one pass for the two sums Σ dz and Σ dz x̂, a meeting, and one pass for dx. Behind a
max-pool only the winners have a dz; the sums run over them alone.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.jit import jit
from scratchnet.compiled.memory import aligned_empty
from scratchnet.compiled.twin import Twin, contiguous
from scratchnet.layers import MaxPool2D, ReLU

DEAD = 255  # the winner of a window whose maximum ReLU removed


class BatchNormTwin(Twin):
    """Twin of BatchNorm, alone or with ReLU and a max-pool whose windows do not overlap behind it."""

    @classmethod
    def accepts(cls, layers, input_shape):
        pool = layers[-1]
        if not isinstance(pool, MaxPool2D):
            return True
        return len(input_shape) == 3 and pool.stride == pool.pool_size and pool.pool_size[0] * pool.pool_size[1] < DEAD

    def __init__(self, layers, input_shape, wants_dx: bool):
        self.layers, self.norm, self.shape, self.c = layers, layers[0], input_shape, input_shape[-1]
        self.relu = any(isinstance(layer, ReLU) for layer in layers)
        self.pool = layers[-1] if isinstance(layers[-1], MaxPool2D) else None
        if self.pool:
            self.out_shape = (input_shape[0] // self.pool.pool_size[0], input_shape[1] // self.pool.pool_size[1], self.c)
        else:
            self.out_shape = input_shape
        self.positions = int(np.prod(input_shape[:-1]))

    def allocate(self, n):
        winner = np.empty((n, *self.out_shape), np.uint8)
        return aligned_empty((n, *self.out_shape)), winner, aligned_empty((n, *self.shape))

    def forward(self, x, ctx):
        x, norm = contiguous(x), self.norm
        y, winner, _ = ctx.arrays(self, len(x))
        if ctx.training:
            sums = np.zeros((2, self.c))
            sum_and_squares(x.reshape(-1, self.c), sums)
            total = ctx.sum(np.append(sums, len(x) * self.positions))
            m = total[-1]
            mean = total[: self.c] / m
            var = np.maximum(total[self.c : -1] / m - mean * mean, 0)
            norm.remember(mean, var, ctx)
        else:
            mean, var, m = norm.running_mean, norm.running_var, None
        scale = 1 / np.sqrt(var + norm.epsilon)
        mean, scale = mean.astype(np.float32), scale.astype(np.float32)
        a = norm.gamma * scale
        if self.pool:
            p_h, p_w = self.pool.pool_size
            normalise_pool(x, mean, a, norm.beta, self.relu, p_h, p_w, y, winner)
        else:
            normalise(x.reshape(-1, self.c), mean, a, norm.beta, self.relu, y.reshape(-1, self.c))
        return y, (x, y, winner, mean, scale, m, ctx)

    def backward(self, dy, cache):
        x, y, winner, mean, scale, m, ctx = cache
        dy, norm, grads = contiguous(dy), self.norm, ctx.gradients(self)
        dx = ctx.arrays(self, len(x))[2]
        flat = x.reshape(-1, self.c)
        if self.pool:
            spread(dy, winner, *self.pool.pool_size, dx)
        else:
            gate(dy.reshape(-1, self.c), y.reshape(-1, self.c), self.relu, dx.reshape(-1, self.c))
        sums = np.zeros((2, self.c))  # Σ dz, Σ dz x̂
        gradient_sums(dx.reshape(-1, self.c), flat, mean, scale, sums)
        grads["beta"][:], grads["gamma"][:] = sums
        a = norm.gamma * scale
        if m is None:
            center = slope = np.zeros(self.c, np.float32)
        else:
            center, slope = (ctx.sum(sums) / m).astype(np.float32)
        gradient(dx.reshape(-1, self.c), flat, mean, scale, a, center, slope)
        return dx, grads


@jit
def sum_and_squares(x, sums):
    """sums[0] += Σ x, sums[1] += Σ x², per channel, in float64."""
    n, channels = x.shape
    for i in range(n):
        for c in range(channels):
            v = np.float64(x[i, c])
            sums[0, c] += v
            sums[1, c] += v * v


@jit
def normalise(x, mean, a, beta, relu, y):
    """y = (x - μ) a + β, then ReLU."""
    n, channels = x.shape
    for i in range(n):
        for c in range(channels):
            v = (x[i, c] - mean[c]) * a[c] + beta[c]
            y[i, c] = max(v, np.float32(0)) if relu else v


@jit
def normalise_pool(x, mean, a, beta, relu, p_h, p_w, y, winner):
    """y = the maximum of (x - μ) a + β over each window, and where it was; then ReLU."""
    n, out_h, out_w, channels = y.shape
    for i in range(n):
        for u in range(out_h):
            for v in range(out_w):
                for c in range(channels):
                    y[i, u, v, c] = (x[i, u * p_h, v * p_w, c] - mean[c]) * a[c] + beta[c]
                    winner[i, u, v, c] = 0
                for cell in range(1, p_h * p_w):
                    r, s = u * p_h + cell // p_w, v * p_w + cell % p_w
                    for c in range(channels):
                        z = (x[i, r, s, c] - mean[c]) * a[c] + beta[c]
                        larger = z > y[i, u, v, c]
                        y[i, u, v, c] = z if larger else y[i, u, v, c]
                        winner[i, u, v, c] = np.uint8(cell) if larger else winner[i, u, v, c]
                if relu:
                    for c in range(channels):
                        dead = y[i, u, v, c] <= 0
                        winner[i, u, v, c] = np.uint8(DEAD) if dead else winner[i, u, v, c]
                        y[i, u, v, c] = np.float32(0) if dead else y[i, u, v, c]


@jit
def spread(dy, winner, p_h, p_w, dz):
    """dz = dy at the winner of each window, 0 elsewhere."""
    n, out_h, out_w, channels = dy.shape
    dz[...] = 0
    for i in range(n):
        for u in range(out_h):
            for v in range(out_w):
                for cell in range(p_h * p_w):
                    r, s = u * p_h + cell // p_w, v * p_w + cell % p_w
                    for c in range(channels):
                        won = winner[i, u, v, c] == cell
                        dz[i, r, s, c] = dy[i, u, v, c] if won else np.float32(0)


@jit
def gate(dy, y, relu, dz):
    """dz = dy where ReLU let something through."""
    n, channels = dy.shape
    for i in range(n):
        for c in range(channels):
            dz[i, c] = dy[i, c] if y[i, c] > 0 or not relu else np.float32(0)


@jit
def gradient_sums(dz, x, mean, scale, sums):
    """sums[0] = Σ dz, sums[1] = Σ dz x̂, per channel, in float64."""
    n, channels = dz.shape
    for i in range(n):
        for c in range(channels):
            g = dz[i, c]
            sums[0, c] += np.float64(g)
            sums[1, c] += np.float64(g * ((x[i, c] - mean[c]) * scale[c]))


@jit
def gradient(dz, x, mean, scale, a, center, slope):
    """dz becomes dx = a (dz - mean of dz - x̂ · mean of dz x̂), in place."""
    n, channels = dz.shape
    for i in range(n):
        for c in range(channels):
            dz[i, c] = a[c] * (dz[i, c] - center[c] - (x[i, c] - mean[c]) * scale[c] * slope[c])
