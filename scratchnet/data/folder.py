"""A data set is a folder: four IDX files, and optionally the class names.

    train-images-idx3-ubyte   t10k-images-idx3-ubyte   images, (n, h, w); with channels idx4, (n, h, w, c)
    train-labels-idx1-ubyte   t10k-labels-idx1-ubyte   labels, (n,): whole numbers from 0
    classes.txt               one name on each line, class 0 first

The file names are MNIST's, from 1998; each file may be packed (`.gz`), and `locate` finds other names and places. Any
image size, number of channels and number of classes works. MNIST's relatives use the same format, with small
differences:

    Fashion-MNIST, KMNIST   none; a classes.txt makes the answers readable
    EMNIST                  images are transposed, and letters are numbered from 1:
                            load_idx_dataset(folder, transpose=True, first_label=1)
    QMNIST                  rename the files; each label has eight numbers, the first is the class, y[:, 0]

`write_idx_dataset` writes the corrected arrays.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.data.atomic import remove_stale_parts, replacing
from scratchnet.data.idx import DataFileError, MissingDataError, read_idx, write_idx
from scratchnet.data.locate import FILES as FILES
from scratchnet.data.locate import find_file as find_file
from scratchnet.data.locate import locate
from scratchnet.data.mapped import MappedImages, is_packed

Dataset = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

NAMES = "classes.txt"
LARGE = 2**30  # bytes of a file that is mapped without being asked
MAX_NAMES, MAX_NAME = 2**20, 200  # bytes in all, and characters in one name
BY_HAND = (
    "Put the four files {names} (packed, with .gz, or unpacked) into {folder}, or set SCRATCHNET_DATA to "
    "a folder that has them or is writable."
)


def load_idx_dataset(data_dir: str | os.PathLike[str], transpose: bool = False, first_label: int = 0) -> Dataset:
    """The four IDX files of any folder -> (x_train, y_train), (x_test, y_test), of any size and classes.

    Images are (n, h, w) or (n, h, w, c), labels integers from 0, (n,). transpose: exchange rows and columns of each
    image, as EMNIST's files need it. first_label: the number of the first class in the files, which becomes 0.
    Warns (UserWarning) if the labels are 1, 2, ..., n and first_label is 0. Raises MissingDataError if a file is
    absent, DataFileError if one is damaged or they do not fit together.

    >>> x, y = np.zeros((6, 20, 30), np.uint8), np.array([1, 2, 3] * 2, np.uint8)
    >>> write_idx_dataset("letters", ((x, y), (x, y)))
    >>> (x_train, y_train), _ = load_idx_dataset("letters", transpose=True, first_label=1)
    >>> x_train.shape, y_train.tolist()
    ((6, 30, 20), [0, 1, 2, 0, 1, 2])
    """
    dataset = read_folder(data_dir)
    (_, y), (_, y_test) = dataset
    if first_label == 0 and counts_from_1(y, y_test) and counts_from_1(y, y_test, read_class_names(data_dir)):
        last = y.max()
        warnings.warn(
            f"{data_dir}: the labels are 1 to {last}, where a model of {last} classes expects 0 to {last - 1}. "
            "first_label=1 numbers them from 0.",
            UserWarning,
            stacklevel=2,
        )
    return upright(dataset, transpose, first_label, data_dir)


def upright(dataset: Dataset, transpose: bool = False, first_label: int = 0, where: object = "labels") -> Dataset:
    """The data set with rows and columns of its images exchanged, if `transpose`, and labels counted from 0.

    Raises DataFileError if a label is less than `first_label`; `where` names the data in its message.
    """
    if (least := min(int(y.min()) for _, y in dataset)) < first_label:
        raise DataFileError(f"{where}: expected labels from first_label={first_label}, found {least}.")
    train, test = (
        (np.ascontiguousarray(x.swapaxes(1, 2)) if transpose else x, y - first_label if first_label else y)
        for x, y in dataset
    )
    return train, test


def counts_from_1(y: np.ndarray, y_test: np.ndarray | None = None, names: Sequence[str] | None = None) -> bool:
    """Whether the training labels are exactly 1, 2, ..., n, as in EMNIST's letters, and no test label is 0.

    names: of the classes, if they are known; n names say that the first of them is class 1.

    >>> counts_from_1(np.array([3, 1, 2])), counts_from_1(np.array([3, 1]))
    (True, False)
    """
    seen = np.unique(y)
    if len(seen) < 2 or seen[0] != 1 or seen[-1] != len(seen) or (y_test is not None and y_test.min() < 1):
        return False
    return len(names or ()) in (0, len(seen))


def read_folder(data_dir: str | os.PathLike[str], mapped: bool = False) -> Dataset:
    """The four IDX files of a folder as they are; errors as for load_idx_dataset.

    mapped: leave the images of raw files where they are (`MappedImages`). Very large ones are left there anyway.
    """
    folder = Path(data_dir).expanduser()
    for name in FILES:
        remove_stale_parts(folder / f"{name}.gz")  # of killed downloads
    paths = locate(folder).paths
    missing = [name for name in FILES if name not in paths]
    if missing:
        advice = BY_HAND.format(names=", ".join(FILES), folder=folder)
        raise MissingDataError(f"{folder}: there is no {', no '.join(missing)}. {advice}")
    x_train, y_train, x_test, y_test = (
        read_images(paths[name], mapped) if name in FILES[::2] else read_idx(paths[name]) for name in FILES
    )
    dataset = (x_train, y_train), (x_test, y_test)
    check_dataset(dataset, folder)
    return dataset


def read_images(path: Path, mapped: bool) -> Any:
    """The images of a file, in memory or mapped."""
    if path.is_file() and (mapped or path.stat().st_size > LARGE) and not is_packed(path):
        return MappedImages.of(path)
    return read_idx(path)


def check_dataset(dataset: Dataset, where: object) -> None:
    """Check the types of images and labels, and that all four arrays fit together. Raises DataFileError."""
    (x_train, y_train), (x_test, y_test) = dataset
    _check_pair(x_train, y_train, f"{where} (train)")
    _check_pair(x_test, y_test, f"{where} (t10k)")
    if x_train.shape[1:] != x_test.shape[1:]:
        raise DataFileError(
            f"{where}: expected images of one shape, found {x_train.shape[1:]} for training and "
            f"{x_test.shape[1:]} for testing. The four files are not of one data set."
        )


def write_idx_dataset(
    data_dir: str | os.PathLike[str], dataset: Dataset, class_names: Sequence[str] | None = None
) -> None:
    """Write the four IDX files, packed, and classes.txt if names are given, into a folder, created if necessary.

    Raises DataFileError for arrays that IDX cannot represent, OSError if the folder cannot be written.

    >>> x, y = np.zeros((6, 20, 20, 3), np.uint8), np.array([0, 1, 2] * 2, np.uint8)
    >>> write_idx_dataset("fruit", ((x, y), (x, y)), ["apple", "pear", "quince"])
    >>> load_idx_dataset("fruit")[0][0].shape, read_class_names("fruit")
    ((6, 20, 20, 3), ['apple', 'pear', 'quince'])
    """
    folder = Path(data_dir).expanduser()
    _check_names(class_names or (), f"{folder}: expected a name for each class")
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(FILES, (array for pair in dataset for array in pair), strict=True):
        write_idx(folder / f"{name.replace('idx3', f'idx{array.ndim}')}.gz", array)
    if class_names:
        with replacing(folder / NAMES) as file:
            file.write("".join(f"{name}\n" for name in class_names).encode())


def read_class_names(data_dir: str | os.PathLike[str]) -> list[str] | None:
    """The lines of the folder's classes.txt, or None if it has none. Raises DataFileError if it is malformed."""
    path = Path(data_dir).expanduser() / NAMES
    if not path.exists():
        return None
    expected = f"{path}: expected the names of the classes, one on each line"
    try:
        if not path.is_file() or path.stat().st_size > MAX_NAMES:
            raise DataFileError(f"{expected}, found no text file of at most {MAX_NAMES} bytes.")
        names = [line.strip() for line in path.read_text("utf-8-sig").strip().split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "bytes that are not UTF-8"
        raise DataFileError(f"{expected}, found: {reason}. Save it as UTF-8 text.") from error
    _check_names(names, expected)
    return names


def folder_then(data_dir: str | None, run: object) -> str | None:
    """The data folder in a run's config.json, if it still exists; None if the config has none.

    Raises MissingDataError with the place searched: a relative path starts at the current folder.
    """
    if data_dir is None or Path(data_dir).expanduser().exists() or locate(data_dir).complete:
        return data_dir
    seen = "" if Path(data_dir).expanduser().is_absolute() else f" seen from {Path.cwd()}"
    raise MissingDataError(
        f"{run}: was trained on the data in {data_dir}, and there is no such folder{seen}. "
        "Name the folder with --data-dir"
    )


def count_classes(dataset: Dataset, class_names: Sequence[str] | None = None, where: object = "labels") -> int:
    """The number of classes: at least two, each with training examples, none beyond the names.

    Raises DataFileError; `where` names the data in its message.

    >>> x, y = np.zeros((6, 20, 20), np.uint8), np.array([0, 1, 2] * 2, np.uint8)
    >>> count_classes(((x, y), (x, y)))
    3
    >>> count_classes(((x, y + 1), (x, y)))
    Traceback (most recent call last):
    scratchnet.data.idx.DataFileError: labels: expected training examples of every class from 0 to 3, found ...
    """
    (_, y_train), (_, y_test) = dataset
    seen = np.unique(y_train)
    classes = len(class_names) if class_names else int(seen[-1]) + 1
    for y, part in ((y_train, "training"), (y_test, "test")):
        if y.max() >= classes:
            limit = f"as {NAMES} names {classes} classes" if class_names else "as those of the training examples"
            raise DataFileError(
                f"{where}: expected labels from 0 to {classes - 1}, {limit}, found {y.max()} among the {part} "
                "examples. Number the classes from 0, equally in both parts."
            )
    if len(seen) < classes:
        gap = int(np.flatnonzero(np.append(seen, -1) != np.arange(len(seen) + 1))[0])  # the first missing number
        raise DataFileError(
            f"{where}: expected training examples of every class from 0 to {classes - 1}, found none of class "
            f"{gap}. Number the classes from 0 without gaps."
        )
    if classes < 2:
        raise DataFileError(f"{where}: expected at least two classes, found one. There is nothing to classify.")
    return classes


def _check_names(names: Iterable[str], expected: str) -> None:
    """Class names must be printable, not blank, and different."""
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if name in seen or name != name.strip() or not (name.isprintable() and 1 <= len(name) <= MAX_NAME):
            what = "a second time" if name in seen else "there"
            raise DataFileError(f"{expected}, found {name[:MAX_NAME]!r} {what} in line {number}. Give it a plain name.")
        seen.add(name)


def _check_pair(x: np.ndarray, y: np.ndarray, where: str) -> None:
    """Check the shapes and types of images and labels, one label for each image."""
    if x.ndim not in (3, 4) or 0 in x.shape[1:]:
        raise DataFileError(f"{where}: expected images of rank 3 or 4, found {x.shape}. Is it another file?")
    if y.ndim != 1 or y.dtype.kind not in "iu":
        found = f"{y.dtype} of shape {y.shape}"
        raise DataFileError(f"{where}: expected integer labels of rank 1, found {found}. Is it another file?")
    if len(x) != len(y) or len(x) == 0:
        raise DataFileError(
            f"{where}: expected one label for each image, found {len(x)} images and {len(y)} labels. "
            "Take images and labels from the same data set."
        )
    if y.min() < 0:
        raise DataFileError(f"{where}: expected labels from 0, found {y.min()}. Number the classes from 0.")
