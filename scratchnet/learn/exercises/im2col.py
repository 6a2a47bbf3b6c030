"""Exercise 4: im2col, every window as a row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnet.layers import windows as library
from scratchnet.learn.exercise import Exercise
from scratchnet.learn.exercises.draw import convolutions, windows


def im2col(x: np.ndarray, k_h: int, k_w: int, stride: int) -> np.ndarray:
    """Write every window of the images as a row: (n, h, w, c) -> (n·out_h·out_w, k_h·k_w·c).

    The rows are in the order image, top to bottom, left to right. Within a row the pixels are in the order of the
    weights W[di, dj, k]: row of the window, column of the window, channel.
    out_h = (h - k_h) // stride + 1, and likewise out_w.

    A 3×3 image of one channel, windows of 2×2:

        a b c        a b d e
        d e f   ->   b c e f
        g h i        d e g h
                     e f h i
    """
    raise NotImplementedError


def textbook(x: np.ndarray, k_h: int, k_w: int, stride: int) -> np.ndarray:
    """The library's im2col."""
    return library.im2col(x, library.place_windows(x.shape[1:], (k_h, k_w), (stride, stride), "valid", "im2col"))


def cases(rng: np.random.Generator) -> Iterator[tuple]:
    """Drawn sizes."""
    for s in convolutions(rng, strides=3):
        yield rng.standard_normal((s.n, s.h, s.w, s.c)), s.k_h, s.k_w, s.stride


def channels_first(x: np.ndarray, k_h: int, k_w: int, stride: int) -> np.ndarray:
    """Within a row the channels come first: the order of W is row, column, channel, the channel fastest."""
    found = windows(x, k_h, k_w, stride).transpose(0, 1, 2, 5, 3, 4)
    return found.reshape(-1, k_h * k_w * x.shape[3])


def windows_column_by_column(x: np.ndarray, k_h: int, k_w: int, stride: int) -> np.ndarray:
    """The windows are in the wrong order, top to bottom first: go left to right, then to the next row."""
    found = windows(x, k_h, k_w, stride).transpose(0, 2, 1, 3, 4, 5)
    return found.reshape(-1, k_h * k_w * x.shape[3])


def pixels_column_by_column(x: np.ndarray, k_h: int, k_w: int, stride: int) -> np.ndarray:
    """Within a row the window is read column by column: go through its rows first, W[di, dj] with dj fastest."""
    found = windows(x, k_h, k_w, stride).transpose(0, 1, 2, 4, 3, 5)
    return found.reshape(-1, k_h * k_w * x.shape[3])


def matrix_transposed(x: np.ndarray, k_h: int, k_w: int, stride: int) -> np.ndarray:
    """The matrix is transposed: a window is a row, so that cols @ W is the convolution."""
    return windows(x, k_h, k_w, stride).reshape(-1, k_h * k_w * x.shape[3]).T


def stride_ignored(x: np.ndarray, k_h: int, k_w: int, stride: int) -> np.ndarray:
    """The windows move by 1, whatever the stride."""
    return windows(x, k_h, k_w).reshape(-1, k_h * k_w * x.shape[3])


def windows_side_by_side(x: np.ndarray, k_h: int, k_w: int, stride: int) -> np.ndarray:
    """The windows lie side by side, as in pooling. They overlap: the next one begins `stride` pixels further on."""
    found = np.lib.stride_tricks.sliding_window_view(x, (k_h, k_w), axis=(1, 2))[:, ::k_h, ::k_w]
    return found.transpose(0, 1, 2, 4, 5, 3).reshape(-1, k_h * k_w * x.shape[3])


EXERCISE = Exercise(
    number=4, lesson=4, title="im2col, every window as a row", stub=im2col, outputs=("cols",), textbook=textbook,
    cases=cases, library="layers/windows.py: im2col",
    mistakes=(
        channels_first, windows_column_by_column, pixels_column_by_column, matrix_transposed, stride_ignored,
        windows_side_by_side,
    ),
)  # fmt: skip
