"""Which data set a script works on: MNIST, the files of a folder, or synthetic digits when there is neither.

What comes back says what it is. Files that have MNIST's names but not its content go by the name of their
folder, and synthetic digits by "synthetic": no number measured on them can pass for MNIST's.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

from scratchnet.data.folder import Dataset, count_classes, load_idx_dataset, read_class_names
from scratchnet.data.idx import DataFileError, MissingDataError
from scratchnet.data.mnist import data_folder, is_mnist, load_mnist
from scratchnet.data.synthetic import load_synthetic

CHOICES = ("auto", "mnist", "synthetic")


def load_dataset(choice: str = "auto", data_dir=None) -> tuple[Dataset, str]:
    """(train, test), and the data set's name.

    "mnist": MNIST, or an error. "synthetic": digits drawn here. "auto": the four IDX files of the folder
    (`data_dir`, SCRATCHNET_DATA, the user's cache), whatever they hold; without them a download of MNIST;
    without a network synthetic digits, and a line on stderr that says so.
    Raises MissingDataError if a `data_dir` was named and has no files, DataFileError if files are damaged, do
    not fit together, or hold what a network for bytes and classes cannot learn.

    >>> ((x_train, y_train), test), name = load_dataset("synthetic")
    """
    if choice not in CHOICES:
        raise ValueError(f"dataset must be one of {', '.join(CHOICES)}, got {choice!r}")
    if choice == "synthetic":
        return load_synthetic(), "synthetic"
    folder = data_folder(data_dir)
    if choice == "mnist":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # other content is an error here
            dataset = load_mnist(data_dir)
        if not is_mnist(dataset):
            raise DataFileError(f"{folder}: other data than MNIST's, by its hash. --dataset auto takes any data.")
        return dataset, "mnist"
    try:
        dataset = load_idx_dataset(folder)
    except MissingDataError:
        if data_dir is not None:
            raise
    else:
        return dataset, "mnist" if is_mnist(dataset) else _other_name(dataset, folder)
    try:
        return load_mnist(), "mnist"
    except MissingDataError:
        print(
            f"no MNIST in {folder} and no mirror could be reached: using synthetic digits instead "
            "(--dataset mnist says what went wrong and how to place the files)",
            file=sys.stderr,
        )
        return load_synthetic(), "synthetic"


def class_names(name: str, data_dir=None) -> list[str] | None:
    """What the classes of the data set that load_dataset called `name` are called; None: by their numbers."""
    return None if name in CHOICES else read_class_names(data_folder(data_dir))


def _other_name(dataset: Dataset, folder: Path) -> str:
    """What to call the files of a folder that are not MNIST's, if they can be learned from."""
    for x, _ in dataset:
        if x.dtype != np.uint8:
            raise DataFileError(
                f"{folder}: expected images of bytes, 0 to 255, found {x.dtype}. Scale them and write them again "
                "with write_idx_dataset(folder, dataset)."
            )
    count_classes(dataset, read_class_names(folder), folder)
    name = folder.resolve().name
    return f"folder {name}" if name in CHOICES else name
