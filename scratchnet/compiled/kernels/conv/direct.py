"""Convolution as a matrix product whose left-hand side is never written down.

    y[p, f] = b[f] + sum over u, v, c of  x[at p + (u, v), c] * W[u, v, c, f]

The patch at position p, unrolled, would be a row of a matrix A with k_h * k_w * c columns (im2col). With channels last
it is in memory already, as k_h rows of k_w * c contiguous numbers, `row_stride` numbers apart: row u of the patch
begins at start[p] + u * row_stride. The matrix product's loop takes its rows of A from any tuple of offsets, so it gets
the starts of eight positions and walks along their rows. No patch is copied. A table of starts, computed once, also
handles strides, and tiles that reach from one line or one image into the next.

The two gradients are the same loop with the roles exchanged (shapes as in the sum above, P positions):

    dW = A^T @ dy      (k_h*k_w*c, P) @ (P, f)     tile: 8 numbers of a run x 2 vectors of filters; sum over positions
    dx += dy @ W^T     (P, f) @ (f, c), per tap    tile: 8 positions x 2 vectors of channels; sum over filters

Images are padded by their caller. AMD Zen 4, one thread, GFLOP/s of 118 at best, 3x3 kernels:
                       forward   with 2x2 max-pool   dW    dx
    13x13x32 -> 64       116            116          111   114
    30x30x32 -> 32       115            114          109   109
    9x9x64 -> 128        117            117          112   115
"""

import numpy as np

from scratchnet.compiled.jit.decorators import inline, jit
from scratchnet.compiled.kernels.gemm import (
    add_row_sums,
    load_columns,
    pack_rows,
    pack_rows_transposed,
    padded_width,
    panel_width,
    product,
    store_columns,
)
from scratchnet.compiled.kernels.window import larger, nan_if_any
from scratchnet.compiled.simd.intrinsics import (
    LANES,
    broadcast,
    load,
    load_row,
    maximum,
    narrow,
    offsets,
    outer_fma,
    select,
    store_partial,
    store_tile,
    table_offsets,
    zero_tile,
)
from scratchnet.compiled.simd.target import PAIR, ROWS, SINGLE

NO_GRADIENT = 255  # in the place of an argmax: ReLU lets no gradient through
BLOCK = 240  # positions whose dy is packed at a time: 61 kB for 64 filters


def patch_starts(n, h, w, c, out_h, out_w, step_h, step_w):
    """Where the patch of every position begins in images (n, h, w, c) read as flat   -> int32 (n * out_h * out_w)

    >>> patch_starts(1, 4, 4, 2, 2, 2, 1, 1)
    array([ 0,  2,  8, 10], dtype=int32)
    """
    if n * h * w * c > np.iinfo(np.int32).max:
        raise ValueError(
            f"a chunk of {n} images of {h} x {w} x {c} has too many numbers for 32-bit offsets. Use smaller chunks."
        )
    image, row, column = np.ogrid[:n, :out_h, :out_w]
    return (((image * h + row * step_h) * w + column * step_w) * c).astype(np.int32).reshape(-1)


def pool_scratch_size(cells):
    """How many floats of scratch memory `convolve_pool` needs for windows of `cells` cells."""
    return cells * len(ROWS) * len(PAIR) * LANES


@inline
def patches_times_panel(x, rows, at, panels, panel, k_h, row_stride, row_length, columns):
    """The tile bias + patches @ W, in the columns of one panel, for the patches that begin at x[rows + at]."""
    width = len(columns) * LANES
    tile = zero_tile(ROWS, columns) + load_row(panels, panel, columns)
    for u in range(k_h):
        tile = product(
            tile, x, rows, at + u * row_stride, 1, panels, panel + (1 + u * row_length) * width, columns, row_length
        )
    return tile


@inline
def convolve_panel(x, starts, panels, y, j, k_h, row_stride, row_length, floor, columns):
    """All positions of y in the columns of the panel that begins with filter j."""
    f = y.shape[-1]
    positions = y.size // f
    for first in range(0, positions, len(ROWS)):
        rows = table_offsets(ROWS, first, positions - 1, starts)
        tile = patches_times_panel(x, rows, 0, panels, j * (k_h * row_length + 1), k_h, row_stride, row_length, columns)
        store_columns(y, offsets(ROWS, first, positions - 1, f), j, columns, f - j, maximum(floor, tile))


@jit
def convolve(x, starts, panels, y, k_h, row_stride, row_length, relu):
    """y = x * W + bias, and if `relu` the larger of that and 0.

    x         the padded images, any shape; a patch is k_h rows of `row_length` = k_w * c numbers, `row_stride` = w * c
              apart
    starts    from `patch_starts`, at least one for each position of y
    panels    W (k_h * k_w * c, f) and the bias, from `pack_panels`
    y         (n, out_h, out_w, f), written
    """
    f = y.shape[-1]
    floor = np.float32(0 if relu else -np.inf)
    j = 0
    while j < f:
        width = panel_width(f - j)
        if width > LANES:
            convolve_panel(x, starts, panels, y, j, k_h, row_stride, row_length, floor, PAIR)
        else:
            convolve_panel(x, starts, panels, y, j, k_h, row_stride, row_length, floor, SINGLE)
        j += width


@inline
def store_argmax(cells, scratch, rows, width, y, argmax, at, left, floor):
    """The largest of `cells` tiles of a window each, and which it was, for all rows of the tiles in `scratch`."""
    f = y.shape[-1]
    for r in range(rows):
        for v in range(0, min(width, left), LANES):
            best = load(scratch, r * width + v)
            which, total = broadcast(0), best
            for cell in range(1, cells):
                rival = load(scratch, (cell * len(ROWS) + r) * width + v)
                best, which = larger(best, which, rival, cell)
                total = total + rival
            best = nan_if_any(total, best)
            store_partial(argmax, at + r * f + v, narrow(select(best > floor, which, NO_GRADIENT)), left - v)
            store_partial(y, at + r * f + v, maximum(floor, best), left - v)


@inline
def convolve_pool_panel(x, starts, cells, panels, y, argmax, scratch, j, k_h, row_stride, row_length, floor, columns):
    """All windows of y in the columns of the panel that begins with filter j."""
    f = y.shape[-1]
    windows = y.size // f
    width = len(columns) * LANES
    for first in range(0, windows, len(ROWS)):
        rows = table_offsets(ROWS, first, windows - 1, starts)
        for cell in range(cells.size):
            tile = patches_times_panel(
                x, rows, cells[cell], panels, j * (k_h * row_length + 1), k_h, row_stride, row_length, columns
            )
            store_tile(scratch, offsets(ROWS, 0, len(ROWS), width), cell * len(ROWS) * width, columns, tile)
        store_argmax(
            cells.size, scratch, min(len(ROWS), windows - first), width, y, argmax, first * f + j, f - j, floor
        )


@jit
def convolve_pool(x, starts, cells, panels, y, argmax, scratch, k_h, row_stride, row_length, relu):
    """`convolve` followed by max-pooling over windows that do not overlap; the convolution's output is never stored.

    The rows of a tile are eight windows; their cells come one after the other, each a tile that waits in `scratch`, in
    the first-level cache, for the others. Storing and comparing them costs under 1 % of the time of the products.

    starts    int32: where the patch of the first cell of each window begins
    cells     int32: how far the patches of all cells of a window are from that of the first, in row-major order
    y         (n, out_h, out_w, f) the windows' maxima, written
    argmax    uint8, as y: the number of the cell that was the maximum, the first of equals; NO_GRADIENT where it is not
              above 0 and `relu` cuts it off
    scratch   aligned, `pool_scratch_size(len(cells))` floats
    """
    f = y.shape[-1]
    floor = np.float32(0 if relu else -np.inf)
    j = 0
    while j < f:
        width = panel_width(f - j)
        if width > LANES:
            convolve_pool_panel(
                x, starts, cells, panels, y, argmax, scratch, j, k_h, row_stride, row_length, floor, PAIR
            )
        else:
            convolve_pool_panel(
                x, starts, cells, panels, y, argmax, scratch, j, k_h, row_stride, row_length, floor, SINGLE
            )
        j += width


@inline
def weight_panel(x, starts, p, count, panels, dw, db, j, k_h, row_stride, row_length, columns):
    """Add what the `count` positions from p on contribute to dW[:, j ...] and db[j ...]; `panels` holds their dy."""
    f = db.size
    width = len(columns) * LANES
    add_row_sums(panels, j * BLOCK, count, columns, db, j, f - j)
    for u in range(k_h):
        for first in range(0, row_length, len(ROWS)):
            rows = offsets(ROWS, first, row_length - 1, 1)
            places = offsets(ROWS, u * row_length + first, u * row_length + row_length - 1, f)
            tile = load_columns(dw, places, j, columns, f - j)
            for q in range(count):
                row = load_row(panels, j * BLOCK + q * width, columns)
                tile = outer_fma(tile, x, rows, u * row_stride + starts[p + q], row)
            store_columns(dw, places, j, columns, f - j, tile)


@jit
def weight_gradient(x, starts, dy, dw, db, panels, k_h, row_stride, row_length):
    """dW = sum over positions of patch^T @ dy, db = sum over positions of dy.

    x, starts    as for `convolve`
    dy           (n, out_h, out_w, f)
    dw, db       (k_h, k_w, c, f) and (f), written
    panels       aligned scratch memory, BLOCK * padded_width(f) floats: dy of BLOCK positions, in panels
    """
    f = db.size
    positions = dy.size // f
    dw.fill(0)
    db.fill(0)
    for p in range(0, positions, BLOCK):
        count = min(BLOCK, positions - p)
        pack_rows(dy.reshape(-1), p, count, f, panels, BLOCK, 0)
        j = 0
        while j < f:
            width = panel_width(f - j)
            if width > LANES:
                weight_panel(x, starts, p, count, panels, dw, db, j, k_h, row_stride, row_length, PAIR)
            else:
                weight_panel(x, starts, p, count, panels, dw, db, j, k_h, row_stride, row_length, SINGLE)
            j += width


@jit
def pack_taps(w, panels):
    """Copy the transpose (f, c) of every tap of W (k_h, k_w, c, f) into panels, for `input_gradient`.

    panels    aligned, k_h * k_w * f * padded_width(c) floats; tap t's begin at t * f * padded_width(c)
    """
    k_h, k_w, c, f = w.shape
    size = f * padded_width(c)
    for tap in range(k_h * k_w):
        pack_rows_transposed(w.reshape(-1), tap * c * f, f, c, panels[tap * size :], f, 0)


@inline
def input_panel(dy, starts, p, last, panels, panel, dx, at, left, f, columns):
    """dx[starts + at] += dy @ W^T for positions p .. last, one tap, in the columns (channels) of one panel."""
    for first in range(p, last + 1, len(ROWS)):
        places = table_offsets(ROWS, first, last, starts)
        tile = load_columns(dx, places, at, columns, left)
        tile = product(tile, dy, offsets(ROWS, first, last, f), 0, 1, panels, panel, columns, f)
        store_columns(dx, places, at, columns, left, tile)


@jit
def input_gradient(dy, starts, panels, dx, k_h, k_w, row_stride):
    """dx = what every patch receives from its position's dy, added up where patches overlap.

    Tap by tap, because the pixels that one tap meets at different positions are different pixels: the rows of a tile
    can be added to dx together. Any stride, and nothing is multiplied by zeros that padding or dilation put there.

    dy        (n, out_h, out_w, f)
    starts    as for `convolve`
    panels    W^T per tap, from `pack_taps`
    dx        (n, h, w, c), written; with padding, the gradient of the padded images
    """
    f, c = dy.shape[-1], dx.shape[-1]
    positions = dy.size // f
    dx.fill(0)
    for p in range(0, positions, BLOCK):  # a block's dx and dy stay in the cache through all taps
        last = min(p + BLOCK, positions) - 1
        for tap in range(k_h * k_w):
            at = tap // k_w * row_stride + tap % k_w * c
            panel = tap * f * padded_width(c)
            j = 0
            while j < c:
                width = panel_width(c - j)
                if width > LANES:
                    input_panel(dy, starts, p, last, panels, panel + j * f, dx, at + j, c - j, f, PAIR)
                else:
                    input_panel(dy, starts, p, last, panels, panel + j * f, dx, at + j, c - j, f, SINGLE)
                j += width
