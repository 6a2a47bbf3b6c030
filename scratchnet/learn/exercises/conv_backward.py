"""Exercise 12: the gradients of a convolution."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnet.layers.base import Context
from scratchnet.layers.conv import Conv2D
from scratchnet.learn.exercise import Exercise
from scratchnet.learn.exercises.draw import convolutions, windows


def conv_backward(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """The gradients of a convolution with stride 1 and no padding.

        y[a, i, j, f] = b[f] + Σ x[a, i + di, j + dj, k] · W[di, dj, k, f]

    dy: (n, out_h, out_w, filters). x: (n, h, w, c). W: (k_h, k_w, c, filters).
    Returns dx (n, h, w, c), dW (k_h, k_w, c, filters) and db (filters,).

    Each product x · W of forward gives dy · W to its pixel and dy · x to its weight; all that arrives adds up.
    """
    raise NotImplementedError


def layer_of(x: np.ndarray, W: np.ndarray) -> Conv2D:
    """The library's layer with these weights."""
    layer = Conv2D(W.shape[3], W.shape[:2])
    layer.dtype = np.dtype("float64")
    layer.build(x.shape[1:], np.random.default_rng(0))
    layer.W = W
    return layer


def textbook(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """The library's layer."""
    layer = layer_of(x, W)
    dx, grads = layer.backward(dy, layer.forward(x, Context())[1])
    return dx, grads["W"], grads["b"]


def cases(rng: np.random.Generator) -> Iterator[tuple]:
    """Drawn convolutions of stride 1, with a random dy."""
    for s in convolutions(rng, strides=1):
        x, W = rng.standard_normal((s.n, s.h, s.w, s.c)), rng.standard_normal((s.k_h, s.k_w, s.c, s.filters))
        yield rng.standard_normal((s.n, s.h - s.k_h + 1, s.w - s.k_w + 1, s.filters)), x, W


def gradients(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """Right, in another way than the library: dx is a full correlation with the turned kernel."""
    k_h, k_w, _, _ = W.shape
    wide = np.pad(dy, ((0, 0), (k_h - 1, k_h - 1), (k_w - 1, k_w - 1), (0, 0)))
    turned = W[::-1, ::-1].transpose(0, 1, 3, 2)  # (k_h, k_w, filters, c)
    dx = np.tensordot(windows(wide, k_h, k_w), turned, 3)
    return dx, np.tensordot(windows(x, k_h, k_w), dy, ((0, 1, 2), (0, 1, 2))), dy.sum(axis=(0, 1, 2))


def kernel_not_turned(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """dx uses the kernel as it is. A pixel at (i, j) met W[di, dj] in the output at (i - di, j - dj): seen from dy the
    kernel is turned by 180 degrees."""
    _, dW, db = gradients(dy, x, W)
    return gradients(dy, x, W[::-1, ::-1])[0], dW, db


def dW_turned(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """dW is turned by 180 degrees: dW[di, dj] = Σ x[i + di, j + dj] · dy[i, j]."""
    dx, dW, db = gradients(dy, x, W)
    return dx, dW[::-1, ::-1], db


def mean_over_examples(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """dW and db are means over the examples; they are sums. The 1/n is in dy already."""
    dx, dW, db = gradients(dy, x, W)
    return dx, dW / len(x), db / len(x)


def bias_of_one_position(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """db is summed over the examples only. The same b is added at every position: sum over rows and columns, too."""
    dx, dW, _ = gradients(dy, x, W)
    return dx, dW, dy.sum(axis=0)


def dy_forgotten(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """These are the gradients for dy = 1 everywhere: multiply each product with its dy."""
    return gradients(np.ones_like(dy), x, W)


def overlaps_overwritten(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, ...]:
    """In dx the last window that saw a pixel overwrites the others: += in place of =."""
    _, dW, db = gradients(dy, x, W)
    dx, (k_h, k_w) = np.zeros(x.shape), W.shape[:2]
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            dx[:, i : i + k_h, j : j + k_w] = np.tensordot(dy[:, i, j], W, (1, 3))
    return dx, dW, db


EXERCISE = Exercise(
    number=12, lesson=5, title="the gradients of a convolution", stub=conv_backward, outputs=("dx", "dW", "db"),
    textbook=textbook, cases=cases, library="layers/conv.py: Conv2D.backward",
    loss=lambda dy, x, W: (dy * layer_of(x, W).forward(x, Context())[0]).sum(), gradients={"dx": "x", "dW": "W"},
    mistakes=(
        kernel_not_turned, dW_turned, mean_over_examples, bias_of_one_position, dy_forgotten, overlaps_overwritten,
    ),
)  # fmt: skip
