"""Building a model: the layers, one after the other, are made for the shape that the one before gives.

Each layer draws its initial weights from a generator of its own, seeded by the model's seed, the layer's kind and its
number among its kind. So a Dropout between two convolutions changes nothing of their weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from scratchnet import inputs
from scratchnet.layers import Dense, Layer, row
from scratchnet.layers.base import Shape


def build(layers: Sequence[Layer], input_shape: Shape, seed: int, dtype: np.dtype) -> list[Shape]:
    """Build every layer; the shapes of one example before the first layer and after each.

    The arrays of the layers do not move from then on. Raises ValueError, with the layer's place, if one does not fit.

    >>> build([Flatten(), Dense(10)], (28, 28, 1), seed=0, dtype=np.dtype("float32"))
    [(28, 28, 1), (784,), (10,)]
    """
    row.check_layers(layers)
    advice = inputs.channels_first(input_shape)
    shapes = row.build(layers, input_shape, row.seeded_by_kind(seed), dtype, advice)
    if isinstance(layers[-1], Dense):  # start undecided: small logits, a loss of about ln(classes)
        layers[-1].W *= 0.1
    row.set_in_model(layers, True)
    if advice and any(hasattr(layer, "windows") for layer in layers):
        warnings.warn(f"input_shape={input_shape}: an image of height {shapes[0][0]}. {advice}", stacklevel=4)
    return shapes
