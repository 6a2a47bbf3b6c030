"""Sets of small numbers as the bits of an integer: number n belongs to the set if bit n is 1.

A comparison of two vectors yields a mask, one bit for each lane. Kept as an integer, such a mask is a list that need
not be written down: its members come out one after the other, in two instructions each, and the lanes where nothing
is to be done cost nothing.

    members = as_set(load(a, 0) > 0.0, 0)
    while members != 0:
        n = lowest(members)                           # ... something with a[n]
        members = without_lowest(members)

As in `simd`, every word is its NumPy definition, and below it is what the compiler makes of it.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from scratchnet.compiled.registers import gives, word
from scratchnet.compiled.target import LANES

I64 = ir.IntType(64)


@gives(lambda mask, first: types.intp)
def _as_set(emit, kinds, mask, first):
    lanes = emit.build.zext(emit.build.bitcast(mask, ir.IntType(LANES)), I64)
    return emit.build.shl(lanes, first)


@word(_as_set)
def as_set(mask, first):
    """The numbers first + lane, below 64, of the lanes where the mask holds."""
    return np.bitwise_or.reduce(np.where(mask, np.int64(1) << (first + np.arange(LANES)), 0))


@gives(lambda members: types.intp)
def _lowest(emit, kinds, members):
    return emit.call("llvm.cttz.i64", I64, members, ir.Constant(ir.IntType(1), 1))


@word(_lowest)
def lowest(members):
    """The smallest member of a set that is not empty."""
    return next(n for n in range(64) if int(members) >> n & 1)


@gives(lambda members: types.intp)
def _without_lowest(emit, kinds, members):
    return emit.build.and_(members, emit.build.sub(members, I64(1)))


@word(_without_lowest)
def without_lowest(members):
    """The set without its smallest member."""
    return np.int64(members) ^ (np.int64(1) << np.int64(lowest(members)))
