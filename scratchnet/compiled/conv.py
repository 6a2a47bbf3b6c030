"""Conv2D [+ ReLU] [+ MaxPool2D] as one step of the plan, and which kernels do it.

    forward     Winograd      3×3, stride 1, enough channels            winograd
                direct        everything else                           convolution
    backward    Winograd or direct, on dz: dy where ReLU and the pool let it through, 0 elsewhere

The convolution's own output is never written where a pool follows: a window's candidates are compared in
registers, and what stays is the largest and a byte that says which one it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scratchnet.compiled.conv_ways import Direct, Winograd
from scratchnet.compiled.convolution import DEAD
from scratchnet.compiled.jit import jit
from scratchnet.compiled.memory import aligned_empty, aligned_zeros
from scratchnet.compiled.simd import LANES, broadcast, load_first, select, store_first, widen
from scratchnet.compiled.twin import Twin, bias_or_zeros, contiguous
from scratchnet.layers import MaxPool2D, ReLU


@dataclass
class Geometry:
    """The sizes of one convolution: what all its kernels are told."""

    h: int  # of the image
    w: int
    c: int
    filters: int
    k_h: int
    k_w: int
    s_h: int  # stride
    s_w: int
    top: int  # padding
    left: int
    padded_h: int  # of the image with its padding
    padded_w: int
    out_h: int  # of the convolution's output
    out_w: int
    p_h: int  # of a pool's window; 1 without a pool
    p_w: int
    relu: bool
    pooled: bool

    @property
    def line(self) -> int:
        """Numbers from one row of the padded image to the next."""
        return self.padded_w * self.c

    @property
    def run(self) -> int:
        """Numbers in one row of a patch: they lie side by side."""
        return self.k_w * self.c

    @property
    def y_shape(self) -> tuple[int, int, int]:
        """One example's output, after the pool."""
        return self.out_h // self.p_h, self.out_w // self.p_w, self.filters


class ConvTwin(Twin):
    """Twin of Conv2D, alone or with ReLU, or with a max-pool whose windows do not overlap, or with both."""

    @classmethod
    def accepts(cls, layers, input_shape):
        pool = layers[-1]
        return not isinstance(pool, MaxPool2D) or (pool.stride == pool.pool_size and np.prod(pool.pool_size) < DEAD)

    def __init__(self, layers, input_shape, wants_dx: bool):
        self.layers, self.conv, self.wants_dx = layers, layers[0], wants_dx
        self.geometry = g = geometry_of(layers, input_shape)
        self.bias = bias_or_zeros(self.conv, g.filters)
        self.way = Winograd(g) if Winograd.suits(g) else Direct(g)

    def allocate_packed(self):
        return self.way.allocate_packed()

    def pack(self, packed):
        self.way.pack(self.conv.W, self.bias, packed)

    def allocate(self, n):
        g = self.geometry
        padded = aligned_zeros((n, g.padded_h, g.padded_w, g.c))
        y, winner = aligned_empty((n, *g.y_shape)), np.empty((n, *g.y_shape), np.uint8)
        return padded, y, winner, self.way.allocate(n)

    def forward(self, x, ctx):
        g, x = self.geometry, contiguous(x)
        padded, y, winner, memory = ctx.arrays(self, len(x))
        if padded.shape != x.shape:
            copy_into_middle(x, g.top, g.left, padded)
            x = padded
        self.way.forward(x, ctx.packed(self), y, winner, memory)
        return y, (x, y, winner, memory, ctx)

    def backward(self, dy, cache):
        x, y, winner, memory, ctx = cache
        g, grads, dy = self.geometry, ctx.gradients(self), contiguous(dy)
        dz, top, left = self.way.dz(memory)
        if g.pooled:
            spread(dy, winner, g.p_h, g.p_w, top, left, dz)
        else:
            gate(dy, y, g.relu, top, left, dz)
        db = grads["b"] if self.conv.use_bias else np.empty(g.filters, np.float32)
        self.way.weight_gradient(x, grads["W"], db, memory)
        if not (self.wants_dx or ctx.wants_dx):
            return None, grads
        return self.way.input_gradient(ctx.packed(self), memory), grads

    def describe(self):
        return self.way.words


def geometry_of(layers, input_shape) -> Geometry:
    """The sizes of a built Conv2D and of what follows it."""
    conv, pool = layers[0], layers[-1] if isinstance(layers[-1], MaxPool2D) else None
    (h, w, c), win = input_shape, conv.windows
    p_h, p_w = pool.pool_size if pool else (1, 1)
    return Geometry(
        h, w, c, conv.filters, win.k_h, win.k_w, win.stride_h, win.stride_w, win.top, win.left,
        h + win.top + win.bottom, w + win.left + win.right, win.out_h, win.out_w, p_h, p_w,
        relu=any(isinstance(layer, ReLU) for layer in layers), pooled=pool is not None,
    )  # fmt: skip


@jit
def copy_into_middle(x, top, left, padded):
    """Copy the images into the middle of larger ones whose borders are zero already."""
    n, h, w, c = x.shape
    big_h, big_w = padded.shape[1], padded.shape[2]
    source, target = x.reshape(-1), padded.reshape(-1)
    for i in range(n):
        for u in range(h):
            start, to = (i * h + u) * w * c, ((i * big_h + top + u) * big_w + left) * c
            for k in range(w * c):
                target[to + k] = source[start + k]


@jit
def gate(dy, y, relu, top, left, dz):
    """dz = dy where ReLU let something through, into the middle of an image whose borders are zero already."""
    n, h, w, f = dy.shape
    big_h, big_w = dz.shape[1], dz.shape[2]
    source, shown, target = dy.reshape(-1), y.reshape(-1), dz.reshape(-1)
    for i in range(n):
        for u in range(h):
            start, to = (i * h + u) * w * f, ((i * big_h + top + u) * big_w + left) * f
            for k in range(w * f):
                through = shown[start + k] > 0 or not relu
                target[to + k] = source[start + k] if through else np.float32(0)


@jit
def spread(dy, winner, p_h, p_w, top, left, dz):
    """dz = dy at the winner of each window, 0 elsewhere, into the middle of an image whose borders are zero."""
    n, out_h, out_w, f = dy.shape
    big_h, big_w = dz.shape[1], dz.shape[2]
    for i in range(n):
        for u in range(out_h):
            for v in range(out_w):
                start = ((i * out_h + u) * out_w + v) * f
                for k in range(0, f, LANES):
                    g = load_first(dy, start + k, f - k)
                    which = widen(load_first(winner, start + k, f - k))
                    for cell in range(p_h * p_w):
                        row, column = top + u * p_h + cell // p_w, left + v * p_w + cell % p_w
                        at = ((i * big_h + row) * big_w + column) * f + k
                        store_first(dz, at, select(which == broadcast(cell), g, broadcast(np.float32(0))), f - k)
