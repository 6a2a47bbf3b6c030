"""Exercise 1: the bytes of an IDX file become an array."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np

from scratchnet.data.idx import CODES, TYPES, decode_idx
from scratchnet.learn.exercise import Exercise


def read_idx(data: bytes) -> np.ndarray:
    """The array in the bytes of an IDX file.

    All numbers are big-endian, the most significant byte first:

        bytes 0, 1     zero
        byte 2         type of the entries: 0x08 uint8, 0x09 int8, 0x0B int16, 0x0C int32, 0x0D float32, 0x0E float64
        byte 3         rank r, the number of dimensions
        4 r bytes      the r sizes, 32-bit integers
        the rest       the entries, last index fastest

    >>> read_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    array([5, 0, 4], dtype=uint8)
    """
    raise NotImplementedError


def textbook(data: bytes) -> np.ndarray:
    """The library's reader, on bytes in memory."""
    return decode_idx(io.BytesIO(data), len(data), "data")


def cases(rng: np.random.Generator) -> Iterator[tuple[bytes]]:
    """Labels, images, and arrays of other types; one size is above 255."""
    shapes = [(3,), (1, 2, 3), (2, 3, 2), (300,), (4, 5, 6)] + [
        tuple(rng.integers(1, 5, rng.integers(1, 4))) for _ in range(19)
    ]
    for i, shape in enumerate(shapes):
        code = list(TYPES)[i % len(TYPES)] if i >= 5 else 0x08
        dtype = np.dtype(TYPES[code])
        values = rng.integers(0, 256, shape) if dtype.kind == "u" else rng.integers(-100, 100, shape)
        header = struct.pack(f">HBB{len(shape)}i", 0, CODES[dtype.newbyteorder("=")], len(shape), *shape)
        yield (header + values.astype(dtype).tobytes(),)


def parts(data: bytes) -> tuple[np.dtype, list[int], bytes]:
    """The type, the sizes and the bytes of the entries."""
    rank = data[3]
    return np.dtype(TYPES[data[2]]), list(struct.unpack(f">{rank}i", data[4 : 4 + 4 * rank])), data[4 + 4 * rank :]


def sizes_of_little_endian_numbers(data: bytes) -> np.ndarray:
    """The sizes are read with the least significant byte first. IDX is big-endian: 0 0 0 3 is 3, and not 50331648.
    `int.from_bytes(..., "big")` or the type ">i4" reads them."""
    dtype, _, entries = parts(data)
    return np.frombuffer(entries, dtype).reshape(struct.unpack(f"<{data[3]}i", data[4 : 4 + 4 * data[3]]))


def entries_of_little_endian_numbers(data: bytes) -> np.ndarray:
    """Entries of several bytes come out with their bytes reversed: they are big-endian too. The types are ">i2", ">i4",
    ">f4", ">f8"."""
    dtype, sizes, entries = parts(data)
    return np.frombuffer(entries, dtype.newbyteorder("<")).reshape(sizes)


def always_bytes(data: bytes) -> np.ndarray:
    """The entries are read as bytes whatever byte 2 says; that works for images and labels only."""
    _, sizes, entries = parts(data)
    return np.frombuffer(entries, np.uint8).reshape(sizes)


def signed_bytes(data: bytes) -> np.ndarray:
    """Bright pixels become negative: type 0x08 is unsigned, from 0 to 255; 0x09 is the signed one."""
    dtype, sizes, entries = parts(data)
    return np.frombuffer(entries, "i1" if dtype.kind == "u" else dtype).reshape(sizes)


def header_of_16_bytes(data: bytes) -> np.ndarray:
    """The header has 4 + 4 r bytes: 16 for images (r = 3), and 8 for labels (r = 1)."""
    dtype, sizes, _ = parts(data)
    return np.frombuffer(data[16:], dtype).reshape(sizes)


def first_index_fastest(data: bytes) -> np.ndarray:
    """The pictures are turned over: rows and columns are exchanged. The last index is the fastest one, as in NumPy's
    reshape without order="F"."""
    dtype, sizes, entries = parts(data)
    return np.frombuffer(entries, dtype).reshape(sizes, order="F")


EXERCISE = Exercise(
    number=1, lesson=1, title="read the bytes of an IDX file", stub=read_idx, outputs=("array",), textbook=textbook,
    cases=cases, library="data/idx.py: decode_idx",
    mistakes=(
        sizes_of_little_endian_numbers, entries_of_little_endian_numbers, always_bytes, signed_bytes,
        header_of_16_bytes, first_index_fastest,
    ),
)  # fmt: skip
