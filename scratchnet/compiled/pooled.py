"""Backward through Conv2D [+ ReLU] + MaxPool2D, where most of the gradient is zero.

A window of the pool passes its gradient on to one position of the convolution's output, the one that was its maximum,
and to none if ReLU had cut that off. With windows of 2x2 at most a quarter of the positions have a gradient; about half
of that is usual. The two matrix products of `convolution` multiply by the zeros all the same. Here a term is computed
only where there is one. For a gradient g that filter f has at a position whose patch of the image is `patch`,

    dW[:, :, :, f] += g * patch                   dpatch += g * W[:, :, :, f]

and this is all of it: exact, the same terms as in the products, in another order.

Both are sums of vectors times numbers, and the vectors lie in memory side by side, so a piece of a patch that fits
into registers stays there while all its terms are added to it:

    dW       for every filter        [ run of dW[f] ]  +=  g * [ run of the patch ]      over its live windows
    dpatch   for every position      [ run of the patch ]  +=  g * [ run of W[f] ]       over the filters that won there

A run is a row of the kernel, k_w * c numbers: 6 vectors of 16 for 3x3x32. A term is one broadcast and 6 multiply-adds
that take one operand from memory, which in the first-level cache is as fast as arithmetic gets. The terms to be added
are kept as *sets* (`sets.py`): for each filter the windows where it is alive, for each position the filters that won,
made by comparing a vector of winners at a time. No list is written, nothing is sorted.

Work goes through BLOCK windows at a time, at most one image if it has more of them, so that its part of the image
stays in the first-level cache (32 kB), with one run of all filters: 24 kB for 64 filters of 3x3x32.

AMD Zen 4, one thread, ms per 128 images, both gradients, with 60 % of the windows alive:
"""

import numpy as np

from scratchnet.compiled.jit import jit
from scratchnet.compiled.memory import aligned_empty
from scratchnet.compiled.sets import as_set, lowest, without_lowest
from scratchnet.compiled.simd import (
    LANES,
    adjacent,
    broadcast,
    element,
    fma,
    lane_numbers,
    load_first,
    load_tile,
    load_tile_first,
    offsets,
    select,
    store_first,
    store_tile,
    store_tile_first,
    transpose,
    widen,
)
from scratchnet.compiled.target import REGISTERS, SINGLE

EACH = tuple(range(LANES))
BLOCK = 31                                            # windows in a set: the bits of a positive 32-bit number


def pooled_tile(k_h, k_w, c):
    """How a filter is cut into tiles: two tuples, as long as a tile has rows and vectors, for the kernels below.

    A run is cut into equal pieces of 2 to 12 vectors. Where that makes fewer than 6, a tile takes several rows of the
    kernel if they fit into the registers: each term costs a few instructions whatever the size of the tile.

    >>> rows, vectors = pooled_tile(3, 3, 512)
    >>> len(rows), len(vectors) * LANES
    (1, 192)
    """
    if k_w * c < LANES:
        raise ValueError(f"a row of the kernel, k_w * c = {k_w} * {c} numbers, must fill a register of {LANES}. "
                         "Use the gradients in `convolution` for smaller ones.")
    in_run = -(-k_w * c // LANES)
    vectors = max((v for v in range(2, 13) if in_run % v == 0), default=in_run)
    room = 25 if REGISTERS == 32 else 12
    rows = 1 if vectors > 5 else max(r for r in range(1, k_h + 1) if k_h % r == 0 and r * vectors <= max(room, vectors))
    return tuple(range(rows)), tuple(range(vectors))


def pooled_scratch(k_h, k_w, c, filters, windows, cells):
    """The memory `pooled_gradients` works in, for images of so many pool windows of so many cells.

    Four arrays: sums, the gradient of the weights in the layout of `pack_filters`; place, where the patch of a window's
    winner begins; alive, a set of windows for each filter; winners, sets of filters for each window and cell.
    """
    block = min(windows, BLOCK) if windows > BLOCK // 2 else BLOCK // windows * windows
    padded = -(-k_w * c // LANES) * LANES
    return (aligned_empty(-(-filters // LANES) * LANES * k_h * padded), aligned_empty((block, filters), np.int32),
            aligned_empty(filters, np.int32), aligned_empty((block, cells, (filters + 63) // 64), np.int64))


@jit
def pack_filters(w, packed, rows, vectors):
    """Copy W (k_h, k_w, c, filters) into `packed`, tile by tile and in each tile filter by filter.

    A run that does not fill its last vector ends with it all the same: that vector begins earlier and repeats numbers
    of the one before. So no tile reaches beyond a patch, and both copies of such a number get the same sum.

    packed           aligned, from `packed_size` floats
    rows, vectors    of a tile
    """
    k_h, k_w, c, filters = w.shape
    run, size, block = k_w * c, rows * vectors * LANES, 0
    for u in range(0, k_h, rows):
        for v in range(0, run, vectors * LANES):
            for place in range(0, size, LANES):
                row, i = u + place // (vectors * LANES), v + place % (vectors * LANES)
                number = row * run + min(i, run - LANES)
                for f in range(0, filters, LANES):
                    tile = load_tile_first(w, offsets(EACH, 0, LANES, filters), number * filters + f, SINGLE,
                                           filters - f)
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
                    store_tile_first(w, offsets(EACH, 0, LANES, filters), number * filters + f, SINGLE,
                                     transpose(tile), filters - f)
            block += (filters + LANES - 1) // LANES * LANES * size


@jit
def find_terms(dy, winner, starts, cells, first, count, db, memory):
    """Fill `place`, `alive` and `winners` for the windows first, first + 1, ...; add their dy to db."""
    _, place, alive, winners = memory
    filters, sets = db.size, winners.shape[2]
    winners[:count] = 0
    for f in range(0, filters, LANES):
        inside = lane_numbers() < filters - f
        windows, total = broadcast(0), load_first(db, f, filters - f)
        for w in range(count):
            at = (first + w) * filters + f
            which = widen(load_first(winner, at, filters - f))
            begin = broadcast(0)
            for cell in range(cells.size):
                won = (which == cell) & inside
                begin = select(won, broadcast(starts[first + w] + cells[cell]), begin)
                winners[w, cell, f // 64] |= as_set(won, f % 64)
            live = (which < cells.size) & inside
            windows = select(live, windows | (1 << w), windows)
            total = total + select(live, load_first(dy, at, filters - f), 0.0)
            store_first(place, w * filters + f, begin, filters - f)
        store_first(alive, f, windows, filters - f)
        store_first(db, f, total, filters - f)


@jit
def add_to_weights(x, dy, first, line, run, k_h, memory, rows, vectors):
    """sums[f] += g * patch, for every filter over its live windows."""
    sums, place, alive, _ = memory
    filters, piece = alive.size, len(vectors) * LANES
    patch_rows, sum_rows = offsets(rows, 0, k_h, line), offsets(rows, 0, k_h, piece)
    to = 0
    for u in range(0, k_h, len(rows)):
        for v in range(0, run, piece):
            columns = adjacent(vectors, min(piece, run - v) - LANES)
            for f in range(filters):
                windows = element(alive, f)
                if windows != 0:
                    tile = load_tile(sums, sum_rows, to, adjacent(vectors, piece - LANES))
                    while windows != 0:
                        at = lowest(windows) * filters + f
                        windows = without_lowest(windows)
                        patch = load_tile(x, patch_rows, element(place, at) + u * line + v, columns)
                        tile = fma(element(dy, first * filters + at), patch, tile)
                    store_tile(sums, sum_rows, to, adjacent(vectors, piece - LANES), tile)
                to += len(rows) * piece
            to += (-filters % LANES) * len(rows) * piece


@jit
def add_to_input(weights, dy, starts, cells, first, count, line, run, k_h, dx, memory, rows, vectors):
    """dx at the patch += g * W[f], for every position over the filters that won there."""
    _, _, alive, winners = memory
    filters, piece = alive.size, len(vectors) * LANES
    patch_rows, weight_rows = offsets(rows, 0, k_h, line), offsets(rows, 0, k_h, piece)
    block = 0
    for u in range(0, k_h, len(rows)):
        for v in range(0, run, piece):
            columns = adjacent(vectors, min(piece, run - v) - LANES)
            for w in range(count):
                for cell in range(cells.size):
                    at = starts[first + w] + cells[cell] + u * line + v
                    tile = load_tile(dx, patch_rows, at, columns)
                    for s in range(winners.shape[2]):
                        won = winners[w, cell, s]
                        while won != 0:
                            f = 64 * s + lowest(won)
                            won = without_lowest(won)
                            filter_ = load_tile(weights, weight_rows, block + f * len(rows) * piece,
                                                adjacent(vectors, piece - LANES))
                            tile = fma(element(dy, (first + w) * filters + f), filter_, tile)
                    store_tile(dx, patch_rows, at, columns, tile)
            block += (filters + LANES - 1) // LANES * LANES * len(rows) * piece


@jit
def add_terms(x, starts, cells, dy, winner, weights, db, dx, memory, line, run, k_h, rows, vectors):
    """db, dx and the packed sums for dW, BLOCK windows at a time."""
    block = memory[1].shape[0]
    memory[0][:] = 0
    db[:] = 0
    dx[...] = 0
    for first in range(0, starts.size, block):
        count = min(block, starts.size - first)
        find_terms(dy, winner, starts, cells, first, count, db, memory)
        add_to_weights(x, dy, first, line, run, k_h, memory, rows, vectors)
        if dx.size > 0:
            add_to_input(weights, dy, starts, cells, first, count, line, run, k_h, dx, memory, rows, vectors)


def pooled_gradients(x, starts, cells, dy, winner, weights, dw, db, dx, memory, line, rows, vectors):
    """The gradients of convolution, ReLU and max-pool, from dy of the pool's output.

    x                (n, h, w, c) the images as the convolution saw them, with their padding
    starts, cells    int32: where the patch of the first cell of each window begins, n * out_h * out_w numbers, and how
                     far the patches of its cells are from there (as for `convolution.convolve_pool`): any stride
    dy, winner       (n, out_h, out_w, filters): float32, and uint8: the number of the cell that was the maximum.
                     DEAD, like any number that is not a cell's, means that no gradient goes through
    weights          from `pack_filters`
    dw, db           (k_h, k_w, c, filters) and (filters), written
    dx               as x, written; an array of size 0 if it is not wanted
    memory           from `pooled_scratch`
    line             numbers from one row of x to the next, w * c
    rows, vectors    from `pooled_tile`
    """
    k_h, k_w, c, _ = dw.shape
    add_terms(x, starts, cells, dy, winner, weights, db, dx, memory, line, k_w * c, k_h, rows, vectors)
    unpack_filters(memory[0], dw, len(rows), len(vectors))
