"""Clipping: a gradient keeps its direction, and its length is limited.

Where the loss is steep, a single gradient can move the parameters far away. With `clip_norm` = c a gradient
keeps its direction and has at most the length c, taken over all parameters together (arXiv 1211.5063):

    g = g · min(1, c / |g|)          |g|² = Σ g² over every number of every parameter
"""

from __future__ import annotations

from math import sqrt

import numpy as np


def squares(g: np.ndarray) -> float:
    """Σ g², in float64: of a million float32 numbers the sum would lose three digits."""
    return float(np.square(g, dtype=np.float64).sum())


def clip_factor(total: float, clip_norm: float) -> float:
    """By what to multiply a gradient whose Σ g² is `total`: 1, or less if it is longer than `clip_norm`.

    >>> clip_factor(3.0**2 + 4.0**2, clip_norm=1.0)
    0.2
    """
    norm = sqrt(total)
    return clip_norm / norm if norm > clip_norm else 1.0
