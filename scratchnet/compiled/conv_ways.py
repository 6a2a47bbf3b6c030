"""The ways to compute a convolution and its gradients: the kernels, and the memory each of them needs.

A way forward and a way backward know the same four things: whether they suit a convolution, how they want
its weights packed, which memory they need for a chunk, and what to call. `conv` chooses one of each.

    forward     First        few channels and a 2×2 max-pool: all weights in registers
                Winograd     3×3 at stride 1, 16 channels and more
                Direct       everything
    backward    First        few channels, and nobody wants the gradient of the images
                Sparse       behind a max-pool: only where there is a gradient
                Winograd     as above, where it saves products
                Direct       everything
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled import convolution as direct
from scratchnet.compiled import first, pooled
from scratchnet.compiled import winograd as wino
from scratchnet.compiled.gate import gate, spread
from scratchnet.compiled.matmul import pack_panels, padded_width
from scratchnet.compiled.memory import aligned_empty, aligned_zeros
from scratchnet.compiled.target import LANES


class DirectForward:
    """The matrix product's loop over patches where they lie: any kernel, stride, padding and pool."""

    words = "direct"

    def __init__(self, geometry):
        self.g, self.cells = geometry, geometry.cells

    def allocate_packed(self):
        g = self.g
        return aligned_empty((g.k_h * g.run + 1) * padded_width(g.filters))

    def pack(self, W, bias, packed):
        pack_panels(W.reshape(-1, self.g.filters), bias, packed)

    def allocate(self, n):
        g = self.g
        if g.pooled:
            return g.window_starts(n), aligned_empty(direct.pool_scratch_size(len(self.cells)))
        return g.starts(n), None

    def forward(self, x, packed, y, winner, memory):
        g, (starts, scratch) = self.g, memory
        if g.pooled:
            direct.convolve_pool(x, starts, self.cells, packed, y, winner, scratch, g.k_h, g.line, g.run, g.relu)
        else:
            direct.convolve(x, starts, packed, y, g.k_h, g.line, g.run, g.relu)


class DirectBackward:
    """The same loop with the roles exchanged, on dz: dy where ReLU and the pool let it through, 0 elsewhere."""

    words = "direct"

    def __init__(self, geometry):
        self.g = geometry

    def allocate_packed(self):
        g = self.g
        return aligned_empty(g.k_h * g.k_w * g.filters * padded_width(g.c))

    def pack(self, W, bias, packed):
        direct.pack_taps(W, packed)

    def allocate(self, n):
        g = self.g
        dz, dx = aligned_zeros((n, g.out_h, g.out_w, g.filters)), aligned_empty((n, g.padded_h, g.padded_w, g.c))
        return g.starts(n), dz, dx, aligned_empty(direct.BLOCK * padded_width(g.filters))

    def dz(self, memory):
        """Where dz belongs, and the row and column of its first number there."""
        return memory[1], 0, 0

    def backward(self, x, y, winner, dy, packed, memory, dW, db, wants_dx):
        pass_on(self.g, dy, y, winner, *self.dz(memory))
        return self.gradients(x, packed, memory, dW, db, wants_dx)

    def gradients(self, x, packed, memory, dW, db, wants_dx):
        g, (starts, dz, dx, panels) = self.g, memory
        direct.weight_gradient(x, starts, dz, dW, db, panels, g.k_h, g.line, g.run)
        if not wants_dx:
            return None
        direct.input_gradient(dz, starts, packed, dx, g.k_h, g.k_w, g.line)
        return g.without_padding(dx)


class FirstForward:
    """Few channels: the weights of LANES filters stay in registers while the windows go by."""

    words = "taps"

    @staticmethod
    def suits(g) -> bool:
        """2×2 windows, and taps that fit into the registers."""
        return (g.p_h, g.p_w, g.s_h, g.s_w) == (2, 2, 1, 1) and first.suits_forward(g.k_h, g.k_w, g.c)

    def __init__(self, geometry):
        self.g = geometry

    def allocate_packed(self):
        return first.first_packed(self.g.k_h, self.g.k_w, self.g.c, self.g.filters)

    def pack(self, W, bias, packed):
        first.pack_first(W, bias, packed)

    def allocate(self, n):
        return None

    def forward(self, x, packed, y, winner, memory):
        first.first_convolve_pool(x, packed, y, winner, self.g.k_h, self.g.k_w, self.g.relu)


class FirstBackward:
    """The same for dW. It never computes dx: who asks for it all the same is served by the direct way."""

    words = "taps"

    @staticmethod
    def suits(g) -> bool:
        """Without a pool or with 2×2 windows, and not too many taps."""
        possible = (g.s_h, g.s_w) == (1, 1) and (not g.pooled or (g.p_h, g.p_w) == (2, 2))
        return possible and first.suits_gradient(g.k_h, g.k_w, g.c)

    def __init__(self, geometry):
        self.g, self.direct = geometry, DirectBackward(geometry)

    def allocate_packed(self):
        return self.direct.allocate_packed()

    def pack(self, W, bias, packed):
        self.W = W

    def allocate(self, n):
        g = self.g
        dz = None if g.pooled else aligned_zeros((n, g.out_h, g.out_w, g.filters))
        return dz, first.first_packed(g.k_h, g.k_w, g.c, g.filters)

    def dz(self, memory):
        """Where dz belongs, and the row and column of its first number there."""
        return memory[0], 0, 0

    def backward(self, x, y, winner, dy, packed, memory, dW, db, wants_dx):
        if wants_dx:
            self.direct.pack(self.W, None, packed)
            return self.direct.backward(x, y, winner, dy, packed, self.direct.allocate(len(x)), dW, db, True)
        if self.g.pooled:
            first.first_pooled_gradient(x, dy, winner, dW, db, memory[1])
            return None
        pass_on(self.g, dy, y, winner, *self.dz(memory))
        return self.gradients(x, packed, memory, dW, db, False)

    def gradients(self, x, packed, memory, dW, db, wants_dx):
        dz, sums = memory
        if wants_dx:
            general = self.direct.allocate(len(x))
            general[1][...] = dz
            self.direct.pack(self.W, None, packed)
            return self.direct.gradients(x, packed, general, dW, db, True)
        first.first_gradient(x, dz, dW, db, sums)
        return None


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
            "dz_tiles": direct.patch_starts(n, self.dz_h, self.dz_w, g.filters, *half_up(g.h, g.w), 2, 2),
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


class SparseBackward:
    """Behind a max-pool three quarters of dz are zeros, and more behind a ReLU: only the rest is worked on."""

    words = "sparse"

    @staticmethod
    def suits(g) -> bool:
        """A row of the kernel must fill a register, and a window's cells must be few enough to be worth it."""
        return g.pooled and g.run >= LANES and g.p_h * g.p_w >= 3

    def __init__(self, geometry):
        self.g, self.cells = geometry, geometry.cells
        self.tile = pooled.pooled_tile(geometry.k_h, geometry.k_w, geometry.c)

    def allocate_packed(self):
        g = self.g
        return aligned_empty(round_up(g.filters) * g.k_h * round_up(g.run))

    def pack(self, W, bias, packed):
        rows, vectors = self.tile
        pooled.pack_filters(W, packed, len(rows), len(vectors))

    def allocate(self, n):
        g = self.g
        windows = g.y_shape[0] * g.y_shape[1]
        scratch = pooled.pooled_scratch(g.k_h, g.k_w, g.c, g.filters, windows, len(self.cells))
        return g.window_starts(n), scratch, aligned_empty((n, g.padded_h, g.padded_w, g.c))

    def backward(self, x, y, winner, dy, packed, memory, dW, db, wants_dx):
        g, (starts, scratch, dx) = self.g, memory
        target = dx if wants_dx else dx[:0]
        pooled.pooled_gradients(x, starts, self.cells, dy, winner, packed, dW, db, target, scratch, g.line, *self.tile)
        return g.without_padding(dx) if wants_dx else None


def choose_forward(g):
    """The best way that suits."""
    return next((way for way in (FirstForward, WinogradForward) if way.suits(g)), DirectForward)(g)


def choose_backward(g, wants_dx: bool):
    """The best way that suits; wants_dx: whether a layer before this one has parameters."""
    ways = (SparseBackward, WinogradBackward) if wants_dx else (FirstBackward, SparseBackward, WinogradBackward)
    return next((way for way in ways if way.suits(g)), DirectBackward)(g)


def pass_on(g, dy, y, winner, dz, top, left) -> None:
    """dz from dy: through the pool to the winners, and through the ReLU."""
    if g.pooled:
        spread(dy, winner, g.p_h, g.p_w, top, left, dz)
    else:
        gate(dy, y, g.relu, top, left, dz)


def round_up(numbers: int) -> int:
    """So many numbers and those that fill the last register."""
    return -(-numbers // LANES) * LANES


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
