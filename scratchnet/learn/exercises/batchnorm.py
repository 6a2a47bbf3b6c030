"""Exercise 13: the gradients of batch normalisation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnet.layers.base import Context
from scratchnet.layers.batchnorm import BatchNorm
from scratchnet.learn.exercise import Exercise


def batchnorm_backward(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """The gradients of batch normalisation in training.

        μ = mean of x over the batch          σ² = mean of (x - μ)²          for each column
        x̂ = (x - μ) / √(σ² + eps)             y = γ x̂ + β

    dy, x: (n, c), n at least 2. gamma: (c,). Returns dx (n, c), dgamma (c,) and dbeta (c,).

    μ and σ² depend on every x of the column: dx has three parts, the direct path, and those through μ and through σ².
    """
    raise NotImplementedError


def layer_of(x: np.ndarray, gamma: np.ndarray, eps: float) -> BatchNorm:
    """The library's layer."""
    layer = BatchNorm(epsilon=eps)
    layer.dtype = np.dtype("float64")
    layer.build(x.shape[1:], np.random.default_rng(0))
    layer.gamma = gamma
    return layer


def textbook(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """The library's layer."""
    layer = layer_of(x, gamma, eps)
    dx, grads = layer.backward(dy, layer.forward(x, Context(training=True))[1])
    return dx, grads["gamma"], grads["beta"]


def cases(rng: np.random.Generator) -> Iterator[tuple]:
    """Columns with any mean and spread. With dy = 1 everywhere dx would be 0, whatever the formula: dy is random."""
    for i in range(30):
        n, c = int(rng.integers(2, 4 + i // 4)), int(rng.integers(1, 5))
        x = rng.standard_normal((n, c)) * rng.uniform(0.5, 2, c) + rng.standard_normal(c)
        yield rng.standard_normal((n, c)), x, rng.uniform(0.5, 2, c), float(rng.choice([1e-3, 0.1]))


def normalised(x: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """x̂, and 1 / √(σ² + eps)."""
    scale = 1 / np.sqrt(x.var(axis=0) + eps)
    return (x - x.mean(axis=0)) * scale, scale


def statistics_constant(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """Only the direct path is there: μ and σ² count as constants, as in evaluation. In training they depend on x."""
    x_hat, scale = normalised(x, eps)
    return dy * gamma * scale, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


def mean_path_forgotten(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """The path through the mean is missing: moving one x moves μ, and with it every output. Each column of dx must
    sum to 0."""
    x_hat, scale = normalised(x, eps)
    dx = gamma * scale * (dy - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


def variance_path_forgotten(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """The path through the variance is missing: moving one x changes σ², and with it the scale of every output."""
    x_hat, scale = normalised(x, eps)
    return gamma * scale * (dy - dy.mean(axis=0)), (dy * x_hat).sum(axis=0), dy.sum(axis=0)


def gamma_forgotten(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """dx is right up to γ: the gradient of x̂ is dy · γ."""
    x_hat, scale = normalised(x, eps)
    dx = scale * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


def sums_instead_of_means(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """In dx the sums dγ and dβ are not divided by n: μ and σ² are means, each x has a share of 1/n in them."""
    x_hat, scale = normalised(x, eps)
    dx = gamma * scale * (dy - dy.sum(axis=0) - x_hat * (dy * x_hat).sum(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


def parameters_averaged(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """dgamma and dbeta are means over the batch; they are sums. The 1/n is in dy already."""
    x_hat, scale = normalised(x, eps)
    dx = gamma * scale * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).mean(axis=0), dy.mean(axis=0)


def gamma_from_x(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """dgamma is Σ dy · x; γ is multiplied with the normalised x̂, so it is Σ dy · x̂."""
    x_hat, scale = normalised(x, eps)
    dx = gamma * scale * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x).sum(axis=0), dy.sum(axis=0)


EXERCISE = Exercise(
    number=13, lesson=6, title="the gradients of batch normalisation", stub=batchnorm_backward,
    outputs=("dx", "dgamma", "dbeta"), textbook=textbook, cases=cases,
    library="layers/batchnorm.py: BatchNorm.backward",
    loss=lambda dy, x, gamma, eps: (dy * layer_of(x, gamma, eps).forward(x, Context(training=True))[0]).sum(),
    gradients={"dx": "x", "dgamma": "gamma"},
    mistakes=(
        statistics_constant, mean_path_forgotten, variance_path_forgotten, gamma_forgotten, sums_instead_of_means,
        parameters_averaged, gamma_from_x,
    ),
)  # fmt: skip
