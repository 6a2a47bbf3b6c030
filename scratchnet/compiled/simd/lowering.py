"""The emitter of each intrinsic (`intrinsics`, same names, same order): its LLVM instructions.

Loads and stores promise the compiler no more alignment than that of one number: on current CPUs the instruction for
unaligned memory is as fast as the other when the address happens to be aligned. Nothing here looks at bounds.
"""

from llvmlite import ir
from numba.core import types

from scratchnet.compiled.simd.target import LANES, MASKS
from scratchnet.compiled.simd.vector_types import FLOAT, FLOATS, I32, INT, INTS, Tile, Vector, returns

PAIRS = ir.VectorType(ir.IntType(64), LANES)  # two floats in each lane


def is_flat(array):
    """Whether the array's type is C-contiguous, so that an index is an offset."""
    return isinstance(array, types.Array) and array.layout == "C"


@returns(lambda a, i: Vector(a.dtype) if is_flat(a) else None)
def load(emit, kinds, a, i):
    """One unaligned load of a whole vector."""
    return emit.load(emit.at(kinds[0], a, i), emit.llvm)


@returns(lambda a, i, vector: types.none if is_flat(a) else None)
def store(emit, kinds, a, i, vector):
    """One unaligned store of a whole vector."""
    emit.store(emit.at(kinds[0], a, i), vector)


@returns(lambda a, i, count: Vector(a.dtype) if is_flat(a) else None)
def load_partial(emit, kinds, a, i, count):
    """A load with a mask: the other lanes are 0, and their memory is not touched."""
    return emit.load_partial(emit.at(kinds[0], a, i), count, emit.llvm)


@returns(lambda a, i, vector, count: types.none if is_flat(a) else None)
def store_partial(emit, kinds, a, i, vector, count):
    """A store with a mask."""
    emit.store_partial(emit.at(kinds[0], a, i), count, vector)


@returns(lambda number: FLOAT if isinstance(number, types.Float) else INT)
def broadcast(emit, kinds, number):
    """The number, cast to the vector's type, in every lane."""
    return emit.splat(emit.context.cast(emit.build, number, kinds[0], emit.result.scalar))


@returns(lambda: INT)
def lane_numbers(emit, kinds):
    """A constant."""
    return ir.Constant(INTS, list(range(LANES)))


def joined(*kinds):
    """The type of an operation on vectors, tiles and numbers, by NumPy's rules of broadcasting."""
    tiles = [k for k in kinds if isinstance(k, Tile)]
    if tiles:
        return Tile(max(t.rows for t in tiles), max(t.vectors for t in tiles))
    vectors = [k for k in kinds if isinstance(k, Vector)]
    return vectors[0] if vectors else None


def lanewise(emit, kinds, values, operation, common):
    """operation(vector, ...) for every register of the operands, brought to the shape of `common`."""
    scalar = types.float32 if isinstance(common, Tile) else common.scalar

    def registers(kind, value, count, vectors):
        if isinstance(kind, types.Number):
            value = emit.splat(emit.context.cast(emit.build, value, kind, scalar))
        if isinstance(kind, Tile):
            parts = emit.parts(kind, value)
            return parts if kind.rows * kind.vectors == count else parts * (count // vectors)
        return [value] * count

    if isinstance(common, Vector):
        return operation(*(registers(k, v, 1, 1)[0] for k, v in zip(kinds, values, strict=True)))
    count = common.rows * common.vectors
    operands = [registers(k, v, count, common.vectors) for k, v in zip(kinds, values, strict=True)]
    return emit.whole(map(operation, *operands))


@returns(lambda a, b, c: joined(a, b, c))
def fma(emit, kinds, a, b, c):
    """One fused instruction for each register, if the CPU has it."""
    return lanewise(emit, kinds, (a, b, c), emit.fma, emit.result)


@returns(lambda a, b: joined(a, b))
def maximum(emit, kinds, a, b):
    """A comparison and a choice, which together are one instruction; b where they cannot be ordered."""
    return lanewise(emit, kinds, (a, b), emit.larger, emit.result)


@returns(lambda a, b: joined(a, b))
def minimum(emit, kinds, a, b):
    """The same with the other comparison."""
    return lanewise(emit, kinds, (a, b), emit.lesser, emit.result)


@returns(lambda mask, a, b: joined(a, b) or FLOAT)
def select(emit, kinds, mask, a, b):
    """One choice, lane by lane, for each register."""
    return lanewise(emit, kinds, (mask, a, b), emit.build.select, emit.result)


@returns(lambda mask: types.intp)
def count(emit, kinds, mask):
    """The mask as an integer, and its bits counted."""
    return emit.ones(mask)


@returns(lambda a, i, mask, vector: types.intp if is_flat(a) else None)
def compress_store(emit, kinds, a, i, mask, vector):
    """The chosen lanes side by side in one instruction, where there is one."""
    build = emit.build
    if MASKS:  # on integers: for floats LLVM knows it on some targets only
        lanes = emit.call(
            f"llvm.experimental.vector.compress.v{LANES}i32",
            INTS,
            build.bitcast(vector, INTS),
            mask,
            ir.Constant(INTS, None),
        )
        emit.store(emit.at(kinds[0], a, i), build.bitcast(lanes, vector.type))
        return build.add(i, emit.ones(mask))
    for lane in range(LANES):  # write every lane, move on after the chosen ones: no branches
        build.store(build.extract_element(vector, I32(lane)), emit.at(kinds[0], a, i))
        i = build.add(i, build.zext(build.extract_element(mask, I32(lane)), i.type))
    return i


@returns(lambda vector: INT)
def widen(emit, kinds, vector):
    """Bytes to 32 bits, filled with zeros."""
    return emit.build.zext(vector, INTS)


@returns(lambda vector: Vector(types.uint8))
def narrow(emit, kinds, vector):
    """The low eight bits of each lane."""
    return emit.build.trunc(vector, emit.llvm)


@returns(lambda vector: FLOAT)
def to_float(emit, kinds, vector):
    """One conversion."""
    return emit.build.sitofp(vector, FLOATS)


@returns(lambda vector: INT)
def to_int(emit, kinds, vector):
    """One conversion, towards zero."""
    return emit.build.fptosi(vector, INTS)


@returns(lambda vector: FLOAT)
def as_float(emit, kinds, vector):
    """No instruction."""
    return emit.build.bitcast(vector, FLOATS)


@returns(lambda a, at: types.UniTuple(FLOAT, 2) if is_flat(a) else None)
def load_pairs(emit, kinds, a, at):
    """A load of 64 bits for each lane, split into two vectors."""
    # Sixteen ordinary loads of 64 bits: the instruction that gathers does no better, and not every CPU has it.
    build, pairs, start = emit.build, ir.Constant(PAIRS, ir.Undefined), emit.at(kinds[0], a)
    for lane in range(LANES):
        place = build.gep(start, [build.sext(build.extract_element(at, I32(lane)), PAIRS.element)])
        pair = build.load(build.bitcast(place, PAIRS.element.as_pointer()), align=4)
        pairs = build.insert_element(pairs, pair, I32(lane))
    second = build.lshr(pairs, ir.Constant(PAIRS, [32] * LANES))
    return emit.whole(build.bitcast(build.trunc(half, INTS), FLOATS) for half in (pairs, second))


@returns(lambda numbers, first, last, step: types.UniTuple(types.intp, numbers.count))
def offsets(emit, kinds, numbers, first, last, step):
    """An addition, a comparison and a product for each row, once outside of the loop."""
    rows = (emit.smaller(emit.build.add(first, n), last) for n in emit.parts(kinds[0], numbers))
    return emit.whole(emit.build.mul(row, step) for row in rows)


@returns(lambda numbers, first, last, table: types.UniTuple(types.intp, numbers.count))
def table_offsets(emit, kinds, numbers, first, last, table):
    """An addition, a comparison and a load for each row."""
    rows = (emit.smaller(emit.build.add(first, n), last) for n in emit.parts(kinds[0], numbers))
    entries = (emit.number(kinds[3], table, row) for row in rows)
    return emit.whole(emit.index(kinds[3].dtype, entry)[1] for entry in entries)


@returns(lambda rows, columns: Tile(rows.count, columns.count))
def zero_tile(emit, kinds, rows, columns):
    """A constant."""
    return ir.Constant(emit.llvm, None)


@returns(lambda a, i, columns: Tile(1, columns.count) if is_flat(a) else None)
def load_row(emit, kinds, a, i, columns):
    """One load for each vector."""
    return emit.whole(emit.load(emit.at(kinds[0], a, i, column)) for column in emit.parts(kinds[2], columns))


@returns(lambda a, rows, i, columns: Tile(rows.count, columns.count) if is_flat(a) else None)
def load_tile(emit, kinds, a, rows, i, columns):
    """One load for each vector of each row."""
    return emit.whole(emit.load(place) for place, _ in emit.places(kinds, a, rows, i, columns))


@returns(lambda a, rows, i, columns, tile: types.none if is_flat(a) else None)
def store_tile(emit, kinds, a, rows, i, columns, tile):
    """One store for each vector of each row."""
    for (place, _), vector in zip(emit.places(kinds, a, rows, i, columns), emit.parts(kinds[4], tile), strict=True):
        emit.store(place, vector)


@returns(lambda a, i, columns, width: Tile(1, columns.count) if is_flat(a) else None)
def load_row_partial(emit, kinds, a, i, columns, width):
    """One load with a mask for each vector: the mask is what is left of `width` at its column."""
    return emit.whole(
        emit.load_partial(emit.at(kinds[0], a, i, column), emit.build.sub(width, column))
        for column in emit.parts(kinds[2], columns)
    )


@returns(lambda a, rows, i, columns, width: Tile(rows.count, columns.count) if is_flat(a) else None)
def load_tile_partial(emit, kinds, a, rows, i, columns, width):
    """The same for each row."""
    return emit.whole(
        emit.load_partial(place, emit.build.sub(width, column))
        for place, column in emit.places(kinds, a, rows, i, columns)
    )


@returns(lambda a, rows, i, columns, tile, width: types.none if is_flat(a) else None)
def store_tile_partial(emit, kinds, a, rows, i, columns, tile, width):
    """One store with a mask for each vector of each row."""
    places = emit.places(kinds, a, rows, i, columns)
    for (place, column), vector in zip(places, emit.parts(kinds[4], tile), strict=True):
        emit.store_partial(place, emit.build.sub(width, column), vector)


@returns(lambda tile, a, rows, k, row: tile if is_flat(a) else None)
def outer_fma(emit, kinds, tile, a, rows, k, row):
    """A broadcast load for each row, and a multiply-add with each vector of `row`."""
    accumulators = iter(emit.parts(kinds[0], tile))
    row = emit.parts(kinds[4], row)
    sums = []
    # An empty instruction that loads may not be moved across. LLVM would unroll the loop around it, load for
    # several steps in advance, and run out of registers: a weight gradient made 42 GFLOP/s without it, 112 with it.
    emit.build.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], True)
    for offset in emit.parts(kinds[2], rows):
        number = emit.splat(emit.number(kinds[1], a, k, offset))
        sums += [emit.fma(number, vector, next(accumulators)) for vector in row]
    return emit.whole(sums)


@returns(lambda a, i: (types.intp if isinstance(a.dtype, types.Integer) else a.dtype) if is_flat(a) else None)
def element(emit, kinds, a, i):
    """One load, without the test for negative indices that Numba puts in front of it."""
    return emit.index(kinds[0].dtype, emit.number(kinds[0], a, i))[1]


@returns(lambda numbers, last: types.UniTuple(types.intp, numbers.count))
def adjacent(emit, kinds, numbers, last):
    """Constants, but for the last."""
    return emit.whole([last.type(v * LANES) for v in range(kinds[0].count - 1)] + [last])


@returns(lambda tile: tile if (tile.rows, tile.vectors) == (LANES, 1) else None)
def transpose(emit, kinds, tile):
    """log2(LANES) rounds of shuffles of two registers each."""
    rows, half = emit.parts(kinds[0], tile), LANES // 2
    first, second = (INTS([start + i // 2 + i % 2 * LANES for i in range(LANES)]) for start in (0, half))
    for _ in range(LANES.bit_length() - 1):  # a perfect shuffle of all numbers moves the bits of their index
        rows = [
            emit.build.shuffle_vector(rows[r // 2], rows[r // 2 + half], second if r % 2 else first)
            for r in range(LANES)
        ]
    return emit.whole(rows)
