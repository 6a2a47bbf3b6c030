"""All arrays of a model in one row, as Keras' get_weights gives them.

The order is that of the layers, and within a layer parameters before state: gamma, beta, running_mean, running_var.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from scratchnet.layers import Layer

Arrays = dict[str, np.ndarray]


def weights_of(layers: Sequence[Layer], names: Sequence[str]) -> Arrays:
    """Name -> live array, layer by layer."""
    return {
        f"{prefix}.{name}": array
        for prefix, layer in zip(names, layers, strict=True)
        for name, array in layer.arrays("params", "state").items()
    }


def copy_weights(arrays: Iterable[np.ndarray], own: Arrays) -> None:
    """Copy arrays into a model's own, in order; if one does not fit nothing is copied, and the error names it."""
    given = [np.asarray(array) for array in arrays]
    if len(given) != len(own):
        raise ValueError(f"set_weights: expected {len(own)} arrays ({', '.join(own)}), got {len(given)}")
    for (name, array), new in zip(own.items(), given, strict=True):
        if new.shape != array.shape or new.dtype.kind not in "iuf":
            raise ValueError(f"set_weights: {name} has shape {array.shape}, got {new.dtype} of shape {new.shape}")
    for array, new in zip(own.values(), given, strict=True):
        array[...] = new


def own_arrays(layers: Iterable[Layer]) -> None:
    """Replace arrays that are read-only or mapped from a file by copies.

    joblib hands such arrays to its workers; a training step writes to them, and kernels are compiled for others.
    """
    parts = [part for layer in layers for _, part in layer.walk() if not part.children()]
    for part in parts:
        for name, array in part.arrays("params", "state").items():
            if type(array) is not np.ndarray or not array.flags.carray or not array.flags.owndata:
                vars(part)[name] = np.array(array, order="C", subok=False)
