"""Arrays and attributes of an HDF5 file: number formats, shapes and texts.

A number format is written down to the place of each bit. Only the formats of NumPy are accepted: little-endian
integers, and the floats of IEEE 754. Of an array, the bytes in the file must be exactly those that its shape needs.
It is a view of them, not a copy.

An attribute holds numbers, texts of one length, or texts of any length; the last are in a heap of the file.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from scratchnet.interop.hdf5_source import Source, unpack
from scratchnet.saving.container import ModelFileError, shown

CLASSES = {
    2: "times", 3: "texts", 4: "bit fields", 5: "opaque bytes (bfloat16, for example)", 6: "compounds",
    7: "references to objects", 8: "enumerations", 9: "lists of any length", 10: "arrays in arrays",
}  # fmt: skip
# Byte order and sign, size, then places and widths of exponent and mantissa, for IEEE 754.
FLOATS = {
    struct.pack("<BBBIHHBBBBI", 0x20, 8 * size - 1, 0, size, 0, 8 * size, at, wide, 0, at, bias): np.dtype(f"<f{size}")
    for size, at, wide, bias in ((2, 10, 5, 15), (4, 23, 8, 127), (8, 52, 11, 1023))
}


def read_array(source: Source, shape: bytes, number: bytes, place: bytes) -> np.ndarray:
    """An array: a view of the file's bytes, which must be exactly those that its shape needs."""
    sizes, dtype = read_shape(shape), read_format(number)
    if not isinstance(dtype, np.dtype) or dtype.kind == "S":
        raise ModelFileError("an array of texts")
    version, kind = place[:2]
    if version != 3 or kind > 1:
        stored = {2: "in chunks, which can be compressed", 3: "in other files (virtual)"}.get(kind, "in an unknown way")
        raise ModelFileError(f"an array that is stored {stored}. Keras writes no such array")
    if kind == 1:  # contiguous
        data, (start, size) = source.content, unpack("<QQ", place, 2)
    else:  # compact: within the header
        data, start, size = place, 4, unpack("<H", place, 2)[0]
    count = math.prod(sizes)
    if size != count * dtype.itemsize:
        raise ModelFileError(f"{dtype} {sizes} takes {count * dtype.itemsize:,} bytes; the file has {size:,} for it")
    if size and start + size > len(data):
        raise ModelFileError(f"cut off: {size:,} bytes of an array are not all in the file")
    source.give(size)
    return (np.frombuffer(data, dtype, count, start) if count else np.empty(0, dtype)).reshape(sizes)


def read_shape(message: bytes) -> tuple[int, ...]:
    """The sizes in a dataspace message; () for a single number."""
    version, rank = message[:2]
    if version not in (1, 2) or rank > 8 or (version == 2 and message[3] == 2):
        raise ModelFileError(f"a shape in an unknown form (version {version}, {rank} sizes)")
    return unpack(f"<{rank}Q", message, 8 if version == 1 else 4)


def read_format(message: bytes) -> np.dtype | None:
    """The dtype of a datatype message; None for texts of any length."""
    kind, bits, size = message[0] & 15, message[1], unpack("<I", message, 4)[0]
    if kind == 0 and not bits & 1 and size in (1, 2, 4, 8) and unpack("<HH", message, 8) == (0, 8 * size):
        return np.dtype(f"<{'i' if bits & 8 else 'u'}{size}")
    if kind == 1 and (known := FLOATS.get(message[1:20])) is not None:
        return known
    if kind == 3 and size:
        return np.dtype(f"S{size}")
    if kind == 9 and bits & 15 == 1:
        return None
    what = "numbers that are not little-endian, or of an unknown size" if kind < 2 else CLASSES.get(kind, "unknown")
    raise ModelFileError(f"an array of {what}. It must hold little-endian integers or floats")


def attribute(source: Source, message: bytes, wanted: str) -> tuple[str, Any]:
    """(name, value) of an attribute; the value only if the name is the wanted one."""
    version, flags, name_size, format_size, shape_size = unpack("<BBHHH", message)
    if version not in (1, 2, 3) or (version > 1 and flags):
        raise ModelFileError(f"an attribute of an unknown or shared kind (version {version})")
    parts, place = [], 8 + (version == 3)
    for size in (name_size, format_size, shape_size):
        parts.append(message[place : place + size])
        place += -(-size // 8) * 8 if version == 1 else size
    name = parts[0].rstrip(b"\0").decode()
    if name != wanted:
        return name, None
    sizes, dtype = read_shape(parts[2]), read_format(parts[1])
    count, item = math.prod(sizes), 16 if dtype is None else dtype.itemsize
    if count * item > len(message) - place:
        raise ModelFileError(f"attribute {shown(name)}: {count:,} values do not fit into {len(message):,} bytes")
    source.give(count * item)
    if dtype is None:
        texts = [read_text(source, *unpack("<IQI", message, place + 16 * i)) for i in range(count)]
        return name, texts if sizes else texts[0]
    values = np.frombuffer(message, dtype, count, place).reshape(sizes)
    if dtype.kind != "S":
        return name, values
    decoded = [value.decode() for value in values.ravel().tolist()]
    return name, decoded if sizes else decoded[0]


def read_text(source: Source, size: int, heap: int, index: int) -> str:
    """A text in a heap of the file."""
    if size == 0:
        return ""
    if heap not in source.texts:
        source.enter(heap, b"GCOL")
        end, place = heap + source.unpack("<Q", heap + 8)[0], heap + 16
        source.texts[heap] = texts = {}
        while place + 16 <= end:
            number, length = source.unpack("<HxxxxxxQ", place)
            if number == 0:  # free space
                break
            texts[number] = (place + 16, length)
            place += 16 + -(-length // 8) * 8
    start, length = source.texts[heap].get(index, (0, -1))
    if size > length:
        raise ModelFileError(f"damaged: no text {index} of {size:,} bytes at byte {heap:,}")
    source.give(size)
    return source.take(start, size).rstrip(b"\0").decode()
