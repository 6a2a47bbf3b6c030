"""Winograd's way to compute a convolution and its gradients: when it pays, and the memory it needs.

The kernels want whole tiles of 2×2 or 4×4 positions, so the image gets rows and columns of zeros more where
the output ends within a tile.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratchnet.compiled import winograd as wino
from scratchnet.compiled import winograd4 as wino4
from scratchnet.compiled import winograd_tiles as tiles
from scratchnet.compiled.gate import gate
from scratchnet.compiled.memory import aligned_empty


class Edition(NamedTuple):
    """Winograd's kernels for one size of tile."""

    side: int
    planes: int
    transform_filters: Callable
    convolve: Callable
    gradients: Callable

    @staticmethod
    def best(out_h, out_w):
        """The edition for an output of this size."""
        return FOUR if wino4.saves_products(out_h, out_w) else TWO

    def tiles(self, out_h, out_w) -> tuple[int, int]:
        """How many tiles cover so many positions, down and across."""
        return -(-out_h // self.side), -(-out_w // self.side)

    def products(self, out_h, out_w) -> int:
        """For an output of this size, one channel and one filter."""
        return self.planes * math.prod(self.tiles(out_h, out_w))


TWO = Edition(2, 16, wino.transform_filters, wino.winograd, wino.winograd_gradients)
FOUR = Edition(4, 36, wino4.transform_filters4, wino4.winograd4, wino4.winograd4_gradients)


class WinogradForward:
    """F(2×2, 3×3): 16 products where the direct way has 36. A 2×2 tile of its output is a window of the pool.

    Without a pool F(4×4, 3×3) where that has fewer products still.
    """

    words = "winograd"

    @staticmethod
    def suits(g) -> bool:
        """The transforms work on LANES channels at a time; of an output without a pool they need 3 × 3 to pay."""
        possible = (g.k_h, g.k_w, g.s_h, g.s_w) == (3, 3, 1, 1) and g.c >= 16 and g.filters >= 16
        return possible and ((g.p_h, g.p_w) == (2, 2) or (not g.pooled and min(g.out_h, g.out_w) >= 3))

    def __init__(self, geometry):
        self.g = g = geometry
        self.edition = TWO if g.pooled else Edition.best(g.out_h, g.out_w)
        if not g.pooled:  # whole tiles: an output that ends within a tile needs rows or columns of zeros more
            g.padded_h = max(g.padded_h, tiles.padded_size(g.out_h, self.edition.side))
            g.padded_w = max(g.padded_w, tiles.padded_size(g.out_w, self.edition.side))

    def allocate_packed(self):
        g = self.g
        return tiles.filter_scratch(g.c, g.filters, self.edition.planes), np.empty(g.filters, np.float32)

    def pack(self, W, bias, packed):
        self.edition.transform_filters(W, packed[0])
        packed[1][:] = bias

    def allocate(self, n):
        g, side = self.g, self.edition.side
        places = None if g.pooled else tiles.output_places(n, g.out_h, g.out_w, g.filters, side)
        starts = g.window_starts(n) if g.pooled else g.tile_starts(n, side)
        return starts, places, tiles.winograd_scratch(g.c, g.filters, self.edition.planes)

    def forward(self, x, packed, y, winner, memory):
        g, (starts, places, (v, m)), (u, bias) = self.g, memory, packed
        if g.pooled:
            wino.winograd_pool(x, starts, u, bias, y, winner, v, m, g.line, g.relu)
        else:
            self.edition.convolve(x, starts, u, bias, y, places, v, m, g.line, g.relu)


class WinogradBackward:
    """dW and dx back through the transforms of forward, from one transform of dz."""

    words = "winograd"

    @staticmethod
    def suits(g) -> bool:
        """Whether it saves products, counting a third more for the transforms."""
        if g.pooled or not WinogradForward.suits(g):
            return False
        return 1.33 * Edition.best(g.out_h, g.out_w).products(g.out_h, g.out_w) < 9 * g.out_h * g.out_w

    def __init__(self, geometry):
        self.g = geometry
        self.edition = Edition.best(geometry.out_h, geometry.out_w)

    def allocate_packed(self):
        g = self.g
        return tiles.filter_scratch(g.filters, g.c, self.edition.planes), np.empty((3, 3, g.filters, g.c), np.float32)

    def pack(self, W, bias, packed):
        u, exchanged = packed
        wino.exchange(W, exchanged)
        self.edition.transform_filters(exchanged, u)

    def allocate(self, n):
        g, side, planes = self.g, self.edition.side, self.edition.planes
        return {
            "tiles": g.tile_starts(n, side),
            "dz": aligned_empty((n, g.out_h, g.out_w, g.filters)),
            "dz_places": tiles.output_places(n, g.out_h, g.out_w, g.filters, side),
            "dx": aligned_empty((n, g.h, g.w, g.c)),
            "dx_places": tiles.input_places(n, g.h, g.w, g.c, g.top, g.left, g.out_h, g.out_w, side),
            "scratch": tiles.winograd_scratch(g.c, g.filters, planes),
            "du": tiles.filter_scratch(g.c, g.filters, planes),
        }

    def backward(self, x, y, winner, dy, packed, memory, dW, db, wants_dx):
        gate(dy, y, self.g.relu, memory["dz"])
        return self.gradients(x, memory["dz"], packed, memory, dW, db, wants_dx)

    def gradients(self, x, dz, packed, memory, dW, db, wants_dx):
        dx = memory["dx"] if wants_dx else memory["dx"][:0]
        self.edition.gradients(
            x, memory["tiles"], dz, memory["dz_places"], packed[0], dW, db, dx, memory["dx_places"],
            *memory["scratch"], memory["du"], self.g.line,
        )  # fmt: skip
        return dx if wants_dx else None
