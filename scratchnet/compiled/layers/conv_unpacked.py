"""Conv2D [+ ReLU] [+ BatchNorm] [+ ReLU] [+ MaxPool2D] for a few images: nothing is packed, nothing is folded.

Winograd's method takes fewer products, but reads planes / 9 times as many weights, and those that it was made from. For
many images that costs nothing. For one, `suits` counts for each weight that is read as many products as can be made in
that time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty, aligned_zeros
from scratchnet.compiled.kernels.conv.geometry import Geometry
from scratchnet.compiled.kernels.conv.unpacked import convolve_unpacked, scale_and_shift
from scratchnet.compiled.kernels.relu_pool import max_pool, sides
from scratchnet.compiled.kernels.winograd import tiling
from scratchnet.compiled.layers.base import CompiledLayer, bias_or_zeros
from scratchnet.compiled.layers.conv import padded
from scratchnet.compiled.layers.conv_algorithms import SmallChannelsForward
from scratchnet.compiled.layers.conv_division import even_parts, positions_of, times
from scratchnet.compiled.layers.conv_winograd import WinogradForward
from scratchnet.compiled.simd.target import PAIR
from scratchnet.layers import BatchNorm, ReLU

PRODUCTS_PER_WEIGHT = 8  # in the time of reading one from the second-level cache


class Workspace(NamedTuple):
    """The memory of a chunk."""

    padded: np.ndarray
    norm: np.ndarray
    z: np.ndarray
    y: np.ndarray


class CompiledConvUnpacked(CompiledLayer):
    """Forward only."""

    @staticmethod
    def suits(algorithm, n: int) -> bool:
        """Whether it is faster for n images than this algorithm."""
        if not isinstance(algorithm, WinogradForward):
            return not isinstance(algorithm, SmallChannelsForward)
        g, planes = algorithm.g, len(algorithm.tile) ** 2
        rows, tiles = len(tiling.block_rows(1)), n * math.prod(tiling.tiles(algorithm.side, *g.covered))
        products = planes * -(-tiles // rows) * rows  # for a channel and a filter
        return 9 * n * math.prod(g.covered) < products + PRODUCTS_PER_WEIGHT * (planes + 9)

    def __init__(self, layers, input_shape):
        self.layers, self.conv, self.geometry = layers, layers[0], Geometry.of(layers, input_shape)
        self.norm = next((layer for layer in layers if isinstance(layer, BatchNorm)), None)
        self.bias = bias_or_zeros(self.conv, self.geometry.filters)
        before = self.norm is None or isinstance(layers[1], ReLU)  # does the ReLU come before the BatchNorm?
        floors = (before, not before)
        self.floors = tuple(np.float32(0 if self.geometry.relu and here else -np.inf) for here in floors)

    def allocate(self, n):
        g = self.geometry
        norm = np.array([np.ones(g.filters), np.zeros(g.filters)], np.float32)
        images, z = aligned_zeros((n, g.padded_h, g.padded_w, g.c)), aligned_empty((n, *g.covered, g.filters))
        return Workspace(images, norm, z, aligned_empty((n, *g.y_shape)) if g.pooled else z)

    def forward(self, x, ctx):
        g, norm, work = self.geometry, self.norm, ctx.workspace(self, len(x))
        a, s = work.norm
        if norm is not None:
            arrays = norm.gamma, norm.beta, norm.running_mean, norm.running_var
            ctx.call(scale_and_shift, *arrays, float(norm.epsilon), a, s)
        x = padded(ctx, ctx.contiguous(x), work.padded, g)
        sizes = g.k_h, g.row_stride, g.row_length
        starts, z = g.starts_of(len(x), *g.covered, g.s_h, g.s_w), work.z
        for part in ctx.side_by_side(even_parts(starts.size, ctx.threads)):
            positions = z if ctx.threads == 1 else positions_of(z)[:, :, part]
            tile = tiling.block_rows(starts[part].size), PAIR
            tables = starts[part], self.conv.W, self.bias, (a, s), positions
            ctx.call(convolve_unpacked, x, *tables, *sizes, self.floors, *tile)
        if g.pooled:
            for lines in ctx.side_by_side(even_parts(g.y_shape[0], ctx.threads)):
                ctx.call(max_pool, z[:, times(lines, g.p_h)], *sides(g.p_h, g.p_w), work.y[:, lines])
        return work.y, None

    def describe(self):
        return "direct"
