"""Winograd's way to compute a convolution and its gradients: when it pays, and the memory it needs.

The kernels want whole tiles of 2×2 positions, so the image gets a row and a column of zeros more where the
output is odd; and the gradient of the image is the convolution of dz, with zeros around it, with the turned
filters: dz is written in the middle of a larger image from the start.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled import winograd as wino
from scratchnet.compiled.convolution import patch_starts
from scratchnet.compiled.gate import pass_on
from scratchnet.compiled.memory import aligned_empty, aligned_zeros


class WinogradForward:
    """F(2×2, 3×3): 16 products where the direct way has 36. A 2×2 tile of its output is a window of the pool."""

    words = "winograd"

    @staticmethod
    def suits(g) -> bool:
        """The transforms work on LANES channels at a time; of an output without a pool they need 5 × 5 to pay."""
        possible = (g.k_h, g.k_w, g.s_h, g.s_w) == (3, 3, 1, 1) and g.c >= 16 and g.filters >= 16
        return possible and ((g.p_h, g.p_w) == (2, 2) or (not g.pooled and min(g.out_h, g.out_w) >= 5))

    def __init__(self, geometry):
        self.g = g = geometry
        if not g.pooled:  # whole tiles: an odd output needs a row and a column of zeros more
            g.padded_h = max(g.padded_h, wino.padded_size(g.out_h))
            g.padded_w = max(g.padded_w, wino.padded_size(g.out_w))

    def allocate_packed(self):
        return wino.filter_scratch(self.g.c, self.g.filters), np.empty(self.g.filters, np.float32)

    def pack(self, W, bias, packed):
        wino.transform_filters(W, packed[0])
        packed[1][:] = bias

    def allocate(self, n):
        g = self.g
        places = None if g.pooled else wino.output_places(n, g.out_h, g.out_w, g.filters)
        return g.window_starts(n) if g.pooled else g.tile_starts(n), places, wino.winograd_scratch(g.c, g.filters)

    def forward(self, x, packed, y, winner, memory):
        g, (starts, places, (v, m)), (u, bias) = self.g, memory, packed
        if g.pooled:
            wino.winograd_pool(x, starts, u, bias, y, winner, v, m, g.line, g.relu)
        else:
            wino.winograd(x, starts, u, bias, y, places, v, m, g.line, g.relu)


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
        tiles, input_tiles = np.prod(half_up(g.out_h, g.out_w)), np.prod(half_up(g.h, g.w))
        return 1.33 * 16 * (tiles + input_tiles) < 9 * 2 * g.out_h * g.out_w

    def __init__(self, geometry):
        self.g = g = geometry
        self.top, self.left = 2 - g.top, 2 - g.left
        self.dz_h, self.dz_w = wino.padded_size(g.h), wino.padded_size(g.w)
        self.no_bias = aligned_zeros(g.c)

    def allocate_packed(self):
        g = self.g
        return wino.filter_scratch(g.filters, g.c), np.empty((3, 3, g.filters, g.c), np.float32)

    def pack(self, W, bias, packed):
        u, turned = packed
        wino.turn_filters(W, turned)
        wino.transform_filters(turned, u)

    def allocate(self, n):
        g = self.g
        return {
            "tiles": g.tile_starts(n),
            "dz": aligned_zeros((n, self.dz_h, self.dz_w, g.filters)),
            "dz_places": places_within(n, g, self.dz_h, self.dz_w, self.top, self.left),
            "dz_tiles": patch_starts(n, self.dz_h, self.dz_w, g.filters, *half_up(g.h, g.w), 2, 2),
            "dx": aligned_empty((n, g.h, g.w, g.c)),
            "dx_places": wino.output_places(n, g.h, g.w, g.c),
            "scratch": wino.winograd_scratch(g.c, g.filters),
            "du": wino.filter_scratch(g.c, g.filters),
        }

    def dz(self, memory):
        """Where dz belongs, and the row and column of its first number there."""
        return memory["dz"], self.top, self.left

    def backward(self, x, y, winner, dy, packed, memory, dW, db, wants_dx):
        pass_on(self.g, dy, y, winner, *self.dz(memory))
        return self.gradients(x, packed, memory, dW, db, wants_dx)

    def gradients(self, x, packed, memory, dW, db, wants_dx):
        g, dz, dx, (v, m) = self.g, memory["dz"], memory["dx"], memory["scratch"]
        wino.winograd_weight_gradient(x, memory["tiles"], dz, memory["dz_places"], dW, db, v, m, memory["du"], g.line)
        if not wants_dx:
            return None
        line = self.dz_w * g.filters
        wino.winograd(dz, memory["dz_tiles"], packed[0], self.no_bias, dx, memory["dx_places"], m, v, line, False)
        return dx


def half_up(h: int, w: int) -> tuple[int, int]:
    """How many 2×2 tiles cover h × w positions."""
    return (h + 1) // 2, (w + 1) // 2


def places_within(n, g, big_h, big_w, top, left):
    """`output_places`, for outputs that lie in the middle of larger images."""
    places = wino.output_places(n, g.out_h, g.out_w, 1)
    image, rest = np.divmod(places, g.out_h * g.out_w)
    row, column = np.divmod(rest, g.out_w)
    inside = ((image * big_h + top + row) * big_w + left + column) * g.filters
    return np.where(places >= 0, inside, -1).astype(np.int32)
