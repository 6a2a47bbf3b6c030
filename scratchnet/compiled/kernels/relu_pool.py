"""Through a ReLU and a max-pool, for the kernels that do not do it in registers.

    y  = max z over each window                     max_pool; max_pool_argmax: and which cell it was
    dz = dy where y > 0                             relu_backward; relu_bias_backward: and db = Σ dz
    dz = dy at the argmax of each window, else 0    max_pool_backward

Positions that belong to no window, in the last rows and columns, keep the zeros that they were allocated with.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.kernels.window import larger, nan_if_any
from scratchnet.compiled.simd.intrinsics import LANES, broadcast, load_partial, narrow, select, store_partial, widen


@jit
def max_pool(z, p_h, p_w, y):
    """y = the largest of each window of p_h × p_w positions of z; windows do not overlap. NaN if one of them is."""
    n, out_h, out_w, f = y.shape
    h, w = z.shape[1], z.shape[2]
    for window in range(n * out_h * out_w):
        i, u, v = window // (out_h * out_w), window // out_w % out_h, window % out_w
        start = ((i * h + u * p_h) * w + v * p_w) * f
        for k in range(0, f, LANES):
            best = load_partial(z, start + k, f - k)
            total = best
            for cell in range(1, p_h * p_w):
                rival = load_partial(z, start + (cell // p_w * w + cell % p_w) * f + k, f - k)
                best = select(rival > best, rival, best)
                total = total + rival
            store_partial(y, window * f + k, nan_if_any(total, best), f - k)


@jit
def max_pool_argmax(z, p_h, p_w, y, argmax):
    """The same, and the number of the cell that it was found in: of equals the first."""
    n, out_h, out_w, f = y.shape
    h, w = z.shape[1], z.shape[2]
    for window in range(n * out_h * out_w):
        i, u, v = window // (out_h * out_w), window // out_w % out_h, window % out_w
        start = ((i * h + u * p_h) * w + v * p_w) * f
        for k in range(0, f, LANES):
            best, which = load_partial(z, start + k, f - k), broadcast(0)
            total = best
            for cell in range(1, p_h * p_w):
                rival = load_partial(z, start + (cell // p_w * w + cell % p_w) * f + k, f - k)
                best, which = larger(best, which, rival, cell)
                total = total + rival
            store_partial(y, window * f + k, nan_if_any(total, best), f - k)
            store_partial(argmax, window * f + k, narrow(which), f - k)


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
def max_pool_backward(dy, argmax, p_h, p_w, dz):
    """dz = dy at the argmax of each window, 0 at its other cells."""
    n, out_h, out_w, f = dy.shape
    h, w = dz.shape[1], dz.shape[2]
    for i in range(n):
        for u in range(out_h):
            for v in range(out_w):
                start = ((i * out_h + u) * out_w + v) * f
                for k in range(0, f, LANES):
                    g = load_partial(dy, start + k, f - k)
                    which = widen(load_partial(argmax, start + k, f - k))
                    for cell in range(p_h * p_w):
                        row, column = u * p_h + cell // p_w, v * p_w + cell % p_w
                        at = ((i * h + row) * w + column) * f + k
                        store_partial(dz, at, select(which == broadcast(cell), g, broadcast(np.float32(0))), f - k)
