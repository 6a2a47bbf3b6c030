"""Fashion-MNIST: ten kinds of clothes in the format of MNIST, where the files are and how they are fetched.

The same four files, 28 × 28 bytes and ten classes, a harder drop-in replacement for MNIST (Xiao, Rasul, Vollgraf
2017, arXiv 1708.07747). The format is identical; the SHA-256 of the unpacked files distinguishes the two.
The files are searched for in `data_dir` or else in these folders, and in their subfolders fashion-mnist/ and
FashionMNIST/raw/:

    1. the folder in the environment variable SCRATCHNET_DATA
    2. fashion-mnist in the user's cache directory, the target of a download
    3. /usr/share/datasets/fashion-mnist, of Debian's package dataset-fashion-mnist
"""

from __future__ import annotations

import os
from pathlib import Path

from scratchnet.data.folder import FILES, Dataset, find_file, read_folder
from scratchnet.data.idx import DataFileError, idx_sha256, read_idx
from scratchnet.data.mnist import cache_folder
from scratchnet.data.published import fetch_missing, foreign_files

SHA256 = {  # of the four files, unpacked
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
MIRRORS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # plain http is safe here: the hash is checked
)
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
CLASSES = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip


def load_fashion_mnist(data_dir: str | os.PathLike[str] | None = None, download: bool = True) -> Dataset:
    """Fashion-MNIST -> (x_train, y_train), (x_test, y_test): images uint8 (n, 28, 28), labels uint8 (n,).

    Missing files are downloaded, if `download`. Raises MissingDataError if files are missing (its subclass
    DownloadError if every mirror failed) and DataFileError if a file is damaged or is not Fashion-MNIST's.

    >>> (x_train, y_train), (x_test, y_test) = load_fashion_mnist()  # doctest: +SKIP
    """
    folder = fashion_folder(data_dir)
    if download:
        fetch_missing(folder, SHA256, MIRRORS)
    dataset = read_folder(folder)
    if not is_fashion_mnist(dataset):
        raise DataFileError(f"{folder}: other data than Fashion-MNIST's, by its hash. --dataset auto accepts any data.")
    return dataset


def is_fashion_mnist(dataset: Dataset) -> bool:
    """Whether all four arrays are Fashion-MNIST's, to the last bit."""
    return next(foreign_files(dataset, SHA256), None) is None


def fashion_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder that has Fashion-MNIST; if none has, the download target: `data_dir`, or else the user's cache."""
    cache = cache_folder() / "fashion-mnist"
    own = data_dir or os.environ.get("SCRATCHNET_DATA")
    roots = [Path(own).expanduser()] if own else []
    roots += [] if data_dir else [cache, DEBIAN]
    places = [place for root in roots for place in (root, root / "fashion-mnist", root / "FashionMNIST" / "raw")]
    return next((place for place in places if has_fashion_mnist(place)), roots[0] if data_dir else cache)


def has_fashion_mnist(folder: Path) -> bool:
    """Whether the test labels in a folder, the smallest of the four files, are Fashion-MNIST's."""
    name = FILES[-1]
    try:
        path = find_file(folder, name)
        return path is not None and idx_sha256(read_idx(path)) == SHA256[name]
    except DataFileError:
        return False
