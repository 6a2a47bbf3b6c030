"""Backward through Conv2D [+ ReLU] + MaxPool2D, where most of the gradient is zero.

A window of the pool passes its gradient to one position of the convolution's output, the one that was its maximum, and
to none if the ReLU cut that off. With windows of 2x2 at most a quarter of the positions have a gradient; an eighth is
usual. The matrix products of `direct` multiply by the zeros too. Here only the nonzero terms are computed: for a
gradient g of filter f at the position whose patch of the image is `patch`,

    dW[:, :, :, f] += g * patch                dpatch += g * W[:, :, :, f]

The result is exact: the same terms as in the products, in another order.

Both add a contiguous vector times a number. The sum stays in registers, a *tile*, meanwhile:

    dW        of each filter:       [ part of dW[f] ]    += g * [ that part of the patch ]    over its active windows
    dx        at each position:     [ part of dpatch ]   += g * [ that part of W[f] ]         over its active filters

    registers   tile  v0 v1 v2 v3 v4 v5     one row of the kernel: 3 * 32 channels = 6 vectors of 16
                g                           one number in all lanes; the other factor comes from memory

A term is 14 instructions, 6 of them multiply-adds. Bit masks say which terms there are (`simd.bitset`): for each filter
the windows that pass it a gradient, for each cell of each window the filters whose maximum is there. They are found by
comparing whole vectors, in 3 % of the time; writing lists and sorting them took 12 %.

At most BLOCK windows are processed at a time, or one image: then a part of W for all filters (24 kB for 64 filters), or
the image (22 kB), stays in the first-level cache while it is read repeatedly.

AMD Zen 4, one thread, ms per 128 images, dW and dx, 60 % of the windows active:
                                    sparse   Winograd   direct   (its multiply-adds at the peak rate of the CPU)
    13x13x32, 3x3 -> 64, pool 2x2     1.96       7.4      10.2        9.7
    12x12x24, 3x3 -> 32, pool 2x2     0.89       2.6       3.8        3.0
    12x12x32, 5x5 -> 64, pool 2x2     3.5                 14.7       14.2
    5x5x64,   3x3 -> 128, pool 2x2    0.46                 3.0        2.9

The time grows with the terms: 1.05 ms for the first with 25 % active, 2.9 with all. It always pays behind a pool, and
behind a ReLU alone (`relu_argmax`) below about 65 % of active positions against `direct`, 50 % against Winograd.
"""

import math

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.kernels.conv.direct import NO_GRADIENT
from scratchnet.compiled.simd.bitset import bitmask, clear_lowest_bit, count_trailing_zeros
from scratchnet.compiled.simd.intrinsics import (
    LANES,
    adjacent,
    broadcast,
    element,
    fma,
    lane_numbers,
    load_partial,
    load_tile,
    load_tile_partial,
    offsets,
    select,
    store_partial,
    store_tile,
    store_tile_partial,
    transpose,
    widen,
)
from scratchnet.compiled.simd.target import REGISTERS, SINGLE

EACH = tuple(range(LANES))
BLOCK = 31  # windows in a bit mask: the bits of a positive 32-bit number


def sparse_tile(k_h, k_w, c):
    """How a filter is cut into tiles: two tuples, as long as a tile has rows and vectors, for the kernels below.

    A run, the k_w * c numbers of a row of the kernel, is cut into equal pieces of 2 to 12 vectors. Where these are
    short a tile takes several rows: a term costs 8 instructions besides its multiply-adds, whatever their number.

    >>> sparse_tile(3, 1, 2 * LANES)
    ((0, 1, 2), (0, 1))
    """
    if k_w * c < LANES:
        raise ValueError(
            f"a row of the kernel, {k_w} * {c} numbers, does not fill a register of {LANES}. "
            "Use `convolution.weight_gradient` and `input_gradient` for kernels that small."
        )
    vectors_in_row = -(-k_w * c // LANES)
    vectors = max((v for v in range(2, 13) if vectors_in_row % v == 0), default=vectors_in_row)
    room = 25 if REGISTERS == 32 else 12
    rows = 1 if vectors > 5 else max(r for r in range(1, k_h + 1) if k_h % r == 0 and r * vectors <= max(room, vectors))
    return tuple(range(rows)), tuple(range(vectors))


def sparse_scratch(k_h, k_w, c, filters, windows, cells):
    """Scratch memory of `sparse_gradients`, for images of `windows` windows of `cells` cells: four arrays.

    sums, which become dW, in the layout of `pack_filters`; place, where the patch of a window's argmax begins;
    active_windows, a bit mask for each filter; active_filters, bit masks of 64 filters for each cell of each window.
    """
    block = BLOCK if windows > BLOCK else BLOCK // windows * windows  # whole images, if an image fits
    packed = (-(-filters // LANES) * LANES, k_h, -(-k_w * c // LANES) * LANES)
    return (
        aligned_empty(math.prod(packed)),
        aligned_empty((block, filters), np.int32),
        aligned_empty(filters, np.int32),
        aligned_empty((block, cells, -(-filters // 64)), np.int64),
    )


@jit
def pack_filters(w, packed, rows, vectors):
    """Copy W (k_h, k_w, c, filters) into `packed`, tile by tile and in each tile filter by filter.

    The last vector of a run ends where the run ends. It may begin earlier, then, and repeat numbers of the one before:
    no tile reaches beyond a patch, and both copies of such a number get the same sum. `rows` and `vectors` say how many
    of each a tile has; `packed` has as many floats as W with k_w * c and filters rounded up to whole vectors.
    """
    k_h, k_w, c, filters = w.shape
    row_length, size, block = k_w * c, rows * vectors * LANES, 0
    for u in range(0, k_h, rows):
        for v in range(0, row_length, vectors * LANES):
            for place in range(0, size, LANES):
                row, i = u + place // (vectors * LANES), v + place % (vectors * LANES)
                number = row * row_length + min(i, row_length - LANES)
                for f in range(0, filters, LANES):
                    at = number * filters + f
                    tile = load_tile_partial(w, offsets(EACH, 0, LANES, filters), at, SINGLE, filters - f)
                    store_tile(packed, offsets(EACH, f, f + LANES, size), block + place, SINGLE, transpose(tile))
            block += (filters + LANES - 1) // LANES * LANES * size


@jit
def unpack_filters(packed, w, rows, vectors):
    """The way back from `pack_filters`."""
    k_h, k_w, c, filters = w.shape
    row_length, size, block = k_w * c, rows * vectors * LANES, 0
    for u in range(0, k_h, rows):
        for v in range(0, row_length, vectors * LANES):
            for place in range(0, size, LANES):
                row, i = u + place // (vectors * LANES), v + place % (vectors * LANES)
                number = row * row_length + min(i, row_length - LANES)
                for f in range(0, filters, LANES):
                    tile = load_tile(packed, offsets(EACH, f, f + LANES, size), block + place, SINGLE)
                    at, rows_of_w = number * filters + f, offsets(EACH, 0, LANES, filters)
                    store_tile_partial(w, rows_of_w, at, SINGLE, transpose(tile), filters - f)
            block += (filters + LANES - 1) // LANES * LANES * size


@jit
def find_terms(dy, argmax, starts, cells, first, count, db, memory):
    """Find the terms of the windows from `first` on: fill `place` and the bit masks, and add their dy to db."""
    (_, place, active_windows, active_filters), filters = memory, db.size
    active_filters[:count] = 0
    for f in range(0, filters, LANES):
        inside = lane_numbers() < filters - f
        windows, total = broadcast(0), load_partial(db, f, filters - f)
        for w in range(count):
            at = (first + w) * filters + f
            which, begin = widen(load_partial(argmax, at, filters - f)), broadcast(0)
            for cell in range(cells.size):
                won = (which == cell) & inside
                begin = select(won, broadcast(starts[first + w] + cells[cell]), begin)
                active_filters[w, cell, f // 64] |= bitmask(won, f % 64)
            live = (which < cells.size) & inside
            windows = select(live, windows | (1 << w), windows)
            total = total + select(live, load_partial(dy, at, filters - f), 0.0)
            store_partial(place, w * filters + f, begin, filters - f)
        store_partial(active_windows, f, windows, filters - f)
        store_partial(db, f, total, filters - f)


@jit
def add_to_weights(x, dy, first, row_stride, row_length, k_h, memory, rows, vectors):
    """sums[f] += g * patch, for every filter over its active windows."""
    sums, place, active_windows, _ = memory
    filters, piece, block = active_windows.size, len(vectors) * LANES, 0
    patch_rows, sum_rows = offsets(rows, 0, k_h, row_stride), offsets(rows, 0, k_h, piece)
    for u in range(0, k_h, len(rows)):
        for v in range(0, row_length, piece):
            columns, sum_columns = (
                adjacent(vectors, min(piece, row_length - v) - LANES),
                adjacent(vectors, piece - LANES),
            )
            for f in range(filters):
                windows = element(active_windows, f)
                if windows != 0:
                    to = block + f * len(rows) * piece
                    tile = load_tile(sums, sum_rows, to, sum_columns)
                    while windows != 0:
                        at = count_trailing_zeros(windows) * filters + f
                        windows = clear_lowest_bit(windows)
                        patch = load_tile(x, patch_rows, element(place, at) + u * row_stride + v, columns)
                        tile = fma(element(dy, first * filters + at), patch, tile)
                    store_tile(sums, sum_rows, to, sum_columns, tile)
            block += (filters + LANES - 1) // LANES * LANES * len(rows) * piece


@jit
def add_to_input(weights, dy, starts, cells, first, count, row_stride, row_length, k_h, dx, memory, rows, vectors):
    """dx at the patch += g * W[f], for every cell of every window over its active filters."""
    _, _, active_windows, active_filters = memory
    filters, piece, block = active_windows.size, len(vectors) * LANES, 0
    patch_rows, weight_rows = offsets(rows, 0, k_h, row_stride), offsets(rows, 0, k_h, piece)
    for u in range(0, k_h, len(rows)):
        for v in range(0, row_length, piece):
            columns, weight_columns = (
                adjacent(vectors, min(piece, row_length - v) - LANES),
                adjacent(vectors, piece - LANES),
            )
            for w in range(count):
                for cell in range(cells.size):
                    at = starts[first + w] + cells[cell] + u * row_stride + v
                    tile = load_tile(dx, patch_rows, at, columns)
                    for s in range(active_filters.shape[2]):
                        won = active_filters[w, cell, s]
                        while won != 0:
                            f = 64 * s + count_trailing_zeros(won)
                            won = clear_lowest_bit(won)
                            part = load_tile(weights, weight_rows, block + f * len(rows) * piece, weight_columns)
                            tile = fma(element(dy, (first + w) * filters + f), part, tile)
                    store_tile(dx, patch_rows, at, columns, tile)
            block += (filters + LANES - 1) // LANES * LANES * len(rows) * piece


@jit
def add_terms(x, starts, cells, dy, argmax, weights, db, dx, memory, row_stride, row_length, k_h, rows, vectors):
    """db, dx and the packed sums for dW, BLOCK windows at a time."""
    windows, block = argmax.size // db.size, memory[1].shape[0]
    memory[0][:] = 0
    db[:] = 0
    dx[...] = 0
    for first in range(0, windows, block):
        count = min(block, windows - first)
        find_terms(dy, argmax, starts, cells, first, count, db, memory)
        add_to_weights(x, dy, first, row_stride, row_length, k_h, memory, rows, vectors)
        if dx.size > 0:
            add_to_input(
                weights, dy, starts, cells, first, count, row_stride, row_length, k_h, dx, memory, rows, vectors
            )


def sparse_gradients(call, x, starts, cells, dy, argmax, weights, dw, db, dx, memory, row_stride, rows, vectors):
    """The gradients of convolution, ReLU and max-pool, from dy of the pool's output.

    call             makes the calls (`jit.decorators.execute`, or a program's)
    x                (n, h, w, c) the images as the convolution saw them, with their padding
    starts, cells    int32: where the patch of the first cell of each window begins, and how far those of its cells are
                     from there, as for `convolution.convolve_pool`: any stride
    dy, argmax       (n, out_h, out_w, filters): float32, and uint8, the number of the cell that was the maximum;
                     NO_GRADIENT, like any number that is not a cell's: no gradient goes through
    weights          from `pack_filters`
    dw, db           (k_h, k_w, c, filters) and (filters), written
    dx               as x, written; an array of size 0 if it is not wanted
    memory           from `sparse_scratch`
    row_stride             numbers from one row of x to the next, w * c
    rows, vectors    from `sparse_tile`
    """
    k_h, k_w, c, _ = dw.shape
    call(add_terms, x, starts, cells, dy, argmax, weights, db, dx, memory, row_stride, k_w * c, k_h, rows, vectors)
    call(unpack_filters, memory[0], dw, len(rows), len(vectors))


@jit
def relu_argmax(y, argmax):
    """argmax (uint8, as y) = 0 where the ReLU's output y is above 0, else NO_GRADIENT: as of a pool of 1x1."""
    shown, won = y.reshape(-1), argmax.reshape(-1)
    for i in range(shown.size):
        won[i] = 0 if shown[i] > 0 else NO_GRADIENT
