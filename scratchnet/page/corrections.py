"""Images that a model got wrong, with the classes that their author says they have: two IDX files in one folder.

They are the user's own data, so they are where the user's data are: in a folder `corrections` beside the data set
(`data.mnist.data_folder`: SCRATCHNET_DATA, else the user's cache folder), or in the folder that was named. A model with
other images or other classes has a folder of its own in there. Any program that reads IDX reads them.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.data.atomic import replacing
from scratchnet.data.idx import DataFileError, read_idx, write_idx
from scratchnet.data.mnist import data_folder

IMAGES, LABELS, NAMES = "train-images-idx{}-ubyte", "train-labels-idx1-ubyte", "classes.txt"
MOST = 10_000  # corrections that are kept


def corrections_folder(model: Any, folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder for corrections of this model. folder: in place of the user's.

    >>> corrections_folder(model, "mine").as_posix()
    'mine/28x28x1-digits'
    """
    names = class_names(model)
    digits = names == [str(k) for k in range(10)]
    kind = "digits" if digits else hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
    place = data_folder() / "corrections" if folder is None else Path(folder).expanduser()
    return place / f"{'x'.join(map(str, model.input_shape))}-{kind}"


def class_names(model: Any) -> list[str]:
    """The names of a model's classes; their numbers where they have none."""
    return list(model.class_names or [str(k) for k in range(model.shapes[-1][-1])])


class Corrections:
    """The images (n, h, w, c) and labels (n,) in a folder, which is made with the first of them.

    Raises DataFileError if the files there are of something else, OSError if the folder cannot be written.

    >>> kept = Corrections("corrections", (28, 28, 1), [str(k) for k in range(10)])
    >>> kept.add(np.full((28, 28, 1), 7, np.uint8), 4), Corrections("corrections", (28, 28, 1), kept.names).y
    (1, array([4], dtype=uint8))
    """

    def __init__(self, folder: str | os.PathLike[str], shape: tuple[int, ...], names: list[str]):
        self.folder, self.shape, self.names = Path(folder), tuple(shape), names
        self.lock = threading.Lock()
        self.images = self.folder / IMAGES.format(3 if shape[-1] == 1 else 4)
        self.labels = self.folder / LABELS
        self.x, self.y = np.zeros((0, *self.shape), np.uint8), np.zeros(0, np.uint8)
        if self.images.exists() and self.labels.exists():
            x, y = read_idx(self.images), read_idx(self.labels)
            n = min(len(x), len(y))  # a program that was killed between two files leaves an image without its label
            fits = x.dtype == y.dtype == np.uint8 and (x.size, y.ndim) == (len(x) * int(np.prod(shape)), 1)
            if not fits or (n and y[:n].max() >= len(names)):
                kind = f"images {self.shape} of {len(names)} classes"
                raise DataFileError(f"{self.folder}: expected {kind}, found others. Name another folder: --corrections")
            self.x, self.y = x.reshape(-1, *self.shape)[:n].copy(), y[:n].copy()

    def add(self, image: np.ndarray, label: int) -> int:
        """Keep an image; the number of all. The same image again gets the new label."""
        if not 0 <= label < len(self.names):
            raise ValueError(f"label: expected 0 to {len(self.names) - 1}, got {label}")
        image = np.asarray(image, np.uint8).reshape(self.shape)
        with self.lock:
            if len(self.x) >= MOST:
                raise ValueError(f"{self.folder} has {MOST:,} corrections, and keeps no more")
            other = (self.x != image).any(axis=(1, 2, 3))
            self.write(np.concatenate([self.x[other], image[None]]), np.append(self.y[other], np.uint8(label)))
            return len(self.x)

    def forget(self, index: int) -> int:
        """Remove one; the number of those that are left."""
        with self.lock:
            if not 0 <= index < len(self.x):
                raise ValueError(f"index: expected 0 to {len(self.x) - 1}, got {index}")
            self.write(np.delete(self.x, index, axis=0), np.delete(self.y, index))
            return len(self.x)

    def write(self, x: np.ndarray, y: np.ndarray) -> None:
        """Replace the files. Each is replaced at once; a reader takes as many images as there are labels."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / NAMES).exists():
            with replacing(self.folder / NAMES) as file:
                file.write("".join(f"{name}\n" for name in self.names).encode())
        write_idx(self.images, x[..., 0] if self.shape[-1] == 1 else x)
        write_idx(self.labels, y)
        self.x, self.y = x, y

    def copy(self) -> tuple[np.ndarray, np.ndarray]:
        """The images and the labels of now."""
        with self.lock:
            return self.x.copy(), self.y.copy()
