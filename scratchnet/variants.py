"""Variants of a network: other widths, or another dropout rate.

The numbers of filters and units and the dropout rate can be changed independently: shapes follow when the model is
built. The functions take unbuilt layers. A changed layer is a new object, the others are passed through.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from scratchnet.layers import Conv2D, Dense, Dropout, Layer, Residual

SIZES = {Conv2D: "filters", Dense: "units"}  # what the width of a layer is called


def hidden_layers(layers: Sequence[Layer]) -> list[int]:
    """The indices of the layers whose width can be chosen.

    Not the last one's, which has one unit per class; nor that of a layer before a Residual, which adds to its output.
    """
    sized = [i for i, layer in enumerate(layers) if type(layer) in SIZES]
    return [i for i, after in pairwise(sized) if not any(isinstance(layer, Residual) for layer in layers[i:after])]


def hidden_widths(layers: Sequence[Layer]) -> list[int]:
    """Filters and units of the hidden layers.

    >>> hidden_widths([Conv2D(32, 3), ReLU(), Flatten(), Dense(128), ReLU(), Dense(10)])
    [32, 128]
    """
    return [getattr(layers[i], SIZES[type(layers[i])]) for i in hidden_layers(layers)]


def with_widths(layers: Sequence[Layer], widths: Sequence[int]) -> list[Layer]:
    """The layers, the hidden ones with these widths.

    >>> hidden_widths(with_widths([Conv2D(32, 3), ReLU(), Flatten(), Dense(128), ReLU(), Dense(10)], [8, 24]))
    [8, 24]
    """
    places, changed = hidden_layers(layers), list(layers)
    if len(widths) != len(places):
        has = ", ".join(map(str, hidden_widths(layers)))
        raise ValueError(f"widths: this network has {len(places)} hidden layers ({has}), got {len(widths)} widths")
    for i, width in zip(places, widths, strict=True):
        kind = type(layers[i])
        changed[i] = kind(**{**layers[i].config(), SIZES[kind]: width})
    return changed


def with_dropout(layers: Sequence[Layer], rate: float) -> list[Layer]:
    """The layers, with this rate in every Dropout; a network that has none gets one before its last layer.

    >>> [type(layer).__name__ for layer in with_dropout([Flatten(), Dense(10)], 0.5)]
    ['Flatten', 'Dropout', 'Dense']
    """
    if any(isinstance(layer, Dropout) for layer in layers):
        return [Dropout(rate) if isinstance(layer, Dropout) else layer for layer in layers]
    return [*layers[:-1], Dropout(rate), layers[-1]] if rate else list(layers)
