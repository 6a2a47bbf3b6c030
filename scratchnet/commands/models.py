"""MODEL on the command line: a file of ours, of Keras or of ONNX.

A file of Keras does not say how the pixels were scaled that it was trained on, nor does one of ONNX, unless it was
written here. `--rescale` says it. With labelled
images at hand it can be found out: a wrong scale usually costs accuracy, and McNemar's test says whether the difference
is more than chance.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scratchnet.interop.keras import convert
from scratchnet.interop.onnx_import import load_onnx
from scratchnet.layers import Rescale
from scratchnet.metrics import mcnemar
from scratchnet.model import Sequential, load_model
from scratchnet.saving.file_kinds import HEAD, KERAS, kind_of
from scratchnet.transfer import unbuilt

SCALES = {"1/255": 1 / 255, "1": 1.0}
IMAGES = 2000  # on which the scales are compared
CHANCE = 0.05


class Foreign(NamedTuple):
    """What was read from a file of another program."""

    scaled: bool  # whether the file says how pixels are scaled
    notes: Sequence[str]
    model: Callable[[float], Sequential]  # of a scale; if the file says it, the scale is ignored


def foreign(path: Path, engine: str) -> Foreign | None:
    """The contents of a file of Keras or ONNX, by its ending or its first bytes; None for any other file."""
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        kind = kind_of(file.read(HEAD))
    if path.suffix == ".keras" or KERAS in kind:
        converted = convert(path)
        return Foreign(converted.scaled, converted.notes, lambda scale: converted.model(scale, engine))
    if path.suffix == ".onnx" or "load_onnx" in kind:
        model = load_onnx(path, engine)
        scaled = isinstance(model.layers[0], Rescale)
        return Foreign(scaled, [], lambda scale: model if scaled else rescaled(model, scale))
    return None


def rescaled(model: Sequential, scale: float) -> Sequential:
    """A copy of the model for pixels that are first multiplied by `scale`."""
    options = model.input_shape, model.seed, model.engine, model.dtype, model.class_names
    copied = Sequential([Rescale(scale), *unbuilt(model.layers)], *options)
    copied.set_weights(model.get_weights())
    copied.outputs = model.outputs
    return copied


def open_model(path: Path, engine: str, rescale: float | None = None) -> Sequential:
    """The model in a file of ours, of Keras or of ONNX; notes about a converted one go to stderr.

    rescale: what pixels are multiplied by; None: what the file says, or else 1/255.
    """
    if (found := foreign(path, engine)) is None:
        if rescale is not None:
            raise ValueError(f"{path}: --rescale is for files of Keras and ONNX; this model carries its scale")
        return load_model(path, engine)
    if found.scaled and rescale is not None:
        raise ValueError(f"{path}: it has a Rescaling layer of its own: leave out --rescale")
    for note in found.notes:
        print(f"{path}: {note}", file=sys.stderr)
    if rescale is None and not found.scaled:
        print(f"{path}: the file does not say how pixels were scaled; taking pixels / 255", file=sys.stderr)
    return found.model(1 / 255 if rescale is None else rescale)


def compared_scales(path: Path, engine: str, x: np.ndarray, y: np.ndarray) -> str:
    """Which scale the pixels of a converted model need, as labelled images show it; empty if nothing is to be said."""
    if (found := foreign(path, engine)) is None or found.scaled:
        return ""
    x, y = x[:IMAGES], y[:IMAGES]
    right = {name: found.model(scale).predict(x).argmax(axis=1) == y for name, scale in SCALES.items()}
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
