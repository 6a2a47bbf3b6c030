"""SIMD intrinsics: what a CPU does to a whole register of numbers at once.

A vector register holds LANES floats (16, 8 or 4, see `target.py`) and one instruction adds, multiplies or compares all
of them. Every intrinsic is defined by its NumPy body, where a register is an array of LANES numbers. Inside an `@jit`
kernel it is an instruction or two (`lowering`), and a variable that holds a vector *is* a register. So a
kernel can be read as NumPy, and run as NumPy: `readable(kernel)`.

A *tile* is a block of rows x vectors accumulators, all in registers, spanned by two tuples of offsets: `rows` gives the
beginning of each row in memory, `columns` that of each vector in a row. `outer_fma` adds the product of a column of
numbers and a row of vectors,

    tile[r, v] += a[rows[r] + k] * row[v]                       for all r, v

with one load per row and one per vector for rows x vectors multiply-adds: the larger the tile, the less memory traffic.
Matrix products, convolutions and their gradients are loops around this line. The lengths of `rows` and `columns`
belong to their Numba types, so each size of tile is compiled into code of its own.

Arrays have any shape, are C-contiguous, and are indexed as flat; nothing is checked. A number beside a vector is the
same number in every lane. Operators (+ - * / & | and comparisons) work on vectors, the first three also on tiles; a
comparison makes a *mask*, a vector of booleans.
"""

import numpy as np

from scratchnet.compiled.simd import lowering, operators  # noqa: F401 - registers + - * and comparisons
from scratchnet.compiled.simd.target import LANES
from scratchnet.compiled.simd.vector_types import intrinsic


@intrinsic(lowering.load)
def load(a, i):
    """The LANES elements a[i], a[i + 1], ...   -> vector"""
    return a.reshape(-1)[i : i + LANES].copy()


@intrinsic(lowering.store)
def store(a, i, vector):
    """a[i], a[i + 1], ... = vector"""
    a.reshape(-1)[i : i + LANES] = vector


@intrinsic(lowering.load_partial)
def load_partial(a, i, count):
    """`load` of no more than `count` elements, zeros after them: nothing beyond the end of an array is touched."""
    vector = np.zeros(LANES, a.dtype)
    present = max(0, min(count, LANES))
    vector[:present] = a.reshape(-1)[i : i + present]
    return vector


@intrinsic(lowering.store_partial)
def store_partial(a, i, vector, count):
    """`store` of no more than the first `count` elements."""
    present = max(0, min(count, LANES))
    a.reshape(-1)[i : i + present] = vector[:present]


@intrinsic(lowering.broadcast)
def broadcast(number):
    """The same number in every lane: float32, or int32 if it is an integer."""
    return np.full(LANES, number, np.float32 if isinstance(number, (float, np.floating)) else np.int32)


@intrinsic(lowering.lane_numbers)
def lane_numbers():
    """0, 1, 2, ...   -> vector of int32"""
    return np.arange(LANES, dtype=np.int32)


@intrinsic(lowering.fma)
def fma(a, b, c):
    """a * b + c, rounded once where the hardware can."""
    return a * b + c


@intrinsic(lowering.maximum)
def maximum(a, b):
    """The larger of each pair, and b where either is NaN: so maximum(0, x) lets NaN through."""
    return np.where(a > b, a, b).astype(np.float32)


@intrinsic(lowering.minimum)
def minimum(a, b):
    """The smaller of each pair, and b where either is NaN."""
    return np.where(a < b, a, b).astype(np.float32)


@intrinsic(lowering.select)
def select(mask, a, b):
    """a where the mask holds, elsewhere b."""
    return np.where(mask, a, b)


@intrinsic(lowering.count)
def count(mask):
    """In how many lanes the mask holds."""
    return int(np.count_nonzero(mask))


@intrinsic(lowering.compress_store)
def compress_store(a, i, mask, vector):
    """Write the lanes where the mask holds, one after the other, from a[i]; returns the index after the last.

    Up to LANES elements from a[i] may be overwritten with anything: write lists from left to right.
    """
    chosen = vector[mask]
    a.reshape(-1)[i : i + len(chosen)] = chosen
    return i + len(chosen)


@intrinsic(lowering.widen)
def widen(vector):
    """Bytes as int32."""
    return vector.astype(np.int32)


@intrinsic(lowering.narrow)
def narrow(vector):
    """int32 as bytes (the low eight bits)."""
    return vector.astype(np.uint8)


@intrinsic(lowering.to_float)
def to_float(vector):
    """int32 as float32."""
    return vector.astype(np.float32)


@intrinsic(lowering.to_int)
def to_int(vector):
    """float32 as int32, what is behind the point cut off."""
    return vector.astype(np.int32)


@intrinsic(lowering.as_float)
def as_float(vector):
    """The bits of int32, read as those of float32."""
    return vector.view(np.float32)


@intrinsic(lowering.load_pairs)
def load_pairs(a, at):
    """a[i] and a[i + 1] of floats for the LANES indices i in `at`, int32: one load for each pair   -> two vectors"""
    return a.reshape(-1)[at], a.reshape(-1)[at + 1]


@intrinsic(lowering.offsets)
def offsets(numbers, first, last, step):
    """Offsets of the rows of a tile whose first is row `first`: a tuple as long as `numbers` = (0, 1, 2, ...).

    Rows after the `last` are replaced by the last. The tile then computes that row several times and stores the same
    numbers there several times: no special code for the remainder, even when adding to what is there.
    """
    return tuple(min(first + r, last) * step for r in numbers)


@intrinsic(lowering.table_offsets)
def table_offsets(numbers, first, last, table):
    """The same, with the offsets written down in an array."""
    return tuple(int(table[min(first + r, last)]) for r in numbers)


@intrinsic(lowering.zero_tile)
def zero_tile(rows, columns):
    """A tile of zeros   -> (rows, vectors, LANES)"""
    return np.zeros((len(rows), len(columns), LANES), np.float32)


@intrinsic(lowering.load_row)
def load_row(a, i, columns):
    """The vectors at a[i + column]: a tile of a single row   -> (1, vectors, LANES)"""
    return np.stack([load(a, i + column) for column in columns])[None]


@intrinsic(lowering.load_tile)
def load_tile(a, rows, i, columns):
    """The vectors at a[row + i + column]   -> (rows, vectors, LANES)"""
    return np.concatenate([load_row(a, row + i, columns) for row in rows])


@intrinsic(lowering.store_tile)
def store_tile(a, rows, i, columns, tile):
    """a[row + i + column] = tile[row, column]"""
    for r, row in enumerate(rows):
        for v, column in enumerate(columns):
            store(a, row + i + column, tile[r, v])


@intrinsic(lowering.load_row_partial)
def load_row_partial(a, i, columns, width):
    """`load_row` of no more than `width` elements, zeros after them."""
    return np.stack([load_partial(a, i + column, width - column) for column in columns])[None]


@intrinsic(lowering.load_tile_partial)
def load_tile_partial(a, rows, i, columns, width):
    """`load_tile` of no more than `width` elements of every row, zeros after them."""
    return np.concatenate([load_row_partial(a, row + i, columns, width) for row in rows])


@intrinsic(lowering.store_tile_partial)
def store_tile_partial(a, rows, i, columns, tile, width):
    """`store_tile` of no more than `width` elements of every row."""
    for r, row in enumerate(rows):
        for v, column in enumerate(columns):
            store_partial(a, row + i + column, tile[r, v], width - column)


@intrinsic(lowering.outer_fma)
def outer_fma(tile, a, rows, k, row):
    """tile[r, v] + a[rows[r] + k] * row[v]: the rank-one update every product is made of."""
    column = a.reshape(-1)[np.array(rows) + k]
    return tile + column[:, None, None] * row


@intrinsic(lowering.element)
def element(a, i):
    """The number a[i], an integer as an index. Unlike a[i] in Numba it does not ask whether i counts from the end."""
    number = a.reshape(-1)[i]
    return int(number) if a.dtype.kind in "iu" else number


@intrinsic(lowering.adjacent)
def adjacent(numbers, last):
    """Offsets of vectors side by side, but for the last: 0, LANES, 2 * LANES, ..., last. As many as `numbers`.

    They are known when the kernel is compiled, so that a tile of any width needs a single address.
    """
    return (*range(0, (len(numbers) - 1) * LANES, LANES), last)


@intrinsic(lowering.transpose)
def transpose(tile):
    """Rows as columns, for a tile of LANES rows of one vector."""
    return np.ascontiguousarray(tile.transpose(2, 1, 0))
