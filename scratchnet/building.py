"""Building a model: the layers, one after the other, are made for the shape that the one before gives.

Each layer draws its initial weights from a generator of its own, seeded by the model's seed, the layer's kind and its
number among its kind. So a Dropout between two convolutions changes nothing of their weights.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence

import numpy as np

from scratchnet import inputs
from scratchnet.layers import Dense, Layer
from scratchnet.layers.base import Shape
from scratchnet.saving import architecture


def build(layers: Sequence[Layer], input_shape: Shape, seed: int, dtype: np.dtype) -> list[Shape]:
    """Build every layer; the shapes of one example before the first layer and after each.

    The arrays of the layers do not move from then on. Raises ValueError, with the layer's place, if one does not fit.

    >>> build([Flatten(), Dense(10)], (28, 28, 1), seed=0, dtype=np.dtype("float32"))
    [(28, 28, 1), (784,), (10,)]
    """
    if not layers:
        raise ValueError("a model needs at least one layer")
    shapes: list[Shape] = [input_shape]
    kinds: dict[str, int] = {}
    for i, layer in enumerate(layers):
        architecture.check_layer(i, layer, layers[:i])
        kind = type(layer).__name__
        kinds[kind] = number = kinds.get(kind, 0) + 1
        layer.dtype = dtype
        rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
        with architecture.at_layer(i, kind, inputs.channels_first(input_shape)):
            shapes.append(layer.build(shapes[-1], rng))
    if isinstance(layers[-1], Dense):  # start undecided: small logits, a loss of about ln(classes)
        layers[-1].W *= 0.1
    for layer in layers:
        layer.in_model = True
    if (advice := inputs.channels_first(input_shape)) and any(hasattr(layer, "windows") for layer in layers):
        warnings.warn(f"input_shape={input_shape}: an image of height {shapes[0][0]}. {advice}", stacklevel=4)
    return shapes
