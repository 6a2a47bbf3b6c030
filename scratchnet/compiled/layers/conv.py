"""Conv2D [+ ReLU] [+ MaxPool2D] in one.

Where a pool follows, the convolution's own output is never written: the candidates of a window are compared in
registers, and what remains is the largest and a byte, its argmax: which one it was, or NO_GRADIENT if ReLU cut it off.
Backward needs no more of the forward pass than that byte and x.

The algorithms are chosen once, when the engine is made: see `conv_algorithms`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty, aligned_zeros
from scratchnet.compiled.kernels.conv.direct import NO_GRADIENT
from scratchnet.compiled.kernels.conv.geometry import Geometry
from scratchnet.compiled.kernels.copy import copy_to_interior
from scratchnet.compiled.layers.base import CompiledLayer, bias_or_zeros
from scratchnet.compiled.layers.conv_algorithms import DirectBackward, choose_backward, choose_forward
from scratchnet.compiled.layers.conv_division import even_parts
from scratchnet.layers import MaxPool2D


class Workspace(NamedTuple):
    """The memory of a chunk."""

    padded: np.ndarray
    y: np.ndarray
    argmax: np.ndarray
    forward: Any  # of the algorithms
    backward: Any


class CompiledConv2D(CompiledLayer):
    """Conv2D, alone or with ReLU, or with a max-pool whose windows do not overlap, or with both."""

    @classmethod
    def supports(cls, layers, input_shape, needs_dx: bool):
        pool = layers[-1]
        return not isinstance(pool, MaxPool2D) or (
            pool.stride == pool.pool_size and np.prod(pool.pool_size) < NO_GRADIENT
        )

    def __init__(self, layers, input_shape, needs_dx: bool, dense: bool = False):
        self.layers, self.input_shape, self.conv, self.needs_dx = layers, input_shape, layers[0], needs_dx
        self.geometry = g = Geometry.of(layers, input_shape)
        self.bias = bias_or_zeros(self.conv, g.filters)
        self.forward_algorithm, self.backward_algorithm = choose_forward(g), choose_backward(g, needs_dx, dense)

    def allocate_packed(self, backward):
        return (self.backward_algorithm if backward else self.forward_algorithm).allocate_packed()

    def pack(self, call, packed, backward):
        algorithm = self.backward_algorithm if backward else self.forward_algorithm
        algorithm.pack(call, self.conv.W, self.bias, packed)

    def allocate(self, n):
        g = self.geometry
        padded, shape = aligned_zeros((n, g.padded_h, g.padded_w, g.c)), (n, *g.y_shape)
        algorithms = self.forward_algorithm.allocate(n), self.backward_algorithm.allocate(n)
        return Workspace(padded, aligned_empty(shape), np.empty(shape, np.uint8), *algorithms)

    def allocate_gradients(self):
        return {"W": aligned_empty(self.conv.W.shape), "b": aligned_empty(self.geometry.filters)}

    def forward(self, x, ctx):
        x, work = ctx.contiguous(x), ctx.workspace(self, len(x))
        x = padded(ctx, x, work.padded, self.geometry)
        self.forward_algorithm.forward(ctx.call, x, ctx.packed(self), work.y, work.argmax, work.forward)
        return work.y, (x, work, ctx)

    def backward(self, dy, cache):
        x, work, ctx = cache
        grads, dy, packed = ctx.gradients(self), ctx.contiguous(dy), ctx.packed(self, True)
        algorithm, needs_dx = self.backward_algorithm, self.needs_dx or ctx.needs_dx
        # dx and dW come from one kernel, except the direct algorithm's
        dW = None if isinstance(algorithm, DirectBackward) and not self.conv.trainable else grads["W"]
        dx = algorithm.backward(
            ctx.call, x, work.y, work.argmax, dy, packed, work.backward, dW, grads["b"], needs_dx
        )  # fmt: skip
        return dx, self.trained(grads)

    def trained(self, grads):
        """The gradients of the parameters that the layer has."""
        return grads if self.conv.use_bias else {"W": grads["W"]}

    def describe(self):
        return f"{self.forward_algorithm.name}/{self.backward_algorithm.name}"


def padded(ctx, x, larger, g: Geometry):
    """x with its padding, in `larger`; x itself if there is none."""
    if larger.shape == x.shape:
        return x
    for rows in ctx.side_by_side(even_parts(g.h, ctx.threads)):
        ctx.call(copy_to_interior, x[:, rows], g.top + rows.start, g.left, larger)
    return larger
