"""Bit masks in an integer: bit n is 1 if lane, window or filter n is active.

A comparison of two vectors yields a mask, one bit for each lane. As an integer it is a list of the active lanes: its
bits are walked one after the other, in two instructions each, and inactive lanes cost nothing.

    members = bitmask(load(a, 0) > 0.0, 0)
    while members != 0:
        n = count_trailing_zeros(members)                           # ... something with a[n]
        members = clear_lowest_bit(members)

As in `intrinsics`, each function is its NumPy definition; the emitter above it is its machine code.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from scratchnet.compiled.simd.target import LANES
from scratchnet.compiled.simd.vector_types import intrinsic, returns

I64 = ir.IntType(64)


@returns(lambda mask, first: types.intp)
def _bitmask(emit, kinds, mask, first):
    lanes = emit.build.zext(emit.build.bitcast(mask, ir.IntType(LANES)), I64)
    return emit.build.shl(lanes, first)


@intrinsic(_bitmask)
def bitmask(mask, first):
    """The numbers first + lane, below 64, of the lanes where the mask holds."""
    return np.bitwise_or.reduce(np.where(mask, np.int64(1) << (first + np.arange(LANES)), 0))


@returns(lambda members: types.intp)
def _count_trailing_zeros(emit, kinds, members):
    return emit.call("llvm.cttz.i64", I64, members, ir.Constant(ir.IntType(1), 1))


@intrinsic(_count_trailing_zeros)
def count_trailing_zeros(members):
    """The smallest member of a set that is not empty."""
    return next(n for n in range(64) if int(members) >> n & 1)


@returns(lambda members: types.intp)
def _clear_lowest_bit(emit, kinds, members):
    return emit.build.and_(members, emit.build.sub(members, I64(1)))


@intrinsic(_clear_lowest_bit)
def clear_lowest_bit(members):
    """The set without its smallest member."""
    return np.int64(members) ^ (np.int64(1) << np.int64(count_trailing_zeros(members)))
