"""Conditions under which a captured program is valid, checked before every run.

A program contains the addresses of arrays and the values of numbers. What is in the arrays may change from run to run;
the arrays themselves, and the numbers, may not.
"""

from __future__ import annotations

from operator import is_
from typing import Any

import numpy as np


class Guards:
    """The attributes of some objects, as they were.

    >>> from scratchnet import Dropout
    >>> layer = Dropout(0.5)
    >>> guards = Guards([layer])
    >>> layer.rate = 0.25
    >>> guards.hold()
    False
    """

    def __init__(self, objects):
        self.seen = [(vars(one), list(vars(one).values())) for one in objects]

    def hold(self) -> bool:
        """Whether every attribute is the same object as before."""
        return all(len(now) == len(then) and all(map(is_, now.values(), then)) for now, then in self.seen)


class ArrayGuard:
    """The identity, shape and dtype of every array of a network's layers, as the kernels were compiled for them.

    Assignment to a layer copies into its arrays. This guard catches what bypasses assignment, `layer.W.shape = ...` or
    `vars(layer)["W"] = ...`, before a kernel reads out of bounds.
    """

    def __init__(self, layers, names):
        self.kept: list[tuple[dict[str, Any], str, str, np.ndarray, Any, Any]] = [
            (vars(part), name, f"layer {prefix}: {inner}{name}", array, array.shape, array.dtype)
            for layer, prefix in zip(layers, names, strict=True)
            for inner, part in layer.walk() if not part.children()
            for name, array in part.arrays("params", "state").items()
        ]  # fmt: skip

    def check(self, written: bool = False) -> None:
        """Raise ValueError if an array was replaced or reshaped. written: also if one is read-only."""
        for attributes, name, where, array, shape, dtype in self.kept:
            if attributes.get(name) is not array or array.shape != shape or array.dtype != dtype:
                now = attributes.get(name)
                raise ValueError(
                    f"{where} was {dtype} of shape {shape} when the model was made and was replaced or reshaped since: "
                    f"now {getattr(now, 'dtype', type(now).__name__)} of shape {getattr(now, 'shape', ())}. "
                    "Assign to it (layer.W = array) or write into it (layer.W[...] = array)."
                )
            if written and not array.flags.writeable:
                raise ValueError(f"{where} is read-only, but a training step writes to it")
