"""Python's operators on vectors and tiles, as instructions: + - * / & | and comparisons.

The same operators that NumPy gives to arrays, so that a kernel reads the same with either. A number beside a vector is
the same number in every lane.
"""

import operator
from functools import partial

from numba.core import types
from numba.extending import lower_builtin, type_callable

from scratchnet.compiled.simd.lowering import joined, lanewise
from scratchnet.compiled.simd.vector_types import MASK, CodeBuilder, Tile, Vector

ARITHMETIC = {
    operator.add: ("fadd", "add"),
    operator.sub: ("fsub", "sub"),
    operator.mul: ("fmul", "mul"),
    operator.truediv: ("fdiv", None),
    operator.and_: (None, "and_"),
    operator.or_: (None, "or_"),
}
COMPARISONS = {operator.gt: ">", operator.ge: ">=", operator.lt: "<", operator.le: "<=", operator.eq: "=="}


def define_operator(symbol, result, operation):
    """Give a Python operator its meaning where at least one operand is a vector or a tile."""
    type_callable(symbol)(lambda context: lambda a, b: result(a, b) if joined(a, b) else None)

    def lower(context, builder, signature, arguments):
        emit, common = CodeBuilder(context, builder, signature.return_type), joined(*signature.args)
        return lanewise(emit, signature.args, arguments, operation(builder, common), common)

    for kinds in (
        (Vector, Vector),
        (Vector, types.Number),
        (types.Number, Vector),
        (Tile, Tile),
        (Tile, Vector),
        (Vector, Tile),
        (Tile, types.Number),
        (types.Number, Tile),
    ):
        lower_builtin(symbol, *kinds)(lower)


def is_float(common):
    """Whether the numbers of an operation are floats."""
    return isinstance(common, Tile) or common.scalar == types.float32


def comparison(build, common):
    """The instruction for this kind of numbers; a comparison with NaN is false."""
    if is_float(common):
        return build.fcmp_ordered
    return build.icmp_signed if common.scalar.signed else build.icmp_unsigned


for symbol, names in ARITHMETIC.items():
    define_operator(symbol, joined, lambda build, common, names=names: getattr(build, names[not is_float(common)]))
for symbol, sign in COMPARISONS.items():
    define_operator(
        symbol, lambda a, b: MASK, lambda build, common, sign=sign: partial(comparison(build, common), sign)
    )
