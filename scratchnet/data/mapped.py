"""Images that stay in their file: a raw IDX file, mapped into memory, of which only the rows that are used are read.

The system reads a page of a mapped file when it is touched, and keeps it for a while. A run that draws rows at random
would in the end have touched everything, and the memory of the process would look as large as the file. So the pages
are given back now and then (`madvise`); the system's own cache of the file keeps them if it has room.

A packed file cannot be mapped: its bytes do not exist before it is unpacked.
"""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from scratchnet.data.idx import GZIP_MAGIC, entries_of

KEPT = 2**28  # bytes that may be mapped before the pages are given back
FOLIO = 2**21  # bytes that the system may map at once when one of them is touched
PIECE = 4096  # rows that are looked at together


class Mapping:
    """A raw IDX file in memory, shared by all that index it."""

    def __init__(self, path: str | os.PathLike[str]):
        shape, dtype, offset = entries_of(path)
        with open(path, "rb") as file:
            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.array = np.ndarray(shape, dtype, self.map, offset)
        self.touched = 0

    def read(self, rows: Any) -> np.ndarray:
        """A copy of these rows."""
        if isinstance(rows, slice) or (len(rows) and np.ptp(rows) < 4 * len(rows)):  # neighbours
            found = np.array(self.array[rows])
            self.count(4 * found.nbytes)
            return found
        found = np.empty((len(rows), *self.array.shape[1:]), self.array.dtype)
        for start in range(0, len(rows), KEPT // FOLIO):
            some = slice(start, start + KEPT // FOLIO)
            found[some] = self.array[rows[some]]
            self.count(FOLIO * len(rows[some]))
        return found

    def count(self, touched: int) -> None:
        """Give all pages back when many may have been mapped."""
        self.touched += touched
        if self.touched > KEPT and hasattr(mmap, "MADV_DONTNEED"):
            self.map.madvise(mmap.MADV_DONTNEED)
            self.touched = 0


class MappedImages:
    """Images in a raw IDX file, or some of them. Indexing reads; everything else does not.

    >>> write_idx("grey", np.full((5, 28, 28), 128, np.uint8))
    >>> images = MappedImages.of("grey")
    >>> images.shape, images.subset(np.array([4, 1])).shape, images[1:3].mean()
    ((5, 28, 28), (2, 28, 28), np.float64(128.0))
    """

    def __init__(self, mapping: Mapping, rows: np.ndarray | None = None, channel: bool = False):
        self.mapping, self.rows, self.channel = mapping, rows, channel
        count = len(mapping.array) if rows is None else len(rows)
        self.shape = (count, *mapping.array.shape[1:], *(1,) * channel)
        self.dtype, self.ndim = mapping.array.dtype, len(self.shape)
        self.extremes: tuple[int, int] | None = None

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> MappedImages:
        """The images of a raw IDX file. Raises DataFileError if it is not one."""
        return cls(Mapping(path))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        """How many pixels there are."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Their bytes in the file."""
        return self.size * self.dtype.itemsize

    def __getitem__(self, index: Any) -> Any:
        """Images in memory, as an array of its own; with [..., None] all of them, mapped, and an axis for a channel."""
        if isinstance(index, tuple) and index == (Ellipsis, None):
            return MappedImages(self.mapping, self.rows, True)
        if isinstance(index, np.ndarray) and index.dtype == bool:
            index = np.flatnonzero(index)
        if isinstance(index, int | np.integer):
            return self[np.array([range(len(self))[index]])][0]
        images = self.mapping.read(index if self.rows is None else self.rows[index])
        return images[..., None] if self.channel else images

    def subset(self, rows: np.ndarray) -> MappedImages:
        """These images, mapped."""
        return MappedImages(self.mapping, rows if self.rows is None else self.rows[rows], self.channel)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        """All images in memory."""
        return self[:].astype(dtype or self.dtype, copy=False)

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """The same images, still mapped, if that is their type; else all of them in memory."""
        return self if np.dtype(dtype) == self.dtype else np.asarray(self).astype(dtype)

    def reshape(self, *shape: Any) -> np.ndarray:
        """All images in memory, in another shape."""
        return np.asarray(self).reshape(*shape)

    def min(self) -> int:
        """The darkest pixel."""
        return self.range()[0]

    def max(self) -> int:
        """The brightest pixel."""
        return self.range()[1]

    def range(self) -> tuple[int, int]:
        """The darkest and the brightest pixel; found by reading everything once."""
        if self.extremes is None:
            pieces = (self[start : start + PIECE] for start in range(0, len(self), PIECE))
            lows, highs = zip(*((piece.min(), piece.max()) for piece in pieces), strict=True)
            self.extremes = min(lows), max(highs)
        return self.extremes


def is_packed(path: str | os.PathLike[str]) -> bool:
    """Whether a file is packed by gzip."""
    with open(path, "rb") as file:
        return file.read(2) == GZIP_MAGIC


def take(images: Any, rows: Any) -> Any:
    """images[rows]; of mapped images the mapped rows. rows: numbers, or None for all.

    >>> take(np.arange(5), np.array([3, 1]))
    array([3, 1])
    """
    if rows is None:
        return images
    return images.subset(rows) if isinstance(images, MappedImages) else images[rows]
