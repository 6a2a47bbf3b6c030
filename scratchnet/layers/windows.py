"""Sliding windows, and the matrix they make.

Convolution and pooling look at an image through a small window that slides over it. `im2col` writes each
window down as one row of a matrix; whatever is done per window is then done per row, and a convolution
becomes one matrix product. For a 3×3 image, a 2×2 window and one channel:

    a b c        a b d e        the four windows, top left to bottom right;
    d e f   ->   b c e f        e stands in all of them
    g h i        d e g h
                 e f h i

`col2im` is the transpose of that linear map: what im2col copied to several rows, col2im adds up again
from these rows. That is all of "the gradient with respect to the input": an input that was used four
times receives four gradients. The defining property, <im2col(x), c> = <x, col2im(c)> for all x and c,
is a test.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from scratchnet.layers.base import Shape, integer


class Windows(NamedTuple):
    """Where the windows of one layer lie: sizes in pixels, padding before and after each axis."""

    k_h: int
    k_w: int
    stride_h: int
    stride_w: int
    top: int
    bottom: int
    left: int
    right: int
    out_h: int
    out_w: int

    @property
    def pads(self) -> bool:
        """Whether there is any padding."""
        return self.top + self.bottom + self.left + self.right > 0


def place_windows(
    input_shape: Shape, size: tuple[int, int], stride: tuple[int, int], padding: str | int, layer: str
) -> Windows:
    """Compute the geometry for images (h, w, c), or raise an error that names the layer.

    padding: "valid" (none), "same" (as many outputs as inputs at stride 1, ⌈h / stride⌉ in general, the
    odd row or column at the bottom and right, as Keras does), or the number of pixels on every side.
    """
    h, w, _ = input_shape
    (k_h, k_w), (stride_h, stride_w) = size, stride
    top, bottom = pad_amounts(h, k_h, stride_h, padding)
    left, right = pad_amounts(w, k_w, stride_w, padding)
    if k_h > h + top + bottom or k_w > w + left + right:
        raise ValueError(
            f"{layer}: a window of {k_h}×{k_w} does not fit into the input of {h}×{w} (padding {padding!r}). "
            'Use a smaller window, padding="same", or fewer layers that shrink the image before it.'
        )
    out_h = (h + top + bottom - k_h) // stride_h + 1
    out_w = (w + left + right - k_w) // stride_w + 1
    return Windows(k_h, k_w, stride_h, stride_w, top, bottom, left, right, out_h, out_w)


def pad_amounts(size: int, window: int, stride: int, padding: Any) -> tuple[int, int]:
    """Pixels to add before and after an axis of `size` pixels."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        return total // 2, total - total // 2
    return padding, padding


def check_padding(padding: str | int) -> str | int:
    """`padding` itself if it is one of the three kinds, or an error."""
    if isinstance(padding, str):
        if padding in ("valid", "same"):
            return padding
        near = padding.lower().strip()
        did_you_mean = f' Did you mean "{near}"?' if near in ("valid", "same") else ""
        raise ValueError(f'padding must be "valid", "same" or a number of pixels, got {padding!r}.{did_you_mean}')
    return integer(padding, "padding", 0)


def im2col(x: np.ndarray, win: Windows, fill: float = 0) -> np.ndarray:
    """(n, h, w, c) -> (n·out_h·out_w, k_h·k_w·c): one row per window, pixels in the order of the weights.

    fill: what the padding holds.

    The two loops run over the positions *inside* the window; each copies, for all windows of all images
    at once, the pixel that lies there. For a 3×3 kernel these are nine large copies.
    """
    n, _, _, c = x.shape
    if win.pads:
        x = np.pad(x, ((0, 0), (win.top, win.bottom), (win.left, win.right), (0, 0)), constant_values=fill)
    cols = np.empty((n, win.out_h, win.out_w, win.k_h, win.k_w, c), x.dtype)
    for i in range(win.k_h):
        for j in range(win.k_w):
            cols[:, :, :, i, j] = x[:, window_rows(win, i), window_columns(win, j)]
    return cols.reshape(n * win.out_h * win.out_w, win.k_h * win.k_w * c)


def col2im(cols: np.ndarray, x_shape: Shape, win: Windows) -> np.ndarray:
    """(n·out_h·out_w, k_h·k_w·c) -> (n, h, w, c): the transpose of im2col, the same loops with +=."""
    n, h, w, c = x_shape
    cols = cols.reshape(n, win.out_h, win.out_w, win.k_h, win.k_w, c)
    x = np.zeros((n, h + win.top + win.bottom, w + win.left + win.right, c), cols.dtype)
    for i in range(win.k_h):
        for j in range(win.k_w):
            x[:, window_rows(win, i), window_columns(win, j)] += cols[:, :, :, i, j]
    return x[:, win.top : win.top + h, win.left : win.left + w]


def pixels_inside(win: Windows, x_shape: Shape, dtype: Any) -> np.ndarray:
    """(out_h, out_w, 1): how many pixels each window has inside the image, the padding not counted.

    >>> pixels_inside(place_windows((3, 3, 1), (2, 2), (2, 2), "same", ""), (1, 3, 3, 1), int)[:, :, 0]
    array([[4, 2],
           [2, 1]])
    """
    _, h, w, _ = x_shape
    top, left = np.arange(win.out_h) * win.stride_h - win.top, np.arange(win.out_w) * win.stride_w - win.left
    rows = np.minimum(top + win.k_h, h) - np.maximum(top, 0)
    columns = np.minimum(left + win.k_w, w) - np.maximum(left, 0)
    return (rows[:, None] * columns)[:, :, None].astype(dtype)


def window_rows(win: Windows, i: int) -> slice:
    """The rows of the padded image that lie in row i of the windows."""
    return slice(i, i + win.stride_h * (win.out_h - 1) + 1, win.stride_h)


def window_columns(win: Windows, j: int) -> slice:
    """The columns of the padded image that lie in column j of the windows."""
    return slice(j, j + win.stride_w * (win.out_w - 1) + 1, win.stride_w)
