"""What exports ask of a model before they begin: is every layer known, and in which order do features follow?

Libraries with the channels first flatten images as (c, h, w), this one as (h, w, c). The rows of the first Dense behind
a Flatten are in that order, and the arrays of a BatchNorm between the two. `features_first` says where: for each such
layer it has an `order`, with theirs = ours[order].
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from scratchnet.layers import LAYERS, Dense, Flatten, GlobalAvgPool2D, Layer, Residual
from scratchnet.layers.base import Shape
from scratchnet.model import Sequential


def every_layer(layers: Iterable[Layer], prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """(place, layer) of all layers, those within residual blocks included.

    >>> [place for place, layer in every_layer(model.layers)]
    ['0 (Rescale)', '1 (Flatten)', '2 (Dense)']
    """
    for i, layer in enumerate(layers):
        yield f"{prefix}{i} ({type(layer).__name__})", layer
        if isinstance(layer, Residual):
            yield from every_layer(layer.layers, f"{prefix}{i}.")
            yield from every_layer(layer.way, f"{prefix}{i}.shortcut.")


def check_exportable(layers: Iterable[Layer], known: Container[str], target: str) -> None:
    """Raise ValueError with the place of each layer that the target has nothing for: users' own layers.

    >>> check_exportable(model.layers, ("Rescale", "Flatten"), "ONNX")
    Traceback (most recent call last):
    ValueError: no export to ONNX for layer 2 (Dense). Layers of your own have no counterpart there
    """
    places = [
        place for place, layer in every_layer(layers)
        if type(layer) is not LAYERS.get(type(layer).__name__) or type(layer).__name__ not in known
    ]  # fmt: skip
    if places:
        raise ValueError(
            f"no export to {target} for layer {', '.join(places)}. Layers of your own have no counterpart there"
        )


def check_classifier(model: Sequential, target: str) -> None:
    """Raise ValueError unless the model takes images or rows of features and gives a row of logits."""
    if len(model.input_shape) not in (1, 3) or len(model.shapes[-1]) != 1:
        given, made = ("×".join(map(str, shape)) for shape in (model.input_shape, model.shapes[-1]))
        raise ValueError(f"export to {target}: a model takes images or rows and gives a row of logits; this one takes "
                         f"{given} and gives {made}")  # fmt: skip


class Part(NamedTuple):
    """A layer with arrays, and the order of its features where it is another one with the channels first."""

    name: str  # what the names of its arrays begin with: 1.conv2d
    layer: Layer
    order: np.ndarray | None


def features_first(model: Sequential) -> list[Part]:
    """All layers with arrays, in order; those within residual blocks included.

    >>> [(part.name, part.order is None) for part in features_first(model)]  # one channel: both orders are the same
    [('2.dense', True)]
    """
    parts: list[Part] = []
    index: np.ndarray | None = None
    for layer, name, shape in zip(model.layers, model.names, model.shapes[:-1], strict=True):
        if isinstance(layer, Flatten):
            index = channels_first(shape)
        elif isinstance(layer, Residual):
            if index is not None or any(isinstance(inner, Flatten | GlobalAvgPool2D) for _, inner in layer.walk()):
                raise ValueError(f"{name}: a residual block that flattens images, or right behind a Flatten")
            parts += [
                Part(f"{name}.{inner}"[:-1], part, None) for inner, part in layer.walk()
                if not part.children() and part.arrays("params", "state")
            ]  # fmt: skip
        elif layer.params or layer.state:
            parts.append(Part(name, layer, index))
            index = None if isinstance(layer, Dense) else index
    return parts


def class_names(model: Sequential) -> list[str]:
    """The names of the classes; their numbers where there are none."""
    return model.class_names or [str(number) for number in range(model.shapes[-1][0])]


def channels_first(shape: Shape) -> np.ndarray | None:
    """Where each number of flattened images (c, h, w) is in (h, w, c); None if the order is the same."""
    if len(shape) != 3 or shape[2] == 1 or shape[:2] == (1, 1):
        return None
    return np.arange(math.prod(shape)).reshape(shape).transpose(2, 0, 1).reshape(-1)
