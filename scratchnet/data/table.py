"""Images in a table, a line for each: the CSV files of Kaggle's competitions.

    label,pixel0,pixel1,...,pixel783
    1,0,0,0,...,0
    0,0,0,0,...,0

The first line may have names or not, the label is the column called so, or the first one, and the pixels are the rows
of a square image, one after the other. Files of this kind: Kaggle's digit recognizer (train.csv), Fashion-MNIST, and
EMNIST (whose images are transposed and whose letters begin at 1, see `folder`). A file is read in blocks of lines, so
that only the bytes of the images stay in memory, and no more lines than the size of the file allows.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from scratchnet.data.folder import Dataset, check_dataset
from scratchnet.data.idx import DataFileError, MissingDataError
from scratchnet.data.labelled import split

LABELS = ("label", "labels", "class", "target", "digit", "y")  # how the first line may call the column
BLOCK = 4096  # lines that are converted at a time
LONGEST = 2**20  # characters of a line
Line = tuple[int, str]  # its number in the file, from 1, and the text


def load_csv_dataset(paths: Sequence[str | os.PathLike[str]], test_share: float = 0.2, seed: int = 0) -> Dataset:
    """One or two CSV files -> (x_train, y_train), (x_test, y_test), uint8 images (n, h, h).

    With one file, `test_share` of each class is held out for testing; with two, the second one is the test set.
    Raises MissingDataError if a file is absent, DataFileError, with the line, if it is not such a table.
    """
    if not 1 <= len(paths) <= 2:
        raise ValueError(f"expected one CSV file, or two (training and test), got {len(paths)}")
    x, y = read_csv(paths[0])
    if len(paths) == 2:
        dataset = (x, y), read_csv(paths[1])
    else:
        if (counts := np.bincount(y)[np.unique(y)]).min() < 2:
            raise DataFileError(
                f"{paths[0]}: expected two images of each class, one for testing, found {counts.min()}."
            )
        train, test = split(y, test_share, seed)
        dataset = (x[train], y[train]), (x[test], y[test])
    check_dataset(dataset, " and ".join(map(str, paths)))
    return dataset


def read_csv(path: str | os.PathLike[str], max_bytes: int = 2**30) -> tuple[np.ndarray, np.ndarray]:
    """A table of labelled square images -> images uint8 (n, h, h), labels (n,).

    >>> _ = Path("train.csv").write_text("label,pixel0,pixel1,pixel2,pixel3\\n7,0,255,0,0\\n1,9,8,7,6\\n")
    >>> x, y = read_csv("train.csv")
    >>> x[0].tolist(), y.tolist()
    ([[0, 255], [0, 0]], [7, 1])
    """
    path = Path(path).expanduser()
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DataFileError(f"{path}: expected a CSV file, found a directory or a device.")
        if (size := path.stat().st_size) > max_bytes:
            raise DataFileError(f"{path}: expected at most {max_bytes} bytes, found {size}.")
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return _read(file, path)
    except FileNotFoundError as error:
        raise MissingDataError(f"{path}: there is no such file. Check the path.") from error
    except OSError as error:
        raise DataFileError(f"{path}: expected a readable file, found: {error.strerror or error}.") from error


def _read(file: IO[str], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of an open table."""
    lines = _lines(file, path)
    first = next(lines, None)
    if first is None:
        raise DataFileError(f"{path}: expected a table of images, found an empty file.")
    names = [cell.strip().strip("\"'").lower() for cell in first[1].split(",")]
    has_names = not all(map(_is_whole, names))
    column = next((i for i, name in enumerate(names) if has_names and name in LABELS), 0)
    side = math.isqrt(len(names) - 1)
    if side < 1 or side * side != len(names) - 1:
        raise DataFileError(_not_square(path, names, has_names))

    images, labels = [], []
    block = [] if has_names else [first]
    while block := [*block, *islice(lines, BLOCK)]:
        values = _numbers(block, len(names), path)
        labels.append(values[:, column])
        images.append(np.delete(values, column, axis=1).astype(np.uint8))
        block = []
    if not images:
        raise DataFileError(f"{path}: expected images below the names of the columns, found the end of the file.")
    x, y = np.concatenate(images).reshape(-1, side, side), np.concatenate(labels)
    return x, y.astype(np.uint8)


def _lines(file: IO[str], path: Path) -> Iterator[Line]:
    """The lines that are not blank, with their numbers."""
    number = 0
    while line := file.readline(LONGEST):
        number += 1
        if len(line) == LONGEST:
            raise DataFileError(f"{path}, line {number}: expected at most {LONGEST} characters. Is it another file?")
        if line.strip():
            yield number, line


def _numbers(block: list[Line], columns: int, path: Path) -> np.ndarray:
    """A block of lines as whole numbers from 0 to 255, (lines, columns), or an error with the line and the column."""
    try:
        values = np.loadtxt([line for _, line in block], delimiter=",", comments=None, quotechar='"', ndmin=2)
        if values.shape[1] == columns and ((values >= 0) & (values <= 255) & (values == np.floor(values))).all():
            return values
    except ValueError:  # it is explained below
        pass
    for number, line in block:
        cells = line.split(",")
        if len(cells) != columns:
            raise DataFileError(f"{path}, line {number}: expected {columns} numbers, found {len(cells)}.")
        for i, cell in enumerate(cells, 1):
            if not _is_byte(cell):
                found = cell.strip()[:40]
                raise DataFileError(
                    f"{path}, line {number}, column {i}: expected a whole number from 0 to 255, found {found!r}."
                )
    raise DataFileError(f"{path}: expected numbers in lines {block[0][0]} to {block[-1][0]}, found other text.")


def _is_whole(cell: str) -> bool:
    """Whether the text is a whole number, also as 5.0, and no more than NumPy reads as one."""
    try:
        return cell.isascii() and "_" not in cell and float(cell).is_integer()
    except ValueError:
        return False


def _is_byte(cell: str) -> bool:
    """Whether the text is a whole number from 0 to 255."""
    cell = cell.strip().strip('"')
    return _is_whole(cell) and 0 <= float(cell) <= 255


def _not_square(path: Path, names: list[str], has_names: bool) -> str:
    """The error message for a table whose number of columns is not that of a label and a square image."""
    count = len(names)
    if math.isqrt(count) ** 2 == count and count > 1 and has_names:
        advice = "It has no column called label: a competition's test.csv has none. Give train.csv alone."
    else:
        advice = "The columns are separated by commas, and the label is one of them."
    return f"{path}: expected a label and the pixels of a square image, found {count} columns. {advice}"
