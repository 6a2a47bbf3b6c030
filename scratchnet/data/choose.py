"""Which data set a script uses: MNIST, Fashion-MNIST, the files of a folder, or synthetic digits if there are no files.

A data set is returned with its name. MNIST and Fashion-MNIST are identified by their hash, wherever they are. Files
with MNIST's names but other content are named after their folder, and synthetic digits "synthetic", so numbers
measured on them cannot pass for MNIST's. A line on stderr reports surprises: files found in another place, labels
that were renumbered.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import numpy as np

from scratchnet.data.fashion import CLASSES, fashion_folder, is_fashion_mnist, load_fashion_mnist
from scratchnet.data.folder import Dataset, count_classes, counts_from_1, read_class_names, read_folder, upright
from scratchnet.data.idx import DataFileError, MissingDataError, read_idx
from scratchnet.data.locate import FILES, locate
from scratchnet.data.mnist import data_folder, is_mnist, load_mnist
from scratchnet.data.synthetic import load_synthetic

CHOICES = ("auto", "mnist", "fashion-mnist", "synthetic")


def load_dataset(
    choice: str = "auto", data_dir: str | os.PathLike[str] | None = None, mapped: bool = False
) -> tuple[Dataset, str]:
    """(train, test), and the data set's name.

    "mnist", "fashion-mnist": these, or an error. "synthetic": digits drawn here. "auto": the four IDX files of the
    folder (`data_dir`, SCRATCHNET_DATA, the user's cache), whatever they hold; without them a download of MNIST;
    without a network synthetic digits, announced on stderr. Labels that start at 1 are renumbered from 0.
    Raises MissingDataError if the given `data_dir` has no files, DataFileError if files are damaged, do not
    fit together, or are not byte images with class labels. mapped: images of raw files stay there (`MappedImages`).

    >>> ((x_train, y_train), test), name = load_dataset("synthetic")
    """
    if choice not in CHOICES:
        raise ValueError(f"dataset must be one of {', '.join(CHOICES)}, got {choice!r}")
    if choice == "synthetic":
        return load_synthetic(), "synthetic"
    if choice == "fashion-mnist":
        dataset, folder = load_fashion_mnist(data_dir), fashion_folder(data_dir)
        _say_where(folder, asked=Path(data_dir or folder).expanduser())
        return dataset, choice
    folder = data_folder(data_dir)
    if choice == "mnist":
        asked, of_torchvision = folder, folder / "MNIST" / "raw"  # the folder may hold other data too
        folder = of_torchvision if locate(of_torchvision).complete else folder
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # other content is an error here
            dataset = load_mnist(folder)
        if not is_mnist(dataset):
            raise DataFileError(f"{folder}: other data than MNIST's, by its hash. --dataset auto accepts any data.")
        _say_where(folder, asked)
        return dataset, "mnist"
    try:
        dataset = read_folder(folder, mapped)
    except MissingDataError:
        if data_dir is not None:
            raise
    else:
        _say_where(folder)
        if is_mnist(dataset):
            return dataset, "mnist"
        return (dataset, "fashion-mnist") if is_fashion_mnist(dataset) else _other(dataset, folder)
    try:
        return load_mnist(), "mnist"
    except MissingDataError:
        print(
            f"no MNIST in {folder} and no mirror could be reached: using synthetic digits instead "
            "(--dataset mnist shows what went wrong and where to put the files)",
            file=sys.stderr,
        )
        return load_synthetic(), "synthetic"


def class_names(name: str, data_dir: str | os.PathLike[str] | None = None) -> list[str] | None:
    """The class names of the data set that load_dataset called `name`; None if classes have only numbers.

    For a folder: the lines of its classes.txt; without that file, labels that start at 1 keep their numbers as names.
    """
    if name == "fashion-mnist":
        return read_class_names(fashion_folder(data_dir)) or CLASSES
    if name in CHOICES:
        return None
    folder = data_folder(data_dir)
    if names := read_class_names(folder):
        return names
    labels = read_idx(locate(folder).paths[FILES[1]])
    return [str(k) for k in range(1, int(labels.max()) + 1)] if counts_from_1(labels) else None


def only_place(name: str) -> str | None:
    """The folder of data that only this folder has; None for data identified by hash, and for synthetic data."""
    return None if name in CHOICES else str(data_folder().resolve())


def _other(dataset: Dataset, folder: Path) -> tuple[Dataset, str]:
    """An unknown data set of a folder, checked and renumbered, and its name."""
    for x, _ in dataset:
        if x.dtype != np.uint8:
            raise DataFileError(
                f"{folder}: expected images of bytes, 0 to 255, found {x.dtype}. Scale them to uint8 and write them "
                "with write_idx_dataset(folder, dataset)."
            )
    names = read_class_names(folder)
    if counts_from_1(dataset[0][1], dataset[1][1], names):
        print(f"{folder}: the labels count from 1; class 1 is output 0, and so on", file=sys.stderr)
        dataset = upright(dataset, first_label=1)
    if locate(folder).place.name.lower().startswith("emnist"):
        print(f"{folder}: EMNIST's images have rows and columns exchanged; a copy with upright images is made by "
              f"scripts/make_idx.py --idx {folder} --transpose --out DIR", file=sys.stderr)  # fmt: skip
    count_classes(dataset, names, folder)
    name = folder.resolve().name
    return dataset, f"folder {name}" if name in CHOICES else name


def _say_where(folder: Path, asked: Path | None = None) -> None:
    """Print a line if the files are not in the requested folder, or have unusual names."""
    asked = asked or folder
    if not (found := locate(folder)).usual_in(asked):
        paths = ", ".join(os.path.relpath(found.paths[name], asked.parent) for name in FILES)
        print(f"{asked}: the data are {paths}", file=sys.stderr)
