"""Exercise 5: the gradients of a dense layer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnet.layers.dense import Dense
from scratchnet.learn.exercise import Exercise


def dense_backward(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """The gradients of y = x · W + b, by the chain rule.

    dy: dL/dy, (n, units), from the layer behind. x: (n, features). W: (features, units).
    Returns dx (n, features), dW (features, units) and db (units,).

    L is a sum over the examples already; nothing is divided by n here.
    """
    raise NotImplementedError


def textbook(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """The library's layer."""
    layer = Dense(W.shape[1])
    layer.W = W
    dx, grads = layer.backward(dy, x)
    return dx, grads["W"], grads["b"]


def cases(rng: np.random.Generator) -> Iterator[tuple]:
    """Batches of any size; dy is random, so that no error can hide in a sum of ones."""
    for i in range(30):
        n, features, units = (int(size) for size in rng.integers(1, 3 + i // 6, 3))
        yield (
            rng.standard_normal((n, units)),
            rng.standard_normal((n, features)),
            rng.standard_normal((features, units)),
        )


def dW_transposed(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """dW is transposed: entry [i, j] is Σ_n x[n, i] · dy[n, j], that is xᵀ · dy."""
    return dy @ W.T, dy.T @ x, dy.sum(axis=0)


def W_not_transposed(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """dx = dy · Wᵀ: W takes features to units, so its transpose takes gradients of units to features. For a square W
    the shapes do not reveal it."""
    return dy @ W, x.T @ dy, dy.sum(axis=0)


def divided_by_n_again(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """dW and db are divided by n. The loss has done that already: dy contains the 1/n."""
    return dy @ W.T, x.T @ dy / len(x), dy.mean(axis=0)


def bias_summed_over_units(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """db is summed over the wrong axis: one number for each unit, the sum over the examples (axis 0)."""
    return dy @ W.T, x.T @ dy, dy.sum(axis=1)


def bias_not_summed(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """db is not summed: the same b was added in every example, so their gradients add up."""
    return dy @ W.T, x.T @ dy, dy


def dy_forgotten(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """The gradients are those for dy = 1 everywhere. The chain rule multiplies with dy: what the layers behind say."""
    ones = np.ones_like(dy)
    return ones @ W.T, x.T @ ones, ones.sum(axis=0)


EXERCISE = Exercise(
    number=5, lesson=5, title="the gradients of a dense layer", stub=dense_backward, outputs=("dx", "dW", "db"),
    textbook=textbook, cases=cases, library="layers/dense.py: Dense.backward",
    loss=lambda dy, x, W: (dy * (x @ W)).sum(), gradients={"dx": "x", "dW": "W"},
    mistakes=(
        dW_transposed, W_not_transposed, divided_by_n_again, bias_summed_over_units, bias_not_summed, dy_forgotten,
    ),
)  # fmt: skip
