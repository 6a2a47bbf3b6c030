"""The maximum of a pool's window and its argmax, in registers: of equals the first, and NaN if one of them is NaN.

best, which = larger(y0, broadcast(0), y1, 1)         y0 and y1: the first two cells of LANES windows
best, which = larger(best, which, y2, 2)              ...
best = nan_if_any(y0 + y1 + y2, best)                 a comparison with NaN is false, so it would be lost
"""

from __future__ import annotations

from scratchnet.compiled.jit.decorators import inline
from scratchnet.compiled.simd.intrinsics import broadcast, select


@inline
def larger(best, which, rival, cell):
    """The larger of two vectors, and the number of its cell; of equals the first, as in argmax."""
    return select(rival > best, rival, best), select(rival > best, cell, which)


@inline
def nan_if_any(total, best):
    """`best`, but NaN where the sum of all candidates is: where one of them is NaN, or infinities of both signs are."""
    return select(total == total, best, total)


@inline
def max_of_four(y0, y1, y2, y3):
    """The maximum of a 2×2 window, and which cell it is in."""
    best, which = larger(y0, broadcast(0), y1, 1)
    best, which = larger(best, which, y2, 2)
    best, which = larger(best, which, y3, 3)
    return nan_if_any((y0 + y1) + (y2 + y3), best), which
