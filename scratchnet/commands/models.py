"""MODEL on the command line: a file of ours, or one of Keras.

A file of Keras does not say how the pixels were scaled that it was trained on. `--rescale` says it. With labelled
images at hand it can be found out: a wrong scale usually costs accuracy, and McNemar's test says whether the difference
is more than chance.
"""

from __future__ import annotations

import argparse
import math
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

from scratchnet.interop.keras import convert
from scratchnet.metrics import mcnemar
from scratchnet.model import Sequential, load_model
from scratchnet.saving.file_kinds import HEAD, KERAS, kind_of

SCALES = {"1/255": 1 / 255, "1": 1.0}
IMAGES = 2000  # on which the scales are compared
CHANCE = 0.05


def is_keras(path: Path) -> bool:
    """Whether a file is one of Keras, by its ending or its first bytes."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return path.suffix == ".keras" or KERAS in kind_of(file.read(HEAD))


def open_model(path: Path, engine: str, rescale: float | None = None) -> Sequential:
    """The model in a file of ours, or of Keras; notes about a converted one go to stderr. rescale: see `load_keras`."""
    if not is_keras(path):
        if rescale is not None:
            raise ValueError(f"{path}: --rescale is for files of Keras; this model carries its scale")
        return load_model(path, engine)
    converted = convert(path)
    if converted.scaled and rescale is not None:
        raise ValueError(f"{path}: it has a Rescaling layer of its own: leave out --rescale")
    for note in converted.notes:
        print(f"{path}: {note}", file=sys.stderr)
    if rescale is None and not converted.scaled:
        print(f"{path}: the file does not say how pixels were scaled; taking pixels / 255", file=sys.stderr)
    return converted.model(1 / 255 if rescale is None else rescale, engine)


def compared_scales(path: Path, engine: str, x: np.ndarray, y: np.ndarray) -> str:
    """Which scale the pixels of a Keras model need, as labelled images show it; empty if nothing is to be said."""
    if not is_keras(path) or (converted := convert(path)).scaled:
        return ""
    x, y = x[:IMAGES], y[:IMAGES]
    right = {name: converted.model(scale, engine).predict(x).argmax(axis=1) == y for name, scale in SCALES.items()}
    better, worse = sorted(right, key=lambda name: -right[name].mean())
    both = " and ".join(f"{right[name].mean():.2%} with --rescale {name}" for name in (better, worse))
    chance = mcnemar(right[better], right[worse]).p_value >= CHANCE
    verdict = "the difference can be chance" if chance else f"--rescale {better} is the better one, by more than chance"
    return f"{path}: accuracy on {len(y):,} images: {both}; {verdict}"


def factor(text: str) -> float:
    """A factor for pixels: a number or a fraction.

    >>> factor("1/255") == 1 / 255
    True
    """
    try:
        value = float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value) or not value:
        raise argparse.ArgumentTypeError(f"must be a number or a fraction such as 1/255, got {text}")
    return value
