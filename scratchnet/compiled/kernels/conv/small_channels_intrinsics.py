"""Intrinsics for a register-resident filter bank: the first layer has so few weights that all stay in registers.

Elsewhere the lanes of a register hold neighbours in memory. Here they hold filters, and a pixel is the same number in
all lanes. If no more than half of the lanes have a filter, two images share the register: its first half computes the
filters for one image, its second half the same filters for the next. `places` says where the images of a register
begin: a tuple of one or two offsets.

The weights of LANES filters, and the sums that become their gradient, are a Tile of k_h rows of k_w * c vectors, one
vector for each tap. The intrinsics are loops over the taps that the compiler unrolls completely.

As in `simd.intrinsics`, each is its NumPy definition; the emitter above it is its machine code.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from scratchnet.compiled.simd.target import LANES, TRIPLE
from scratchnet.compiled.simd.vector_types import FLOAT, FLOATS, I32, INTS, Vector, intrinsic, returns

I64, I128 = ir.IntType(64), ir.VectorType(ir.FloatType(), 4)
PERMUTES = LANES >= 8 and TRIPLE.startswith("x86")  # a register of numbers as a table to look up in


def in_shares(emit, vectors):
    """One vector made of the shares of one or two."""
    if len(vectors) == 1:
        return vectors[0]
    return emit.build.shuffle_vector(*vectors, INTS([i if i < LANES // 2 else i + LANES for i in range(LANES)]))


def shared(emit, kind, a, places, i):
    """a[place + i] in all lanes of the share of each place."""
    return in_shares(emit, [emit.splat(emit.number(kind, a, place, i)) for place in places])


@returns(lambda a, places, i, count: Vector(a.dtype))
def _load_shares(emit, kinds, a, places, i, count):
    loaded = [
        emit.load_partial(emit.at(kinds[0], a, place, i), count, emit.llvm) for place in emit.parts(kinds[1], places)
    ]
    if len(loaded) == 2:
        loaded[1] = turn(emit, loaded[1])
    return in_shares(emit, loaded)


def turn(emit, vector):
    """The halves of a vector exchanged."""
    return emit.build.shuffle_vector(vector, vector, INTS([(i + LANES // 2) % LANES for i in range(LANES)]))


@intrinsic(_load_shares)
def load_shares(a, places, i, count):
    """The `count` elements from a[place + i] on, zeros after them, in the share of every place."""
    share = LANES // len(places)
    flat = a.reshape(-1)
    vector = np.zeros(LANES, a.dtype)
    for p, place in enumerate(places):
        vector[p * share : p * share + count] = flat[place + i : place + i + count]
    return vector


@returns(lambda a, places, i, vector, count: types.none)
def _store_shares(emit, kinds, a, places, i, vector, count):
    for place in emit.parts(kinds[1], places):
        emit.store_partial(emit.at(kinds[0], a, place, i), count, vector)
        vector = turn(emit, vector)


@intrinsic(_store_shares)
def store_shares(a, places, i, vector, count):
    """a[place + i], ... = the first `count` elements of the share of each place."""
    share = LANES // len(places)
    for p, place in enumerate(places):
        a.reshape(-1)[place + i : place + i + count] = vector[p * share : p * share + count]


def number(x, places, i):
    """x[place + i] in all lanes of the share of each place."""
    return np.repeat(x.reshape(-1)[np.array(places) + i], LANES // len(places))


@returns(lambda x, places, i, row_stride, channels, weights, start: types.UniTuple(FLOAT, 4))
def _window_sums(emit, kinds, x, places, i, row_stride, channels, weights, start):
    build, (k_h, row_elements), c = emit.build, (kinds[5].rows, kinds[5].vectors), kinds[4].count
    places, weights, sums = emit.parts(kinds[1], places), emit.parts(kinds[5], weights), [start] * 4
    for row in range(k_h + 1):
        for element in range(row_elements + c):
            pixel = shared(emit, kinds[0], x, places, build.add(i, I64(element)))
            for cell in range(4):
                u, e = row - cell // 2, element - cell % 2 * c
                if 0 <= u < k_h and 0 <= e < row_elements:
                    sums[cell] = emit.fma(pixel, weights[u * row_elements + e], sums[cell])
        i = build.add(i, row_stride)
    return emit.whole(sums)


@intrinsic(_window_sums)
def window_sums(x, places, i, row_stride, channels, weights, start):
    """The convolution at the four positions of a 2x2 window, for LANES filters   -> four vectors

    sum of x[place + i + cell + u * line + e] * weights[u, e] over the taps, begun with `start`; the cells of the
    window are at 0, c, line and line + c, where c is the length of the tuple `channels`. A pixel that belongs to
    several patches is loaded once.
    """
    c, (k_h, row_elements, _) = len(channels), weights.shape
    return tuple(
        start
        + sum(
            number(x, places, i + cell + u * row_stride + e) * weights[u, e]
            for u in range(k_h)
            for e in range(row_elements)
        )
        for cell in (0, c, row_stride, row_stride + c)
    )


@returns(lambda tile, g, x, places, i, row_stride: tile)
def _patch_fma(emit, kinds, tile, g, x, places, i, row_stride):
    places, sums = emit.parts(kinds[3], places), emit.parts(kinds[0], tile)
    for tap in range(len(sums)):
        u, e = divmod(tap, kinds[0].vectors)
        i = emit.build.add(i, row_stride) if u > 0 and e == 0 else i
        sums[tap] = emit.fma(g, shared(emit, kinds[2], x, places, emit.build.add(i, I64(e))), sums[tap])
    return emit.whole(sums)


@intrinsic(_patch_fma)
def patch_fma(tile, g, x, places, i, row_stride):
    """tile[u, e] + g * x[place + i + u * line + e]"""
    return np.stack(
        [
            [vector + g * number(x, places, i + u * row_stride + e) for e, vector in enumerate(row)]
            for u, row in enumerate(tile)
        ]
    )


@returns(lambda tile, g, x, places, i, row_stride, channels: tile)
def _window_fma(emit, kinds, tile, g, x, places, i, row_stride, channels):
    build, (k_h, row_elements), c = emit.build, (kinds[0].rows, kinds[0].vectors), kinds[6].count
    places, sums, g = emit.parts(kinds[3], places), emit.parts(kinds[0], tile), emit.parts(kinds[1], g)
    for row in range(k_h + 1):
        for element in range(row_elements + c):
            pixel = shared(emit, kinds[2], x, places, build.add(i, I64(element)))
            for cell in range(4):
                u, e = row - cell // 2, element - cell % 2 * c
                if 0 <= u < k_h and 0 <= e < row_elements:
                    sums[u * row_elements + e] = emit.fma(g[cell], pixel, sums[u * row_elements + e])
        i = build.add(i, row_stride)
    return emit.whole(sums)


@intrinsic(_window_fma)
def window_fma(tile, g, x, places, i, row_stride, channels):
    """tile[u, e] + g[0] * pixel + ... + g[3] * pixel, each at its own cell of a 2x2 window: `window_sums` backwards."""
    c = len(channels)
    for vector, cell in zip(g, (0, c, row_stride, row_stride + c), strict=True):
        tile = patch_fma(tile, vector, x, places, i + cell, row_stride)
    return tile


def four(emit, kind, x, place, i, row_stride, c):
    """The numbers of a 2x2 window, x[place + i] and on: <4 x float>."""
    build, upper = emit.build, emit.at(kind, x, place, i)
    lower, window = build.gep(upper, [row_stride]), ir.Constant(I128, ir.Undefined)
    for n, row in enumerate((upper, upper, lower, lower)):
        window = build.insert_element(window, build.load(build.gep(row, [I64(n % 2 * c)])), I32(n))
    return window


def looked_up(emit, windows, cell):
    """For each lane the number of its image's window that `cell` asks for."""
    build, shares = emit.build, len(windows)
    table = build.shuffle_vector(windows[0], windows[-1], ir.VectorType(I32, 8)([0, 1, 2, 3, 4, 5, 6, 7]))
    if LANES == 8:
        return emit.call("llvm.x86.avx.vpermilvar.ps.256", FLOATS, table, cell)
    if shares == 2:
        cell = build.add(cell, INTS([i // (LANES // 2) * 4 for i in range(LANES)]))
    table = build.shuffle_vector(table, ir.Constant(table.type, None), INTS([min(i, 8) for i in range(LANES)]))
    return emit.call("llvm.x86.avx512.permvar.sf.512", FLOATS, table, cell)


def chosen(emit, kind, x, places, i, row_stride, c, cell):
    """`shared`, at the cell that each lane asks for."""
    build = emit.build
    if PERMUTES:
        return looked_up(emit, [four(emit, kind, x, place, i, row_stride, c) for place in places], cell)
    corners = (i, build.add(i, I64(c)), build.add(i, row_stride), build.add(build.add(i, row_stride), I64(c)))
    result = shared(emit, kind, x, places, corners[0])
    for n in (1, 2, 3):
        here = build.icmp_signed("==", cell, emit.splat(I32(n)))
        result = build.select(here, shared(emit, kind, x, places, corners[n]), result)
    return result


@returns(lambda tile, g, x, places, i, row_stride, channels, cell: tile)
def _chosen_patch_fma(emit, kinds, tile, g, x, places, i, row_stride, channels, cell):
    places, sums, c = emit.parts(kinds[3], places), emit.parts(kinds[0], tile), kinds[6].count
    for tap in range(len(sums)):
        u, e = divmod(tap, kinds[0].vectors)
        i = emit.build.add(i, row_stride) if u > 0 and e == 0 else i
        pixel = chosen(emit, kinds[2], x, places, emit.build.add(i, I64(e)), row_stride, c, cell)
        sums[tap] = emit.fma(g, pixel, sums[tap])
    return emit.whole(sums)


@intrinsic(_chosen_patch_fma)
def chosen_patch_fma(tile, g, x, places, i, row_stride, channels, cell):
    """`patch_fma`, each lane with the patch of its own `cell`, 0 to 3, of a 2x2 window."""
    flat = x.reshape(-1)
    begin = np.repeat(places, LANES // len(places)) + i + cell // 2 * row_stride + cell % 2 * len(channels)
    return np.stack(
        [[vector + g * flat[begin + u * row_stride + e] for e, vector in enumerate(row)] for u, row in enumerate(tile)]
    )
