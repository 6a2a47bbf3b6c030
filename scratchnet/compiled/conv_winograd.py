"""Winograd's way to compute a convolution and its gradients: when it pays, and the memory it needs.

The kernels want whole tiles, of 2x2 to 5x5 positions, so the image gets rows and columns of zeros more where the output
ends within a tile.
"""

from __future__ import annotations

import math

import numpy as np

from scratchnet.compiled import winograd as wino
from scratchnet.compiled import winograd_gradients as wino_gradients
from scratchnet.compiled import winograd_tiles as tiles
from scratchnet.compiled.gate import copy, gate, max_pool
from scratchnet.compiled.memory import aligned_empty

GROUP = 1 << 17  # numbers of the convolution's output that wait for the pool: half of a second-level cache


def possible(g) -> bool:
    """The kernels know 3×3 at stride 1, and work on LANES channels and filters at a time."""
    return (g.k_h, g.k_w, g.s_h, g.s_w) == (3, 3, 1, 1) and g.c >= 16 and g.filters >= 16


def fewest_products(g) -> int:
    """What a convolution takes on the best tiles, for one channel and one filter; the plain way takes 9 a position."""
    return tiles.products(tiles.best_side(*g.covered), *g.covered)


class WinogradForward:
    """A convolution without a pool, on the tiles that need the fewest products."""

    words = "winograd"

    @staticmethod
    def suits(g) -> bool:
        """The transforms need an output of 3 × 3 to pay."""
        return possible(g) and not g.pooled and min(g.covered) >= 3

    def __init__(self, geometry):
        self.g = g = geometry
        self.side = tiles.best_side(*g.covered)
        self.tile = tiles.numbers(self.side)
        # whole tiles: an output that ends within a tile needs rows or columns of zeros more
        g.padded_h = max(g.padded_h, tiles.padded_size(g.covered[0], self.side))
        g.padded_w = max(g.padded_w, tiles.padded_size(g.covered[1], self.side))

    def allocate_packed(self):
        g = self.g
        return tiles.filter_scratch(g.c, g.filters, self.side), np.empty(g.filters, np.float32)

    def pack(self, W, bias, packed):
        wino.transform_filters(W, packed[0], self.tile)
        copy(bias, packed[1])

    def allocate(self, n):
        g, side, (out_h, out_w) = self.g, self.side, self.g.covered
        places = tiles.output_places(n, out_h, out_w, g.filters, side)
        return g.tile_starts(n, side), places, *tiles.winograd_scratch(g.c, g.filters, side)

    def forward(self, x, packed, y, winner, memory):
        g, (starts, places, v, m), (u, bias) = self.g, memory, packed
        wino.winograd(x, starts, u, bias, y, places, v, m, g.line, g.relu, self.tile)


class WinogradPool(WinogradForward):
    """Behind a 2×2 max-pool tiles of 2×2: each is a window, whose maximum is taken in registers."""

    @staticmethod
    def suits(g) -> bool:
        """Windows of 2×2 at least as long as tiles."""
        return possible(g) and (g.p_h, g.p_w) == (2, 2)

    def __init__(self, geometry):
        self.g, self.side, self.tile = geometry, 2, tiles.numbers(2)

    def allocate(self, n):
        return self.g.tile_starts(n, 2), *tiles.winograd_scratch(self.g.c, self.g.filters, 2)

    def forward(self, x, packed, y, winner, memory):
        g, (starts, v, m), (u, bias) = self.g, memory, packed
        wino.winograd_pool(x, starts, u, bias, y, winner, v, m, g.line, g.relu)


class WinogradAndPool(WinogradForward):
    """The best tiles, and a max-pool afterwards. It does not say which cell won, which prediction need not know."""

    @staticmethod
    def suits(g) -> bool:
        """Whether it saves a tenth of what tiles of 2×2 take, or of other windows a quarter of the plain way."""
        limit = 4 / 1.1 if WinogradPool.suits(g) else 9 / 1.33
        return possible(g) and g.pooled and fewest_products(g) < limit * math.prod(g.covered)

    def allocate(self, n):
        g = self.g
        group = min(n, max(1, GROUP // (math.prod(g.covered) * g.filters)))
        return aligned_empty((group, *g.covered, g.filters)), super().allocate(group)

    def forward(self, x, packed, y, winner, memory):
        z, (starts, places, v, m) = memory
        for first in range(0, len(x), len(z)):
            part = slice(first, first + len(z))
            count = len(x[part])
            tables = starts, places[: places.size // len(z) * count], v, m
            super().forward(x[part], packed, z[:count], None, tables)
            max_pool(z[:count], self.g.p_h, self.g.p_w, y[part])


class WinogradBackward:
    """dW and dx back through the transforms of forward, from one transform of dz."""

    words = "winograd"

    @staticmethod
    def suits(g) -> bool:
        """Whether it saves products, counting a third more for the transforms."""
        return WinogradForward.suits(g) and 1.33 * fewest_products(g) < 9 * g.out_h * g.out_w

    def __init__(self, geometry):
        self.g = geometry
        self.side = tiles.best_side(geometry.out_h, geometry.out_w)
        self.tile = tiles.numbers(self.side)

    def allocate_packed(self):
        g = self.g
        return tiles.filter_scratch(g.filters, g.c, self.side), np.empty((3, 3, g.filters, g.c), np.float32)

    def pack(self, W, bias, packed):
        u, exchanged = packed
        wino_gradients.exchange(W, exchanged)
        wino.transform_filters(exchanged, u, self.tile)

    def allocate(self, n):
        g, side = self.g, self.side
        return {
            "tiles": g.tile_starts(n, side),
            "dz": aligned_empty((n, g.out_h, g.out_w, g.filters)),
            "dz_places": tiles.output_places(n, g.out_h, g.out_w, g.filters, side),
            "dx": aligned_empty((n, g.h, g.w, g.c)),
            "dx_places": tiles.input_places(n, g.h, g.w, g.c, g.top, g.left, g.out_h, g.out_w, side),
            "scratch": tiles.winograd_scratch(g.c, g.filters, side),
            "du": tiles.filter_scratch(g.c, g.filters, side),
        }

    def backward(self, x, y, winner, dy, packed, memory, dW, db, wants_dx):
        gate(dy, y, self.g.relu, memory["dz"])
        return self.gradients(x, memory["dz"], packed, memory, dW, db, wants_dx)

    def gradients(self, x, dz, packed, memory, dW, db, wants_dx):
        dx = memory["dx"] if wants_dx else memory["dx"][:0]
        wino_gradients.winograd_gradients(
            x, memory["tiles"], dz, memory["dz_places"], packed[0], dW, db, dx, memory["dx_places"],
            *memory["scratch"], memory["du"], self.g.line, self.tile,
        )  # fmt: skip
        return dx if wants_dx else None
