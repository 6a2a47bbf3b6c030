"""The matrix product for a few rows: C = A @ B with B as it lies in memory.

`gemm.matmul` reads panels of B that were copied before. The copy pays when many rows of A use it. For a few rows it
takes as long as the product, so this kernel reads B (k, n) row by row, where the bias and the sums of up to 8 vectors
of a row of C stay in registers:

    rows of A    tile (rows x vectors)
    1            1 x 8
    2            2 x 4
    3, 4         4 x 4, or 4 x 2 with 16 registers
    more         that of `gemm`

Every sum has the terms of `gemm.matmul` in the same order, so its bits are the same. B should be aligned
(`jit.aligned`): otherwise every vector of it lies in two cache lines.

1600 x 128, one row: 6 µs, 9 µs where B is not aligned; packing takes 20 µs, and the product with panels 17 µs, since it
computes eight rows (AVX-512 Xeon, one thread).
"""

import numpy as np

from scratchnet.compiled.jit.decorators import inline, jit
from scratchnet.compiled.simd.intrinsics import (
    LANES,
    load_row,
    load_row_partial,
    maximum,
    offsets,
    outer_fma,
    store_tile,
    store_tile_partial,
    zero_tile,
)
from scratchnet.compiled.simd.target import PAIR, REGISTERS, ROWS


def tile_for(m: int, n: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The rows and columns of the tile for a product (m, k) @ (k, n).

    >>> rows, columns = tile_for(1, 10 * LANES)
    >>> len(rows), len(columns)
    (1, 8)
    """
    rows = next((r for r in (1, 2, 4) if r >= m), len(ROWS))
    vectors = {1: 8, 2: 4, 4: 4 if REGISTERS == 32 else 2}.get(rows, len(PAIR))
    while vectors > 1 and (vectors // 2) * LANES >= n:
        vectors //= 2
    return tuple(range(rows)), tuple(range(0, vectors * LANES, LANES))


@inline
def row_product(tile, a, rows, at, b, place, columns, k, n):
    """tile[r] + sum over i < k of a[rows[r] + at + i] * (the vectors of B from b[place + i * n] on)."""
    for i in range(k):
        tile = outer_fma(tile, a, rows, at + i, load_row(b, place + i * n, columns))
    return tile


@inline
def row_product_partial(tile, a, rows, at, b, place, columns, k, n, left):
    """The same where the rows of B end after `left` numbers."""
    for i in range(k):
        tile = outer_fma(tile, a, rows, at + i, load_row_partial(b, place + i * n, columns, left))
    return tile


@jit
def matmul_unpacked(a, b, bias, c, start, stop, relu, rows, columns):
    """C = A @ B + bias in the columns from start to stop; then, if `relu`, the larger of C and 0.

    a                (m, k), of any shape
    b, bias          (k, n); (n)
    c                (m, n), written
    rows, columns    from `tile_for`

    >>> a, b, c = np.ones((1, 3), np.float32), np.ones((3, 5), np.float32), np.empty((1, 5), np.float32)
    >>> matmul_unpacked(a, b, np.ones(5, np.float32), c, 0, 5, False, *tile_for(1, 5))
    >>> c
    array([[4., 4., 4., 4., 4.]], dtype=float32)
    """
    m, n = c.shape
    k = a.size // m
    floor = np.float32(0 if relu else -np.inf)
    for first in range(0, m, len(rows)):
        of_a, of_c = offsets(rows, first, m - 1, k), offsets(rows, first, m - 1, n)
        for j in range(start, stop, len(columns) * LANES):
            tile = zero_tile(rows, columns)
            if stop - j >= len(columns) * LANES:
                tile = row_product(tile + load_row(bias, j, columns), a, of_a, 0, b, j, columns, k, n)
                store_tile(c, of_c, j, columns, maximum(floor, tile))
            else:
                tile = tile + load_row_partial(bias, j, columns, stop - j)
                tile = row_product_partial(tile, a, of_a, 0, b, j, columns, k, n, stop - j)
                store_tile_partial(c, of_c, j, columns, maximum(floor, tile), stop - j)
