"""Through a ReLU and a max-pool, for the kernels that do not do it in registers.

    y = max z over each window                              max_pool, if nobody will ask for dz
    dz = dy where the ReLU let something through            gate
    dz = dy at the winner of each window, 0 elsewhere       spread

Positions that belong to no window, in the last row or column, are left as they are: zeros from the start.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.jit import jit
from scratchnet.compiled.simd import LANES, broadcast, load_first, select, store_first, widen


def pass_on(g, dy, y, winner, dz) -> None:
    """dz from dy, for a convolution of geometry g: through the pool to the winners, or through the ReLU."""
    if g.pooled:
        spread(dy, winner, g.p_h, g.p_w, dz)
    else:
        gate(dy, y, g.relu, dz)


@jit
def copy(a, b):
    """b = a, both flat"""
    for i in range(a.size):
        b[i] = a[i]


@jit
def copy_into_middle(x, top, left, padded):
    """Copy images into the middle of larger ones: the padding of a convolution."""
    n, h, w, c = x.shape
    big_h, big_w = padded.shape[1], padded.shape[2]
    for i in range(n):
        for u in range(h):
            start, to = (i * h + u) * w * c, ((i * big_h + top + u) * big_w + left) * c
            for k in range(0, w * c, LANES):
                store_first(padded, to + k, load_first(x, start + k, w * c - k), w * c - k)


@jit
def max_pool(z, p_h, p_w, y):
    """y = the largest of each window of p_h × p_w positions of z; windows do not overlap. NaN if one of them is."""
    n, out_h, out_w, f = y.shape
    h, w = z.shape[1], z.shape[2]
    for window in range(n * out_h * out_w):
        i, u, v = window // (out_h * out_w), window // out_w % out_h, window % out_w
        start = ((i * h + u * p_h) * w + v * p_w) * f
        for k in range(0, f, LANES):
            best = load_first(z, start + k, f - k)
            total = best
            for cell in range(1, p_h * p_w):
                rival = load_first(z, start + (cell // p_w * w + cell % p_w) * f + k, f - k)
                best = select(rival > best, rival, best)
                total = total + rival                 # NaN if one of them is, which no comparison would notice
            store_first(y, window * f + k, select(total == total, best, total), f - k)


@jit
def gate(dy, y, relu, dz):
    """dz = dy where y > 0; everywhere if there is no ReLU."""
    source, shown, target = dy.reshape(-1), y.reshape(-1), dz.reshape(-1)
    for k in range(target.size):
        through = shown[k] > 0 or not relu
        target[k] = source[k] if through else np.float32(0)


@jit
def spread(dy, winner, p_h, p_w, dz):
    """dz = dy at the winner of each window, 0 at its other cells."""
    n, out_h, out_w, f = dy.shape
    h, w = dz.shape[1], dz.shape[2]
    for i in range(n):
        for u in range(out_h):
            for v in range(out_w):
                start = ((i * out_h + u) * out_w + v) * f
                for k in range(0, f, LANES):
                    g = load_first(dy, start + k, f - k)
                    which = widen(load_first(winner, start + k, f - k))
                    for cell in range(p_h * p_w):
                        row, column = u * p_h + cell // p_w, v * p_w + cell % p_w
                        at = ((i * h + row) * w + column) * f + k
                        store_first(dz, at, select(which == broadcast(cell), g, broadcast(np.float32(0))), f - k)
