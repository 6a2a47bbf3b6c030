"""What the chunks of a training step leave behind: a row for each chunk.

    row of a chunk    its loss | a signal that its process got | gradient | gradient | x and dz of a dense layer | ...

The chunks write their gradients into their rows and nowhere else, so that the rows of other processes can be received
in place. All rows have the same fields at the same places: they are found by capturing one chunk for nothing (`Fields`)
before the memory is allocated (`ChunkRows`). Each field begins on a cache line, like any other array of the engine.
"""

from __future__ import annotations

import math

import numpy as np

from scratchnet.compiled.jit.aligned import ALIGNMENT, aligned_empty, aligned_zeros

LINE = ALIGNMENT // 4  # float32 numbers
HEAD = LINE  # the loss and the signal, float64 each


class Fields:
    """The fields of a row, while they are being collected: arrays that stand for those of any chunk."""

    def __init__(self) -> None:
        self.places: dict[tuple, int] = {}  # the first number of each field
        self.size = HEAD

    def view(self, chunk: int, key: tuple, shape: tuple[int, ...]) -> np.ndarray:
        """An array for this field, which is added to the row if it is new."""
        if key not in self.places:
            self.places[key] = self.size
            self.size += -(-math.prod(shape) // LINE) * LINE
        return aligned_empty(shape)

    def loss(self, chunk: int) -> np.ndarray:
        """An array for the loss."""
        return np.zeros(1)


class ChunkRows:
    """The rows of all chunks of a step.

    >>> fields = Fields()
    >>> _ = fields.view(0, ("dense", "b"), (10,))
    >>> rows = ChunkRows(fields, chunks=4)
    >>> rows.view(2, ("dense", "b"), (10,))[...] = 7
    >>> rows.array.shape, float(rows.array[2, 16])
    ((4, 32), 7.0)
    """

    def __init__(self, fields: Fields, chunks: int):
        self.places = fields.places
        self.array = aligned_zeros((chunks, fields.size))
        heads = self.array.view(np.float64)
        self.losses, self.signals = heads[:, 0], heads[:, 1]

    def loss(self, chunk: int) -> np.ndarray:
        """Where the loss of a chunk goes."""
        return self.losses[chunk : chunk + 1]

    def view(self, chunk: int, key: tuple, shape: tuple[int, ...]) -> np.ndarray:
        """A chunk's field."""
        first = self.places[key]
        return self.array[chunk, first : first + math.prod(shape)].reshape(shape)

    def same_in(self, chunk: int, view: np.ndarray) -> np.ndarray:
        """The field of another chunk that corresponds to this view of a field."""
        first = (view.ctypes.data - self.array.ctypes.data) // 4 % self.array.shape[1]
        return self.array[chunk, first : first + view.size].reshape(view.shape)
