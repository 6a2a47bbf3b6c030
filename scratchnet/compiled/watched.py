"""What a recording takes for granted: the arrays of the layers, and the numbers they were told."""

from __future__ import annotations

import numpy as np


class Watched:
    """The arrays and numbers that layers hold. What is in the arrays may change, the objects may not.

    >>> from scratchnet import Dropout
    >>> layer = Dropout(0.5)
    >>> watched = Watched([layer])
    >>> layer.rate = 0.25
    >>> watched.unchanged()
    False
    """

    def __init__(self, layers):
        self.seen = [(vars(layer), name, value) for layer in layers for name, value in vars(layer).items()
                     if isinstance(value, (int, float, np.ndarray))]  # fmt: skip

    def unchanged(self) -> bool:
        """Whether every one of them is where it was."""
        return all(attributes.get(name) is value for attributes, name, value in self.seen)
