"""A writer of HDF5 files that hold arrays in groups, for Keras to read.

The parts are those that `hdf5` describes. A group is written after its members, because it holds their addresses; the
superblock, which holds the root's address, is filled in last. Readers load an index node at its full size, which
depends on two numbers in the superblock, names per leaf and per node. With room for the largest group in one leaf no
index is ever split. That makes this writer short enough to do without the HDF5 library.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from scratchnet.interop.hdf5 import FORMAT, MEMBERS, NOWHERE, PLACE, SHAPE, SIGNATURE
from scratchnet.interop.hdf5_values import FLOATS

NODE = 16  # half of the children that a node of the index has room for; one is used


def write_hdf5(tree: Mapping[str, Any]) -> bytes:
    """The bytes of a file with these members: arrays of floats, and groups as mappings of members.

    >>> write_hdf5({"layers": {"dense": np.ones(2)}})[:8]
    b'\\x89HDF\\r\\n\\x1a\\n'
    """
    leaf = max(4, -(-largest(tree) // 2))
    content = bytearray(96)
    root = write_group(content, tree, leaf)
    superblock = SIGNATURE + struct.pack("<8B2HI", 0, 0, 0, 0, 0, 8, 8, 0, leaf, NODE, 0)
    superblock += struct.pack("<4Q", 0, NOWHERE, len(content), NOWHERE)
    content[:96] = superblock + struct.pack("<QQII16x", 0, root, 0, 0)
    return bytes(content)


def largest(tree: Mapping[str, Any]) -> int:
    """The number of members of the largest group."""
    return max([len(tree), *(largest(member) for member in tree.values() if isinstance(member, Mapping))])


def append(content: bytearray, part: bytes) -> int:
    """Append a part at the next multiple of 8; return its address."""
    content += bytes(-len(content) % 8)
    place = len(content)
    content += part
    return place


def write_group(content: bytearray, tree: Mapping[str, Any], leaf: int) -> int:
    """Append a group with all its members; return the address of its header."""
    names, entries, offset = bytearray(8), b"", 0
    for name in sorted(tree, key=str.encode):
        member = tree[name]
        header = write_group(content, member, leaf) if isinstance(member, Mapping) else write_array(content, member)
        offset = append(names, name.encode() + b"\0")
        entries += struct.pack("<QQII16x", offset, header, 0, 0)
    names += bytes(-len(names) % 8)
    segment = append(content, bytes(names))
    heap = append(content, b"HEAP" + struct.pack("<4xQQQ", len(names), 1, segment))  # 1: no free space
    children = append(content, b"SNOD" + struct.pack("<BxH", 1, len(tree)) + entries.ljust(80 * leaf, b"\0"))
    index = struct.pack("<BBHQQQQQ", 0, 0, bool(tree), NOWHERE, NOWHERE, 0, children, offset)
    node = append(content, b"TREE" + index.ljust(20 + 8 + 32 * NODE, b"\0"))
    return write_header(content, (MEMBERS, struct.pack("<QQ", node, heap)))


def write_array(content: bytearray, array: np.ndarray) -> int:
    """Append an array of floats; return the address of its header."""
    number, dtype = next(pair for pair in FLOATS.items() if pair[1] == array.dtype)
    data = np.ascontiguousarray(array, dtype).tobytes()
    place = append(content, data)
    return write_header(
        content,
        (SHAPE, struct.pack(f"<BB6x{array.ndim}Q", 1, array.ndim, *array.shape)),
        (FORMAT, b"\x11" + number),
        (PLACE, struct.pack("<BBQQ", 3, 1, place if data else NOWHERE, len(data))),
    )


def write_header(content: bytearray, *messages: tuple[int, bytes]) -> int:
    """Append an object header with these messages; return its address."""
    body = b""
    for kind, message in messages:
        padded = message.ljust(-(-len(message) // 8) * 8, b"\0")
        body += struct.pack("<HHB3x", kind, len(padded), 0) + padded
    return append(content, struct.pack("<BxHII4x", 1, len(messages), 1, len(body)) + body)
