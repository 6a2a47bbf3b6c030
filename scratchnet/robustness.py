"""Robustness: the accuracy on digits that are shifted, rotated, scaled, or drawn with another pen.

The images of a test set are made as those of the training set were: MNIST's digits are all centred, equally large
and equally thick. Those that people draw or photograph are not, and an accuracy of 99 % may shrink to 90 %. So
two further measurements are made, both of them functions of the model and the test set:

    the curves              accuracy when every image is changed in one way, up to a limit, for growing limits
    the as-drawn score      accuracy when every image is changed in all these ways at once, each by an ordinary
                            amount: `AS_DRAWN` for shape and pen, `AS_DRAWN_NOISE` for the paper

SEED and the number of an image in the test set determine its change. These images are for measurement, not for
training. Pixels are those of images of 28 × 28; for larger images, proportionally more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from scratchnet.data.augment import Augment
from scratchnet.randomness import ExampleRandom

SEED = 20_000  # of all changes here: they are part of the definition
NONE = Augment(shift=0, rotate=0, zoom=0)
AS_DRAWN = Augment(shift=3, rotate=15, zoom=0.2, shear=0.2, thickness=0.5)
AS_DRAWN_NOISE = 15.0

# What is changed, in which unit, and by up to how much.
LEVELS: dict[str, tuple[str, tuple[float, ...]]] = {
    "shift": ("pixels", (0, 1, 2, 3, 4, 6)),
    "rotate": ("degrees", (0, 10, 20, 30, 45, 60)),
    "zoom": ("share", (0, 0.1, 0.2, 0.3, 0.5)),
    "thickness": ("pixels per side", (0, 0.25, 0.5, 0.75, 1)),
    "noise": ("grey levels", (0, 10, 20, 40, 60)),
}
SAMPLE = 1000  # images on which a curve is measured, evenly spread over the test set
PIECE = 250  # images that are changed at a time


def measure_robustness(model: Any, x: np.ndarray, y: np.ndarray, sample: int = SAMPLE) -> dict[str, Any]:
    """What the as-drawn score and the curves are, as plain data.

    x: uint8 images (n, h, w) or (n, h, w, channels); y: class numbers.
    {"accuracy": on x as it is, "as_drawn": the score, "images": n, "sample": images of a curve,
    "curves": {"shift": {"unit": "pixels", "up_to": [0, 1, ...], "accuracy": [...]}, ...}}

    >>> found = measure_robustness(model, np.zeros((8, 28, 28), np.uint8), np.zeros(8, int))
    >>> found["as_drawn"], list(found["curves"])
    (0.0, ['shift', 'rotate', 'zoom', 'thickness', 'noise'])
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.dtype != np.uint8 or x.ndim not in (3, 4):
        raise ValueError(f"robustness is measured on uint8 images (n, h, w, ...), got {x.dtype} of shape {x.shape}")
    rows = np.linspace(0, len(x) - 1, min(sample, len(x))).astype(np.int64)
    return {
        "accuracy": model.evaluate(x, y)["accuracy"],
        "as_drawn": model.evaluate(as_drawn(model, x), y)["accuracy"],
        "images": len(x),
        "sample": len(rows),
        "curves": {
            name: {"unit": unit, "up_to": list(levels), "accuracy": curve(model, x[rows], y[rows], name, levels)}
            for name, (unit, levels) in LEVELS.items()
        },
    }


def as_drawn(model: Any, x: np.ndarray) -> np.ndarray:
    """The images as people might draw them: those of the as-drawn score."""
    return changed(model, x, AS_DRAWN, AS_DRAWN_NOISE)


def curve(model: Any, x: np.ndarray, y: np.ndarray, name: str, levels: Iterable[float]) -> list[float]:
    """The accuracy for each level of one kind of change."""
    found = []
    for level in levels:
        augment, noise = (NONE, level) if name == "noise" else (replace(NONE, **{name: level}), 0)
        found.append(model.evaluate(changed(model, x, augment, noise), y)["accuracy"])
    return found


def changed(model: Any, x: np.ndarray, augment: Augment, noise: float) -> np.ndarray:
    """Every image changed, by the model's engine; then noise of that standard deviation."""
    augment = replace(augment, shift=augment.shift * max(x.shape[1:3]) / 28)
    pieces = []
    for first in range(0, len(x), PIECE):
        rng = ExampleRandom(SEED, 0, first)
        images = model.backend.augmented(augment, x[first : first + PIECE], rng)
        if noise:
            images = np.rint(images + noise * rng.standard_normal(images.shape)).clip(0, 255).astype(np.uint8)
        pieces.append(images)
    return np.concatenate(pieces).reshape(x.shape)
