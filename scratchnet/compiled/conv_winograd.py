"""Winograd's way to compute a convolution and its gradients: when it pays, and the memory it needs.

The kernels want whole tiles of 2×2 or 4×4 positions, so the image gets rows and columns of zeros more where
the output ends within a tile; and the gradient of the image is the convolution of dz, with zeros around it,
with the turned filters: dz is written in the middle of a larger image from the start.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratchnet.compiled import winograd as wino
from scratchnet.compiled import winograd4 as wino4
from scratchnet.compiled.convolution import patch_starts
from scratchnet.compiled.gate import pass_on
from scratchnet.compiled.memory import aligned_empty, aligned_zeros


class Edition(NamedTuple):
    """Winograd's kernels for one size of tile."""

    side: int
    planes: int
    transform_filters: Callable
    convolve: Callable
    weight_gradient: Callable

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


TWO = Edition(2, 16, wino.transform_filters, wino.winograd, wino.winograd_weight_gradient)
FOUR = Edition(4, 36, wino4.transform_filters4, wino4.winograd4, wino4.winograd4_weight_gradient)


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
            g.padded_h = max(g.padded_h, wino.padded_size(g.out_h, self.edition.side))
            g.padded_w = max(g.padded_w, wino.padded_size(g.out_w, self.edition.side))

    def allocate_packed(self):
        g = self.g
        return wino.filter_scratch(g.c, g.filters, self.edition.planes), np.empty(g.filters, np.float32)

    def pack(self, W, bias, packed):
        self.edition.transform_filters(W, packed[0])
        packed[1][:] = bias

    def allocate(self, n):
        g, side = self.g, self.edition.side
        places = None if g.pooled else wino.output_places(n, g.out_h, g.out_w, g.filters, side)
        starts = g.window_starts(n) if g.pooled else g.tile_starts(n, side)
        return starts, places, wino.winograd_scratch(g.c, g.filters, self.edition.planes)

    def forward(self, x, packed, y, winner, memory):
        g, (starts, places, (v, m)), (u, bias) = self.g, memory, packed
        if g.pooled:
            wino.winograd_pool(x, starts, u, bias, y, winner, v, m, g.line, g.relu)
        else:
            self.edition.convolve(x, starts, u, bias, y, places, v, m, g.line, g.relu)


class WinogradBackward:
    """dW through both transforms; dx as the convolution of dz, with zeros around it, with the turned filters."""

    words = "winograd"

    @staticmethod
    def suits(g) -> bool:
        """Whether it saves products, counting a third more for the transforms.

        dx has as many tiles as the *input*: for 5×5 -> 3×3 that alone is more than the direct way needs.
        """
        if not (WinogradForward.suits(g) and not g.pooled and g.top <= 2 and g.left <= 2):
            return False
        outputs, inputs = (g.out_h, g.out_w), (g.h, g.w)
        products = Edition.best(*outputs).products(*outputs) + Edition.best(*inputs).products(*inputs)
        return 1.33 * products < 9 * 2 * g.out_h * g.out_w

    def __init__(self, geometry):
        self.g = g = geometry
        self.top, self.left = 2 - g.top, 2 - g.left
        self.for_dw, self.for_dx = Edition.best(g.out_h, g.out_w), Edition.best(g.h, g.w)
        self.dz_h, self.dz_w = (wino.padded_size(size, self.for_dx.side) for size in (g.h, g.w))
        self.no_bias = aligned_zeros(g.c)

    def allocate_packed(self):
        g = self.g
        return wino.filter_scratch(g.filters, g.c, self.for_dx.planes), np.empty((3, 3, g.filters, g.c), np.float32)

    def pack(self, W, bias, packed):
        u, turned = packed
        wino.turn_filters(W, turned)
        self.for_dx.transform_filters(turned, u)

    def allocate(self, n):
        g, for_dw, for_dx = self.g, self.for_dw, self.for_dx
        down, across = for_dx.tiles(g.h, g.w)
        return {
            "tiles": g.tile_starts(n, for_dw.side),
            "dz": aligned_zeros((n, self.dz_h, self.dz_w, g.filters)),
            "dz_places": places_within(n, g, self.dz_h, self.dz_w, self.top, self.left, for_dw.side),
            "dz_tiles": patch_starts(n, self.dz_h, self.dz_w, g.filters, down, across, for_dx.side, for_dx.side),
            "dx": aligned_empty((n, g.h, g.w, g.c)),
            "dx_places": wino.output_places(n, g.h, g.w, g.c, for_dx.side),
            "scratch": wino.winograd_scratch(g.c, g.filters, max(for_dw.planes, for_dx.planes)),
            "du": wino.filter_scratch(g.c, g.filters, for_dw.planes),
        }

    def dz(self, memory):
        """Where dz belongs, and the row and column of its first number there."""
        return memory["dz"], self.top, self.left

    def backward(self, x, y, winner, dy, packed, memory, dW, db, wants_dx):
        pass_on(self.g, dy, y, winner, *self.dz(memory))
        return self.gradients(x, packed, memory, dW, db, wants_dx)

    def gradients(self, x, packed, memory, dW, db, wants_dx):
        g, dz, dx, (v, m) = self.g, memory["dz"], memory["dx"], memory["scratch"]
        tiles, places = memory["tiles"], memory["dz_places"]
        self.for_dw.weight_gradient(x, tiles, dz, places, dW, db, v, m, memory["du"], g.line)
        if not wants_dx:
            return None
        line = self.dz_w * g.filters
        tiles, places = memory["dz_tiles"], memory["dx_places"]
        self.for_dx.convolve(dz, tiles, packed[0], self.no_bias, dx, places, m, v, line, False)
        return dx


def places_within(n, g, big_h, big_w, top, left, side):
    """`output_places`, for outputs that lie in the middle of larger images."""
    places = wino.output_places(n, g.out_h, g.out_w, 1, side)
    image, rest = np.divmod(places, g.out_h * g.out_w)
    row, column = np.divmod(rest, g.out_w)
    inside = ((image * big_h + top + row) * big_w + left + column) * g.filters
    return np.where(places >= 0, inside, -1).astype(np.int32)
