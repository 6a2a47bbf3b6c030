"""Where MNIST is, how it gets there, and whether it is what it says.

A data set of this family is a folder with four IDX files: images and labels, for training and for testing.
The folder is, in this order:

    1. the argument `data_dir`
    2. the environment variable SCRATCHNET_DATA
    3. the user's cache directory, where a file that is missing is downloaded once

MNIST itself is known by the SHA-256 of each unpacked file. Other content of the same shape (Fashion-MNIST,
one's own digits) is welcome, but never passes for MNIST: a warning says that it is something else.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np

from scratchnet.data.download import fetch_idx
from scratchnet.data.idx import DataFileError, MissingDataError, idx_sha256, read_idx

Dataset = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

SHA256 = {  # of the four files, unpacked
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
FILES = tuple(SHA256)
MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://azureopendatastorage.blob.core.windows.net/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
BY_HAND = (
    "Put the four files {names} (packed, with .gz, or unpacked) into {folder}, or set SCRATCHNET_DATA to "
    "a folder that has them or can be written. SCRATCHNET_MNIST_MIRROR may name a mirror of your own; "
    "HTTPS_PROXY and REQUESTS_CA_BUNDLE tell of a proxy and its certificates."
)


def load_mnist(data_dir: str | os.PathLike[str] | None = None, download: bool = True) -> Dataset:
    """MNIST -> (x_train, y_train), (x_test, y_test): images uint8 (n, 28, 28), labels uint8 (n,) from 0 to 9.

    Files that are missing are downloaded into the folder, if `download`. Raises MissingDataError if there are
    none (DownloadError, a kind of it, if no mirror helped) and DataFileError if a file is damaged or is not
    28 × 28 digits. Warns (UserWarning) if the content is not the canonical MNIST.

    >>> (x_train, y_train), (x_test, y_test) = load_mnist()
    >>> x_train.shape, y_train[:3]
    ((60000, 28, 28), array([5, 0, 4], dtype=uint8))
    """
    folder = data_folder(data_dir)
    if download:
        advice = BY_HAND.format(names=", ".join(SHA256), folder=folder)
        for name, sha256 in SHA256.items():
            if find_file(folder, name) is None:
                fetch_idx(name, sha256, folder, mirrors(), advice)
    dataset = load_idx_dataset(folder)
    for x, y in dataset:
        _check_like_mnist(x, y, folder)
    if others := _not_canonical(dataset):
        warnings.warn(
            f"{folder}: not the canonical MNIST, by the SHA-256 of the content: {', '.join(others)}. "
            "Fine for Fashion-MNIST or data of your own; otherwise delete these files and fetch them again.",
            UserWarning,
            stacklevel=2,
        )
    return dataset


def load_idx_dataset(data_dir: str | os.PathLike[str]) -> Dataset:
    """The four IDX files of any folder -> (x_train, y_train), (x_test, y_test), of any size and classes.

    The files have MNIST's names. Images are (n, h, w) or (n, h, w, c), labels integers from 0, (n,).
    Raises MissingDataError or DataFileError.

    >>> (x_train, y_train), (x_test, y_test) = load_idx_dataset("fashion-mnist")  # doctest: +SKIP
    """
    folder = Path(data_dir).expanduser()
    paths = {name: find_file(folder, name) for name in SHA256}
    missing = [name for name, path in paths.items() if path is None]
    if missing:
        advice = BY_HAND.format(names=", ".join(SHA256), folder=folder)
        raise MissingDataError(f"{folder}: there is no {', no '.join(missing)}. {advice}")

    x_train, y_train, x_test, y_test = (read_idx(path) for path in paths.values() if path)
    _check_pair(x_train, y_train, f"{folder} (train)")
    _check_pair(x_test, y_test, f"{folder} (t10k)")
    if x_train.shape[1:] != x_test.shape[1:]:
        raise DataFileError(
            f"{folder}: expected images of one shape, found {x_train.shape[1:]} for training and "
            f"{x_test.shape[1:]} for testing. The four files are not of one data set."
        )
    return (x_train, y_train), (x_test, y_test)


def is_mnist(dataset: Dataset) -> bool:
    """Whether all four arrays are MNIST's, to the last bit.

    >>> is_mnist(load_synthetic(n_train=50, n_test=10, data_dir="."))
    False
    """
    return not _not_canonical(dataset)


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the data: the argument, else SCRATCHNET_DATA, else the user's cache directory."""
    return Path(data_dir or os.environ.get("SCRATCHNET_DATA") or cache_folder() / "mnist").expanduser()


def cache_folder() -> Path:
    """Where this user's programs keep what they can fetch or make again."""
    import pooch

    return Path(pooch.os_cache("scratchnet"))


def find_file(folder: Path, name: str) -> Path | None:
    """The file called `name` in `folder`, packed or not, and also with the dot that some unpackers put in."""
    dotted = name.replace("-idx", ".idx")
    candidates = (folder / spelling for spelling in (f"{name}.gz", name, f"{dotted}.gz", dotted))
    return next((path for path in candidates if os.path.exists(path)), None)


def mirrors() -> list[str]:
    """The addresses to ask, in order: the user's own, then the public ones."""
    own = os.environ.get("SCRATCHNET_MNIST_MIRROR")
    return [own, *MIRRORS] if own else list(MIRRORS)


def _check_pair(x: np.ndarray, y: np.ndarray, where: str) -> None:
    """Images and labels must be images and labels, one label for each image."""
    if x.ndim not in (3, 4):
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


def _check_like_mnist(x: np.ndarray, y: np.ndarray, folder: Path) -> None:
    """MNIST is 28 × 28 bytes and ten classes."""
    if x.shape[1:] != (28, 28) or x.dtype != np.uint8 or y.dtype != np.uint8 or y.max() > 9:
        raise DataFileError(
            f"{folder}: expected uint8 images (n, 28, 28) and uint8 labels from 0 to 9, found {x.dtype} "
            f"images {x.shape} and {y.dtype} labels up to {y.max()}. Read other data with load_idx_dataset."
        )


def _not_canonical(dataset: Dataset) -> list[str]:
    """The names of those of the four files whose content is not MNIST's."""
    arrays = (array for pair in dataset for array in pair)
    return [name for name, array in zip(SHA256, arrays, strict=True) if idx_sha256(array) != SHA256[name]]
