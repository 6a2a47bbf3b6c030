"""Convolution with the weights as they lie in memory, for a few images, and an inference BatchNorm behind it.

    y[p, f] = a[f] · max(b[f] + Σ over u, v, c of x[at p + (u, v), c] · W[u, v, c, f], floor) + s[f]

W (k_h, k_w, c, f) *is* the matrix (k_h · k_w · c, f) of `direct`, whose rows the loop of `skinny_gemm` reads without a
copy. BatchNorm's a = γ / √(σ² + ε) and s = β - μ a are applied to the few results instead of being folded into the
many weights.

A single 7x7x64 image -> 128: 26 µs. Winograd takes 13 µs when its transformed weights, four times as many numbers, are
in the second-level cache, and 45 µs when they are not (AVX-512 Xeon, one thread).
"""

import numpy as np

from scratchnet.compiled.jit.decorators import inline, jit
from scratchnet.compiled.kernels.skinny_gemm import row_product, row_product_partial
from scratchnet.compiled.simd.intrinsics import (
    LANES,
    load_row,
    load_row_partial,
    maximum,
    offsets,
    store_tile,
    store_tile_partial,
    table_offsets,
    zero_tile,
)


@jit
def scale_and_shift(gamma, beta, mean, var, epsilon, a, s):
    """a = γ / √(σ² + ε) and s = β - μ a, for every channel."""
    for i in range(a.size):
        a[i] = gamma[i] / np.sqrt(var[i] + np.float32(epsilon))
        s[i] = beta[i] - mean[i] * a[i]


@inline
def patches_times(tile, x, patches, w, j, f, k_h, row_stride, row_length, columns):
    """tile + patches @ W, in whole columns from filter j on."""
    for u in range(k_h):
        tile = row_product(tile, x, patches, u * row_stride, w, u * row_length * f + j, columns, row_length, f)
    return tile


@inline
def patches_times_partial(tile, x, patches, w, j, f, k_h, row_stride, row_length, columns):
    """The same where the filters end within the columns."""
    for u in range(k_h):
        at, place = u * row_stride, u * row_length * f + j
        tile = row_product_partial(tile, x, patches, at, w, place, columns, row_length, f, f - j)
    return tile


@jit
def convolve_unpacked(x, starts, w, bias, norm, y, k_h, row_stride, row_length, floors, rows, columns):
    """y = max(a · max(x * W + bias, floors[0]) + s, floors[1]).

    x               the padded images, any shape; a patch is k_h rows of `row_length` numbers, `row_stride` apart
    starts          where the patch of each position begins
    w, bias, norm   (k_h, k_w, c, f); (f); a and s, each (f)
    y               (n, h, w, f), a position for each start, written
    rows, columns   the tile, as from `skinny_gemm.tile_for`
    """
    f, positions = y.shape[-1], starts.size
    a, s = norm
    for j in range(0, f, len(columns) * LANES):
        left = f - j
        for first in range(0, positions, len(rows)):
            patches = table_offsets(rows, first, positions - 1, starts)
            places = offsets(rows, first, positions - 1, f)
            tile = zero_tile(rows, columns)
            if left >= len(columns) * LANES:
                tile = tile + load_row(bias, j, columns)
                tile = patches_times(tile, x, patches, w, j, f, k_h, row_stride, row_length, columns)
                tile = maximum(floors[0], tile) * load_row(a, j, columns) + load_row(s, j, columns)
                store_tile(y, places, j, columns, maximum(floors[1], tile))
            else:
                tile = tile + load_row_partial(bias, j, columns, left)
                tile = patches_times_partial(tile, x, patches, w, j, f, k_h, row_stride, row_length, columns)
                tile = maximum(floors[0], tile) * load_row_partial(a, j, columns, left)
                tile = tile + load_row_partial(s, j, columns, left)
                store_tile_partial(y, places, j, columns, maximum(floors[1], tile), left)
