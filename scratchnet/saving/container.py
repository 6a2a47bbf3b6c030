"""A reader of safetensors files from untrusted sources.

    8 bytes     n, the length of the header, little-endian
    n bytes     JSON: {"0.dense.W": {"dtype": "F32", "shape": [784, 10], "data_offsets": [0, 31360]}, ...,
                       "__metadata__": {"key": "text", ...}}
    the rest    the arrays, one behind the other, little-endian, in C order

The author of a file chooses every number in it, and a number in a header makes a reader allocate memory. So every
number is checked: the header's length is bounded before it is read, its nesting before it is parsed, and every
shape must agree with its offsets, the offsets with each other, and their end with the end of the file, before
the first array is made. The memory that a file can cost is then bounded by its size on disk.

The official safetensors library writes our files and reads them; this reader is stricter than it.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np

HEADER_LIMIT = 1 << 20  # bytes of JSON; a network of 100 layers needs 20,000
FILE_LIMIT = 1 << 32
ARRAY_LIMIT = 4096
BRACKET_LIMIT = 100_000  # every object and list of the header costs Python about 100 bytes more than it shows
DEPTH_LIMIT = 32

NAME = re.compile(r"[\w.]{1,200}")
DTYPES = {
    "BOOL": "?", "U8": "u1", "U32": "<u4", "U64": "<u8", "I32": "<i4", "I64": "<i8",
    "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip


class ModelFileError(ValueError):
    """A model file is damaged, or is not a model file.

    It is a ValueError; the message names the file and what is wrong in it.

    >>> with open("not-a-model.txt", "w") as file:
    ...     length = file.write("hello")
    >>> load_model("not-a-model.txt")
    Traceback (most recent call last):
    scratchnet.saving.container.ModelFileError: not-a-model.txt: ...
    """


class Entry(NamedTuple):
    """Where one array is, in bytes from the end of the header, and what it is."""

    begin: int
    end: int
    name: str
    dtype: np.dtype
    shape: tuple[int, ...]


def read_container(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays by name, and the metadata: texts by name. Raises ModelFileError, OSError."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > FILE_LIMIT:
            raise ModelFileError(f"{size:,} bytes are more than a model file may have, {FILE_LIMIT:,}")
        header = file.read(header_length(file.read(8), size))
        entries, metadata = parse_header(header)
        data = bytearray(check_layout(entries, size - 8 - len(header)))
        if file.readinto(data) != len(data):
            raise ModelFileError("the file became shorter while it was read")
    return {entry.name: view(data, entry) for entry in entries}, metadata


def header_length(first: bytes, size: int) -> int:
    """The number in the first eight bytes of a file of `size` bytes, if there can be such a header."""
    length = int.from_bytes(first, "little")
    if len(first) < 8 or not 2 <= length <= size - 8:
        raise ModelFileError(f"not a safetensors file, or cut off ({size:,} bytes)")
    if length > HEADER_LIMIT:
        raise ModelFileError(f"a header of {length:,} bytes, where {HEADER_LIMIT:,} are allowed")
    return length


def parse_header(header: bytes) -> tuple[list[Entry], dict[str, str]]:
    """Entries in the order of their place in the file, and the metadata."""
    found = parse_json(header)
    if not isinstance(found, dict):
        raise ModelFileError("not a safetensors file: its header is not an object")
    metadata = found.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ModelFileError("the header's __metadata__ must hold texts by name")
    if len(found) > ARRAY_LIMIT:
        raise ModelFileError(f"{len(found):,} arrays, where {ARRAY_LIMIT:,} are allowed")
    return sorted(make_entry(name, about) for name, about in found.items()), metadata


def make_entry(name: str, about: Any) -> Entry:
    """One line of the header, if its name, type, shape and place are possible and agree."""
    if not NAME.fullmatch(name):
        raise ModelFileError(f"{shown(name)} is not an array's name: letters, digits, _ and dots, at most 200")
    if not isinstance(about, dict) or set(about) != {"dtype", "shape", "data_offsets"}:
        raise ModelFileError(f"{name} must have dtype, shape and data_offsets, and nothing else")
    dtype, shape, offsets = about["dtype"], about["shape"], about["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ModelFileError(f"{name} has dtype {shown(dtype)}, which is not one of {', '.join(DTYPES)}")
    if not counts(shape) or len(shape) > 8 or not counts(offsets) or len(offsets) != 2:
        raise ModelFileError(f"{name} must have a shape of at most 8 sizes and two offsets, got {shown(about)}")
    (begin, end), item = offsets, np.dtype(DTYPES[dtype])
    if end - begin != math.prod(shape) * item.itemsize:
        raise ModelFileError(f"{name}: {dtype} {shape} does not take the {end - begin:,} bytes it is given")
    return Entry(begin, end, name, item, tuple(shape))


def counts(value: Any) -> bool:
    """Whether it is a list of integers from 0 to 2⁴⁸: far beyond any file, and their products are cheap."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 48 for item in value)


def check_layout(entries: list[Entry], available: int) -> int:
    """The arrays must cover the bytes behind the header exactly; returns how many these are."""
    place = 0
    for entry in entries:
        if entry.begin != place:
            raise ModelFileError(f"{entry.name} begins at byte {entry.begin:,}, expected {place:,}: gap or overlap")
        place = entry.end
    if place != available:
        raise ModelFileError(f"cut off, or too long: {available:,} bytes of arrays, expected {place:,}")
    return place


def view(data: bytearray, entry: Entry) -> np.ndarray:
    """The array that lies at an entry's place, not copied; in the machine's byte order."""
    count = math.prod(entry.shape)
    array = np.frombuffer(data, entry.dtype, count, entry.begin) if count else np.empty(0, entry.dtype)
    return array.reshape(entry.shape).astype(entry.dtype.newbyteorder("="), copy=False)


def parse_json(text: bytes | str, constants: Callable[[str], Any] | None = None) -> Any:
    """JSON with bounded nesting and unique keys; NaN only if `constants` converts it.

    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    scratchnet.saving.container.ModelFileError: the header is not valid: the key 'a' stands twice
    """
    code = np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8)
    opening, closing = (code == ord("[")) | (code == ord("{")), (code == ord("]")) | (code == ord("}"))
    depth = np.cumsum(opening.astype(np.int32) - closing)  # brackets within texts count too: there are few
    if len(code) and (depth.max() > DEPTH_LIMIT or np.count_nonzero(opening) > BRACKET_LIMIT):
        raise ModelFileError("the header is nested too deeply, or has too many parts")
    try:
        text = text if isinstance(text, str) else text.decode("utf-8")
        return json.loads(text, object_pairs_hook=no_key_twice, parse_constant=constants or refuse)
    except ValueError as error:  # also what json and the decoder raise
        raise ModelFileError(f"the header is not valid: {error}") from None


def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict of the pairs. Of two equal keys readers take the first or the last: such a text has two meanings."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {shown(key)} stands twice")
        found[key] = value
    return found


def refuse(constant: str) -> NoReturn:
    """NaN, Infinity and -Infinity are Python's, not JSON's."""
    raise ValueError(f"{constant} is no number")


def shown(value: Any) -> str:
    """A value from a file, as an error may quote it: short, and without control characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
