"""NumPy's .npz as a data set, read as untrusted input: Keras' mnist.npz and its relatives.

    mnist.npz       a zip archive
      x_train.npy   images, uint8 (n, h, w) or (n, h, w, c)       x_test.npy
      y_train.npy   labels, integers (n,)                         y_test.npy

An .npy file is a short header (dtype, order, shape, as a Python literal) and then the numbers. `np.load` reserves
memory for whatever shape the header claims. Here the claim is first compared with the size of the archive's member,
and that with its packed size. Arrays of Python objects, which would be pickles and could run code, are refused.

Source: NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays".
"""

from __future__ import annotations

import math
import os
import stat
import zipfile
import zlib
from typing import IO

import numpy as np

from scratchnet.data.folder import Dataset, check_dataset
from scratchnet.data.idx import HARMLESS, MAX_INFLATION, PLAUSIBLE, DataFileError, MissingDataError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that NumPy writes
ENCRYPTED = 0x1  # in the flags of a member
AGAIN = "Fetch or copy it again."


def load_npz_dataset(path: str | os.PathLike[str], max_bytes: int = 2**30) -> Dataset:
    """An archive with x_train, y_train, x_test and y_test -> (x_train, y_train), (x_test, y_test), as uint8.

    Labels that do not fit into a byte keep their type; labels (n, 1) become (n,). At most `max_bytes` are read of
    each array. Raises MissingDataError if there is no file, DataFileError if it is damaged or holds something else.

    >>> x, y = np.zeros((6, 28, 28), np.uint8), np.arange(6)
    >>> np.savez_compressed("mnist.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    >>> (x_train, y_train), (x_test, y_test) = load_npz_dataset("mnist.npz")
    >>> x_train.shape, y_test
    ((6, 28, 28), array([0, 1], dtype=uint8))
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # checked before opening: opening a FIFO would block
            raise DataFileError(f"{path}: expected an .npz file, found a directory or a device.")
        with zipfile.ZipFile(path) as archive:
            arrays = _arrays(archive, path, max_bytes)
    except DataFileError:
        raise
    except FileNotFoundError as error:
        raise MissingDataError(f"{path}: there is no such file. Check the path.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError) as error:
        raise DataFileError(f"{path}: expected an .npz file, found damage ({error}). {AGAIN}") from error
    x_train, y_train, x_test, y_test = (arrays[name] for name in ARRAYS)
    dataset = (as_bytes(x_train, path), as_labels(y_train)), (as_bytes(x_test, path), as_labels(y_test))
    check_dataset(dataset, path)
    return dataset


def _arrays(archive: zipfile.ZipFile, path: object, max_bytes: int) -> dict[str, np.ndarray]:
    """The four arrays of an archive by name."""
    members = {info.filename: info for info in archive.infolist()}
    if missing := [name for name in ARRAYS if f"{name}.npy" not in members]:
        there = ", ".join(name.removesuffix(".npy")[:40] for name in list(members)[:8]) or "nothing"
        raise DataFileError(
            f"{path}: expected the arrays {', '.join(ARRAYS)}, as in Keras' mnist.npz; {', '.join(missing)} are "
            f"missing among {there!r}. Read it with np.load, and write the arrays with write_idx_dataset."
        )
    found = {}
    for name in ARRAYS:
        info, where = members[f"{name}.npy"], f"{path}: {name}"
        _check_size(info, where, max_bytes)
        with archive.open(info) as file:
            found[name] = _array(file, info.file_size, where)
    return found


def _check_size(info: zipfile.ZipInfo, where: str, max_bytes: int) -> None:
    """Compare the size of a member with what is allowed, and with its packed size."""
    if info.compress_type not in PACKINGS or info.flag_bits & ENCRYPTED:
        raise DataFileError(f"{where}: expected data that is stored or deflated, found another packing or a password.")
    if info.file_size > max_bytes:
        raise DataFileError(f"{where}: expected at most {max_bytes} bytes, found {info.file_size}.")
    plausible = max(HARMLESS, PLAUSIBLE * info.compress_size)
    if info.file_size > min(plausible, MAX_INFLATION * info.compress_size + 64):
        found = f"{info.compress_size} packed bytes, which is less than pictures or labels need"
        raise DataFileError(f"{where}: expected {info.file_size} bytes, found {found}. {AGAIN}")


def _array(file: IO[bytes], size: int, where: str) -> np.ndarray:
    """The array in an .npy file of `size` bytes; its header is compared with the size before memory is taken."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DataFileError(f"{where}: expected version 1 or 2 of the .npy format, found {version}.")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read_header(file)
    if dtype.kind not in "uif":
        raise DataFileError(f"{where}: expected numbers, found {dtype}. Objects are not read: they could run code.")
    length = math.prod(shape) * dtype.itemsize  # Python integers cannot overflow
    if file.tell() + length != size:
        raise DataFileError(f"{where}: expected {length} bytes of {dtype} {shape}, found {size - file.tell()}. {AGAIN}")
    data = file.read(length + 1)  # one more than there is: at the end the checksum is compared
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")
    return np.array(array, dtype.newbyteorder("="), order="C")


def as_bytes(x: np.ndarray, where: object) -> np.ndarray:
    """Images as uint8. Raises DataFileError for other values than whole numbers from 0 to 255."""
    if x.dtype == np.uint8:
        return x
    if x.size and not (x.min() >= 0 and x.max() <= 255 and np.array_equal(x, np.rint(x))):
        scale = "255 x" if x.dtype.kind == "f" and x.max() <= 1 else "a scale of your own"
        raise DataFileError(
            f"{where}: expected images of whole numbers from 0 to 255, found {x.dtype} from {x.min():.4g} to "
            f"{x.max():.4g}. Scale them ({scale}) and write them with write_idx_dataset."
        )
    return x.astype(np.uint8)


def as_labels(y: np.ndarray) -> np.ndarray:
    """Labels (n, 1) as (n,), and as bytes if they are whole numbers that fit; others stay as they are."""
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    whole = y.size and y.min() >= 0 and np.array_equal(y, np.rint(y))
    return y.astype(np.uint8 if y.max() < 256 else np.int32) if whole and y.max() < 2**31 else y
