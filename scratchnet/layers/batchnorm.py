"""Batch normalisation: give every channel mean 0 and variance 1, then let it choose its own again.

    μ = mean of x,  σ² = mean of (x - μ)²          over the batch and all positions, per channel
    x̂ = (x - μ) / √(σ² + ε)
    y = γ x̂ + β

In training μ and σ² are the batch's own; in evaluation they are running averages gathered in training,
so that the answer for one image does not depend on its neighbours. A frozen BatchNorm (`trainable = False`) uses
them in training, too, and leaves them as they are: what follows is trained on the numbers that predictions will see.

Backward. With m numbers per channel, μ and σ² depend on all of them, so dx has three parts: the direct
path, the path through μ and the path through σ². Written with the two sums that are needed anyway,

    dγ = Σ dy x̂          dβ = Σ dy
    dx = γ / √(σ² + ε) · (dy - dβ / m - x̂ dγ / m)

that is: dy with its mean and its component along x̂ removed, for neither of them can change y.

The sums run over the whole batch. When a batch is worked on in chunks, `ctx.sum` adds up the chunks'
sums; the result does not depend on how the batch was cut.

Ioffe, Szegedy 2015 (arXiv 1502.03167).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.keywords import explained
from scratchnet.layers.base import Context, Layer, Shape


class BatchNorm(Layer):
    """Normalise each channel (the last axis) over all others; any shape.

    momentum: the share of the old running average that is kept at each step, as in Keras.
    epsilon: added to the variance. gamma, beta: (c,), trained. running_mean, running_var: (c,), saved.

    Raises ValueError for a momentum outside of [0, 1), an epsilon that is not positive, and an empty batch in training.

    >>> BatchNorm().build((14, 14, 32), np.random.default_rng(0))
    (14, 14, 32)
    """

    params = ("gamma", "beta")
    state = ("running_mean", "running_var")

    @explained
    def __init__(self, momentum: float = 0.99, epsilon: float = 1e-3):
        if not 0 <= momentum < 1:
            raise ValueError(f"BatchNorm momentum must be in [0, 1), got {momentum!r}")
        if not epsilon > 0:
            raise ValueError(f"BatchNorm epsilon must be positive, got {epsilon!r}")
        self.momentum, self.epsilon = float(momentum), float(epsilon)

    def compute_shapes(self, input_shape: Shape) -> tuple[Shape, dict[str, Shape]]:
        return input_shape, dict.fromkeys((*self.params, *self.state), input_shape[-1:])

    def build(self, input_shape: Shape, rng: np.random.Generator) -> Shape:
        c = input_shape[-1]
        self.gamma, self.beta = np.ones(c, self.dtype), np.zeros(c, self.dtype)
        self.running_mean, self.running_var = np.zeros(c, self.dtype), np.ones(c, self.dtype)
        return input_shape

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, Any]:
        if ctx.training and self.trainable:
            mean, var, m = batch_statistics(x, ctx)
            self.remember(mean, var, ctx)
        else:
            mean, var, m = self.running_mean, self.running_var, None
        scale = (1 / np.sqrt(var + self.epsilon)).astype(x.dtype)
        x_hat = (x - mean.astype(x.dtype)) * scale
        return self.gamma * x_hat + self.beta, (x_hat, scale, m, ctx)

    def backward(self, dy: np.ndarray, cache: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        x_hat, scale, m, ctx = cache
        dgamma, dbeta = channel_sum(dy * x_hat), channel_sum(dy)
        grads = {"gamma": dgamma.astype(dy.dtype), "beta": dbeta.astype(dy.dtype)}
        if m is None:  # in evaluation, and frozen, μ and σ² are constants: only the direct path is left
            return dy * (self.gamma * scale), grads
        mean_dy, mean_dy_x_hat = (ctx.sum(np.stack([dbeta, dgamma])) / m).astype(dy.dtype)
        return self.gamma * scale * (dy - mean_dy - x_hat * mean_dy_x_hat), grads

    def remember(self, mean: np.ndarray, var: np.ndarray, ctx: Context) -> None:
        """Move the running averages a step of 1 - momentum towards this batch's statistics."""
        ctx.update(self.running_mean, self.momentum * self.running_mean + (1 - self.momentum) * mean)
        ctx.update(self.running_var, self.momentum * self.running_var + (1 - self.momentum) * var)


def batch_statistics(x: np.ndarray, ctx: Context) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean and variance per channel over the whole batch, and how many numbers each is a mean of.

    Summed in float64: 100,000 float32 numbers added one by one would lose three digits. The variance is
    taken around the mean, in a second pass; E[x²] - E[x]² cancels where the mean is large.
    """
    if not x.size:
        raise ValueError(f"BatchNorm: an empty batch, {x.shape}, has no mean and no variance to train with")
    *total, m = ctx.sum(np.append(channel_sum(x), x.size // x.shape[-1]))
    mean = np.array(total) / m
    var = ctx.sum(channel_sum((x - mean.astype(x.dtype)) ** 2)) / m
    return mean, var, m


def channel_sum(x: np.ndarray) -> np.ndarray:
    """(…, c) -> (c,) in float64."""
    return x.sum(axis=tuple(range(x.ndim - 1)), dtype=np.float64)
