"""The gradient of a dense layer's weights as its two factors, multiplied only where it is used.

    dW = xᵀ · dz            (features, n) @ (n, units) -> (features, units)

For a chunk of 32 with 1600 features and 128 units, dW has four times the numbers of x and fifty times those of dz. If
every chunk wrote a dW of its own, much of its time would go into 800 KB that leave the cache before the optimizer
reads them again, once per chunk. So the chunks only keep their rows of x and dz, and the optimizer asks for dW a few
rows at a time: each block is computed in registers, for the whole batch at once, and used while it is in the cache.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty, aligned_zeros
from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.kernels.gemm import matmul, pack_rows, padded_width
from scratchnet.compiled.simd.intrinsics import LANES, load_partial, store_partial

WIDTH = 128  # features in a block


class DeferredGradient:
    """dW of a batch of n examples. Every chunk adds its rows; then blocks of dW can be computed.

    >>> def call(kernel, *arguments, **named):
    ...     kernel(*arguments, **named)
    >>> dW = DeferredGradient(n=2, features=3, units=4)
    >>> dW.add_chunk(call, 0, np.ones((2, 3), np.float32), np.ones((2, 4), np.float32))
    >>> dW.whole(call)[0]
    array([2., 2., 2., 2.], dtype=float32)
    """

    def __init__(self, n: int, features: int, units: int):
        self.n, self.x, self.panels = n, aligned_empty(n * features), aligned_zeros((n + 1) * padded_width(units))
        self.units, self.block_size = units, WIDTH * units
        self.blocks = aligned_empty((-(-features // WIDTH), self.block_size))  # the last one may be filled in part
        self.dW = self.blocks.reshape(-1)[: features * units].reshape(features, units)

    def add_chunk(self, call, first: int, x: np.ndarray, dz: np.ndarray) -> None:
        """Keep a chunk's x (m, features) and dz (m, units): the batch's examples first, first + 1, ..."""
        call(keep_rows, x, dz, 0, x.shape[1], first, self.n, self.x, self.panels)

    def block(self, call, start: int, stop: int) -> np.ndarray:
        """The numbers start .. stop of dW, read as flat: all or part of one block of features, computed now."""
        rows = slice(start // self.units, stop // self.units)
        x = self.x[rows.start * self.n : rows.stop * self.n].reshape(self.n, rows.stop - rows.start)
        call(matmul, x, self.panels, self.dW[rows], relu=False, add=False, transposed=True)
        return self.dW.reshape(-1)[start:stop]

    def whole(self, call) -> np.ndarray:
        """dW (features, units)."""
        for start in range(0, self.dW.size, self.block_size):
            self.block(call, start, min(start + self.block_size, self.dW.size))
        return self.dW

    def named_arrays(self) -> dict[str, np.ndarray]:
        """Its arrays, for printing."""
        return {"x": self.x, "dz": self.panels, "dW": self.dW}


@jit
def keep_rows(x, dz, start, stop, first, n, blocks, panels):
    """Copy x to its rows of the blocks, and dz to those of the panels, whose row 0 is that of a bias: zero.

    start, stop: the features of x that are copied, whole blocks of them.
    """
    m, features = x.shape
    for begin in range(start, stop, WIDTH):
        width = min(WIDTH, features - begin)
        for i in range(m):
            at, to = i * features + begin, begin * n + (first + i) * width
            for j in range(0, width, LANES):
                store_partial(blocks, to + j, load_partial(x, at + j, width - j), width - j)
    pack_rows(dz.reshape(-1), 0, m, dz.shape[1], panels, n + 1, 1 + first)
