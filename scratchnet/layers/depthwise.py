"""Depthwise convolution: every channel has filters of its own, and sees no other channel.

A convolution mixes positions and channels at once. A depthwise convolution mixes positions only; a Conv2D(filters, 1)
behind it mixes channels only. Both together have far fewer weights: for 3×3 windows, 64 channels and 64 filters
9·64 + 64·64 instead of 9·64·64 (Howard et al. 2017, arXiv 1704.04861).

With cols_c the windows of channel c as rows, the formulas are those of `conv`, for each channel by itself:

    y_c = cols_c · W_c + b_c
    dW_c = cols_cᵀ · dy_c        db_c = Σ dy_c over all positions        dcols_c = dy_c · W_cᵀ
"""

from __future__ import annotations

import numpy as np

from scratchnet.initializers import get_initializer
from scratchnet.keywords import explained
from scratchnet.layers.base import Context, Layer, Shape, Size, at_least_zero, expect_images, flag, integer, pair
from scratchnet.layers.named_activations import as_activation, expect_expanded
from scratchnet.layers.windows import Windows, check_padding, col2im, im2col, place_windows


class DepthwiseConv2D(Layer):
    """Convolution of each channel by itself: (n, h, w, c) -> (n, out_h, out_w, c · depth_multiplier).

    kernel_size, stride, padding, activation, l2: as for Conv2D. depth_multiplier: m, the filters of each channel.
    W: (k_h, k_w, c, m), by default from a He normal distribution; b: (c·m,), zeros. Output channel c·m + j is filter
    j of channel c, as in Keras.

    Raises ValueError for input that is no image (h, w, c), and for a kernel that does not fit into it.

    >>> DepthwiseConv2D(3, padding="same").build((28, 28, 8), np.random.default_rng(0))
    (28, 28, 8)
    """

    added = ("activation", "l2")

    @explained
    def __init__(
        self,
        kernel_size: Size,
        stride: Size = 1,
        padding: str | int = "valid",
        depth_multiplier: int = 1,
        use_bias: bool = True,
        initializer: str = "he",
        activation: str | None = None,
        l2: float = 0.0,
    ):
        self.kernel_size = pair(kernel_size, "DepthwiseConv2D kernel_size")
        self.stride = pair(stride, "DepthwiseConv2D stride")
        self.padding = check_padding(padding)
        self.depth_multiplier = integer(depth_multiplier, "DepthwiseConv2D depth_multiplier", 1)
        self.use_bias = flag(use_bias, "DepthwiseConv2D use_bias")
        self.initializer = initializer
        self.initialize = get_initializer(initializer)
        self.activation = as_activation(activation, "DepthwiseConv2D")
        self.l2 = at_least_zero(l2, "DepthwiseConv2D l2")
        self.params = ("W", "b") if self.use_bias else ("W",)

    def compute_shapes(self, input_shape: Shape) -> tuple[Shape, dict[str, Shape]]:
        _, _, c = expect_images(input_shape, "DepthwiseConv2D")
        win, m = self.place(input_shape), self.depth_multiplier
        shapes = {"W": (*self.kernel_size, c, m), "b": (c * m,)}
        return (win.out_h, win.out_w, c * m), {name: shapes[name] for name in self.params}

    def place(self, input_shape: Shape) -> Windows:
        """The windows on images of this shape."""
        return place_windows(input_shape, self.kernel_size, self.stride, self.padding, "DepthwiseConv2D")

    def build(self, input_shape: Shape, rng: np.random.Generator) -> Shape:
        output_shape, shapes = self.compute_shapes(input_shape)
        self.windows = self.place(input_shape)
        k_h, k_w, _, m = shapes["W"]
        self.W = self.initialize(rng, shapes["W"], k_h * k_w, k_h * k_w * m, self.dtype)
        if self.use_bias:
            self.b = np.zeros(shapes["b"], self.dtype)
        return output_shape

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, tuple[np.ndarray, Shape]]:
        expect_expanded(self)
        win, c = self.windows, x.shape[3]
        cols = im2col(x, win).reshape(-1, win.k_h * win.k_w, c).transpose(2, 0, 1)  # (c, n·out_h·out_w, k_h·k_w)
        y = (cols @ self.by_channel()).transpose(1, 0, 2)  # (n·out_h·out_w, c, m)
        y = y.reshape(len(x), win.out_h, win.out_w, c * self.depth_multiplier)
        return (y + self.b if self.use_bias else y), (cols, x.shape)

    def backward(self, dy: np.ndarray, cache: tuple[np.ndarray, Shape]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        cols, x_shape = cache
        grads = {"b": dy.sum(axis=(0, 1, 2))} if self.use_bias else {}
        dy = dy.reshape(-1, x_shape[3], self.depth_multiplier).transpose(1, 0, 2)  # (c, n·out_h·out_w, m)
        dW = cols.transpose(0, 2, 1) @ dy  # (c, k_h·k_w, m)
        grads["W"] = dW.transpose(1, 0, 2).reshape(self.W.shape)
        dcols = dy @ self.by_channel().transpose(0, 2, 1)  # (c, n·out_h·out_w, k_h·k_w)
        return col2im(dcols.transpose(1, 2, 0), x_shape, self.windows), grads

    def by_channel(self) -> np.ndarray:
        """W as (c, k_h·k_w, m): a matrix for each channel."""
        return self.W.reshape(-1, *self.W.shape[2:]).transpose(1, 0, 2)

    def multiply_adds(self, input_shape: Shape, output_shape: Shape) -> int:
        return int(np.prod(output_shape)) * self.windows.k_h * self.windows.k_w
