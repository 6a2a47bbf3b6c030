"""Connected components of a binary picture.

Pixels that touch, also at a corner, belong to one piece (8-connectivity). Each row is a list of *runs*, stretches of
set pixels; two runs of neighbouring rows touch if neither ends before the other begins. There are far fewer runs than
pixels, and bisection finds which ones touch. Then every run takes the smallest number of the runs it touches, and the
number's own number, until nothing changes (union-find on all runs at once).

Source: L. He, Y. Chao, K. Suzuki, "A run-based two-scan labeling algorithm", IEEE Trans. Image Process. 17 (2008).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
    """A rectangle of pixels; bottom and right are the first row and column after it."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """To cut it out of an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def label(mask: np.ndarray) -> np.ndarray:
    """(h, w) bool -> (h, w) int: the number of each pixel's piece, from 1; 0 where the mask is False.

    >>> label(np.array([[1, 0, 0, 1], [0, 1, 0, 1]], bool))
    array([[1, 0, 0, 2],
           [0, 1, 0, 2]])
    """
    width = mask.shape[1] + 2
    change = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(change > 0)
    _, end = np.nonzero(change < 0)  # of run i: the first column after it

    # The runs of the next row that touch run i are number first[i] to after[i] - 1.
    first = np.searchsorted(row * width + end, (row + 1) * width + start)
    after = np.searchsorted(row * width + start, (row + 1) * width + end, side="right")
    upper = np.repeat(np.arange(len(row)), after - first)
    lower = np.arange(len(upper)) - np.repeat((after - first).cumsum() - after, after - first)

    number = linked(len(row), upper, lower)
    labels = np.zeros(mask.shape, np.int64)
    labels[mask] = np.repeat(number + 1, end - start)
    return labels


def linked(n: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The number of the piece, from 0, of each of n items; item one[i] is linked to item other[i].

    >>> linked(4, np.array([0, 3]), np.array([2, 0]))
    array([0, 1, 0, 0])
    """
    number = np.arange(n)
    while (number[one] != number[other]).any():
        smaller = np.minimum(number[one], number[other])
        np.minimum.at(number, number[one], smaller)
        np.minimum.at(number, number[other], smaller)
        while (number != number[number]).any():
            number = number[number]
    return np.unique(number, return_inverse=True)[1]


def boxes(labels: np.ndarray) -> list[Box]:
    """The bounding box of each label 1, 2, ..., all of which must occur.

    >>> boxes(np.array([[1, 0, 0, 2], [0, 1, 0, 2]]))[1]
    Box(top=0, bottom=2, left=3, right=4)
    """
    y, x = np.nonzero(labels)
    piece, n = labels[y, x] - 1, int(labels.max())
    edges = []
    for place, size in ((y, labels.shape[0]), (x, labels.shape[1])):
        low, high = np.full(n, size), np.zeros(n, np.int64)
        np.minimum.at(low, piece, place)
        np.maximum.at(high, piece, place + 1)
        edges += [low.tolist(), high.tolist()]
    return [Box(*sides) for sides in zip(*edges, strict=True)]


def spread(mask: np.ndarray, by: int) -> np.ndarray:
    """Dilation by a square: a pixel is set if a set pixel is at most `by` rows and `by` columns away.

    >>> spread(np.array([[1, 0, 0, 0]], bool), 1)
    array([[ True,  True, False, False]])
    """
    for axis in (0, 1):
        edge = [(by + 1, by) if axis == i else (0, 0) for i in (0, 1)]
        count = np.pad(mask, edge).cumsum(axis=axis, dtype=np.int32)
        size = mask.shape[axis]
        mask = np.take(count, np.arange(size) + 2 * by + 1, axis) > np.take(count, np.arange(size), axis)
    return mask
