"""Registers as values: the two Numba types of the SIMD intrinsics, and how an intrinsic is compiled.

A register is a Numba type of its own, `Vector`, whose value is an LLVM vector such as <16 x float>. A `Tile` is an LLVM
array of vectors: the optimiser takes such arrays apart, and what remains is one register for each vector. That is all
the machinery there is: no pointers to "register variables", no code generated as text.

An intrinsic is a Python function, its NumPy definition, decorated with `@intrinsic(emitter)`. An *emitter* receives a
`CodeBuilder` (LLVM's builder, and the steps that emitters have in common), the Numba types of the arguments, and their
LLVM values; `@returns` gives the type of its result. The emitters are in `lowering`.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import lower_builtin, models, register_model, type_callable

from scratchnet.compiled.jit.cache import BOUNDS_CHECKED
from scratchnet.compiled.simd.target import FUSED, LANES, MASKS

I32, I64 = ir.IntType(32), ir.IntType(64)
FLOATS, INTS, BITS = (ir.VectorType(t, LANES) for t in (ir.FloatType(), I32, ir.IntType(1)))


class Vector(types.Type):
    """LANES numbers of one scalar type in a register; a mask is a Vector of booleans."""

    def __init__(self, scalar):
        self.scalar = scalar
        super().__init__(f"Vector({scalar}, {LANES})")


class Tile(types.Type):
    """rows x vectors registers of floats."""

    def __init__(self, rows, vectors):
        self.rows, self.vectors = rows, vectors
        super().__init__(f"Tile({rows}, {vectors}, {LANES})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """A Vector is one value of LLVM's vector type."""

    def __init__(self, manager, vector):
        number = BITS.element if vector.scalar == types.boolean else manager[vector.scalar].get_value_type()
        super().__init__(manager, vector, ir.VectorType(number, LANES))


@register_model(Tile)
class TileModel(models.PrimitiveModel):
    """A Tile is an array of vectors, row by row."""

    def __init__(self, manager, tile):
        super().__init__(manager, tile, ir.ArrayType(FLOATS, tile.rows * tile.vectors))


FLOAT, INT, MASK = Vector(types.float32), Vector(types.int32), Vector(types.boolean)


def returns(result):
    """Attach to an emitter the function from argument types to the type of its value."""

    def attach(emitter):
        emitter.result = result
        return emitter

    return attach


def intrinsic(emitter):
    """Decorate a NumPy definition: inside compiled kernels a call of it becomes what `emitter` emits."""

    def register(function):
        type_callable(function)(lambda context: emitter.result)

        @lower_builtin(function, types.VarArg(types.Any))
        def lower(context, builder, signature, arguments):
            emit = CodeBuilder(context, builder, signature.return_type)
            typed = [emit.index(k, v) for k, v in zip(signature.args, arguments, strict=True)]
            value = emitter(emit, [kind for kind, _ in typed], *(v for _, v in typed))
            return context.get_dummy_value() if signature.return_type == types.none else value

        return function

    return register


class CodeBuilder:
    """LLVM's builder as `.build`, the type of the result, and the steps that emitters have in common."""

    def __init__(self, context, build, result):
        self.context, self.build, self.result = context, build, result
        self.llvm = context.get_value_type(result)

    def index(self, kind, value):
        """Integers of every width become indices; anything else stays what it is."""
        if not isinstance(kind, types.Integer):
            return kind, value
        return types.intp, self.context.cast(self.build, value, kind, types.intp)

    def at(self, array_type, array, *offsets):
        """The address of an element of an array read as flat."""
        self.array = cgutils.create_struct_proxy(array_type)(self.context, self.build, value=array)
        pointer = self.array.data
        for offset in offsets:
            pointer = self.build.gep(pointer, [offset])
        return pointer

    def check(self, pointer, count):
        """If bounds are checked: end the process where `count` elements from here are not all in the array of `at`."""
        if not BOUNDS_CHECKED:
            return
        begin, nitems, first = self.array.data, self.array.nitems, self.build.ptrtoint(pointer, I64)
        end = self.build.gep(begin, [nitems])
        last = self.build.ptrtoint(self.build.gep(pointer, [self.build.sext(count, I64)]), I64)
        outside = self.build.or_(
            self.build.icmp_unsigned("<", first, self.build.ptrtoint(begin, I64)),
            self.build.icmp_unsigned(">", last, self.build.ptrtoint(end, I64)),
        )
        some = self.build.icmp_signed(">", count, count.type(0))
        with self.build.if_then(self.build.and_(some, outside)):
            self.call("llvm.trap", ir.VoidType())

    def number(self, array_type, array, *offsets):
        """One element of an array read as flat."""
        pointer = self.at(array_type, array, *offsets)
        self.check(pointer, I64(1))
        return self.build.load(pointer)

    def load(self, pointer, llvm=FLOATS):
        self.check(pointer, I64(LANES))
        return self.build.load(self.build.bitcast(pointer, llvm.as_pointer()), align=size(llvm))

    def store(self, pointer, vector):
        self.check(pointer, I64(LANES))
        self.build.store(vector, self.build.bitcast(pointer, vector.type.as_pointer()), align=size(vector.type))

    def load_partial(self, pointer, count, llvm=FLOATS):
        """Load `count` lanes, zeros after them. A full vector is a plain load where masks are not free."""
        intrinsic = f"llvm.masked.load.v{LANES}{abbreviation(llvm)}.p0"

        self.check(pointer, self.lesser_count(count))

        def masked():
            return self.call(intrinsic, llvm, pointer, I32(size(llvm)), self.first(count), ir.Constant(llvm, None))

        if MASKS:
            return masked()
        with self.build.if_else(self.build.icmp_signed(">=", count, count.type(LANES))) as (full, partial):
            with full:
                whole, after_whole = self.load(pointer, llvm), self.build.block
            with partial:
                part, after_part = masked(), self.build.block
        vector = self.build.phi(llvm)
        vector.add_incoming(whole, after_whole)
        vector.add_incoming(part, after_part)
        return vector

    def store_partial(self, pointer, count, vector):
        """Store `count` lanes."""
        intrinsic = f"llvm.masked.store.v{LANES}{abbreviation(vector.type)}.p0"

        self.check(pointer, self.lesser_count(count))

        def masked():
            self.call(intrinsic, ir.VoidType(), vector, pointer, I32(size(vector.type)), self.first(count))

        if MASKS:
            masked()
            return
        with self.build.if_else(self.build.icmp_signed(">=", count, count.type(LANES))) as (full, partial):
            with full:
                self.store(pointer, vector)
            with partial:
                masked()

    def lesser_count(self, count):
        """`count`, but no more than there are lanes."""
        return self.build.select(self.build.icmp_signed("<", count, count.type(LANES)), count, count.type(LANES))

    def splat(self, number):
        llvm = ir.VectorType(number.type, LANES)
        first = self.build.insert_element(ir.Constant(llvm, ir.Undefined), number, I32(0))
        return self.build.shuffle_vector(first, ir.Constant(llvm, ir.Undefined), ir.Constant(INTS, None))

    def first(self, count):
        """The mask of the lanes below `count`."""
        lanes = ir.Constant(INTS, list(range(LANES)))
        return self.build.icmp_signed("<", lanes, self.splat(self.build.trunc(count, I32)))

    def call(self, name, llvm, *arguments):
        kind = ir.FunctionType(llvm, [a.type for a in arguments])
        return self.build.call(cgutils.get_or_insert_function(self.build.module, kind, name), arguments)

    def fma(self, a, b, c):
        if FUSED:
            return self.call(f"llvm.fma.v{LANES}f32", FLOATS, a, b, c)
        return self.build.fadd(self.build.fmul(a, b), c)  # without the instruction, fma is a function call per lane

    def larger(self, a, b):
        return self.build.select(self.build.fcmp_ordered(">", a, b), a, b)

    def lesser(self, a, b):
        return self.build.select(self.build.fcmp_ordered("<", a, b), a, b)

    def smaller(self, a, b):
        return self.build.select(self.build.icmp_signed("<", a, b), a, b)

    def ones(self, mask):
        """How many lanes of a mask are set, as an index."""
        bits = self.build.zext(self.build.bitcast(mask, ir.IntType(LANES)), ir.IntType(64))
        return self.call("llvm.ctpop.i64", ir.IntType(64), bits)

    def parts(self, tuple_type, value):
        """The LLVM values of a tuple or of a tile."""
        count = tuple_type.rows * tuple_type.vectors if isinstance(tuple_type, Tile) else tuple_type.count
        return [self.build.extract_value(value, i) for i in range(count)]

    def whole(self, values):
        """The tuple or tile of the result's type with these values."""
        aggregate = ir.Constant(self.llvm, ir.Undefined)
        for i, value in enumerate(values):
            aggregate = self.build.insert_value(aggregate, value, i)
        return aggregate

    def places(self, kinds, a, rows, offset, columns):
        """(address, offset of its column) of every vector of a tile in memory; kinds of (a, rows, offset, columns)."""
        return [
            (self.at(kinds[0], a, offset, row, column), column)
            for row in self.parts(kinds[1], rows)
            for column in self.parts(kinds[3], columns)
        ]


def size(llvm):
    """Bytes of one element of a vector: the alignment that is promised."""
    return 4 if llvm.element == ir.FloatType() else max(1, llvm.element.width // 8)


def abbreviation(llvm):
    """f32, i32 or i8: how LLVM's intrinsics name the element."""
    return "f32" if llvm.element == ir.FloatType() else f"i{llvm.element.width}"
