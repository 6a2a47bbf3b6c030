"""Exercise 3: a convolution with loops, one product after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnet.layers.base import Context
from scratchnet.layers.conv import Conv2D
from scratchnet.learn.exercise import Exercise
from scratchnet.learn.exercises.draw import convolutions, windows


def convolution(x: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int) -> np.ndarray:
    """y[a, i, j, f] = b[f] + Σ x[a, i·stride + di, j·stride + dj, k] · W[di, dj, k, f], over di, dj and k.

    x: (n, h, w, c). W: (k_h, k_w, c, filters). b: (filters,).
    Returns y: (n, out_h, out_w, filters), with out_h = (h - k_h) // stride + 1, and likewise out_w.

    Loops are welcome: over a, i, j, f outside, over di, dj, k inside.
    """
    raise NotImplementedError


def textbook(x: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int) -> np.ndarray:
    """The library's layer."""
    layer = Conv2D(W.shape[3], W.shape[:2], stride)
    layer.dtype = np.dtype("float64")
    layer.build(x.shape[1:], np.random.default_rng(0))
    layer.W, layer.b = W, b
    return layer.forward(x, Context())[0]


def cases(rng: np.random.Generator) -> Iterator[tuple]:
    """Drawn convolutions; no bias is zero."""
    for s in convolutions(rng):
        x, W = rng.standard_normal((s.n, s.h, s.w, s.c)), rng.standard_normal((s.k_h, s.k_w, s.c, s.filters))
        yield x, W, rng.standard_normal(s.filters), s.stride


def sums(x: np.ndarray, W: np.ndarray, stride: int) -> np.ndarray:
    """The convolution without its bias, from which the mistakes below differ in one place."""
    return np.tensordot(windows(x, W.shape[0], W.shape[1], stride), W, 3)


def kernel_flipped(x: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int) -> np.ndarray:
    """The kernel is flipped: x[i + di] meets W[di], not W[k_h - 1 - di]. Mathematicians flip it; networks do not."""
    return sums(x, W[::-1, ::-1], stride) + b


def kernel_transposed(x: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int) -> np.ndarray:
    """Rows and columns of the kernel are exchanged: di moves down the image, dj to the right."""
    return sums(x, W.transpose(1, 0, 2, 3), stride) + b


def bias_forgotten(x: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int) -> np.ndarray:
    """Every number is off by b[f]: the bias is missing."""
    return sums(x, W, stride)


def bias_for_every_product(x: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int) -> np.ndarray:
    """The bias is added once for each product; it belongs outside of the inner loops, once for each output."""
    return sums(x, W, stride) + b * (W.shape[0] * W.shape[1] * W.shape[2])


def first_channel_only(x: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int) -> np.ndarray:
    """Only the first channel is summed; an output sees all channels of its window."""
    return sums(x[..., :1], W[:, :, :1], stride) + b


def stride_ignored(x: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int) -> np.ndarray:
    """The windows move by 1, whatever the stride: output i begins at row i · stride."""
    return sums(x, W, 1) + b


def stride_in_the_shape_only(x: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int) -> np.ndarray:
    """The shape is right, but the windows still move by 1: output i begins at row i · stride, and not at row i."""
    y = sums(x, W, 1) + b
    out_h, out_w = ((x.shape[axis] - W.shape[axis - 1]) // stride + 1 for axis in (1, 2))
    return y[:, :out_h, :out_w]


def last_window_missing(x: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int) -> np.ndarray:
    """The last row and column of windows are missing: there are (h - k_h) // stride + 1 positions, mind the + 1."""
    out_h, out_w = ((x.shape[axis] - W.shape[axis - 1]) // stride for axis in (1, 2))
    return (sums(x, W, stride) + b)[:, :out_h, :out_w]


EXERCISE = Exercise(
    number=3, lesson=3, title="a convolution, with loops", stub=convolution, outputs=("y",), textbook=textbook,
    cases=cases, library="layers/conv.py: Conv2D.forward",
    mistakes=(
        kernel_flipped, kernel_transposed, bias_forgotten, bias_for_every_product, first_channel_only, stride_ignored,
        stride_in_the_shape_only, last_window_missing,
    ),
)  # fmt: skip
