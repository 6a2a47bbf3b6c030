"""The matrix product, and the loop inside every other product of this package.

    C = A @ B           (m, k) @ (k, n) -> (m, n)

A tile of C, 6 rows x 4 vectors or 12 x 2, is kept in registers while the sum over k runs. Each step reads one number of
every row of A, one row of B, and does rows x vectors multiply-adds:

                      B  row i:  [ vector | vector | vector | vector ]        4 registers
    A column i:   a0  ->         [ tile 0,0   0,1      0,2      0,3  ]
    (broadcast)   a1  ->         [ tile 1,0   1,1      1,2      1,3  ]        24 registers
                  ..                            ..
                  a5  ->         [ tile 5,0   5,1      5,2      5,3  ]

Ten loads feed 24 multiply-adds, so the arithmetic units wait for nothing. B is packed first, in *panels* as wide as a
tile and padded with zeros: then the loop walks through B in a straight line of aligned vectors, and the edge of the
matrix needs care in the final store only. A has no such need: its rows are where `rows` says, so the same loop reads
matrices, transposed matrices, and the patches of an image.

AMD Zen 4, one thread, of 118 GFLOP/s that its multiply-add units can do:
"""

import numpy as np

from .jit import inline, jit
from .simd import (LANES, load_first, load_row, load_tile, load_tile_first, maximum, offsets, outer_fma, store,
                   store_tile, store_tile_first, zero_tile)
from .target import PAIR, ROWS, SINGLE


@jit
def panel_width(left):
    """How many columns the next panel has when `left` columns are still to come: two vectors, or one."""
    return 2 * LANES if left > LANES else LANES


@jit
def padded_width(n):
    """n columns and the zeros that fill the last vector."""
    return (n + LANES - 1) // LANES * LANES


@jit
def pack_rows(b, first, count, n, panels, height, row):
    """Copy rows first .. first + count of B (.., n) into panels of `height` rows, from their row `row` on.

    The panel that begins with column j is `height` rows of its width, one after the other from panels[j * height].
    """
    j = 0
    while j < n:
        width = panel_width(n - j)
        for i in range(count):
            for v in range(0, width, LANES):
                store(panels, j * height + (row + i) * width + v, load_first(b, (first + i) * n + j + v, n - j - v))
        j += width


@jit
def pack_rows_transposed(b, at, n, k, panels, height, row):
    """The same with the k rows of a transpose: row i is b[at + i], b[at + i + k], ..., n ROWS."""
    j = 0
    while j < n:
        width = panel_width(n - j)
        for column in range(width):
            for i in range(k):
                number = b[at + (j + column) * k + i] if j + column < n else np.float32(0)
                panels[j * height + (row + i) * width + column] = number
        j += width


@jit
def pack_panels(b, bias, panels):
    """Copy B (k, n) and its bias (n) into `panels`, an aligned array of (k + 1) * padded_width(n) floats.

    The bias is the row of B that multiplies a column of ones: the first of the panels' k + 1 rows.
    """
    k, n = b.shape
    pack_rows(bias, 0, 1, n, panels, k + 1, 0)
    pack_rows(b, 0, k, n, panels, k + 1, 1)


@jit
def pack_panels_transposed(b, bias, panels):
    """Copy the transpose of B (n, k) and a bias (n) into `panels`, as `pack_panels` would copy a (k, n) matrix."""
    n, k = b.shape
    pack_rows(bias, 0, 1, n, panels, k + 1, 0)
    pack_rows_transposed(b.reshape(-1), 0, n, k, panels, k + 1, 1)


@inline
def product(tile, a, rows, at, step, panels, row, columns, count):
    """tile[r, :] + sum over i < count of a[rows[r] + at + i * step] * (row i of the panel that begins at `row`)."""
    width = len(columns) * LANES
    for i in range(count):
        tile = outer_fma(tile, a, rows, at + i * step, load_row(panels, row + i * width, columns))
    return tile


@inline
def load_columns(a, rows, at, columns, left):
    """The tile at a[rows + at]: zero from column `left` on, where the matrix ends."""
    if left >= len(columns) * LANES:
        tile = load_tile(a, rows, at, columns)
    else:
        tile = load_tile_first(a, rows, at, columns, left)
    return tile


@inline
def store_columns(a, rows, at, columns, left, tile):
    """Write a tile to a[rows + at], but not from column `left` on, where the matrix ends."""
    if left >= len(columns) * LANES:
        store_tile(a, rows, at, columns, tile)
    else:
        store_tile_first(a, rows, at, columns, tile, left)


@inline
def strip(a, row_step, step, panels, c, j, floor, add, columns, k):
    """All rows of one panel's columns of C."""
    m, n = c.shape
    panel = j * (k + 1)
    for first in range(0, m, len(ROWS)):
        places = offsets(ROWS, first, m - 1, n)
        tile = zero_tile(ROWS, columns) + load_row(panels, panel, columns)
        if add:
            tile = load_columns(c, places, j, columns, n - j)
        rows = offsets(ROWS, first, m - 1, row_step)
        tile = product(tile, a, rows, 0, step, panels, panel + len(columns) * LANES, columns, k)
        store_columns(c, places, j, columns, n - j, maximum(floor, tile))


@jit
def matmul(a, panels, c, relu, add, transposed):
    """C = A @ B"""
    m, n = c.shape
    k = a.size // m
    row_step, step = (1, m) if transposed else (k, 1)
    floor = np.float32(0 if relu else -np.inf)
    j = 0
    while j < n:
        width = panel_width(n - j)
        if width > LANES:
            strip(a, row_step, step, panels, c, j, floor, add, PAIR, k)
        else:
            strip(a, row_step, step, panels, c, j, floor, add, SINGLE, k)
        j += width
