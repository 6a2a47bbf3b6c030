"""Backward through Conv2D [+ ReLU] + MaxPool2D, where most of the gradient is zero.

A window of the pool passes its gradient to one position of the convolution's output, the one that was its maximum, and
to none if the ReLU cut that off. With windows of 2x2 at most a quarter of the positions have a gradient; an eighth is
usual. The matrix products of `convolution` multiply by the zeros all the same. Here a term is computed only where there
is one: for a gradient g that filter f has at the position whose patch of the image is `patch`,

    dW[:, :, :, f] += g * patch                dpatch += g * W[:, :, :, f]

and that is all of it. It is exact, the same terms as in the products in another order.

Both add a vector, as it lies in memory, times a number. What is added to stays in registers, a *tile*, meanwhile:

    dW        of each filter:       [ part of dW[f] ]    += g * [ that part of the patch ]    over its live windows
    dx        at each position:     [ part of dpatch ]   += g * [ that part of W[f] ]         over the filters that won

    registers   tile  v0 v1 v2 v3 v4 v5     one row of the kernel: 3 * 32 channels = 6 vectors of 16
                g                           one number in all lanes; the other factor comes from memory

A term is 14 instructions, 6 of them multiply-adds. Which terms there are is kept as *sets* (`sets.py`): for each filter
the windows where it is alive, for each cell of each window the filters that won there. They are found by comparing
whole vectors, in 3 % of the time; writing lists and sorting them took 12 %.

The work goes through at most BLOCK windows at a time, one image if it has no more: then a part of W for all filters
(24 kB for 64 filters), or the image (22 kB), stays in the first-level cache while it is read over and over.

AMD Zen 4, one thread, ms per 128 images, dW and dx, 60 % of the windows alive:
                                    sparse   Winograd   direct   (its multiply-adds at the peak rate of the CPU)
    13x13x32, 3x3 -> 64, pool 2x2     1.96       7.4      10.2        9.7
    12x12x24, 3x3 -> 32, pool 2x2     0.89       2.6       3.8        3.0
    12x12x32, 5x5 -> 64, pool 2x2     3.5                 14.7       14.2
    5x5x64,   3x3 -> 128, pool 2x2    0.46                 3.0        2.9

The time grows with the terms: 1.05 ms for the first with 25 % alive, 2.9 with all. Behind a pool it always pays, behind
a ReLU alone (`relu_argmax`) below about 65 % of live positions against the direct way, 50 % against Winograd.
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
BLOCK = 31                                            # windows in a set: the bits of a positive 32-bit number


def sparse_tile(k_h, k_w, c):
    """How a filter is cut into tiles: two tuples, as long as a tile has rows and vectors, for the kernels below.

    A run, the k_w * c numbers of a row of the kernel, is cut into equal pieces of 2 to 12 vectors. Where these are
    short a tile takes several rows: a term costs 8 instructions besides its multiply-adds, whatever their number.

    >>> sparse_tile(3, 1, 2 * LANES)
    ((0, 1, 2), (0, 1))
    """
    if k_w * c < LANES:
        raise ValueError(f"a row of the kernel, {k_w} * {c} numbers, does not fill a register of {LANES}. "
                         "Use `convolution.weight_gradient` and `input_gradient` for kernels that small.")
    in_run = -(-k_w * c // LANES)
    vectors = max((v for v in range(2, 13) if in_run % v == 0), default=in_run)
    room = 25 if REGISTERS == 32 else 12
    rows = 1 if vectors > 5 else max(r for r in range(1, k_h + 1) if k_h % r == 0 and r * vectors <= max(room, vectors))
    return tuple(range(rows)), tuple(range(vectors))


def sparse_scratch(k_h, k_w, c, filters, windows, cells):
    """The memory `sparse_gradients` works in, for images of so many windows of so many cells: four arrays.

    sums, what becomes dW, in the layout of `pack_filters`; place, where the patch of a window's argmax begins; alive, a
    set of windows for each filter; argmaxs, a set of filters (64 to a number) for each cell of each window.
    """
    block = BLOCK if windows > BLOCK else BLOCK // windows * windows  # whole images, if an image fits
    packed = (-(-filters // LANES) * LANES, k_h, -(-k_w * c // LANES) * LANES)
    return (aligned_empty(math.prod(packed)), aligned_empty((block, filters), np.int32),
            aligned_empty(filters, np.int32), aligned_empty((block, cells, -(-filters // 64)), np.int64))


@jit
def pack_filters(w, packed, rows, vectors):
    """Copy W (k_h, k_w, c, filters) into `packed`, tile by tile and in each tile filter by filter.

    The last vector of a run ends where the run ends. It may begin earlier, then, and repeat numbers of the one before:
    no tile reaches beyond a patch, and both copies of such a number get the same sum. `rows` and `vectors` say how many
    of each a tile has; `packed` has as many floats as W with k_w * c and filters rounded up to whole vectors.
    """
    k_h, k_w, c, filters = w.shape
    run, size, block = k_w * c, rows * vectors * LANES, 0
    for u in range(0, k_h, rows):
        for v in range(0, run, vectors * LANES):
            for place in range(0, size, LANES):
                row, i = u + place // (vectors * LANES), v + place % (vectors * LANES)
                number = row * run + min(i, run - LANES)
                for f in range(0, filters, LANES):
                    at = number * filters + f
                    tile = load_tile_partial(w, offsets(EACH, 0, LANES, filters), at, SINGLE, filters - f)
                    store_tile(packed, offsets(EACH, f, f + LANES, size), block + place, SINGLE, transpose(tile))
            block += (filters + LANES - 1) // LANES * LANES * size


@jit
def unpack_filters(packed, w, rows, vectors):
    """The way back from `pack_filters`."""
    k_h, k_w, c, filters = w.shape
    run, size, block = k_w * c, rows * vectors * LANES, 0
    for u in range(0, k_h, rows):
        for v in range(0, run, vectors * LANES):
            for place in range(0, size, LANES):
                row, i = u + place // (vectors * LANES), v + place % (vectors * LANES)
                number = row * run + min(i, run - LANES)
                for f in range(0, filters, LANES):
                    tile = load_tile(packed, offsets(EACH, f, f + LANES, size), block + place, SINGLE)
                    at, rows_of_w = number * filters + f, offsets(EACH, 0, LANES, filters)
                    store_tile_partial(w, rows_of_w, at, SINGLE, transpose(tile), filters - f)
            block += (filters + LANES - 1) // LANES * LANES * size


@jit
def find_terms(dy, argmax, starts, cells, first, count, db, memory):
    """Note in `place`, `alive` and `argmaxs` which terms the windows from `first` on have; add their dy to db."""
    (_, place, alive, argmaxs), filters = memory, db.size
    argmaxs[:count] = 0
    for f in range(0, filters, LANES):
        inside = lane_numbers() < filters - f
        windows, total = broadcast(0), load_partial(db, f, filters - f)
        for w in range(count):
            at = (first + w) * filters + f
            which, begin = widen(load_partial(argmax, at, filters - f)), broadcast(0)
            for cell in range(cells.size):
                won = (which == cell) & inside
                begin = select(won, broadcast(starts[first + w] + cells[cell]), begin)
                argmaxs[w, cell, f // 64] |= bitmask(won, f % 64)
            live = (which < cells.size) & inside
            windows = select(live, windows | (1 << w), windows)
            total = total + select(live, load_partial(dy, at, filters - f), 0.0)
            store_partial(place, w * filters + f, begin, filters - f)
        store_partial(alive, f, windows, filters - f)
        store_partial(db, f, total, filters - f)


@jit
def add_to_weights(x, dy, first, line, run, k_h, memory, rows, vectors):
    """sums[f] += g * patch, for every filter over the windows where it is alive."""
    sums, place, alive, _ = memory
    filters, piece, block = alive.size, len(vectors) * LANES, 0
    patch_rows, sum_rows = offsets(rows, 0, k_h, line), offsets(rows, 0, k_h, piece)
    for u in range(0, k_h, len(rows)):
        for v in range(0, run, piece):
            columns, sum_columns = adjacent(vectors, min(piece, run - v) - LANES), adjacent(vectors, piece - LANES)
            for f in range(filters):
                windows = element(alive, f)
                if windows != 0:
                    to = block + f * len(rows) * piece
                    tile = load_tile(sums, sum_rows, to, sum_columns)
                    while windows != 0:
                        at = count_trailing_zeros(windows) * filters + f
                        windows = clear_lowest_bit(windows)
                        patch = load_tile(x, patch_rows, element(place, at) + u * line + v, columns)
                        tile = fma(element(dy, first * filters + at), patch, tile)
                    store_tile(sums, sum_rows, to, sum_columns, tile)
            block += (filters + LANES - 1) // LANES * LANES * len(rows) * piece


@jit
def add_to_input(weights, dy, starts, cells, first, count, line, run, k_h, dx, memory, rows, vectors):
    """dx at the patch += g * W[f], for every cell of every window over the filters that won there."""
    _, _, alive, argmaxs = memory
    filters, piece, block = alive.size, len(vectors) * LANES, 0
    patch_rows, weight_rows = offsets(rows, 0, k_h, line), offsets(rows, 0, k_h, piece)
    for u in range(0, k_h, len(rows)):
        for v in range(0, run, piece):
            columns, weight_columns = adjacent(vectors, min(piece, run - v) - LANES), adjacent(vectors, piece - LANES)
            for w in range(count):
                for cell in range(cells.size):
                    at = starts[first + w] + cells[cell] + u * line + v
                    tile = load_tile(dx, patch_rows, at, columns)
                    for s in range(argmaxs.shape[2]):
                        won = argmaxs[w, cell, s]
                        while won != 0:
                            f = 64 * s + count_trailing_zeros(won)
                            won = clear_lowest_bit(won)
                            part = load_tile(weights, weight_rows, block + f * len(rows) * piece, weight_columns)
                            tile = fma(element(dy, (first + w) * filters + f), part, tile)
                    store_tile(dx, patch_rows, at, columns, tile)
            block += (filters + LANES - 1) // LANES * LANES * len(rows) * piece


@jit
def add_terms(x, starts, cells, dy, argmax, weights, db, dx, memory, line, run, k_h, rows, vectors):
    """db, dx and the packed sums for dW, BLOCK windows at a time."""
    windows, block = argmax.size // db.size, memory[1].shape[0]
    memory[0][:] = 0
    db[:] = 0
    dx[...] = 0
    for first in range(0, windows, block):
        count = min(block, windows - first)
        find_terms(dy, argmax, starts, cells, first, count, db, memory)
        add_to_weights(x, dy, first, line, run, k_h, memory, rows, vectors)
        if dx.size > 0:
            add_to_input(weights, dy, starts, cells, first, count, line, run, k_h, dx, memory, rows, vectors)


def sparse_gradients(call, x, starts, cells, dy, argmax, weights, dw, db, dx, memory, line, rows, vectors):
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
    line             numbers from one row of x to the next, w * c
    rows, vectors    from `sparse_tile`
    """
    k_h, k_w, c, _ = dw.shape
    call(add_terms, x, starts, cells, dy, argmax, weights, db, dx, memory, line, k_w * c, k_h, rows, vectors)
    call(unpack_filters, memory[0], dw, len(rows), len(vectors))


@jit
def relu_argmax(y, argmax):
    """argmax (uint8, as y) = 0 where the ReLU's output y is above 0, else NO_GRADIENT: as of a pool of 1x1."""
    shown, won = y.reshape(-1), argmax.reshape(-1)
    for i in range(shown.size):
        won[i] = 0 if shown[i] > 0 else NO_GRADIENT
