"""The ways to compute a convolution and its gradients: the kernels, and the memory each of them needs.

A way forward and a way backward know the same four things: whether they suit a convolution, how they want
its weights packed, which memory they need for a chunk, and what to call. `conv` chooses one of each.

    forward     First        few channels and a 2×2 max-pool: all weights in registers
                Winograd     3×3 at stride 1, 16 channels and more
                Direct       everything
    prediction  Winograd     3×3 and a max-pool, which is made afterwards; else as forward
    backward    First        few channels, and nobody wants the gradient of the images
                Sparse       behind a max-pool: only where there is a gradient
                Winograd     as above, where it saves products
                Direct       everything
"""

from __future__ import annotations

from typing import Any

from scratchnet.compiled import convolution as direct
from scratchnet.compiled import first, pooled
from scratchnet.compiled.conv_winograd import WinogradAndPool, WinogradBackward, WinogradForward, WinogradPool
from scratchnet.compiled.gate import pass_on
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

    def backward(self, x, y, winner, dy, packed, memory, dW, db, wants_dx):
        dz = memory[1]
        pass_on(self.g, dy, y, winner, dz)
        return self.gradients(x, dz, packed, memory, dW, db, wants_dx)

    def gradients(self, x, dz, packed, memory, dW, db, wants_dx):
        g, (starts, _, dx, panels) = self.g, memory
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
        dz = None if g.pooled else aligned_empty((n, g.out_h, g.out_w, g.filters))
        return dz, first.first_packed(g.k_h, g.k_w, g.c, g.filters)

    def backward(self, x, y, winner, dy, packed, memory, dW, db, wants_dx):
        if not self.g.pooled:
            dz = memory[0]
            pass_on(self.g, dy, y, winner, dz)
            return self.gradients(x, dz, packed, memory, dW, db, wants_dx)
        if wants_dx:
            self.direct.pack(self.W, None, packed)
            return self.direct.backward(x, y, winner, dy, packed, self.direct.allocate(len(x)), dW, db, True)
        first.first_pooled_gradient(x, dy, winner, dW, db, memory[1])
        return None

    def gradients(self, x, dz, packed, memory, dW, db, wants_dx):
        if wants_dx:
            self.direct.pack(self.W, None, packed)
            return self.direct.gradients(x, dz, packed, self.direct.allocate(len(x)), dW, db, True)
        first.first_gradient(x, dz, dW, db, memory[1])
        return None


class SparseBackward:
    """Behind a max-pool three quarters of dz are zeros, and more behind a ReLU: only the rest is worked on."""

    words = "sparse"

    @staticmethod
    def suits(g) -> bool:
        """A row of the kernel must fill a register; and enough of dz must be zeros.

        A ReLU alone leaves about half: less work than the direct way (1.1 for 1.6 ms on 5×5×64 -> 64), not
        less than Winograd's.
        """
        few = g.p_h * g.p_w >= 3 if g.pooled else g.relu and not WinogradBackward.suits(g)
        return few and g.run >= LANES

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
        if not g.pooled:
            pooled.relu_winners(y, winner)
        pooled.pooled_gradients(x, starts, self.cells, dy, winner, packed, dW, db, target, scratch, g.line, *self.tile)
        return g.without_padding(dx) if wants_dx else None


def choose_forward(g):
    """The best way that suits."""
    return next((way for way in (FirstForward, WinogradPool, WinogradForward) if way.suits(g)), DirectForward)(g)


def choose_prediction(g):
    """The best way that suits if no gradient will be asked for."""
    return next((way for way in (FirstForward, WinogradAndPool) if way.suits(g)), choose_forward)(g)


def choose_backward(g, wants_dx: bool, dense: bool):
    """The best way that suits.

    wants_dx: whether a layer before this one has parameters. dense: whether something behind the convolution,
    a BatchNorm, makes a gradient without zeros.
    """
    ways: list[Any] = [WinogradBackward] if dense else [SparseBackward, WinogradBackward]
    ways = ways if wants_dx else [FirstBackward, *ways]
    return next((way for way in ways if way.suits(g)), DirectBackward)(g)


def round_up(numbers: int) -> int:
    """So many numbers and those that fill the last register."""
    return -(-numbers // LANES) * LANES
