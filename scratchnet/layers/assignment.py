"""What may be assigned to a layer that is part of a model.

A compiled model holds on to the arrays of its layers: kernels are compiled for their dtype and layout, a captured
training step has their addresses. So an array of such a layer stays where it is, and assigning means to copy:

    layer.W = array          the same as layer.W[...] = array, if the shape is the same
    layer.rate = 0.3         a number stays a number
    layer.stride = 2         an error: the shapes of the whole model were worked out from it

The rules are the same for both engines. A layer of the user's own may keep whatever else it likes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PROTOCOL = ("params", "state", "dtype")  # what a model asked every layer for when it was made


def assigned(layer, name: str, value: Any) -> Any:
    """What becomes the attribute of a layer that is part of a model, or an error that says what may be."""
    if name == "taken":
        return value
    if name in (*layer.params, *layer.state):
        return copied_into(getattr(layer, name), value, f"{type(layer).__name__}: {name}")
    if not is_builtin(layer) and name not in PROTOCOL:
        return value
    if isinstance(getattr(layer, name, None), float):
        return number(value, f"{type(layer).__name__}: {name}")
    numbers = [known for known, present in vars(layer).items() if isinstance(present, float)]
    may_change = ", ".join([*layer.params, *layer.state, *numbers]) or "nothing"
    raise AttributeError(
        f"{type(layer).__name__}: {name} cannot be set once the layer is part of a model; {may_change} can. "
        "Make a new layer and a new model."
    )


def is_builtin(layer) -> bool:
    """Whether the layer is exactly one of this package, and not of a class of the user's own."""
    return type(layer).__module__.startswith("scratchnet.layers.")


def copied_into(array: np.ndarray, value: Any, where: str) -> np.ndarray:
    """`array`, with the numbers of `value`. The shape must be the same; floats and integers are converted."""
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
