"""A reader of the protobuf wire format, for files from untrusted sources.

A message is a row of fields. Each begins with a varint, an integer of seven bits a byte, lowest first, in which the
eighth bit says that another byte follows. It holds the number of the field and how its value is written:

    key = number << 3 | kind          kind 0: a varint        kind 1: 8 bytes       kind 5: 4 bytes
                                      kind 2: a length, and that many bytes: a text, an array, or a message

A message says nothing of what its numbers mean: the schema does, which both sides know. Two bytes can be an empty
message, for which a general library makes an object of a hundred bytes. Here nothing is made of a message but
slices of the file, and the number of fields in one file is bounded.

Protocol Buffers, Encoding (protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnet.saving import ModelFileError

FIELD_LIMIT = 1 << 18  # in one file, over all messages; a network of 100 layers has about 5,000
VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
Field = tuple[int, int, "int | memoryview"]  # number, kind, value


class Message:
    """The fields of one message, by number. Messages of one file share the count of its fields.

    >>> message = Message(memoryview(b"\\x08\\x96\\x01\\x12\\x02hi"))
    >>> message.integer(1), message.text(2)
    (150, 'hi')
    """

    def __init__(self, data: memoryview, count: list[int] | None = None):
        self.count = [0] if count is None else count
        self.fields: dict[int, list[tuple[int, int | memoryview]]] = {}
        for number, kind, value in read_fields(data):
            self.count[0] += 1
            if self.count[0] > FIELD_LIMIT:
                raise ModelFileError(f"more than {FIELD_LIMIT:,} fields")
            self.fields.setdefault(number, []).append((kind, value))

    def __contains__(self, number: int) -> bool:
        return number in self.fields

    def slices(self, number: int) -> list[memoryview]:
        """The values of a field that holds bytes."""
        return [expect_bytes(number, kind, value) for kind, value in self.fields.get(number, [])]

    def slice(self, number: int) -> memoryview:
        """The value of a field of bytes that may stand once; empty if it is missing."""
        found = self.slices(number)
        if len(found) > 1:
            raise ModelFileError(f"field {number} stands {len(found)} times, expected once")
        return found[0] if found else memoryview(b"")

    def text(self, number: int) -> str:
        """A text; empty if it is missing."""
        return as_text(self.slice(number))

    def texts(self, number: int) -> list[str]:
        """All texts of a field."""
        return [as_text(value) for value in self.slices(number)]

    def messages(self, number: int) -> list[Message]:
        """All messages of a field."""
        return [Message(value, self.count) for value in self.slices(number)]

    def message(self, number: int) -> Message:
        """A message that may stand once; an empty one if it is missing."""
        return Message(self.slice(number), self.count)

    def integer(self, number: int, missing: int = 0) -> int:
        """A signed integer of 64 bits; of several the last, as the format says."""
        found = self.integers(number)
        return int(found[-1]) if len(found) else missing

    def integers(self, number: int) -> np.ndarray:
        """Integers, each as a field of its own, or many packed into one."""
        parts = [
            np.array([signed(value)]) if isinstance(value, int) else varints(expect_bytes(number, kind, value))
            for kind, value in self.fields.get(number, [])
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def floats(self, number: int, dtype: str = "<f4") -> np.ndarray:
        """Floating numbers of four bytes ("<f4") or eight ("<f8"), alone or packed."""
        size = np.dtype(dtype).itemsize
        values = [value for _, value in self.fields.get(number, [])]
        if any(isinstance(value, int) or len(value) % size for value in values):
            raise ModelFileError(f"field {number} must hold numbers of {size} bytes")
        return np.frombuffer(b"".join(values), dtype)  # type: ignore[arg-type]


def read_fields(data: memoryview) -> Iterator[Field]:
    """(number, kind, value) of each field in turn."""
    place = 0
    while place < len(data):
        key, place = read_varint(data, place)
        number, kind = key >> 3, key & 7
        if not 1 <= number < 1 << 29:
            raise ModelFileError(f"a field has the number {number}")
        if kind == VARINT:
            value, place = read_varint(data, place)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, place = read_varint(data, place)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            size = 8 if kind == EIGHT_BYTES else 4
        else:
            raise ModelFileError(f"field {number} is of kind {kind}, which is not in use")
        if size > len(data) - place:
            raise ModelFileError(f"cut off: field {number} has {size:,} bytes, {len(data) - place:,} are left")
        yield number, kind, data[place : place + size]
        place += size


def read_varint(data: memoryview, place: int) -> tuple[int, int]:
    """The unsigned integer that begins at this place, and the place behind it."""
    value = 0
    for index, byte in enumerate(data[place : place + 10]):
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value & (1 << 64) - 1, place + index + 1
    raise ModelFileError("cut off, or an integer of more than 10 bytes")


def varints(data: memoryview) -> np.ndarray:
    """Signed integers, one behind the other: (n,) int64.

    >>> varints(memoryview(b"\\x03\\x96\\x01" + b"\\xff" * 9 + b"\\x01")).tolist()
    [3, 150, -1]
    """
    code = np.frombuffer(data, np.uint8)
    last = np.flatnonzero(code < 128)
    begin = np.concatenate([[0], last[:-1] + 1])
    if not len(code):
        return np.zeros(0, np.int64)
    if code[-1] >= 128 or (last - begin).max() >= 10:
        raise ModelFileError("cut off, or an integer of more than 10 bytes")
    index = np.arange(len(code)) - np.repeat(begin, last - begin + 1)  # of each byte in its integer
    bits = (code & 127).astype(np.uint64) << (7 * index).astype(np.uint64)
    return np.add.reduceat(bits, begin).view(np.int64)


def signed(value: int) -> int:
    """Two's complement: 2⁶⁴ - 1 is -1."""
    return value - (1 << 64) if value >> 63 else value


def expect_bytes(number: int, kind: int, value: int | memoryview) -> memoryview:
    """The value, if it was written as bytes."""
    if kind != BYTES or isinstance(value, int):
        raise ModelFileError(f"field {number} must hold bytes, is of kind {kind}")
    return value


def as_text(value: memoryview) -> str:
    """Bytes as a text in UTF-8."""
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError as error:
        raise ModelFileError(f"a text is not UTF-8: {error.reason}") from None
