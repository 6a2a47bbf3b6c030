"""Which data set a script works on: MNIST, the files of a folder, or synthetic digits when there is neither.

What comes back says what it is. Files that have MNIST's names but not its content go by the name of their
folder, and synthetic digits by "synthetic": no number measured on them can pass for MNIST's.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scratchnet.data.idx import MissingDataError
from scratchnet.data.mnist import Dataset, data_folder, is_mnist, load_idx_dataset, load_mnist
from scratchnet.data.synthetic import load_synthetic

CHOICES = ("auto", "mnist", "synthetic")


def load_dataset(choice: str = "auto", data_dir=None) -> tuple[Dataset, str]:
    """(train, test), and the data set's name.

    "mnist": MNIST, or an error. "synthetic": digits drawn here. "auto": the four IDX files of the folder
    (`data_dir`, SCRATCHNET_DATA, the user's cache), whatever they hold; without them a download of MNIST;
    without a network synthetic digits, and a line on stderr that says so.
    Raises MissingDataError if a `data_dir` was named and has no files, DataFileError if files are damaged.

    >>> ((x_train, y_train), test), name = load_dataset("synthetic")
    """
    if choice not in CHOICES:
        raise ValueError(f"dataset must be one of {', '.join(CHOICES)}, got {choice!r}")
    if choice == "synthetic":
        return load_synthetic(), "synthetic"
    if choice == "mnist":
        return load_mnist(data_dir), "mnist"
    folder = data_folder(data_dir)
    try:
        dataset = load_idx_dataset(folder)
        return dataset, "mnist" if is_mnist(dataset) else Path(folder).resolve().name
    except MissingDataError:
        if data_dir is not None:
            raise
    try:
        return load_mnist(), "mnist"
    except MissingDataError:
        print(
            f"no MNIST in {folder} and no mirror could be reached: using synthetic digits instead "
            "(--dataset mnist says what went wrong and how to place the files)",
            file=sys.stderr,
        )
        return load_synthetic(), "synthetic"
