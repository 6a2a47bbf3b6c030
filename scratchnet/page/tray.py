"""The page's tray: test images to take instead of drawing, those first that the model finds hardest.

They are the user's own: the test images of the data set that is found on this machine; nothing is downloaded for it.
Where there is none, a model of digits gets synthetic ones.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scratchnet import data
from scratchnet.data.fashion import fashion_folder
from scratchnet.data.idx import DataFileError
from scratchnet.data.mnist import data_folder
from scratchnet.model import Sequential

HARDEST, OTHERS = 20, 108  # images; the views that compare with "100 other digits" need more than 100
SEED = 15


class TestImages(NamedTuple):
    """uint8 images (n, h, w, c), their classes (n,), and where they come from."""

    x: np.ndarray
    y: np.ndarray
    name: str


def find_test_images(
    model: Sequential,
    dataset: str = "auto",
    data_dir: str | None = None,
    required: bool = False,
    training: bool = False,
) -> TestImages | None:
    """The test images on this machine that fit the model: of the data set it was trained on, else synthetic digits.

    dataset: its name, as in a run's config.json, or "auto". None if no images fit: another shape, other classes.
    required: raise the error of a folder `data_dir` without a data set. training: the training images of that data set.
    """
    try:
        if dataset == "synthetic":
            found, name = data.load_synthetic(), "synthetic digits"
        elif dataset == "fashion-mnist":
            found, name = data.read_folder(fashion_folder(data_dir)), "Fashion-MNIST's test images"
        else:
            found, name = data.read_folder(data_folder(data_dir)), "test images"
            if data.counts_from_1(found[0][1], found[1][1]):
                found = data.upright(found, first_label=1)
        x, y = found[0] if training else found[1]
        images = TestImages(as_images(x), y, name)
    except (DataFileError, OSError):
        if required:
            raise
        images = None
    if images is None and data_dir is None and is_model_of_digits(model):
        size = model.input_shape[0]
        x, y = data.load_synthetic(n_train=500, n_test=500, size=size)[0 if training else 1]
        images = TestImages(as_images(x), y, "synthetic digits")
    return images if images is not None and fits(model, images) else None


def as_images(x: np.ndarray) -> np.ndarray:
    """(n, h, w, c) of (n, h, w)."""
    return x if x.ndim == 4 else x[..., None]


def fits(model: Sequential, images: TestImages) -> bool:
    """Whether the model takes such images, and has an output for each of their classes."""
    return (
        images.x.dtype == np.uint8 and images.x.shape[1:] == model.input_shape and images.y.max() < model.shapes[-1][0]
    )


def is_model_of_digits(model: Sequential) -> bool:
    """Whether the classes are the ten digits, and the images grey squares.

    >>> is_model_of_digits(model)
    True
    """
    if len(model.input_shape) != 3:
        return False
    h, w, c = model.input_shape
    names = model.class_names or [str(k) for k in range(model.shapes[-1][0])]
    return h == w >= 8 and c == 1 and list(names) == [str(k) for k in range(10)]


def make_tray(model: Sequential, images: TestImages) -> dict[str, Any]:
    """{"name":, "shape": [h, w, c], "labels": [...], "pixels": base64}: the hardest images, then some of every class.

    An image is hard if the model gives its class a small probability.

    >>> images = TestImages(np.zeros((12, 28, 28, 1), np.uint8), np.arange(12) % 10, "test images")
    >>> tray = make_tray(model, images)
    >>> len(tray["labels"]), tray["shape"]
    (12, [28, 28, 1])
    """
    y = images.y.astype(int)
    probability = model.predict(images.x)[np.arange(len(y)), y]
    hardest = np.argsort(probability, kind="stable")[:HARDEST]
    others = np.random.default_rng(SEED).permutation(np.setdiff1d(np.arange(len(y)), hardest))
    turn = np.zeros(len(others), int)  # how many of its class come before an image
    for k in np.unique(y):
        mine = y[others] == k
        turn[mine] = np.arange(mine.sum())
    others = others[np.lexsort((y[others], turn))][:OTHERS]  # 0 1 2 … 9 0 1 2 …
    chosen = np.concatenate([hardest, others])
    return {
        "name": images.name,
        "hardest": len(hardest),
        "shape": list(images.x.shape[1:]),
        "labels": y[chosen].tolist(),
        "pixels": base64.b64encode(np.ascontiguousarray(images.x[chosen]).tobytes()).decode(),
    }


def settings_of_run(run: Path) -> dict[str, Any]:
    """`dataset` and `data_dir` of a run's config.json, the arguments of `find_test_images`; {} for other paths."""
    import json

    try:
        config = json.loads((run / "config.json").read_text())
    except (OSError, ValueError):
        return {}
    return {name: config[name] for name in ("dataset", "data_dir") if config.get(name)}
