"""DepthwiseConv2D with one filter for each channel.

With several filters (`depth_multiplier`), which are rare, the textbook's layer runs. Forward and backward
of 3×3 on 64 × 14 × 14 × 64 numbers on one thread: 5 ms, and by the textbook's layer 129 (AMD Zen 4).
"""

from __future__ import annotations

from scratchnet.compiled.jit.aligned import aligned_empty, aligned_zeros
from scratchnet.compiled.kernels.copy import copy_to_interior
from scratchnet.compiled.kernels.depthwise import depthwise, depthwise_input_gradient, depthwise_weight_gradient
from scratchnet.compiled.layers.base import CompiledLayer, bias_or_zeros


class CompiledDepthwiseConv2D(CompiledLayer):
    """DepthwiseConv2D."""

    @classmethod
    def supports(cls, layers, input_shape, needs_dx: bool):
        return layers[0].depth_multiplier == 1

    def __init__(self, layers, input_shape, needs_dx: bool):
        self.layers, self.conv, self.shape, self.needs_dx = layers, layers[0], input_shape, needs_dx
        (h, w, c), win = input_shape, layers[0].windows
        self.padded_shape = h + win.top + win.bottom, w + win.left + win.right, c
        self.y_shape, self.bias = (win.out_h, win.out_w, c), bias_or_zeros(self.conv, c)

    def allocate(self, n):
        shapes = {"dx": self.padded_shape, "y": self.y_shape}
        padded = aligned_zeros((n, *self.padded_shape))  # its borders stay 0
        return {"padded": padded, **{name: aligned_empty((n, *shape)) for name, shape in shapes.items()}}

    def allocate_gradients(self):
        return {"W": aligned_empty(self.conv.W.shape), "b": aligned_empty(self.y_shape[2])}

    def forward(self, x, ctx):
        x, work, win = ctx.contiguous(x), ctx.workspace(self, len(x)), self.conv.windows
        if win.pads:
            ctx.call(copy_to_interior, x, win.top, win.left, work["padded"])
            x = work["padded"]
        ctx.call(depthwise, x, self.conv.W, self.bias, win.stride_h, win.stride_w, work["y"])
        return work["y"], (x, work, ctx)

    def backward(self, dy, cache):
        x, work, ctx = cache
        dy, win, grads, dx = ctx.contiguous(dy), self.conv.windows, ctx.gradients(self), None
        if self.conv.trainable:
            ctx.call(depthwise_weight_gradient, dy, x, win.stride_h, win.stride_w, grads["W"], grads["b"])
        if self.needs_dx or ctx.needs_dx:
            ctx.call(depthwise_input_gradient, dy, self.conv.W, win.stride_h, win.stride_w, work["dx"])
            h, w, _ = self.shape
            dx = work["dx"][:, win.top : win.top + h, win.left : win.left + w]
        return dx, {name: grads[name] for name in self.conv.params}
