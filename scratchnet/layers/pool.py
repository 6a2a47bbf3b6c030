"""Pooling: summarise each window of each channel by one number.

Max-pooling keeps the largest number of a window, so only that number influences what follows, and only
it receives a gradient. Forward remembers which one it was; on a tie the first wins, as in argmax.
Average pooling spreads the gradient evenly. Windows usually lie side by side (stride = pool_size); where
they overlap, the gradients of all windows that an input is in add up. Rows and columns that fill no
whole window are left out, and get no gradient; with padding="same" the last windows reach over the border instead.
What they find there counts for nothing: no maximum is less than it, and no average includes it.
"""

from __future__ import annotations

import numpy as np

from scratchnet.keywords import explained
from scratchnet.layers.base import Context, Layer, Shape, Size, expect_images, pair, short
from scratchnet.layers.windows import check_padding, col2im, im2col, pixels_inside, place_windows


class Pool2D(Layer):
    """What max- and average pooling share: windows of pool_size, stride apart, each channel by itself.

    padding: "valid" (whole windows only), "same" (⌈h / stride⌉ outputs; of an odd number of missing rows or columns
    one more is below and to the right, as in Keras), or the number of pixels on every side, less than pool_size.
    """

    added = ("padding",)

    @explained
    def __init__(self, pool_size: Size = 2, stride: Size | None = None, padding: str | int = "valid"):
        self.pool_size = pair(pool_size, f"{type(self).__name__} pool_size")
        self.stride = self.pool_size if stride is None else pair(stride, f"{type(self).__name__} stride")
        self.padding = check_padding(padding)
        if isinstance(self.padding, int) and self.padding >= min(self.pool_size):
            raise ValueError(
                f"{type(self).__name__} padding={padding} with pool_size={short(self.pool_size)}: some windows would "
                'lie in the padding alone. Use less, or padding="same"'
            )

    def __repr__(self) -> str:
        stride = "" if self.stride == self.pool_size else f", stride={short(self.stride)!r}"
        padding = "" if self.padding == "valid" else f", padding={self.padding!r}"
        return f"{type(self).__name__}({short(self.pool_size)!r}{stride}{padding})"

    def build(self, input_shape: Shape, rng: np.random.Generator) -> Shape:
        name = type(self).__name__
        expect_images(input_shape, name)
        self.windows = place_windows(input_shape, self.pool_size, self.stride, self.padding, name)
        return self.windows.out_h, self.windows.out_w, input_shape[2]

    def values(self, x: np.ndarray, fill: float) -> np.ndarray:
        """(n, h, w, c) -> (n, out_h, out_w, k_h·k_w, c): the numbers in each window. fill: those of the padding."""
        win = self.windows
        return im2col(x, win, fill).reshape(len(x), win.out_h, win.out_w, win.k_h * win.k_w, x.shape[3])


class MaxPool2D(Pool2D):
    """y = the largest value of each window.

    Backward: dx = dy at that value, 0 at the others.

    (n, h, w, c) -> (n, out_h, out_w, c). Raises ValueError for input that is no image, and for a window that does not
    fit into it.

    >>> pool = MaxPool2D(2)
    >>> pool.build((26, 26, 32), np.random.default_rng(0))
    (13, 13, 32)
    """

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, tuple[np.ndarray, Shape]]:
        values = self.values(x, -np.inf)  # (n, out_h, out_w, k_h·k_w, c)
        winner = values.argmax(axis=3, keepdims=True)  # (n, out_h, out_w, 1, c)
        return np.take_along_axis(values, winner, axis=3)[:, :, :, 0], (winner, x.shape)

    def backward(self, dy: np.ndarray, cache: tuple[np.ndarray, Shape]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        winner, x_shape = cache
        n, out_h, out_w, c = dy.shape
        dvalues = np.zeros((n, out_h, out_w, self.windows.k_h * self.windows.k_w, c), dy.dtype)
        np.put_along_axis(dvalues, winner, dy[:, :, :, None], axis=3)
        return col2im(dvalues, x_shape, self.windows), {}


class AvgPool2D(Pool2D):
    """y = the mean of each window: of the pixels in it, the padding not counted.

    Backward: each of the m pixels in a window gets dy / m.

    (n, h, w, c) -> (n, out_h, out_w, c). Raises ValueError for input that is no image, and for a window that does not
    fit into it.

    >>> AvgPool2D(2, stride=1).build((4, 4, 3), np.random.default_rng(0))
    (3, 3, 3)
    """

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, Shape]:
        return self.values(x, 0).sum(axis=3) / pixels_inside(self.windows, x.shape, x.dtype), x.shape

    def backward(self, dy: np.ndarray, x_shape: Shape) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        size = self.windows.k_h * self.windows.k_w
        dvalue = dy / pixels_inside(self.windows, x_shape, dy.dtype)
        return col2im(np.repeat(dvalue[:, :, :, None], size, axis=3), x_shape, self.windows), {}


class GlobalAvgPool2D(Layer):
    """The mean of each channel over the whole image: (n, h, w, c) -> (n, c).

    Backward: each of the h·w pixels gets dy / (h·w).

    Raises ValueError for input that is no image (h, w, c).

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
