"""Through a ReLU and a max-pool, for the kernels that do not do it in registers.

    y  = max z over each window                     max_pool; max_pool_argmax: and which cell it was
    dz = dy where y > 0                             relu_backward; relu_bias_backward: and db = Σ dz
    dz = dy at the argmax of each window, else 0    max_pool_backward

Windows do not overlap. `rows` and `columns` are a window's, numbered, from `sides`: as many as the tuples have the
compiler unrolls, which takes a third of the time (24×24×32 numbers, windows of 2×2, AMD EPYC with AVX2: 1.6 µs instead
of 6.7 with sizes known at run time).

Positions that belong to no window, in the last rows and columns, keep the zeros that they were allocated with.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.kernels.window import larger, nan_if_any
from scratchnet.compiled.simd.intrinsics import LANES, broadcast, load_partial, narrow, select, store_partial, widen


def sides(p_h: int, p_w: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The numbers of a window's rows and those of its columns.

    >>> sides(2, 3)
    ((0, 1), (0, 1, 2))
    """
    return tuple(range(p_h)), tuple(range(p_w))


@jit
def max_pool(z, rows, columns, y):
    """y = the largest of each window of z. NaN if one of them is."""
    n, out_h, out_w, f = y.shape
    h, w = z.shape[1], z.shape[2]
    for i in range(n):
        for u in range(out_h):
            for v in range(out_w):
                start, to = ((i * h + u * len(rows)) * w + v * len(columns)) * f, ((i * out_h + u) * out_w + v) * f
                for k in range(0, f, LANES):
                    best, total = broadcast(np.float32(-np.inf)), broadcast(np.float32(0))
                    for row in rows:
                        for column in columns:
                            rival = load_partial(z, start + (row * w + column) * f + k, f - k)
                            best = select(rival > best, rival, best)
                            total = total + rival
                    store_partial(y, to + k, nan_if_any(total, best), f - k)


@jit
def max_pool_argmax(z, rows, columns, y, argmax):
    """The same, and the number of the cell that it was found in: of equals the first."""
    n, out_h, out_w, f = y.shape
    h, w = z.shape[1], z.shape[2]
    for i in range(n):
        for u in range(out_h):
            for v in range(out_w):
                start, to = ((i * h + u * len(rows)) * w + v * len(columns)) * f, ((i * out_h + u) * out_w + v) * f
                for k in range(0, f, LANES):
                    best, which = broadcast(np.float32(-np.inf)), broadcast(0)
                    total = broadcast(np.float32(0))
                    for row in rows:
                        for column in columns:
                            rival = load_partial(z, start + (row * w + column) * f + k, f - k)
                            best, which = larger(best, which, rival, row * len(columns) + column)
                            total = total + rival
                    store_partial(y, to + k, nan_if_any(total, best), f - k)
                    store_partial(argmax, to + k, narrow(which), f - k)


@jit
def relu_backward(dy, y, relu, dz):
    """dz = dy where y > 0; everywhere if there is no ReLU."""
    source, shown, target = dy.reshape(-1), y.reshape(-1), dz.reshape(-1)
    for k in range(target.size):
        through = shown[k] > 0 or not relu
        target[k] = source[k] if through else np.float32(0)


@jit
def relu_bias_backward(dy, y, relu, dz, db):
    """The same for (n, units), and db = Σ dz over the examples, in one pass."""
    n, units = dy.shape
    db[:] = 0
    for i in range(n):
        for j in range(units):
            g = dy[i, j] if y[i, j] > 0 or not relu else np.float32(0)
            dz[i, j] = g
            db[j] += g


@jit
def max_pool_backward(dy, argmax, rows, columns, dz):
    """dz = dy at the argmax of each window, 0 at its other cells."""
    n, out_h, out_w, f = dy.shape
    h, w = dz.shape[1], dz.shape[2]
    for i in range(n):
        for u in range(out_h):
            for v in range(out_w):
                start, to = ((i * out_h + u) * out_w + v) * f, ((i * h + u * len(rows)) * w + v * len(columns)) * f
                for k in range(0, f, LANES):
                    g = load_partial(dy, start + k, f - k)
                    which = widen(load_partial(argmax, start + k, f - k))
                    for row in rows:
                        for column in columns:
                            won, at = which == row * len(columns) + column, to + (row * w + column) * f + k
                            store_partial(dz, at, select(won, g, broadcast(np.float32(0))), f - k)
