"""The bytes of an HDF5 file, and three rules that bound what a forged file can cost.

An address may be entered once, so there are no cycles. The number of reads is limited, so there is no endless list.
Arrays and texts leave the reader for at most as many bytes as the file has, so a shape cannot ask for memory that its
author did not spend on disk.
"""

from __future__ import annotations

import struct
from typing import Any

from scratchnet.saving.container import ModelFileError

READ_LIMIT = 500_000  # a file of 1,000 layers takes about 60,000


class Source:
    """The bytes of a file, and what has been taken of them."""

    def __init__(self, content: bytes):
        self.content, self.reads, self.given = content, 0, 0
        self.entered: set[int] = set()
        self.texts: dict[int, dict[int, tuple[int, int]]] = {}

    def take(self, place: int, size: int) -> bytes:
        """Bytes at an address, all within the file."""
        self.reads += 1
        if self.reads > READ_LIMIT:
            raise ModelFileError("more parts than a Keras file has")
        if place + size > len(self.content):
            raise ModelFileError(f"cut off, or damaged: bytes {place:,} to {place + size:,} are outside of the file")
        return self.content[place : place + size]

    def unpack(self, layout: str, place: int) -> tuple[Any, ...]:
        """Numbers at an address."""
        return struct.unpack(layout, self.take(place, struct.calcsize(layout)))

    def enter(self, place: int, signature: bytes = b"") -> None:
        """Note that a part is read; a second time, or without its signature, is an error."""
        if place in self.entered:
            raise ModelFileError(f"damaged: byte {place:,} belongs to two parts, or a part contains itself")
        self.entered.add(place)
        if self.take(place, len(signature)) != signature:
            raise ModelFileError(f"damaged: no {signature.decode()} at byte {place:,}")

    def give(self, size: int) -> None:
        """Note that content of this size leaves the reader."""
        self.given += size
        if self.given > len(self.content):
            raise ModelFileError("damaged: arrays and texts take more bytes than the file has")


def unpack(layout: str, message: bytes, place: int = 0) -> tuple[Any, ...]:
    """Numbers in a message, or an error if it is too short."""
    if place + struct.calcsize(layout) > len(message):
        raise ModelFileError("damaged: a message is too short")
    return struct.unpack_from(layout, message, place)
