"""IDX, the file format of MNIST and its relatives, parsed as untrusted input.

The whole format, all numbers big-endian:

    offset   bytes             meaning
    0        2                 zero
    2        1                 type of the entries, see TYPES
    3        1                 rank r, the number of dimensions, at least 1
    4        4 r               the r sizes, signed 32-bit integers
    4 + 4r   product × width   the entries, last index fastest

The same bytes may be packed by gzip. A file can be truncated, be the error page of a web server, or claim a size that
would fill the memory; so the reader checks each number of the header against the file before it uses it. A raw file
must be exactly as long as its header says. A packed file is unpacked piece by piece into a buffer that grows with
the data, never beyond the announced size. An array has exactly one encoding in IDX, so the hash of that encoding
is the hash of the unpacked file.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "file format".
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase

import numpy as np

from scratchnet.data.atomic import replacing

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
CODES = {np.dtype(entry).newbyteorder("="): code for code, entry in TYPES.items()}
MAX_RANK, MAX_SIZE = 255, 2**31 - 1  # the largest values of a byte and of a signed 32-bit integer

GZIP_MAGIC = b"\x1f\x8b"
MAX_INFLATION = 1032  # deflate encodes at most 258 bytes in 2 bits: 258 · 8 / 2
HARMLESS, PLAUSIBLE = 2**26, 200  # unpacked bytes that any machine has; above, a compression ratio of at most 200 : 1
PIECE = 2**22  # packed bytes; small pieces would wait often for the lock that `engines.import_meanwhile` needs too
AGAIN = "Delete the file and fetch or copy it again."


class DataFileError(ValueError):
    """A data file is invalid. The message names the file, what was expected, what was found, and what to do.

    It is a ValueError; MissingDataError, one of its kinds, is a FileNotFoundError too: there is no such file.

    >>> read_idx("nothing.gz")
    Traceback (most recent call last):
    scratchnet.data.idx.MissingDataError: nothing.gz: there is no such file. Check the path or fetch it.
    """


class MissingDataError(DataFileError, FileNotFoundError):
    """A data file is absent, not damaged: the caller may safely fall back to other data."""


class DownloadError(MissingDataError):
    """No mirror had the file, or the folder cannot be written. The message has the reason per mirror and a remedy."""


def read_idx(path: str | os.PathLike[str], max_bytes: int = 2**30) -> np.ndarray:
    """Read an IDX file, raw or packed (detected from its content, not its name), of any entry type and rank.

    Returns a writable C-contiguous array in the machine's byte order; reads at most `max_bytes` of entries.
    Raises MissingDataError if there is no file, DataFileError for anything but a complete IDX file.

    >>> write_idx("labels.gz", np.array([5, 0, 4], np.uint8))
    >>> read_idx("labels.gz")
    array([5, 0, 4], dtype=uint8)
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # checked before opening: opening a FIFO would block
            raise _error(path, "a regular file", "a directory or a device", "Give the path of one IDX file.")
        with open(path, "rb") as file:
            return decode_idx(file, os.fstat(file.fileno()).st_size, path, max_bytes)
    except DataFileError:
        raise
    except FileNotFoundError as error:
        raise MissingDataError(f"{path}: there is no such file. Check the path or fetch it.") from error
    except (OSError, ValueError) as error:  # ValueError: the path has a NUL character
        reason = getattr(error, "strerror", None) or str(error)
        raise _error(path, "a readable file", reason, "Check the path and its permissions.") from error


def decode_idx(file: BufferedIOBase, size: int, name: object, max_bytes: int = 2**30) -> np.ndarray:
    """The array in an open binary file of `size` bytes; `name` identifies it in errors. See read_idx."""
    packed = file.read(2) == GZIP_MAGIC
    file.seek(0)
    stream: _Packed | _Raw = _Packed(file, size) if packed else _Raw(file, size)

    def take(n: int, what: str) -> bytearray:
        data = stream.read(n)
        if len(data) < n:
            raise _error(name, f"{n} bytes of {what}", f"{len(data)} and the end of the file", AGAIN)
        return data

    try:
        sizes, entry = _header(take, file, name)
        length = math.prod(sizes) * entry.itemsize  # Python integers cannot overflow
        if length > max_bytes:
            expected = f"at most {max_bytes} bytes of entries"
            raise _error(name, expected, f"{length}", "If that is correct, raise max_bytes.")
        stream.check_promise(4 + 4 * len(sizes) + length, name)

        entries = take(length, "entries")
        stream.check_end(name)
    except zlib.error as error:
        raise _error(name, "intact gzip data", f"damage ({error})", AGAIN) from error

    try:
        array = np.ndarray(sizes, entry, entries)
    except ValueError as error:  # a rank above 64, or huge sizes beside a zero
        found = f"rank {len(sizes)} ({error})"
        raise _error(name, "a shape that NumPy supports", found, "Write it in another shape.") from error
    return array.astype(entry.newbyteorder("="), copy=False)


def entries_of(path: str | os.PathLike[str]) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape, type and first byte of the entries of a raw IDX file, as long as its header says. Errors: see read_idx.

    >>> write_idx("labels", np.array([5, 0, 4], np.uint8))
    >>> entries_of("labels")
    ((3,), dtype('uint8'), 8)
    """
    with open(path, "rb") as file:
        stream = _Raw(file, os.fstat(file.fileno()).st_size)
        sizes, entry = _header(lambda n, what: stream.read(n).ljust(n, b"\xff"), file, path)
    offset = 4 + 4 * len(sizes)
    stream.check_promise(offset + math.prod(sizes) * entry.itemsize, path)
    return sizes, entry, offset


@contextmanager
def packed_entries(
    path: str | os.PathLike[str],
) -> Iterator[tuple[tuple[int, ...], np.dtype, Callable[[int], bytearray]]]:
    """Shape and type of the entries of a packed IDX file, and a function that unpacks the next n bytes of them.

    >>> write_idx("labels.gz", np.array([5, 0, 4], np.uint8))
    >>> with packed_entries("labels.gz") as (shape, dtype, read):
    ...     shape, bytes(read(2)), bytes(read(2))
    ((3,), b'\\x05\\x00', b'\\x04')
    """
    with open(path, "rb") as file:
        stream = _Packed(file, os.fstat(file.fileno()).st_size)

        def read(n: int) -> bytearray:
            try:
                return stream.read(n)
            except zlib.error as error:
                raise _error(path, "intact gzip data", f"damage ({error})", AGAIN) from error

        sizes, entry = _header(lambda n, what: read(n).ljust(n, b"\xff"), file, path)
        yield sizes, entry, read


def _header(
    take: Callable[[int, str], bytes | bytearray], file: BufferedIOBase, name: object
) -> tuple[tuple[int, ...], np.dtype]:
    """The sizes and the type of the entries. take(n, what): the next n bytes."""
    zeros, code, rank = struct.unpack(">HBB", take(4, "magic number"))
    if zeros != 0:
        raise _error(name, "IDX (two zero bytes) or gzip at the beginning", _beginning(file), AGAIN)
    if code not in TYPES:
        known = ", ".join(f"0x{code:02X}" for code in TYPES)
        raise _error(name, f"one of {known} as entry type at byte 2", f"0x{code:02X}", AGAIN)
    if rank == 0:
        raise _error(name, "a rank of at least 1 at byte 3", "0", AGAIN)
    sizes = struct.unpack(f">{rank}i", take(4 * rank, "sizes"))
    if min(sizes) < 0:
        raise _error(name, f"sizes from 0 to {MAX_SIZE}", f"{min(sizes)} among them", AGAIN)
    return sizes, np.dtype(TYPES[code])


class _Raw:
    """An uncompressed IDX file."""

    def __init__(self, file: BufferedIOBase, size: int):
        self.file, self.size = file, size

    def read(self, n: int) -> bytearray:
        """The next n bytes, fewer at the end of the file."""
        data = bytearray(n)
        del data[self.file.readinto(data) :]
        return data

    def check_promise(self, total: int, name: object) -> None:
        """Compare the header's `total` with the size of the file."""
        if total != self.size:
            raise _error(name, f"{total} bytes in all, as its header says", f"{self.size}", AGAIN)

    def check_end(self, name: object) -> None:
        """Nothing to check: check_promise has compared the lengths."""


class _Packed:
    """An IDX file inside gzip, unpacked on demand."""

    def __init__(self, file: BufferedIOBase, size: int):
        self.file, self.size = file, size
        self.inflater = zlib.decompressobj(wbits=31)  # 31: gzip's header and checksum around deflate

    def read(self, n: int) -> bytearray:
        """The next n unpacked bytes, fewer at the end of the gzip data."""
        data = bytearray()
        while len(data) < n and not self.inflater.eof:
            source = self.inflater.unconsumed_tail or self.file.read(PIECE)
            piece = self.inflater.decompress(source, min(n - len(data), 16 * PIECE))
            if not source and not piece:  # the file has ended, and the inflater is empty
                break
            data += piece
        return data

    def check_promise(self, total: int, name: object) -> None:
        """The header announces `total` unpacked bytes; the packed size must make that possible."""
        if total > MAX_INFLATION * self.size:
            found = f"{self.size} packed bytes, which cannot hold as many"
            raise _error(name, f"{total} unpacked bytes, as its header says", found, AGAIN)
        if total > max(HARMLESS, PLAUSIBLE * self.size):  # MNIST is packed 5 : 1
            found = f"{self.size} packed bytes, which is less than pictures or labels need"
            raise _error(name, f"{total} unpacked bytes, as its header says", found, "If that is so, unpack it first.")

    def check_end(self, name: object) -> None:
        """After the entries: no further byte, a valid checksum, and the end of the file."""
        if self.read(1):
            raise _error(name, "the end of the data after the last entry", "more data", AGAIN)
        if not self.inflater.eof:
            raise _error(name, "gzip's checksum after the data", "the end of the file", AGAIN)
        if self.inflater.unused_data or self.file.read(1):
            raise _error(name, "the end of the file after the gzip data", "more bytes", AGAIN)


def write_idx(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write `array` as an IDX file, packed if the name ends in `.gz`. Equal arrays give identical files.

    The write is atomic. Raises DataFileError for an array that IDX cannot represent, OSError if the file cannot
    be written.

    >>> write_idx("grey.gz", np.full((2, 28, 28), 128, np.uint8))
    >>> read_idx("grey.gz").shape
    (2, 28, 28)
    """
    header, entries = _encode(array, path)
    with replacing(path) as file:
        if os.fspath(path).endswith(".gz"):
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
                packed.write(header)
                packed.write(entries)
        else:
            file.write(header)
            file.write(entries)


def idx_sha256(array: np.ndarray) -> str:
    """The SHA-256, in hexadecimal, of the unpacked IDX file of this array.

    >>> idx_sha256(np.array([5, 0, 4], np.uint8))[:8]
    'd229e0bc'
    """
    header, entries = _encode(array, "the array")
    digest = hashlib.sha256(header)
    digest.update(entries)
    return digest.hexdigest()


def _encode(array: np.ndarray, name: object) -> tuple[bytes, memoryview]:
    """The header and the entries (flat bytes) of the IDX file that holds `array`."""
    array = np.asarray(array)
    code = CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        known = ", ".join(str(dtype) for dtype in CODES)
        raise _error(name, f"entries of type {known}", f"{array.dtype}", "Convert with array.astype(...).")
    if not 1 <= array.ndim <= MAX_RANK or max(array.shape) > MAX_SIZE:
        expected = f"a rank from 1 to {MAX_RANK} and sizes up to {MAX_SIZE}"
        raise _error(name, expected, f"shape {array.shape}", "Reshape it.")
    header = struct.pack(f">HBB{array.ndim}i", 0, code, array.ndim, *array.shape)
    return header, np.ascontiguousarray(array, TYPES[code]).reshape(-1).view(np.uint8).data


def _beginning(file: BufferedIOBase) -> str:
    """The first bytes of the file, for an error message."""
    file.seek(0)
    start = file.read(12)
    return f"{start!r}, perhaps a web page" if start.lstrip()[:1] in (b"<", b"{") else f"{start!r}"


def _error(name: object, expected: str, found: str, remedy: str) -> DataFileError:
    return DataFileError(f"{name}: expected {expected}, found {found}. {remedy}")
