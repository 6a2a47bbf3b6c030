"""Images of a data set of any size, some at a time, in their order.

    IdxStream       an IDX file: a raw one is mapped, a packed one is unpacked as it is read
    FolderStream    the pictures in a folder and its sub-folders, in the order of their names

Both have `count`, and `pieces(size)`, which yields (first, images). `wanted` says which pieces are to be read: the
others are skipped, as far as the format allows it. Memory holds one piece.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.data.idx import AGAIN, DataFileError, packed_entries
from scratchnet.data.mapped import MappedImages, is_packed

Wanted = Callable[[int], bool]


class IdxStream:
    """The images of an IDX file of bytes. Raises DataFileError if it is damaged, as soon as that is seen.

    >>> write_idx("grey.gz", np.full((5, 28, 28), 128, np.uint8))
    >>> [(first, images.shape) for first, images in IdxStream("grey.gz").pieces(3)]
    [(0, (3, 28, 28)), (3, (2, 28, 28))]
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path).resolve()
        if not self.path.is_file():
            raise DataFileError(f"{path}: there is no such file. Check the path.")
        self.packed = is_packed(self.path)
        if self.packed:
            with packed_entries(self.path) as (shape, dtype, _):
                self.shape, self.dtype = shape, dtype
        else:
            self.mapped = MappedImages.of(self.path)
            self.shape, self.dtype = self.mapped.shape, self.mapped.dtype
        self.count = self.shape[0]
        if self.dtype != np.uint8 or len(self.shape) not in (3, 4):
            raise DataFileError(f"{path}: expected images of bytes, found {self.dtype} of shape {self.shape}.")

    def pieces(self, size: int, wanted: Wanted = lambda number: True) -> Iterator[tuple[int, np.ndarray]]:
        """(first, images), for the pieces whose numbers are wanted."""
        starts = enumerate(range(0, self.count, size))
        if not self.packed:
            yield from ((first, self.mapped[first : first + size]) for number, first in starts if wanted(number))
            return
        width = int(np.prod(self.shape[1:]))
        with packed_entries(self.path) as (_, _, read):
            for number, first in starts:
                count = min(size, self.count - first)
                data = read(count * width)
                if len(data) < count * width:
                    raise DataFileError(f"{self.path}: expected {self.count:,} images, found the end of data. {AGAIN}")
                if wanted(number):
                    yield first, np.frombuffer(data, np.uint8).reshape(count, *self.shape[1:])

    def identity(self) -> str:
        """What another content of the file would change: its place, size and time."""
        stat = self.path.stat()
        return f"{self.path} {stat.st_size} {stat.st_mtime_ns}"


class FolderStream:
    """The pictures of a folder. convert(path) -> an image, or ValueError or OSError: then the image is None.

    >>> write_idx("some.idx", np.zeros((1, 2, 2), np.uint8))
    >>> [names for _, names in FolderStream(".").names(2)][-1][-1]
    'some.idx'
    """

    def __init__(self, folder: str | os.PathLike[str], convert: Callable[[Path], np.ndarray] | None = None):
        self.path, self.convert = Path(folder).resolve(), convert
        if not self.path.is_dir():
            raise DataFileError(f"{folder}: there is no such folder. Check the path.")
        self.count, sha = 0, hashlib.sha256()
        for name in self.walk():
            self.count += 1
            sha.update(name.encode(errors="surrogateescape") + b"\0")
        self.digest = sha.hexdigest()
        if not self.count:
            raise DataFileError(f"{folder}: has no files. Give a folder of pictures.")

    def walk(self) -> Iterator[str]:
        """The files, as paths in the folder; hidden ones are left out."""
        for place, folders, files in os.walk(self.path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                if not name.startswith("."):
                    yield os.path.relpath(os.path.join(place, name), self.path)

    def names(self, size: int) -> Iterator[tuple[int, list[str]]]:
        """(first, names), `size` at a time."""
        piece: list[str] = []
        first = 0
        for name in self.walk():
            piece.append(name)
            if len(piece) == size:
                yield first, piece
                first, piece = first + size, []
        if piece:
            yield first, piece

    def pieces(self, size: int, wanted: Wanted = lambda number: True) -> Iterator[tuple[int, list[Any]]]:
        """(first, images), for the pieces whose numbers are wanted; None for a picture that cannot be used."""
        for number, (first, names) in enumerate(self.names(size)):
            if wanted(number):
                yield first, [self.image(name) for name in names]

    def image(self, name: str) -> np.ndarray | None:
        """A picture, or None if it cannot be used."""
        assert self.convert is not None
        try:
            return self.convert(self.path / name)
        except (ValueError, OSError):
            return None

    def identity(self) -> str:
        """What another content of the folder would change: its place, and the names."""
        return f"{self.path} {self.count} {self.digest}"
