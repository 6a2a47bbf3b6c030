"""Assignment to a layer that is part of a model.

Compiled kernels keep the addresses of a layer's arrays and were compiled for their dtype and layout. The arrays of a
layer in a model therefore never move; assignment copies into them:

    layer.W = array          the same as layer.W[...] = array; the shapes must be equal
    layer.rate = 0.3         a float stays a float
    layer.trainable = False  the layer is frozen; this and layer.lr_factor may be set at any time, also before building
    layer.stride = 2         AttributeError: the shapes of the whole model depend on it

The rules are the same for both engines. A user's own layer may set any other attribute.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PROTOCOL = ("params", "state", "dtype")  # read once, when the model is built
TRAINING = ("trainable", "lr_factor")  # read at every training step


def assigned(layer: Any, name: str, value: Any) -> Any:
    """The value to store for `layer.name = value`, or an error if the attribute cannot change in a built model."""
    if name == "in_model":
        return value
    if name in TRAINING:
        return training_setting(layer, name, value)
    if name in (*layer.params, *layer.state):
        return copied_into(layer.arrays("params", "state")[name], value, f"{type(layer).__name__}: {name}")
    if not is_builtin(layer) and name not in PROTOCOL:
        return value
    if isinstance(getattr(layer, name, None), float):
        return number(value, f"{type(layer).__name__}: {name}")
    numbers = [known for known, present in vars(layer).items() if isinstance(present, float)]
    may_change = ", ".join([*layer.params, *layer.state, *numbers, *(TRAINING if layer.params else ())]) or "nothing"
    raise AttributeError(
        f"{type(layer).__name__}: {name} cannot be set once the layer is part of a model; {may_change} can. "
        "Make a new layer and a new model."
    )


def training_setting(layer: Any, name: str, value: Any) -> Any:
    """True or False for `trainable`, a positive number for `lr_factor`; a layer that contains others passes it on."""
    where = f"{type(layer).__name__}: {name}"
    if name == "trainable" and value not in (True, False):
        raise TypeError(f"{where} must be True or False, got {value!r}")
    value = bool(value) if name == "trainable" else number(value, where)
    if name == "lr_factor" and not 0 < value < math.inf:
        raise ValueError(f"{where} must be a positive number, got {value!r}. To freeze a layer: trainable = False")
    if name == "lr_factor":
        for inner in layer.children().values():
            inner.lr_factor = value
    return value


def is_builtin(layer: Any) -> bool:
    """Whether the layer's class is defined in this package; False for users' classes, subclasses included."""
    return type(layer).__module__.startswith("scratchnet.layers.")


def copied_into(array: np.ndarray, value: Any, where: str) -> np.ndarray:
    """`array`, overwritten with `value`. Shapes must be equal; floats and integers are converted."""
    if value is array:  # layer.W *= 2 ends with layer.W = layer.W
        return array
    given = np.asarray(value)
    if given.shape != array.shape or not np.can_cast(given.dtype, array.dtype, "same_kind"):
        raise ValueError(
            f"{where} is {array.dtype} of shape {array.shape}, got {given.dtype} of shape {given.shape}. "
            "The array of a layer in a model keeps its shape; floats and integers are converted."
        )
    array[...] = given
    return array


def number(value: Any, where: str) -> float:
    """`value` as a float."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{where} must be a number, got {value!r}") from None
