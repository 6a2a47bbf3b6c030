"""Initial values of the parameters.

A layer whose outputs are much larger or smaller than its inputs makes the signal of a deep network explode or vanish.
Both rules choose the variance of the weights so that a signal keeps its size through the layers:

    He      Var W = 2 / fan_in                  the 2 makes up for ReLU, which removes half the signal
    Glorot  Var W = 2 / (fan_in + fan_out)      a compromise between the forward and the backward pass

fan_in is the number of inputs that one output sums over, fan_out the number of outputs that one input
reaches. The layer passes both.

He, Zhang, Ren, Sun 2015 (arXiv 1502.01852); Glorot, Bengio 2010 (AISTATS).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def he(
    rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: Any = "float32"
) -> np.ndarray:
    """Normal with mean 0 and variance 2 / fan_in: for weights in front of a ReLU."""
    return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(dtype)


def glorot(
    rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: Any = "float32"
) -> np.ndarray:
    """Uniform in ±√(6 / (fan_in + fan_out)), whose variance is 2 / (fan_in + fan_out)."""
    limit = np.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, shape).astype(dtype)


def zeros(
    rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: Any = "float32"
) -> np.ndarray:
    """All zeros. For weights, only in the last layer: elsewhere equal units would stay equal for ever."""
    return np.zeros(shape, dtype)


INITIALIZERS = {"he": he, "glorot": glorot, "zeros": zeros}


def get_initializer(name: str) -> Callable[..., np.ndarray]:
    """The initializer of that name, or an error that lists them."""
    if name not in INITIALIZERS:
        raise ValueError(f"initializer must be one of {', '.join(INITIALIZERS)}, got {name!r}")
    return INITIALIZERS[name]
