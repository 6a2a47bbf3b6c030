"""Exercise 11: col2im, the transpose of im2col."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnet.layers import windows as library
from scratchnet.learn.exercise import Exercise
from scratchnet.learn.exercises.draw import convolutions


def col2im(cols: np.ndarray, shape: tuple[int, ...], k_h: int, k_w: int, stride: int) -> np.ndarray:
    """Add the rows of a matrix of windows back to the pixels that they were copied from.

    cols: (n·out_h·out_w, k_h·k_w·c), in the order of im2col. shape: (n, h, w, c), that of the result.
    A pixel that is in four windows is the sum of four numbers; a pixel that is in none is 0.

    It is the gradient of im2col with respect to the image, its transpose: <im2col(x), cols> = <x, col2im(cols)>.
    """
    raise NotImplementedError


def placed(shape: tuple[int, ...], k_h: int, k_w: int, stride: int) -> library.Windows:
    """The library's geometry."""
    return library.place_windows(shape[1:], (k_h, k_w), (stride, stride), "valid", "col2im")


def textbook(cols: np.ndarray, shape: tuple[int, ...], k_h: int, k_w: int, stride: int) -> np.ndarray:
    """The library's col2im."""
    return library.col2im(cols, shape, placed(shape, k_h, k_w, stride))


def cases(rng: np.random.Generator) -> Iterator[tuple]:
    """Drawn sizes."""
    for s in convolutions(rng, strides=3):
        win = placed((s.n, s.h, s.w, s.c), s.k_h, s.k_w, s.stride)
        cols = rng.standard_normal((s.n * win.out_h * win.out_w, s.k_h * s.k_w * s.c))
        yield cols, (s.n, s.h, s.w, s.c), s.k_h, s.k_w, s.stride


def scattered(cols: np.ndarray, shape: tuple[int, ...], k_h: int, k_w: int, stride: int, add: bool) -> np.ndarray:
    """Window after window, added or written over."""
    x = np.zeros(shape)
    out_h, out_w = (shape[1] - k_h) // stride + 1, (shape[2] - k_w) // stride + 1
    parts = cols.reshape(shape[0], out_h, out_w, k_h, k_w, shape[3])
    for i in range(out_h):
        for j in range(out_w):
            place = np.s_[:, i * stride : i * stride + k_h, j * stride : j * stride + k_w]
            x[place] = parts[:, i, j] + (x[place] if add else 0)
    return x


def overwritten(cols: np.ndarray, shape: tuple[int, ...], k_h: int, k_w: int, stride: int) -> np.ndarray:
    """Where windows overlap, the last one overwrites the others: = in place of +=. All of them used the pixel, so their
    gradients add up."""
    return scattered(cols, shape, k_h, k_w, stride, add=False)


def averaged(cols: np.ndarray, shape: tuple[int, ...], k_h: int, k_w: int, stride: int) -> np.ndarray:
    """The sums are divided by the number of windows that see the pixel. col2im adds; it is the transpose of im2col, not
    its inverse."""
    seen = scattered(np.ones_like(cols), shape, k_h, k_w, stride, add=True)
    return scattered(cols, shape, k_h, k_w, stride, add=True) / np.maximum(seen, 1)


def stride_ignored(cols: np.ndarray, shape: tuple[int, ...], k_h: int, k_w: int, stride: int) -> np.ndarray:
    """The windows are put back one pixel apart, whatever the stride: window i begins at row i · stride."""
    x = np.zeros(shape)
    out_h, out_w = (shape[1] - k_h) // stride + 1, (shape[2] - k_w) // stride + 1
    parts = cols.reshape(shape[0], out_h, out_w, k_h, k_w, shape[3])
    for i in range(out_h):
        for j in range(out_w):
            x[:, i : i + k_h, j : j + k_w] += parts[:, i, j]
    return x


def windows_turned(cols: np.ndarray, shape: tuple[int, ...], k_h: int, k_w: int, stride: int) -> np.ndarray:
    """Each window is put back upside down and mirrored: entry (di, dj) belongs to row i + di, column j + dj."""
    out_h, out_w = (shape[1] - k_h) // stride + 1, (shape[2] - k_w) // stride + 1
    parts = cols.reshape(shape[0], out_h, out_w, k_h, k_w, shape[3])[:, :, :, ::-1, ::-1]
    return scattered(parts.reshape(cols.shape), shape, k_h, k_w, stride, add=True)


def channels_first(cols: np.ndarray, shape: tuple[int, ...], k_h: int, k_w: int, stride: int) -> np.ndarray:
    """The entries of a row are read as channel, row, column; im2col wrote row, column, channel, the channel fastest."""
    out_h, out_w = (shape[1] - k_h) // stride + 1, (shape[2] - k_w) // stride + 1
    parts = cols.reshape(shape[0], out_h, out_w, shape[3], k_h, k_w).transpose(0, 1, 2, 4, 5, 3)
    return scattered(parts.reshape(cols.shape), shape, k_h, k_w, stride, add=True)


EXERCISE = Exercise(
    number=11, lesson=4, title="col2im, the way back", stub=col2im, outputs=("x",), textbook=textbook, cases=cases,
    library="layers/windows.py: col2im",
    mistakes=(overwritten, averaged, stride_ignored, windows_turned, channels_first),
)  # fmt: skip
