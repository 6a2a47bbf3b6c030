"""One image, several threads: each computes some positions of a convolution's output.

No sum is divided, so the bits do not depend on the number of threads. Which positions a thread can take by itself
depends on the algorithm: any, whole tiles, or whole lines of windows. A thread has scratch memory of its own.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np


class Divisible:
    """The forward part of an algorithm, see `conv_algorithms`."""

    def forward_divided(self, ctx, x, packed, y, argmax, work) -> None:
        """`forward`; where the context has several threads, in shares that run side by side."""
        divided = self.shares(x, y, argmax, ctx.threads) if ctx.threads > 1 else [(x, y, argmax, work)]
        for seen, written, found, memory in ctx.side_by_side(divided):
            self.forward(ctx.call, seen, packed, written, found, memory)

    def forward(self, call, x, packed, y, argmax, work) -> None:
        """The calls for some images, or for a share of one."""
        raise NotImplementedError

    def shares(self, x, y, argmax, threads: int) -> list[tuple[Any, Any, Any, Any]]:
        """The arguments x, y, argmax and work of `forward` for each share of one image."""
        raise NotImplementedError


def even_parts(count: int, parts: int) -> list[slice]:
    """At most `parts` neighbouring ranges of 0 ... count, as equal as possible and none empty.

    >>> even_parts(7, 2), even_parts(1, 2)
    ([slice(0, 4, None), slice(4, 7, None)], [slice(0, 1, None)])
    """
    ends = [-(-count * i // parts) for i in range(parts + 1)]
    return [slice(first, last) for first, last in pairwise(ends) if first < last]


def times(part: slice, step: int, more: int = 0) -> slice:
    """The range `step` times as far out and as long, and `more` at its end.

    >>> times(slice(2, 4), 2), times(slice(2, 4), 2, more=1)
    (slice(4, 8, None), slice(4, 9, None))
    """
    return slice(part.start * step, part.stop * step + more)


def positions_of(y: np.ndarray) -> np.ndarray:
    """One image's outputs (1, h, w, f) as a single line (1, 1, h w, f), of which every part is contiguous."""
    return y.reshape(1, 1, -1, y.shape[-1])
