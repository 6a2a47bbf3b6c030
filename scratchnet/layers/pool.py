"""Pooling: summarise each window of each channel by one number.

Max-pooling keeps the largest number of a window, so only that number influences what follows, and only
it receives a gradient. Forward remembers which one it was; on a tie the first wins, as in argmax.
Average pooling spreads the gradient evenly. Windows usually lie side by side (stride = pool_size); where
they overlap, the gradients of all windows that an input is in add up. Rows and columns that fill no
whole window are left out, and get no gradient.
"""

from __future__ import annotations

import numpy as np

from scratchnet.keywords import explained
from scratchnet.layers.base import Context, Layer, Shape, Size, expect_images, pair, short
from scratchnet.layers.windows import col2im, im2col, place_windows


class Pool2D(Layer):
    """What max- and average pooling share: windows of pool_size, stride apart, each channel by itself."""

    @explained
    def __init__(self, pool_size: Size = 2, stride: Size | None = None):
        self.pool_size = pair(pool_size, f"{type(self).__name__} pool_size")
        self.stride = self.pool_size if stride is None else pair(stride, f"{type(self).__name__} stride")

    def __repr__(self) -> str:
        stride = "" if self.stride == self.pool_size else f", stride={short(self.stride)!r}"
        return f"{type(self).__name__}({short(self.pool_size)!r}{stride})"

    def build(self, input_shape: Shape, rng: np.random.Generator) -> Shape:
        name = type(self).__name__
        expect_images(input_shape, name)
        self.windows = place_windows(input_shape, self.pool_size, self.stride, "valid", name)
        return self.windows.out_h, self.windows.out_w, input_shape[2]

    def values(self, x: np.ndarray) -> np.ndarray:
        """(n, h, w, c) -> (n, out_h, out_w, k_h·k_w, c): the numbers in each window."""
        win = self.windows
        return im2col(x, win).reshape(len(x), win.out_h, win.out_w, win.k_h * win.k_w, x.shape[3])


class MaxPool2D(Pool2D):
    """y = the largest value of each window.

    Backward: dx = dy at that value, 0 at the others.

    >>> pool = MaxPool2D(2)
    >>> pool.build((26, 26, 32), np.random.default_rng(0))
    (13, 13, 32)
    """

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, tuple[np.ndarray, Shape]]:
        values = self.values(x)  # (n, out_h, out_w, k_h·k_w, c)
        winner = values.argmax(axis=3, keepdims=True)  # (n, out_h, out_w, 1, c)
        return np.take_along_axis(values, winner, axis=3)[:, :, :, 0], (winner, x.shape)

    def backward(self, dy: np.ndarray, cache: tuple[np.ndarray, Shape]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        winner, x_shape = cache
        n, out_h, out_w, c = dy.shape
        dvalues = np.zeros((n, out_h, out_w, self.windows.k_h * self.windows.k_w, c), dy.dtype)
        np.put_along_axis(dvalues, winner, dy[:, :, :, None], axis=3)
        return col2im(dvalues, x_shape, self.windows), {}


class AvgPool2D(Pool2D):
    """y = the mean of each window.

    Backward: each of the k_h·k_w values gets dy / (k_h·k_w).

    >>> AvgPool2D(2, stride=1).build((4, 4, 3), np.random.default_rng(0))
    (3, 3, 3)
    """

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, Shape]:
        return self.values(x).mean(axis=3), x.shape

    def backward(self, dy: np.ndarray, x_shape: Shape) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        size = self.windows.k_h * self.windows.k_w
        return col2im(np.repeat(dy[:, :, :, None] / size, size, axis=3), x_shape, self.windows), {}


class GlobalAvgPool2D(Layer):
    """The mean of each channel over the whole image: (n, h, w, c) -> (n, c).

    Backward: each of the h·w pixels gets dy / (h·w).

    >>> GlobalAvgPool2D().build((7, 7, 64), np.random.default_rng(0))
    (64,)
    """

    def build(self, input_shape: Shape, rng: np.random.Generator) -> Shape:
        _, _, c = expect_images(input_shape, "GlobalAvgPool2D")
        return (c,)

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, Shape]:
        return x.mean(axis=(1, 2)), x.shape

    def backward(self, dy: np.ndarray, x_shape: Shape) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        _, h, w, _ = x_shape
        return np.broadcast_to(dy[:, None, None] / (h * w), x_shape).copy(), {}
