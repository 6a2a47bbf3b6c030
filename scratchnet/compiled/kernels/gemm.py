"""The matrix product, and the loop inside every other product of this package.

    C = A @ B           c[r, j] = sum over i of a[r, i] * b[i, j]           (m, k) @ (k, n) -> (m, n)

A tile of C is kept in registers while i runs. Each step reads one number of each of its rows of A and two vectors of a
row of B, and does a multiply-add with every pair of them:

                                        B, row i
                                  [ vector | vector ]         2 registers
    A, column i:       a0  ->     [ sum    | sum    ]
    (a number in       a1  ->     [ sum    | sum    ]         16 registers, and not one of them
    every lane)        ..             ..                      touches memory until i has run
                       a7  ->     [ sum    | sum    ]

Ten loads feed sixteen multiply-adds, so the arithmetic waits for nothing. B is copied first into *panels* two vectors
wide (the last may be one), padded with zeros: the loop walks through a panel in a straight line of aligned vectors,
whatever B's shape, and only the final store must look where the matrix ends. A needs no copy: its rows are where a
tuple of offsets says, so the same loop reads matrices, transposed matrices, and the patches of an image.

AMD Zen 4, one thread, GFLOP/s, of 118 that its multiply-add units can do (B in cache, packing not counted):
    32x1600 @ 1600x128  117      32x576 @ 576x64  114      121x64 @ 64x128  106      32x64 @ 64x10  69
"""

import numpy as np

from scratchnet.compiled.jit.decorators import inline, jit
from scratchnet.compiled.simd.intrinsics import (
    LANES,
    load_partial,
    load_row,
    load_tile,
    load_tile_partial,
    maximum,
    offsets,
    outer_fma,
    store,
    store_tile,
    store_tile_partial,
    transpose,
    zero_tile,
)
from scratchnet.compiled.simd.target import PAIR, ROWS, SINGLE

EACH = tuple(range(LANES))  # the rows of a square of numbers


@jit
def panel_width(left):
    """How wide the next panel is when `left` columns are still to come: two vectors, or one."""
    return 2 * LANES if left > LANES else LANES


@jit
def padded_width(n):
    """n columns, and the zeros that fill the last vector.

    >>> padded_width(1) == padded_width(LANES) == LANES
    True
    """
    return (n + LANES - 1) // LANES * LANES


@jit
def panel_place(j, i, n, height):
    """Where the vector of row i that begins with column j is, in the panels of `height` rows of a matrix (.., n).

    The panel that begins with column j is `height` rows of its width, one after the other from panels[j * height].
    """
    begin = j // (2 * LANES) * (2 * LANES)
    return begin * height + i * panel_width(n - begin) + j - begin


@jit
def pack_rows(b, first, count, n, panels, height, row):
    """Copy rows first .. first + count of B (.., n), given flat, to row `row` and on of panels of `height` rows."""
    for i in range(count):
        for j in range(0, n, LANES):
            store(panels, panel_place(j, row + i, n, height), load_partial(b, (first + i) * n + j, n - j))


@jit
def pack_rows_transposed(b, at, k, n, panels, height, row):
    """The same with the k columns of the matrix (n, k) that begins at b[at]: column i becomes row `row` + i.

    Squares of LANES x LANES are transposed in registers, 1600 x 128 numbers in 0.04 instead of 0.18 ms (AMD Zen 4).
    """
    for j in range(0, n, LANES):
        whole = k // LANES * LANES if j + LANES <= n else 0
        step = panel_width(n - j // (2 * LANES) * (2 * LANES))
        for i in range(0, whole, LANES):
            square = load_tile(b, offsets(EACH, j, n - 1, k), at + i, SINGLE)
            to = panel_place(j, row + i, n, height)
            store_tile(panels, offsets(EACH, 0, LANES, step), to, SINGLE, transpose(square))
        for i in range(whole, k):
            to = panel_place(j, row + i, n, height)
            for lane in range(LANES):
                panels[to + lane] = b[at + (j + lane) * k + i] if j + lane < n else np.float32(0)


@jit
def pack_panels(b, bias, panels):
    """Copy B (k, n) and a bias (n) into `panels`, an aligned array of (k + 1) * padded_width(n) floats.

    The bias becomes the first of the panels' k + 1 rows: it is the row of B that multiplies a column of ones.
    """
    k, n = b.shape
    pack_rows(bias, 0, 1, n, panels, k + 1, 0)
    pack_rows(b.reshape(-1), 0, k, n, panels, k + 1, 1)


@jit
def pack_panels_transposed(b, bias, panels):
    """Copy the transpose of B (n, k) and a bias (n) into `panels`, as `pack_panels` copies a (k, n) matrix."""
    n, k = b.shape
    pack_rows(bias, 0, 1, n, panels, k + 1, 0)
    pack_rows_transposed(b.reshape(-1), 0, k, n, panels, k + 1, 1)


@inline
def product(tile, a, rows, at, step, panels, row, columns, count):
    """tile[r] + sum over i < count of a[rows[r] + at + i * step] * (vectors of the panel's row i, from `row` on)."""
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
        tile = load_tile_partial(a, rows, at, columns, left)
    return tile


@inline
def store_columns(a, rows, at, columns, left, tile):
    """Write a tile to a[rows + at], but nothing from column `left` on, where the matrix ends."""
    if left >= len(columns) * LANES:
        store_tile(a, rows, at, columns, tile)
    else:
        store_tile_partial(a, rows, at, columns, tile, left)


@inline
def add_row_sums(panels, row, count, columns, sums, j, left):
    """sums[j ...] += the sum of `count` rows of the panel, from `row` on."""
    total = load_columns(sums, SINGLE, j, columns, left)
    for q in range(count):
        total = total + load_row(panels, row + q * len(columns) * LANES, columns)
    store_columns(sums, SINGLE, j, columns, left, total)


@inline
def multiply_panel(a, row_step, step, panels, c, j, k, floor, add, columns):
    """All rows of C in the columns of one panel; element (r, i) of A is a[r * row_step + i * step]."""
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
    """C = A @ B + bias, or C += A @ B; then, if `relu`, the larger of C and 0.

    a        (m, k), or if `transposed` (k, m) in place of its transpose
    panels   B (k, n) and the bias, from `pack_panels`
    c        (m, n), written; read only if `add`

    >>> a, b, c = np.ones((2, 3), np.float32), np.ones((3, 5), np.float32), np.empty((2, 5), np.float32)
    >>> panels = np.empty((3 + 1) * padded_width(5), np.float32)
    >>> pack_panels(b, np.zeros(5, np.float32), panels)
    >>> matmul(a, panels, c, relu=False, add=False, transposed=False)
    >>> c[1]
    array([3., 3., 3., 3., 3.], dtype=float32)
    """
    m, n = c.shape
    k = a.size // m
    row_step, step = (1, m) if transposed else (k, 1)
    floor = np.float32(0 if relu else -np.inf)  # data instead of a branch: the larger of C and -inf is C
    j = 0
    while j < n:
        width = panel_width(n - j)
        if width > LANES:
            multiply_panel(a, row_step, step, panels, c, j, k, floor, add, PAIR)
        else:
            multiply_panel(a, row_step, step, panels, c, j, k, floor, add, SINGLE)
        j += width
