"""Sizes of windows and images for the drawn cases: small ones first, none of them symmetric for long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

CASES = 30


class Drawn(NamedTuple):
    """One drawn convolution: sizes of the images, of the windows, and the number of filters."""

    n: int
    h: int
    w: int
    c: int
    k_h: int
    k_w: int
    filters: int
    stride: int


def convolutions(rng: np.random.Generator, strides: int = 2) -> Iterator[Drawn]:
    """CASES sizes, growing from a single window of a single channel. strides: the largest stride.

    >>> next(convolutions(np.random.default_rng(0)))
    Drawn(n=1, h=2, w=2, c=1, k_h=2, k_w=2, filters=1, stride=1)
    """
    yield Drawn(1, 2, 2, 1, 2, 2, 1, 1)
    for i in range(1, CASES):
        most = 2 + i // 8
        n, c, filters = (int(size) for size in rng.integers(1, most + 1, 3))
        k_h, k_w = (int(size) for size in rng.integers(1, most + 1, 2))
        h, w = k_h + int(rng.integers(0, 4)), k_w + int(rng.integers(0, 4))
        yield Drawn(n, h, w, c, k_h, k_w, filters, int(rng.integers(1, strides + 1)))


def windows(x: np.ndarray, k_h: int, k_w: int, stride: int = 1) -> np.ndarray:
    """(n, h, w, c) -> (n, out_h, out_w, k_h, k_w, c): a view of every window.

    >>> windows(np.zeros((1, 5, 5, 3)), 2, 2).shape
    (1, 4, 4, 2, 2, 3)
    """
    found = np.lib.stride_tricks.sliding_window_view(x, (k_h, k_w), axis=(1, 2))
    return found[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
