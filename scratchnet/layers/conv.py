"""Convolution as one matrix product.

One output number is the dot product of a k_h × k_w × c window of the image with the weights of one
filter. All windows are the rows of `cols = im2col(x)`, all filters the columns of W, so

    y = cols · W + b

is the whole convolution. (Strictly it is a cross-correlation: nothing is flipped. All libraries call it
convolution.) It is linear in each factor, and the gradients are those of any matrix product:

    dW = colsᵀ · dy          db = Σ dy over all positions
    dcols = dy · Wᵀ          dx = col2im(dcols)

With channels last, `cols @ W` already has the output's layout: no transpose anywhere, and Keras weights
load as they are.
"""

from __future__ import annotations

import numpy as np

from scratchnet.initializers import get_initializer
from scratchnet.keywords import explained
from scratchnet.layers.base import Context, Layer, Shape, Size, at_least_zero, expect_images, flag, integer, pair
from scratchnet.layers.named_activations import as_activation, expect_expanded
from scratchnet.layers.windows import check_padding, col2im, im2col, place_windows


class Conv2D(Layer):
    """2-D convolution: (n, h, w, c) -> (n, out_h, out_w, filters).

    out_h = ⌊(h + padding - k_h) / stride⌋ + 1 with the padding of both sides; likewise out_w.
    filters: number of output channels. kernel_size, stride: an integer, or (height, width).
    padding: "valid", "same" (as Keras defines it) or pixels on every side.
    W: (k_h, k_w, c, filters), by default from a He normal distribution; b: (filters,), zeros.
    activation: the name of an activation that a model puts behind it, "relu" for instance.
    l2: λ of the penalty λ Σ W², whose gradient 2 λ W is added to dW in training; as Keras' regularizers.L2(λ).

    Raises ValueError for input that is no image (h, w, c), and for a kernel that does not fit into it.

    >>> conv = Conv2D(32, kernel_size=3)
    >>> conv.build((28, 28, 1), np.random.default_rng(0))
    (26, 26, 32)
    """

    added = ("activation", "l2")

    @explained
    def __init__(
        self,
        filters: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: str | int = "valid",
        use_bias: bool = True,
        initializer: str = "he",
        activation: str | None = None,
        l2: float = 0.0,
    ):
        self.filters = integer(filters, "Conv2D filters", 1)
        self.kernel_size = pair(kernel_size, "Conv2D kernel_size")
        self.stride = pair(stride, "Conv2D stride")
        self.padding = check_padding(padding)
        self.use_bias = flag(use_bias, "Conv2D use_bias")
        self.initializer = initializer
        self.initialize = get_initializer(initializer)
        self.activation = as_activation(activation, "Conv2D")
        self.l2 = at_least_zero(l2, "Conv2D l2")
        self.params = ("W", "b") if self.use_bias else ("W",)

    def compute_shapes(self, input_shape: Shape) -> tuple[Shape, dict[str, Shape]]:
        _, _, c = expect_images(input_shape, "Conv2D")
        win = place_windows(input_shape, self.kernel_size, self.stride, self.padding, "Conv2D")
        shapes = {"W": (*self.kernel_size, c, self.filters), "b": (self.filters,)}
        return (win.out_h, win.out_w, self.filters), {name: shapes[name] for name in self.params}

    def build(self, input_shape: Shape, rng: np.random.Generator) -> Shape:
        output_shape, shapes = self.compute_shapes(input_shape)
        self.windows = place_windows(input_shape, self.kernel_size, self.stride, self.padding, "Conv2D")
        k_h, k_w, c, filters = shapes["W"]
        self.W = self.initialize(rng, shapes["W"], k_h * k_w * c, k_h * k_w * filters, self.dtype)
        if self.use_bias:
            self.b = np.zeros(shapes["b"], self.dtype)
        return output_shape

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, tuple[np.ndarray, Shape]]:
        expect_expanded(self)
        cols = im2col(x, self.windows)  # (n·out_h·out_w, k_h·k_w·c)
        y = cols @ self.W.reshape(-1, self.filters)  # (n·out_h·out_w, filters)
        if self.use_bias:
            y += self.b
        return y.reshape(len(x), self.windows.out_h, self.windows.out_w, self.filters), (cols, x.shape)

    def backward(self, dy: np.ndarray, cache: tuple[np.ndarray, Shape]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        cols, x_shape = cache
        dy = dy.reshape(-1, self.filters)  # (n·out_h·out_w, filters)
        grads = {"W": (cols.T @ dy).reshape(self.W.shape)}
        if self.use_bias:
            grads["b"] = dy.sum(axis=0)
        dcols = dy @ self.W.reshape(-1, self.filters).T  # (n·out_h·out_w, k_h·k_w·c)
        return col2im(dcols, x_shape, self.windows), grads

    def multiply_adds(self, input_shape: Shape, output_shape: Shape) -> int:
        return int(np.prod(output_shape)) * int(np.prod(self.W.shape[:3]))
