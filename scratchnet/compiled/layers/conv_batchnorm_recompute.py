"""Conv2D [+ ReLU] + BatchNorm [+ ReLU] + MaxPool2D 2x2 on few channels: recompute the convolution, never store it.

This convolution is the cheapest of a network, nine multiply-adds for a number of its output x, and x is the largest
array: 100 KB for a digit, 12.8 MB for a batch of 128. Written once and read four times it costs more than the
arithmetic. So it is never written. Each pass computes it, in registers, from the image that is still in the cache:

    pass 1    x = max(patch . W + b, 0)         Σ x and Σ x²          then a barrier (see `batchnorm`)
    pass 2    x again                           (x - μ) a + β, the largest of each window
              dy behind the pool                Σ dz and Σ dz x̂       then a barrier
    pass 3    x again                           dx = a dz - constant - slope (x - μ),  dW += dx patch

A step of vgg-bn takes 0.95 of the time on two threads (AMD Zen 4), and no memory for x.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty, aligned_zeros
from scratchnet.compiled.kernels.conv.small_channels import (
    groups,
    pack_weights,
    packed_weights,
    unpack_weights,
    unroll_tuples,
)
from scratchnet.compiled.kernels.conv.small_channels_batchnorm import (
    floor_of,
    gradient_group,
    moments_group,
    normalise_group,
)
from scratchnet.compiled.layers.batchnorm import BatchStats
from scratchnet.compiled.layers.conv import padded
from scratchnet.compiled.layers.conv_batchnorm import CompiledConvBatchNorm
from scratchnet.compiled.simd.intrinsics import LANES
from scratchnet.layers import MaxPool2D

MOST_TAPS = 9  # as many vectors for W, and for dW, fit into the registers


class Workspace(NamedTuple):
    """The memory of a chunk."""

    padded: np.ndarray
    y: np.ndarray
    argmax: np.ndarray
    centered_max: np.ndarray
    dW: np.ndarray  # in the layout of the packed weights
    lane_sums: np.ndarray
    scratch: np.ndarray
    stats: BatchStats


class CompiledConvBatchNormRecompute(CompiledConvBatchNorm):
    """The first block of a network.

    Where the gradient of the images is wanted, or the BatchNorm is frozen, an ordinary CompiledConvBatchNorm.
    """

    @classmethod
    def supports(cls, layers, input_shape, needs_dx):
        conv, pool, c = layers[0], layers[-1], input_shape[-1]
        win = conv.windows
        return (
            not needs_dx
            and super().supports(layers, input_shape, needs_dx)
            and isinstance(pool, MaxPool2D) and pool.pool_size == (2, 2)
            and win.out_h % 2 == win.out_w % 2 == 0
            and (win.stride_h, win.stride_w) == (1, 1)
            and win.k_h * win.k_w * c <= MOST_TAPS
        )  # fmt: skip

    @property
    def parts(self):
        return [self, *super().parts]

    def allocate_packed(self, backward):
        g = self.conv.geometry
        return packed_weights(g.k_h, g.k_w, g.c, g.filters)

    def pack(self, call, packed, backward):
        call(pack_weights, self.conv.conv.W, self.conv.bias, packed)

    def allocate(self, n):
        g, shape = self.conv.geometry, (n, *self.norm.y_shape)
        images, y, centered_max = (aligned_zeros(s) for s in ((n, g.padded_h, g.padded_w, g.c), shape, shape))
        dW, scratch = packed_weights(g.k_h, g.k_w, g.c, g.filters), aligned_empty(2 * -(-g.filters // LANES) * LANES)
        lane_sums, stats = np.empty((2, LANES)), BatchStats.allocate(g.filters)
        return Workspace(images, y, np.empty(shape, np.uint8), centered_max, dW, lane_sums, scratch, stats)

    def forward(self, x, ctx):
        if ctx.needs_dx or not ctx.training or not self.norm.norm.trainable:
            return super().forward(x, ctx)
        g, norm, work = self.conv.geometry, self.norm.norm, ctx.workspace(self, len(x))
        (sums, _), chunk = ctx.partial_sums(self.norm)
        x, packed, stats = padded(ctx, ctx.contiguous(x), work.padded, g), ctx.packed(self), work.stats
        sizes, floor = unroll_tuples(g.k_h, g.k_w, g.c), floor_of(g.relu)
        for i, group in enumerate(groups(g.filters)):
            ctx.call(moments_group, x, packed[i], floor, sums[chunk], work.lane_sums, work.scratch, *group, *sizes)
        m = self.norm.finish_forward(sums, len(x), stats, ctx)
        to = work.y, work.argmax, work.centered_max, floor_of(self.norm.relu)
        for i, group in enumerate(groups(g.filters)):
            ctx.call(normalise_group, x, packed[i], floor, stats.mean, stats.a, norm.beta, *to, *group, *sizes)
        return work.y, (None, (x, work, m, ctx))

    def backward(self, dy, cache):
        if cache[0] is not None:
            return super().backward(dy, cache)
        x, work, m, ctx = cache[1]
        g, dy, grads, stats = self.conv.geometry, ctx.contiguous(dy), ctx.gradients(self), work.stats
        norm_grads = self.norm.finish_backward(dy, work.argmax, work.centered_max, stats, m, work.scratch, ctx)
        packed, sizes, floor = ctx.packed(self), unroll_tuples(g.k_h, g.k_w, g.c), floor_of(g.relu)
        for i, group in enumerate(groups(g.filters)):
            coefficients = stats.mean, stats.a, stats.constant, stats.slope
            to = dy, work.argmax, *coefficients, work.dW[i]
            ctx.call(gradient_group, x, packed[i], floor, *to, *group, *sizes)
        ctx.call(unpack_weights, work.dW, grads["W"], grads["b"])
        return None, {**self.conv.trained(grads), **norm_grads}

    def allocate_gradients(self):
        return self.conv.allocate_gradients()

    def describe(self):
        return "recomputed"
