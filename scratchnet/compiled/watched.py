"""What kernels take for granted: the arrays of the layers, and the numbers that layers and optimizers were told."""

from __future__ import annotations

import numpy as np


class Watched:
    """The arrays and numbers that some objects hold. What is in the arrays may change, the attributes may not.

    >>> from scratchnet import Dropout
    >>> layer = Dropout(0.5)
    >>> watched = Watched([layer])
    >>> layer.rate = 0.25
    >>> watched.unchanged()
    False
    """

    def __init__(self, objects, besides: tuple[str, ...] = ()):
        self.seen = [(vars(one), name, value) for one in objects for name, value in vars(one).items()
                     if isinstance(value, (int, float, np.ndarray)) and name not in besides]  # fmt: skip

    def unchanged(self) -> bool:
        """Whether every one of them is where it was."""
        return all(attributes.get(name) is value for attributes, name, value in self.seen)


class ArrayGuard:
    """The identity, shape and dtype of every array of a model's layers, as the kernels were compiled for them.

    Assignment to a layer copies into its arrays. This guard catches what bypasses assignment, `layer.W.shape = ...` or
    `vars(layer)["W"] = ...`, before a kernel reads out of bounds.
    """

    def __init__(self, layers, names):
        self.kept = [
            (vars(layer), name, f"layer {prefix}: {name}", (array := getattr(layer, name)), array.shape, array.dtype)
            for layer, prefix in zip(layers, names, strict=True) for name in (*layer.params, *layer.state)
        ]  # fmt: skip

    def check(self, written: bool = False) -> None:
        """Raise ValueError if an array was replaced or reshaped. written: also if one is read-only."""
        for attributes, name, where, array, shape, dtype in self.kept:
            if attributes.get(name) is not array or array.shape != shape or array.dtype != dtype:
                now = attributes.get(name)
                raise ValueError(
                    f"{where} was {dtype} of shape {shape} when the model was made and was replaced or reshaped since: "
                    f"now {getattr(now, 'dtype', type(now).__name__)} of shape {np.shape(now)}. "
                    "Assign to it (layer.W = array) or write into it (layer.W[...] = array)."
                )
            if written and not array.flags.writeable:
                raise ValueError(f"{where} is read-only, but a training step writes to it")
