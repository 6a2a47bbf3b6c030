"""Intrinsics for Winograd's transforms: a matrix of `matrices`, a tile, and the matrix transposed.

A tile of the image, of a filter, of the output or of their gradients has a vector at each position: the numbers of
LANES channels or filters there. It is a Tile like those of a matrix product, and its size selects the matrix. Both are
known at compile time: an intrinsic becomes the additions and multiply-adds of its matrix, first for the columns, then
for the rows, and none for its zeros. Tiles of 4x4 stay in registers; parts of larger ones are spilled to memory.

As in `simd.intrinsics`, each is its NumPy definition; the emitter above it is its machine code.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from scratchnet.compiled.kernels.winograd.matrices import matrices
from scratchnet.compiled.simd.intrinsics import load_partial, store_partial
from scratchnet.compiled.simd.target import LANES
from scratchnet.compiled.simd.vector_types import FLOAT, FLOATS, Tile, intrinsic, returns


def combination(emit, factors, vectors):
    """The sum of factor * vector, with no work for a factor 0 and no multiplication for 1 and -1."""
    terms = sorted(((f, v) for f, v in zip(factors, vectors, strict=True) if f != 0), key=lambda term: term[0] != 1)
    total = None
    for factor, vector in terms:
        if total is None:
            total = vector if factor == 1 else emit.build.fmul(constant(factor), vector)
        elif abs(factor) == 1:
            total = (emit.build.fadd if factor == 1 else emit.build.fsub)(total, vector)
        else:
            total = emit.fma(constant(factor), vector, total)
    return total


def constant(number):
    """A number in all lanes."""
    return ir.Constant(FLOATS, [float(np.float32(number))] * LANES)


def by_parity(matrix):
    """The rows of a matrix, those of a point and its negative as one: [(row,), (even, odd), ...]"""
    rows: list = list(matrix)
    found: list[tuple] = []
    while rows:
        row = rows.pop(0)
        if rows and np.array_equal(abs(row), abs(rows[0])):
            other = rows.pop(0)
            found.append(((row + other) / 2, (row - other) / 2))
        else:
            found.append((row,))
    return found


def product(emit, matrix, row_stride):
    """matrix @ line"""
    result = []
    for rows in by_parity(matrix):
        parts = [combination(emit, row, row_stride) for row in rows]
        result += parts if len(parts) == 1 else [emit.build.fadd(*parts), emit.build.fsub(*parts)]
    return result


def transposed_product(emit, matrix, row_stride):
    """matrix.T @ line"""
    row_stride, factors, terms = list(row_stride), [], []
    for rows in by_parity(matrix):
        parts = [row_stride.pop(0) for _ in rows]
        terms += parts if len(parts) == 1 else [emit.build.fadd(*parts), emit.build.fsub(*parts)]
        factors += rows
    return [combination(emit, column, terms) for column in np.transpose(factors)]


def square(side):
    """The type of a tile as wide as it is high."""
    return Tile(side, side)


def emitter(multiply, matrix, result):
    """The emitter of an intrinsic: `multiply` by the matrix, from both sides. The types select matrix and result."""

    @returns(result)
    def emit_both_sides(emit, kinds, tile, *_):
        vectors, width = emit.parts(kinds[0], tile), kinds[0].vectors
        rows = [vectors[i : i + width] for i in range(0, len(vectors), width)]
        for _side in ("the columns", "the rows, now columns"):
            rows = [multiply(emit, matrix(*kinds), column) for column in zip(*rows, strict=True)]
        return emit.whole(vector for row in rows for vector in row)

    return emit_both_sides


def both_sides(matrix, tile):
    """matrix @ tile @ matrix.T, in each lane."""
    return np.einsum("ir,js,rsl->ijl", matrix, matrix, tile).astype(np.float32)


@intrinsic(emitter(product, lambda d: matrices(d.rows - 2).image, lambda d: d))
def transform_image(d):
    """B^T d B"""
    return both_sides(matrices(len(d) - 2).image, d)


@intrinsic(emitter(product, lambda g, tile: matrices(tile.count - 2).filter, lambda g, tile: square(tile.count)))
def transform_filter(g, tile):
    """G g G^T; `tile` is a tuple as long as a tile of the image is wide"""
    return both_sides(matrices(len(tile) - 2).filter, g)


@intrinsic(emitter(transposed_product, lambda m: matrices(m.rows - 2).outputs, lambda m: square(m.rows - 2)))
def transform_products(m):
    """A^T m A"""
    return both_sides(matrices(len(m) - 2).outputs.T, m)


@intrinsic(emitter(product, lambda dy: matrices(dy.rows).outputs, lambda dy: square(dy.rows + 2)))
def transform_output_gradient(dy):
    """A dy A^T"""
    return both_sides(matrices(len(dy)).outputs, dy)


@intrinsic(emitter(transposed_product, lambda du: matrices(du.rows - 2).filter, lambda du: square(3)))
def transform_filter_gradient(du):
    """G^T du G"""
    return both_sides(matrices(len(du) - 2).filter.T, du)


@intrinsic(emitter(transposed_product, lambda dv: matrices(dv.rows - 2).image, lambda dv: dv))
def transform_image_gradient(dv):
    """B dv B^T"""
    return both_sides(matrices(len(dv) - 2).image.T, dv)


@returns(lambda a, rows, i, columns, count: Tile(rows.count, columns.count))
def _load_patch(emit, kinds, a, rows, i, columns, count):
    return emit.whole(emit.load_partial(place, count) for place, _ in emit.places(kinds, a, rows, i, columns))


@intrinsic(_load_patch)
def load_patch(a, rows, i, columns, count):
    """`load_tile` of `count` elements at each place, zeros after them."""
    return np.stack([[load_partial(a, row + i + column, count) for column in columns] for row in rows])


@returns(lambda a, rows, i, columns, count, tile: types.none)
def _store_patch(emit, kinds, a, rows, i, columns, count, tile):
    places = emit.places(kinds, a, rows, i, columns)
    for (place, _), vector in zip(places, emit.parts(kinds[5], tile), strict=True):
        emit.store_partial(place, count, vector)


@intrinsic(_store_patch)
def store_patch(a, rows, i, columns, count, tile):
    """`store_tile` of the first `count` elements at each place."""
    for row, row_stride in zip(rows, tile, strict=True):
        for column, vector in zip(columns, row_stride, strict=True):
            store_partial(a, row + i + column, vector, count)


def scattered_addresses(emit, kinds, a, table, at, side, i, count):
    """(address, how many elements are there) for each place of a tile."""
    build, none = emit.build, count.type(0)
    for n in range(kinds[3].count ** 2):
        entry = emit.number(kinds[1], table, build.add(at, at.type(n)))
        place = emit.index(kinds[1].dtype, entry)[1]
        yield emit.at(kinds[0], a, place, i), build.select(build.icmp_signed("<", place, none), none, count)


@returns(lambda a, table, at, side, i, count: square(side.count))
def _load_scattered(emit, kinds, a, table, at, side, i, count):
    return emit.whole(
        emit.load_partial(*place) for place in scattered_addresses(emit, kinds, a, table, at, side, i, count)
    )


@intrinsic(_load_scattered)
def load_scattered(a, table, at, side, i, count):
    """A tile whose vectors are where a table says: at a[table[at + n] + i], or zeros where that is negative.

    `side` is a tuple as long as the tile's side. `count` elements of each vector, zeros after them. A mask instead of a
    branch: with one, transforms took 3 times longer.
    """
    places = table[at : at + len(side) ** 2]
    loaded = [load_partial(a, place + i, count if place >= 0 else 0) for place in places]
    return np.reshape(loaded, (len(side), len(side), LANES))


@returns(lambda a, table, at, side, i, count, tile: types.none)
def _store_scattered(emit, kinds, a, table, at, side, i, count, tile):
    places = scattered_addresses(emit, kinds, a, table, at, side, i, count)
    for (address, present), vector in zip(places, emit.parts(kinds[6], tile), strict=True):
        emit.store_partial(address, present, vector)


@intrinsic(_store_scattered)
def store_scattered(a, table, at, side, i, count, tile):
    """Write the vectors of a tile to where `load_scattered` would find them; nothing where the table is negative."""
    for n, vector in enumerate(tile.reshape(-1, LANES)):
        store_partial(a, table[at + n] + i, vector, count if table[at + n] >= 0 else 0)


@returns(lambda tile: FLOAT)
def _total(emit, kinds, tile):
    sum_, *rest = emit.parts(kinds[0], tile)
    for vector in rest:
        sum_ = emit.build.fadd(sum_, vector)
    return sum_


@intrinsic(_total)
def total(tile):
    """The sum of a tile's vectors."""
    return tile.sum(axis=(0, 1))


@returns(lambda tile: types.UniTuple(FLOAT, tile.rows * tile.vectors))
def _vectors(emit, kinds, tile):
    return emit.whole(emit.parts(kinds[0], tile))


@intrinsic(_vectors)
def vectors(tile):
    """The vectors of a tile, row by row, as a tuple."""
    return tuple(tile.reshape(-1, LANES))
