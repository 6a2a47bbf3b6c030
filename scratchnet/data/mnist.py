"""Where MNIST is, how it is fetched, and how it is verified.

Like its relatives, MNIST is a folder with four IDX files (see `folder`). The folder is, in this order:

    1. the argument `data_dir`
    2. the environment variable SCRATCHNET_DATA
    3. the user's cache directory, where missing files are downloaded once

MNIST itself is identified by the SHA-256 of each unpacked file. Other content of the same shape (Fashion-MNIST,
your own digits) is accepted with a warning that it is not MNIST.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import platformdirs

from scratchnet.data.folder import FILES, Dataset, read_folder
from scratchnet.data.idx import DataFileError
from scratchnet.data.published import PROXIES, fetch_missing, foreign_files

SHA256 = {  # of the four files, unpacked
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://azureopendatastorage.blob.core.windows.net/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
OWN_MIRROR = "SCRATCHNET_MNIST_MIRROR may name a mirror of your own;"


def load_mnist(data_dir: str | os.PathLike[str] | None = None, download: bool = True) -> Dataset:
    """MNIST -> (x_train, y_train), (x_test, y_test): images uint8 (n, 28, 28), labels uint8 (n,) from 0 to 9.

    Missing files are downloaded into the folder, if `download`. Raises MissingDataError if files are missing
    (its subclass DownloadError if every mirror failed) and DataFileError if a file is damaged or does not hold
    28 × 28 digits. Warns (UserWarning) if the content is not the canonical MNIST.

    >>> (x_train, y_train), (x_test, y_test) = load_mnist()
    >>> x_train.shape, y_train[:3]
    ((60000, 28, 28), array([5, 0, 4], dtype=uint8))
    """
    folder = data_folder(data_dir)
    if download:
        fetch_missing(folder, SHA256, mirrors(), f"{OWN_MIRROR} {PROXIES}")
    dataset = read_folder(folder)
    for x, y in dataset:
        _check_like_mnist(x, y, folder)
    if others := sorted(foreign_files(dataset, SHA256), key=FILES.index):
        warnings.warn(
            f"{folder}: not the canonical MNIST, by the SHA-256 of the content: {', '.join(others)}. "
            "That is fine for Fashion-MNIST or data of your own; otherwise delete these files and fetch them again.",
            UserWarning,
            stacklevel=2,
        )
    return dataset


def is_mnist(dataset: Dataset) -> bool:
    """Whether all four arrays are MNIST's, to the last bit.

    >>> is_mnist(load_synthetic(n_train=50, n_test=10, data_dir="."))
    False
    """
    return next(foreign_files(dataset, SHA256), None) is None


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the data: the argument, else SCRATCHNET_DATA, else the user's cache directory."""
    return Path(data_dir or os.environ.get("SCRATCHNET_DATA") or cache_folder() / "mnist").expanduser()


def cache_folder() -> Path:
    """The user's cache folder, for files that can be fetched or generated again."""
    return Path(platformdirs.user_cache_dir("scratchnet"))


def mirrors() -> list[str]:
    """The mirrors to try, in order: the user's own, then the public ones."""
    own = os.environ.get("SCRATCHNET_MNIST_MIRROR")
    return [own, *MIRRORS] if own else list(MIRRORS)


def _check_like_mnist(x: np.ndarray, y: np.ndarray, folder: Path) -> None:
    """Check for 28 × 28 bytes and ten classes."""
    if x.shape[1:] != (28, 28) or x.dtype != np.uint8 or y.dtype != np.uint8 or y.max() > 9:
        raise DataFileError(
            f"{folder}: expected uint8 images (n, 28, 28) and uint8 labels from 0 to 9, found {x.dtype} "
            f"images {x.shape} and {y.dtype} labels up to {y.max()}. Read other data with load_idx_dataset "
            "(in scripts: --dataset auto)."
        )
