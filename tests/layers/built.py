"""Layers ready for a test: built for an input, with no parameter left at a value that hides an error."""

from __future__ import annotations

import numpy as np


def built(layer, input_shape, dtype="float64", seed=0):
    """Build `layer` for one example's shape. A bias of 0 or a gamma of 1 never shows, so all are moved."""
    rng = np.random.default_rng(seed)
    layer.dtype = np.dtype(dtype)
    layer.build(tuple(input_shape), rng)
    for array in layer.arrays("params").values():
        array += (0.3 * rng.standard_normal(array.shape)).astype(dtype)
    for array in layer.arrays("state").values():
        array += rng.uniform(0.1, 0.5, array.shape).astype(dtype)
    return layer
