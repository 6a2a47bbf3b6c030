"""A folder of labelled pictures -> a data set.

    pictures/apple/01.png   pictures/apple/02.jpg   pictures/pear/01.png   ...

Each folder is a class, each file in it or in its subfolders an example. There are two pitfalls. File systems list
files in arbitrary order, so classes and files are sorted first (class 10 after class 9). And a random split may leave
a rare class out of the test set, so the split is stratified, with at least one picture per class. An existing split,

    pictures/train/apple/01.png   pictures/train/pear/01.png   ...   pictures/test/apple/01.png   ...

is kept: numbers are comparable only on the published split.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scratchnet.data.folder import Dataset

SPLIT = 0xF01DE5  # an arbitrary number that no other use of a seed has


@dataclass
class LabelledImages:
    """The contents of a folder of labelled pictures."""

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
    """The pictures `folder`/<class>/**/<file>, converted to arrays, split in two and shuffled.

    convert: from a path to an array, the same shape for all; a ValueError or OSError leaves the picture out.
    test_share: the share of each class that is held out for testing. The same folder and seed give the same
    data set, and a new picture does not change the split of other classes. If `folder` has a folder `train`, and
    `test` or `val`, with class folders in them, these are the two parts, and test_share is ignored; with all three,
    `val` joins the training part, from which a validation set is held out later. Raises ValueError if there are
    fewer than two classes, or too few pictures of one.

    >>> from functools import partial
    >>> images = load_labelled_images("fruit", partial(whole_image, shape=(28, 28, 3)))  # doctest: +SKIP
    """
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must be between 0 and 1, got {test_share}")
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder of pictures")
    ready = _ready_split(folder)
    roots = ready or {folder: False}
    names = sorted({path.name for root in roots for path in _folders(root)}, key=_by_value)
    if len(names) < 2:
        raise ValueError(
            f"{folder}: expected a folder of pictures for each of at least two classes, found {len(names)} folders"
        )
    images, labels, files, is_test, unreadable = [], [], [], [], []
    for label, name in enumerate(names):
        of_class = [(path, testing) for root, testing in roots.items() for path in sorted(_files(root / name))]
        for path, testing in of_class:
            try:
                images.append(convert(path))
            except (ValueError, OSError) as error:
                reason = getattr(error, "strerror", None) or str(error).removeprefix(f"{path}: ")
                unreadable.append(f"{path}: {reason}")
                continue
            labels.append(label)
            is_test.append(testing)
            files.append(path.relative_to(folder))

    y = np.array(labels, np.uint8 if len(names) <= 256 else np.int32)
    held_out = np.array(is_test, bool)
    _check_counts(folder, names, y[~held_out], 1 if ready else 2, any(is_test) or not ready, unreadable)
    parts = _shuffled(held_out, seed) if ready else split(y, test_share, seed)
    (train, test), x = parts, np.stack(images)
    kept = [files[i] for i in train], [files[i] for i in test]
    return LabelledImages(((x[train], y[train]), (x[test], y[test])), names, kept, unreadable)


def _ready_split(folder: Path) -> dict[Path, bool] | None:
    """The folders of an existing split, and whether each is for testing; None if there is none."""
    parts = {path.name.lower(): path for path in _folders(folder)}
    held_out = next((name for name in ("test", "val") if name in parts), None)
    if not {"train"} < parts.keys() <= {"train", "val", "test"}:
        return None
    if any(not _folders(path) or any(not inside.is_dir() for inside in _visible(path)) for path in parts.values()):
        return None  # classes that happen to be called train and test
    return {path: name == held_out for name, path in sorted(parts.items())}


def _check_counts(
    folder: Path, names: list[str], train: np.ndarray, least: int, has_test: bool, unreadable: Iterable[str]
) -> None:
    """Every class needs `least` training pictures, and the test part must not be empty."""
    lines = "".join(f"\n  {line}" for line in unreadable)
    few = [name for name, n in zip(names, np.bincount(train, minlength=len(names)), strict=True) if n < least]
    if few and least == 2:
        raise ValueError(
            f"{folder}: expected at least two pictures of each class, one to learn from and one to test with, "
            f"found fewer of {', '.join(few)}{lines}"
        )
    if few or not has_test:
        raise ValueError(
            f"{folder}: expected pictures of each class to train on, and some to test with, found none "
            + (f"of {', '.join(few)} to train on" if few else "to test with")
            + lines
        )


def _shuffled(held_out: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Training rows and test rows, as marked by `held_out`, both shuffled."""
    rng = _generator(seed)
    return rng.permutation(np.flatnonzero(~held_out)), rng.permutation(np.flatnonzero(held_out))


def split(labels: np.ndarray, test_share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Training rows and test rows, stratified, both shuffled.

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
    """The entries of a folder, without hidden files and __MACOSX, which desktops and archives leave there."""
    return (path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "__MACOSX")


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder."""
    return [path for path in _visible(folder) if path.is_dir()]


def _files(folder: Path) -> Iterator[Path]:
    """The files in a folder and its subfolders. Links to folders are skipped: they may form a cycle."""
    for path in _visible(folder) if folder.is_dir() else ():
        if not path.is_dir():
            yield path
        elif not path.is_symlink():
            yield from _files(path)


def _by_value(name: str) -> tuple[list, str]:
    """Sort key: words by letters, numbers by value, so that page 2 comes before page 10."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name))], name


def _generator(seed: int, *purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(SPLIT, *purpose))))
