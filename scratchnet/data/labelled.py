"""A folder of labelled pictures becomes a data set.

    pictures/apple/01.png   pictures/apple/02.jpg   pictures/pear/01.png   ...

Each folder is a class, each file in it an example. Two things are easily done wrong here. The order in which
a file system lists its files is nobody's choice, so classes and files are sorted before anything else is done
with them (and class 10 comes after class 9). And a split by chance may leave a rare class out of
the test set, so each class gives its own share, of at least one picture.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scratchnet.data.folder import Dataset

SPLIT = 0xF01DE5  # an arbitrary number that nothing else puts beside a seed


@dataclass
class LabelledImages:
    """What came out of a folder of labelled pictures."""

    dataset: Dataset
    class_names: list[str]
    files: tuple[list[Path], list[Path]]  # of each image for training and for testing, relative to the folder
    unreadable: list[str]  # a line for each file that could not be used, with the reason


def load_labelled_images(
    folder: str | os.PathLike[str],
    convert: Callable[[Path], np.ndarray],
    test_share: float = 0.2,
    seed: int = 0,
) -> LabelledImages:
    """The pictures `folder`/<class>/<file>, each made into an array by `convert`, split in two and shuffled.

    convert: from a path to an array, the same shape for all; a ValueError or OSError leaves the picture out.
    test_share: the share of each class that is held out for testing. The same folder and seed give the same
    data set, and a new picture moves no other class's pictures. Raises ValueError if there are fewer than two
    classes, or fewer than two pictures of one.

    >>> from functools import partial
    >>> images = load_labelled_images("fruit", partial(whole_image, shape=(28, 28, 3)))  # doctest: +SKIP
    """
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must lie between 0 and 1, got {test_share}")
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder of pictures")
    names = sorted((path.name for path in _visible(folder) if path.is_dir()), key=_by_value)
    if len(names) < 2:
        raise ValueError(
            f"{folder}: expected a folder of pictures for each of at least two classes, found {len(names)} folders"
        )
    images, labels, files, unreadable = [], [], [], []
    for label, name in enumerate(names):
        for path in sorted(path for path in _visible(folder / name) if not path.is_dir()):
            try:
                images.append(convert(path))
            except (ValueError, OSError) as error:
                reason = getattr(error, "strerror", None) or str(error).removeprefix(f"{path}: ")
                unreadable.append(f"{path}: {reason}")
                continue
            labels.append(label)
            files.append(path.relative_to(folder))

    y = np.array(labels, np.uint8 if len(names) <= 256 else np.int32)
    if few := [name for name, n in zip(names, np.bincount(labels, minlength=len(names)), strict=True) if n < 2]:
        raise ValueError(
            f"{folder}: expected at least two pictures of each class, one to learn from and one to test with, "
            f"found fewer of {', '.join(few)}" + "".join(f"\n  {line}" for line in unreadable)
        )
    parts = split(y, test_share, seed)
    (train, test), x = parts, np.stack(images)
    kept = [files[i] for i in train], [files[i] for i in test]
    return LabelledImages(((x[train], y[train]), (x[test], y[test])), names, kept, unreadable)


def split(labels: np.ndarray, test_share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows to test with, each class in proportion, both shuffled.

    >>> [len(rows) for rows in split(np.array([0] * 10 + [1] * 5), test_share=0.2, seed=0)]
    [12, 3]
    """
    train, test = [], []
    for label in np.unique(labels):
        rows = _generator(seed, int(label)).permutation(np.flatnonzero(labels == label))
        n_test = min(max(round(test_share * len(rows)), 1), len(rows) - 1)
        test.append(rows[:n_test])
        train.append(rows[n_test:])
    last = _generator(seed)
    return last.permutation(np.concatenate(train)), last.permutation(np.concatenate(test))


def _visible(folder: Path) -> Iterator[Path]:
    """What lies in a folder, without the hidden files that desktops leave there."""
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def _by_value(name: str) -> tuple[list, str]:
    """Words by their letters, and the numbers among them by their value: page 2 before page 10."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name))], name


def _generator(seed: int, *purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(SPLIT, *purpose))))
