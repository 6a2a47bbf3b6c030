"""A reader of the HDF5 files that Keras writes, for files from untrusted sources.

An HDF5 file is a tree of groups and arrays. All parts have an address, a number of bytes from the file's beginning:

    superblock            at 0: the version, and the address of the root group's header
    object header         one for each group and array: messages, each with a type and a length. A message may
                          continue the header elsewhere
    group                 a B-tree whose leaves are lists of (place of the name, address of the object's header);
                          the names are in a heap of the group
    array                 messages for the shape, the number format, and the place of the data
    attribute             a message: name, format, shape, value. Texts of any length are in a heap of the file

The format can do much more: link to other files, read arrays from them, unpack with plug-ins. That is how a weight file
could send its reader's private files to its author (CVE-2026-1669), and the C library that does all of it has an open
list of memory errors. Keras uses none of it. This reader knows the oldest layout only, which h5py still writes by
default, and every other message is an error.

`hdf5_source` bounds what a forged file can cost; `hdf5_values` reads arrays and attributes.

Source: HDF5 File Format Specification, version 3.0, sections II.A to IV.A (superblock 0, object headers 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from scratchnet.interop.hdf5_source import Source, unpack
from scratchnet.interop.hdf5_values import attribute, read_array
from scratchnet.saving.container import ModelFileError, shown

SIGNATURE = b"\x89HDF\r\n\x1a\n"
NOWHERE = (1 << 64) - 1
NAME_LIMIT = 1024
DEPTH_LIMIT = 32  # levels of a B-tree; ten million names need three

SHAPE, FORMAT, PLACE, ATTRIBUTE, CONTINUED, MEMBERS = 0x01, 0x03, 0x08, 0x0C, 0x10, 0x11
IGNORED = {0x00, 0x04, 0x05, 0x0D, 0x0E, 0x12}  # gaps, fill values, comments, times
NEWER = "in a newer layout than Keras uses (h5py's libver='latest'). Save the model again with Keras: model.save(path)"
REFUSED = {
    0x02: "links of the newer kind, which can lead to other files",
    0x06: "links of the newer kind, which can lead to other files",
    0x07: "external storage: its data is in another file",
    0x0B: "filters (compression)",
    0x15: "attributes outside of its header",
}


class Group:
    """Members by name, and attributes. Both are read when they are asked for."""

    def __init__(self, source: Source, tree: int, heap: int, attributes: list[bytes]):
        self.source, self.attributes = source, attributes
        self.addresses = dict(members(source, tree, heap))
        self.opened: dict[str, Group | np.ndarray] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self.addresses)

    def find(self, path: str) -> Group | np.ndarray | None:
        """The group or array at a path such as "layers/conv2d/vars/0"; None if there is none."""
        name, _, rest = path.partition("/")
        if name not in self.addresses:
            return None
        if name not in self.opened:
            try:
                self.opened[name] = open_object(self.source, self.addresses[name])
            except ModelFileError as error:
                raise ModelFileError(f"{shown(name)}: {error}") from None
        found = self.opened[name]
        if not rest:
            return found
        return found.find(rest) if isinstance(found, Group) else None

    def group(self, path: str) -> Group | None:
        """The group at a path; None if there is none."""
        found = self.find(path)
        return found if isinstance(found, Group) else None

    def attribute(self, name: str) -> Any:
        """An attribute's value: a text, a list of texts or an array; None if there is none."""
        for message in self.attributes:
            own, value = attribute(self.source, message, name)
            if own == name:
                return value
        return None


def open_hdf5(content: bytes) -> Group:
    """The root group of a file, given its bytes. Raises ModelFileError."""
    if content[:8] != SIGNATURE:
        raise ModelFileError("not an HDF5 file")
    source = Source(content)
    version, _, _, _, _, offsets, lengths = source.unpack("<7B", 8)
    if version != 0 or (offsets, lengths) != (8, 8):
        raise ModelFileError(f"HDF5 with a superblock of version {version}: {NEWER}")
    base, _, end, driver, _, header = source.unpack("<6Q", 24)
    if base != 0 or driver != NOWHERE:
        raise ModelFileError("HDF5 that is spread over several files, or does not begin at byte 0")
    if end > len(content):
        raise ModelFileError(f"cut off: {len(content):,} bytes, expected {end:,}")
    root = open_object(source, header)
    if not isinstance(root, Group):
        raise ModelFileError("damaged: its root is not a group")
    return root


def open_object(source: Source, header: int) -> Group | np.ndarray:
    """The group or the array whose header is at this address."""
    found: dict[int, list[bytes]] = {}
    for kind, message in messages(source, header):
        found.setdefault(kind, []).append(message)
    if MEMBERS in found:
        tree, heap = unpack("<QQ", found[MEMBERS][0])
        return Group(source, tree, heap, found.get(ATTRIBUTE, []))
    if not {SHAPE, FORMAT, PLACE} <= found.keys():
        raise ModelFileError("neither a group nor an array")
    return read_array(source, found[SHAPE][0], found[FORMAT][0], found[PLACE][0])


def messages(source: Source, header: int) -> Iterator[tuple[int, bytes]]:
    """(type, content) of the messages of an object header."""
    if source.take(header, 4) == b"OHDR":
        raise ModelFileError(NEWER)
    version, count, size = source.unpack("<BxHxxxxI", header)
    if version != 1:
        raise ModelFileError(f"damaged: an object header of version {version}")
    blocks = [(header + 16, size)]
    for place, size in blocks:  # grows where a header is continued
        source.enter(place)
        end = place + size
        while count and place + 8 <= end:
            kind, length, flags = source.unpack("<HHB", place)
            content = source.take(place + 8, length)
            place, count = place + 8 + length, count - 1
            if place > end or flags & 2 or kind not in {SHAPE, FORMAT, PLACE, ATTRIBUTE, CONTINUED, MEMBERS, *IGNORED}:
                shared = "a message that several objects share" if flags & 2 else f"an unknown message, {kind:#x}"
                raise ModelFileError(f"it has {REFUSED.get(kind, shared)}. Keras writes no such thing")
            if kind == CONTINUED:
                blocks.append(unpack("<QQ", content))
            elif kind not in IGNORED:
                yield kind, content


def members(source: Source, tree: int, heap: int) -> Iterator[tuple[str, int]]:
    """(name, address of the header) for each member of a group, in the order of the names."""
    source.enter(heap, b"HEAP")
    size, _, names = source.unpack("<QQQ", heap + 8)
    level = DEPTH_LIMIT
    nodes = [(tree, level)]
    while nodes:
        node, above = nodes.pop()
        source.enter(node, b"TREE")
        kind, level, used = source.unpack("<BBH", node + 4)
        if kind != 0 or level >= above:
            raise ModelFileError("damaged: the index of a group")
        children = [source.unpack("<Q", node + 32 + 16 * i)[0] for i in range(used)]
        if level:
            nodes += [(child, level) for child in reversed(children)]
            continue
        for leaf in children:
            source.enter(leaf, b"SNOD")
            for i in range(source.unpack("<H", leaf + 6)[0]):
                offset, header, link = source.unpack("<QQI", leaf + 8 + 40 * i)
                name, end, _ = source.take(names + offset, min(max(size - offset, 0), NAME_LIMIT)).partition(b"\0")
                if not end:
                    raise ModelFileError("damaged: a name without an end")
                if link == 2:
                    raise ModelFileError(f"{shown(name.decode())} is a soft link. Keras writes no links")
                yield name.decode(), header
