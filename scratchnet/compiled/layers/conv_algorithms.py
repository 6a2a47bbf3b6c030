"""Convolution algorithms: the kernels of each, and the memory it needs.

An algorithm has a forward or a backward part. Each says whether it supports a convolution, how its weights are packed,
which memory it needs for a chunk, and which kernels it calls. `conv` chooses one of each.

    forward     SmallChannels   few channels and a 2×2 max-pool: all weights in registers
                Winograd        3×3 at stride 1, 16 channels and more
                Direct          everything
    inference   Winograd        3×3 and a max-pool, which is made afterwards; else as forward
    backward    SmallChannels   few channels, and no gradient of the images is wanted
                Sparse          behind a max-pool: only where there is a gradient
                Winograd        as above, where it saves products
                Direct          everything
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty, aligned_zeros
from scratchnet.compiled.kernels.conv import direct, small_channels, sparse_backward
from scratchnet.compiled.kernels.conv.geometry import Geometry
from scratchnet.compiled.kernels.gemm import pack_panels, padded_width
from scratchnet.compiled.kernels.relu_pool import max_pool_backward, relu_backward, sides
from scratchnet.compiled.layers.conv_division import Divisible, even_parts, positions_of, times
from scratchnet.compiled.layers.conv_winograd import WinogradAndPool, WinogradBackward, WinogradForward, WinogradPool
from scratchnet.compiled.simd.target import LANES


def activation_backward(call, g: Geometry, dy, y, argmax, dz) -> None:
    """dz from dy: through the pool to the argmax of each window, or through the ReLU."""
    if g.pooled:
        call(max_pool_backward, dy, argmax, *sides(g.p_h, g.p_w), dz)
    else:
        call(relu_backward, dy, y, g.relu, dz)


class DirectForward(Divisible):
    """The matrix product's loop over patches of the images in place: any kernel, stride, padding and pool."""

    name = "direct"

    class Workspace(NamedTuple):
        starts: np.ndarray
        scratch: np.ndarray

    def __init__(self, geometry: Geometry):
        self.g, self.cells = geometry, geometry.cells

    def allocate_packed(self):
        g = self.g
        return aligned_empty((g.k_h * g.row_length + 1) * padded_width(g.filters))

    def pack(self, call, W, bias, packed):
        call(pack_panels, W.reshape(-1, self.g.filters), bias, packed)

    def allocate(self, n):
        starts = self.g.window_starts(n) if self.g.pooled else self.g.starts(n)
        return self.Workspace(starts, aligned_empty(direct.pool_scratch_size(len(self.cells))))

    def forward(self, call, x, packed, y, argmax, work):
        g, sizes = self.g, (self.g.k_h, self.g.row_stride, self.g.row_length, self.g.relu)
        if g.pooled:
            call(direct.convolve_pool, x, work.starts, self.cells, packed, y, argmax, work.scratch, *sizes)
        else:
            call(direct.convolve, x, work.starts, packed, y, *sizes)

    def shares(self, x, y, argmax, threads):
        starts, y, argmax = self.allocate(1).starts, positions_of(y), positions_of(argmax)
        parts = even_parts(starts.size, threads)
        works = [
            self.Workspace(starts[part], aligned_empty(direct.pool_scratch_size(len(self.cells)))) for part in parts
        ]
        return [(x, y[:, :, part], argmax[:, :, part], work) for part, work in zip(parts, works, strict=True)]


class DirectBackward:
    """The same loop with the roles exchanged, on dz: dy where ReLU and the pool let it through, 0 elsewhere.

    dW may be None: then only dx is computed.
    """

    name = "direct"

    class Workspace(NamedTuple):
        starts: np.ndarray
        dz: np.ndarray
        dx: np.ndarray
        panels: np.ndarray

    def __init__(self, geometry: Geometry):
        self.g = geometry

    def allocate_packed(self):
        g = self.g
        return aligned_empty(g.k_h * g.k_w * g.filters * padded_width(g.c))

    def pack(self, call, W, bias, packed):
        call(direct.pack_taps, W, packed)

    def allocate(self, n):
        g = self.g
        dz, dx = aligned_zeros((n, g.out_h, g.out_w, g.filters)), aligned_empty((n, g.padded_h, g.padded_w, g.c))
        return self.Workspace(g.starts(n), dz, dx, aligned_empty(direct.BLOCK * padded_width(g.filters)))

    def backward(self, call, x, y, argmax, dy, packed, work, dW, db, needs_dx):
        activation_backward(call, self.g, dy, y, argmax, work.dz)
        return self.gradients(call, x, work.dz, packed, work, dW, db, needs_dx)

    def gradients(self, call, x, dz, packed, work, dW, db, needs_dx):
        g = self.g
        if dW is not None:
            call(direct.weight_gradient, x, work.starts, dz, dW, db, work.panels, g.k_h, g.row_stride, g.row_length)
        if not needs_dx:
            return None
        call(direct.input_gradient, dz, work.starts, packed, work.dx, g.k_h, g.k_w, g.row_stride)
        return g.interior(work.dx)


class SmallChannelsForward(Divisible):
    """Few channels: the weights of LANES filters stay in registers while the windows go by."""

    name = "register-resident"

    @staticmethod
    def supports(g) -> bool:
        """2×2 windows, and taps that fit into the registers."""
        return (g.p_h, g.p_w, g.s_h, g.s_w) == (2, 2, 1, 1) and small_channels.supports_forward(g.k_h, g.k_w, g.c)

    def __init__(self, geometry: Geometry):
        self.g = geometry

    def allocate_packed(self):
        return small_channels.packed_weights(self.g.k_h, self.g.k_w, self.g.c, self.g.filters)

    def pack(self, call, W, bias, packed):
        call(small_channels.pack_weights, W, bias, packed)

    def allocate(self, n):
        return ()

    def forward(self, call, x, packed, y, argmax, work):
        small_channels.convolve_pool(call, x, packed, y, argmax, self.g.k_h, self.g.k_w, self.g.relu)

    def shares(self, x, y, argmax, threads):
        lines = [(times(part, 2, more=self.g.k_h - 1), part) for part in even_parts(y.shape[1], threads)]
        return [(x[:, seen], y[:, part], argmax[:, part], ()) for seen, part in lines]


class SmallChannelsBackward:
    """The same for dW. It never computes dx; where dx is needed, the direct algorithm runs."""

    name = "register-resident"

    class Workspace(NamedTuple):
        dz: np.ndarray | None
        sums: np.ndarray

    @staticmethod
    def supports(g) -> bool:
        """Without a pool or with 2×2 windows, and not too many taps."""
        possible = (g.s_h, g.s_w) == (1, 1) and (not g.pooled or (g.p_h, g.p_w) == (2, 2))
        return possible and small_channels.supports_gradient(g.k_h, g.k_w, g.c)

    def __init__(self, geometry: Geometry):
        self.g, self.direct = geometry, DirectBackward(geometry)

    def allocate_packed(self):
        return self.direct.allocate_packed()

    def pack(self, call, W, bias, packed):
        self.W = W

    def allocate(self, n):
        g = self.g
        dz = None if g.pooled else aligned_empty((n, g.out_h, g.out_w, g.filters))
        return self.Workspace(dz, small_channels.packed_weights(g.k_h, g.k_w, g.c, g.filters))

    def backward(self, call, x, y, argmax, dy, packed, work, dW, db, needs_dx):
        if needs_dx:
            return self.with_dx(call, packed).backward(
                call, x, y, argmax, dy, packed, self.direct.allocate(len(x)), dW, db, True
            )
        if not self.g.pooled:
            activation_backward(call, self.g, dy, y, argmax, work.dz)
            return self.gradients(call, x, work.dz, packed, work, dW, db, needs_dx)
        small_channels.pooled_gradient(call, x, dy, argmax, dW, db, work.sums)
        return None

    def gradients(self, call, x, dz, packed, work, dW, db, needs_dx):
        if needs_dx:
            direct_work = self.direct.allocate(len(x))
            return self.with_dx(call, packed).gradients(call, x, dz, packed, direct_work, dW, db, True)
        small_channels.gradient(call, x, dz, dW, db, work.sums)
        return None

    def with_dx(self, call, packed) -> DirectBackward:
        """The direct algorithm, its weights packed."""
        self.direct.pack(call, self.W, None, packed)
        return self.direct


class SparseBackward:
    """Behind a max-pool three quarters of dz are zeros, and more behind a ReLU: only the rest is worked on."""

    name = "sparse"

    class Workspace(NamedTuple):
        starts: np.ndarray
        scratch: tuple[np.ndarray, ...]
        dx: np.ndarray

    @staticmethod
    def supports(g) -> bool:
        """A row of the kernel must fill a register; and enough of dz must be zeros.

        A ReLU alone leaves about half: less work than the direct algorithm (1.1 for 1.6 ms on 5×5×64 -> 64), not less
        than Winograd's.
        """
        few = g.p_h * g.p_w >= 3 if g.pooled else g.relu and not WinogradBackward.supports(g)
        return few and g.row_length >= LANES

    def __init__(self, geometry: Geometry):
        self.g, self.cells = geometry, geometry.cells
        self.tile = sparse_backward.sparse_tile(geometry.k_h, geometry.k_w, geometry.c)

    def allocate_packed(self):
        g = self.g
        return aligned_empty(round_up(g.filters) * g.k_h * round_up(g.row_length))

    def pack(self, call, W, bias, packed):
        rows, vectors = self.tile
        call(sparse_backward.pack_filters, W, packed, len(rows), len(vectors))

    def allocate(self, n):
        g = self.g
        windows = g.y_shape[0] * g.y_shape[1]
        scratch = sparse_backward.sparse_scratch(g.k_h, g.k_w, g.c, g.filters, windows, len(self.cells))
        return self.Workspace(g.window_starts(n), scratch, aligned_empty((n, g.padded_h, g.padded_w, g.c)))

    def backward(self, call, x, y, argmax, dy, packed, work, dW, db, needs_dx):
        g, target = self.g, work.dx if needs_dx else work.dx[:0]
        if not g.pooled:
            call(sparse_backward.relu_argmax, y, argmax)
        sparse_backward.sparse_gradients(
            call, x, work.starts, self.cells, dy, argmax, packed, dW, db, target, work.scratch, g.row_stride, *self.tile
        )
        return g.interior(work.dx) if needs_dx else None


def choose_forward(g: Geometry) -> Any:
    """The fastest algorithm that supports the convolution."""
    candidates = SmallChannelsForward, WinogradPool, WinogradForward
    return next((algorithm for algorithm in candidates if algorithm.supports(g)), DirectForward)(g)


def choose_inference(g: Geometry, few: bool) -> Any:
    """The fastest algorithm for inference. few: whether there are a few images at a time."""
    candidates = SmallChannelsForward, WinogradAndPool
    algorithm = next((algorithm for algorithm in candidates if algorithm.supports(g)), choose_forward)(g)
    if isinstance(algorithm, WinogradForward):
        algorithm.few = few
    return algorithm


def choose_backward(g: Geometry, needs_dx: bool, dense: bool) -> Any:
    """The fastest algorithm that supports the convolution.

    needs_dx: whether a layer before this one has parameters. dense: whether what follows the convolution, a BatchNorm,
    makes a gradient without zeros.
    """
    candidates: list[Any] = [WinogradBackward] if dense else [SparseBackward, WinogradBackward]
    candidates = candidates if needs_dx else [SmallChannelsBackward, *candidates]
    return next((algorithm for algorithm in candidates if algorithm.supports(g)), DirectBackward)(g)


def round_up(count: int) -> int:
    """`count`, rounded up to whole registers."""
    return -(-count // LANES) * LANES
