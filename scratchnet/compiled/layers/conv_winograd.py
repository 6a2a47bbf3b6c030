"""Winograd's algorithm for a convolution and its gradients: where it pays, and the memory it needs.

The kernels need whole tiles, of 2x2 to 5x5 positions, so the image gets more rows and columns of zeros where the output
ends within a tile.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.kernels.copy import copy
from scratchnet.compiled.kernels.relu_pool import max_pool, relu_backward, sides
from scratchnet.compiled.kernels.winograd import backward, forward, tiling
from scratchnet.compiled.layers.conv_division import Divisible, even_parts, positions_of, times
from scratchnet.compiled.simd.target import ROWS

GROUP = 1 << 17  # numbers of the convolution's output that wait for the pool: half of a second-level cache


def possible(g) -> bool:
    """The kernels compute 3×3 at stride 1, for LANES channels and filters at a time."""
    return (g.k_h, g.k_w, g.s_h, g.s_w) == (3, 3, 1, 1) and g.c >= 16 and g.filters >= 16


def fewest_products(g) -> int:
    """Products of a convolution on the best tiles, for one channel and one filter; direct it takes 9 a position."""
    return tiling.products(tiling.best_side(*g.covered), *g.covered)


class WinogradForward(Divisible):
    """A convolution without a pool, on the tiles that need the fewest products."""

    name = "winograd"
    few = False  # whether it is for so few images that the registers' tile should fit them

    class Workspace(NamedTuple):
        starts: np.ndarray  # of tiles in the padded images
        places: np.ndarray  # of tiles in the output
        v: np.ndarray
        m: np.ndarray

    @staticmethod
    def supports(g) -> bool:
        """The transforms need an output of 3 × 3 to pay."""
        return possible(g) and not g.pooled and min(g.covered) >= 3

    def __init__(self, geometry):
        self.g = g = geometry
        self.side = tiling.best_side(*g.covered)
        self.tile = tiling.numbers(self.side)
        # whole tiles: an output that ends within a tile needs more rows or columns of zeros
        g.padded_h = max(g.padded_h, tiling.padded_size(g.covered[0], self.side))
        g.padded_w = max(g.padded_w, tiling.padded_size(g.covered[1], self.side))

    def allocate_packed(self):
        g = self.g
        return tiling.filter_scratch(g.c, g.filters, self.side), np.empty(g.filters, np.float32)

    def pack(self, call, W, bias, packed):
        call(forward.transform_filters, W, packed[0], self.tile)
        call(copy, bias, packed[1])

    def allocate(self, n):
        return self.tables(n)

    def tables(self, n):
        """Where the tiles of n images are, and memory for them."""
        g, side, (out_h, out_w) = self.g, self.side, self.g.covered
        places = tiling.output_offsets(n, out_h, out_w, g.filters, side)
        return self.Workspace(g.tile_starts(n, side), places, *tiling.winograd_scratch(g.c, g.filters, side))

    def forward(self, call, x, packed, y, argmax, work):
        g, (u, bias) = self.g, packed
        tables = work.starts, u, bias, y, work.places, work.v, work.m
        call(forward.winograd, x, *tables, g.row_stride, g.relu, self.tile, self.rows(work))

    def shares(self, x, y, argmax, threads):
        return [(x, y, argmax, work) for _, work in self.divided_work(threads)]

    def divided_work(self, threads):
        """For each share its tiles, and its memory."""
        whole, g = self.tables(1), self.g
        places = whole.places.reshape(whole.starts.size, -1)
        return [
            (part, self.Workspace(
                whole.starts[part], places[part].reshape(-1), *tiling.winograd_scratch(g.c, g.filters, self.side)
            ))
            for part in even_parts(whole.starts.size, threads)
        ]  # fmt: skip

    def rows(self, work):
        """The rows of the registers' tile: one number for many images, since each is compiled by itself."""
        return tiling.block_rows(work.starts.size) if self.few else ROWS


class WinogradPool(WinogradForward):
    """Before a 2×2 max-pool, tiles of 2×2: each is a window, whose maximum is taken in registers."""

    @staticmethod
    def supports(g) -> bool:
        """Windows of the size of tiles."""
        return possible(g) and (g.p_h, g.p_w) == (2, 2)

    def __init__(self, geometry):
        self.g, self.side, self.tile = geometry, 2, tiling.numbers(2)

    def tables(self, n):
        scratch = tiling.winograd_scratch(self.g.c, self.g.filters, 2)
        return self.Workspace(self.g.tile_starts(n, 2), np.empty(0, np.int32), *scratch)

    def forward(self, call, x, packed, y, argmax, work):
        g, (u, bias) = self.g, packed
        tables = work.starts, u, bias, y, argmax, work.v, work.m
        call(forward.winograd_pool, x, *tables, g.row_stride, g.relu, self.rows(work))

    def shares(self, x, y, argmax, threads):
        y, argmax = positions_of(y), positions_of(argmax)
        return [(x, y[:, :, part], argmax[:, :, part], work) for part, work in self.divided_work(threads)]


class WinogradAndPool(WinogradForward):
    """The best tiles, and a max-pool afterwards, without the argmax, which inference does not need."""

    @staticmethod
    def supports(g) -> bool:
        """Whether it saves a tenth of the products of 2×2 tiles, or for other windows a quarter of the direct ones."""
        limit = 4 / 1.1 if WinogradPool.supports(g) else 9 / 1.33
        return possible(g) and g.pooled and fewest_products(g) < limit * math.prod(g.covered)

    def allocate(self, n):
        g = self.g
        group = min(n, max(1, GROUP // (math.prod(g.covered) * g.filters)))
        return aligned_empty((group, *g.covered, g.filters)), self.tables(group)

    def forward(self, call, x, packed, y, argmax, work):
        z, tables = work
        for first in range(0, len(x), len(z)):
            part = slice(first, first + len(z))
            count = len(x[part])
            part_work = tables._replace(places=tables.places[: tables.places.size // len(z) * count])
            super().forward(call, x[part], packed, z[:count], None, part_work)
            call(max_pool, z[:count], *sides(self.g.p_h, self.g.p_w), y[part])

    def forward_divided(self, ctx, x, packed, y, argmax, work):
        if ctx.threads == 1:
            return self.forward(ctx.call, x, packed, y, argmax, work)
        z, g = work[0], self.g
        for _, tiles in ctx.side_by_side(self.divided_work(ctx.threads)):
            super().forward(ctx.call, x, packed, z, None, tiles)
        for lines in ctx.side_by_side(even_parts(y.shape[1], ctx.threads)):
            ctx.call(max_pool, z[:, times(lines, g.p_h)], *sides(g.p_h, g.p_w), y[:, lines])


class WinogradBackward:
    """dW and dx back through the transforms of forward, from one transform of dz."""

    name = "winograd"

    class Workspace(NamedTuple):
        tiles: np.ndarray
        dz: np.ndarray
        dz_places: np.ndarray
        dx: np.ndarray
        dx_places: np.ndarray
        v: np.ndarray
        z: np.ndarray
        du: np.ndarray

    @staticmethod
    def supports(g) -> bool:
        """Whether it saves products, counting a third more for the transforms."""
        return WinogradForward.supports(g) and 1.33 * fewest_products(g) < 9 * g.out_h * g.out_w

    def __init__(self, geometry):
        self.g = geometry
        self.side = tiling.best_side(geometry.out_h, geometry.out_w)
        self.tile = tiling.numbers(self.side)

    def allocate_packed(self):
        g = self.g
        return tiling.filter_scratch(g.filters, g.c, self.side), np.empty((3, 3, g.filters, g.c), np.float32)

    def pack(self, call, W, bias, packed):
        u, swapped = packed
        call(backward.swap_channels, W, swapped)
        call(forward.transform_filters, swapped, u, self.tile)

    def allocate(self, n):
        g, side = self.g, self.side
        return self.Workspace(
            tiles=g.tile_starts(n, side),
            dz=aligned_empty((n, g.out_h, g.out_w, g.filters)),
            dz_places=tiling.output_offsets(n, g.out_h, g.out_w, g.filters, side),
            dx=aligned_empty((n, g.h, g.w, g.c)),
            dx_places=tiling.input_offsets(n, g.h, g.w, g.c, g.top, g.left, g.out_h, g.out_w, side),
            **dict(zip("vz", tiling.winograd_scratch(g.c, g.filters, side), strict=True)),
            du=tiling.filter_scratch(g.c, g.filters, side),
        )

    def backward(self, call, x, y, argmax, dy, packed, work, dW, db, needs_dx):
        call(relu_backward, dy, y, self.g.relu, work.dz)
        return self.gradients(call, x, work.dz, packed, work, dW, db, needs_dx)

    def gradients(self, call, x, dz, packed, work, dW, db, needs_dx):
        dx = work.dx if needs_dx else work.dx[:0]
        call(
            backward.winograd_gradients, x, work.tiles, dz, work.dz_places, packed[0], dW, db, dx, work.dx_places,
            work.v, work.z, work.du, self.g.row_stride, self.tile,
        )  # fmt: skip
        return dx if needs_dx else None
