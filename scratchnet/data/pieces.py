"""Connected pieces of a picture, and how near they are to each other.

Pixels that touch, be it at a corner, are one piece. Row by row, a picture is a list of *runs*, stretches of
pixels that are set; two runs of neighbouring rows touch if neither ends before the other begins. So there are far
fewer runs than pixels, and what touches what is found by bisection. Then every run takes the smallest number of
those it touches, and the number's own number, until nothing changes (union-find, all runs at once).

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
    """(h, w) bool -> (h, w) int: 0 where nothing is set, else the number of the pixel's piece, from 1.

    >>> label(np.array([[1, 0, 0, 1], [0, 1, 0, 1]], bool))
    array([[1, 0, 0, 2],
           [0, 1, 0, 2]])
    """
    width = mask.shape[1] + 2
    change = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(change > 0)
    _, end = np.nonzero(change < 0)  # of run i: the first column after it

    first = np.searchsorted(row * width + end, (row + 1) * width + start)  # of the next row, those that end
    after = np.searchsorted(row * width + start, (row + 1) * width + end, side="right")  # late and begin early
    upper = np.repeat(np.arange(len(row)), after - first)
    lower = np.arange(len(upper)) - np.repeat((after - first).cumsum() - after, after - first)

    number = linked(len(row), upper, lower)
    labels = np.zeros(mask.shape, np.int64)
    labels[mask] = np.repeat(number + 1, end - start)
    return labels


def linked(n: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The number of the piece, from 0, that each of n things is in; thing one[i] is linked with other[i] for each i.

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
    """The rectangle around each number of `labels` from 1 on, every one of which is there.

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
    """Every pixel that has one that is set at most `by` rows and `by` columns from it: a dilation by a square.

    >>> spread(np.array([[1, 0, 0, 0]], bool), 1)
    array([[ True,  True, False, False]])
    """
    for axis in (0, 1):
        edge = [(by + 1, by) if axis == i else (0, 0) for i in (0, 1)]
        count = np.pad(mask, edge).cumsum(axis=axis, dtype=np.int32)
        size = mask.shape[axis]
        mask = np.take(count, np.arange(size) + 2 * by + 1, axis) > np.take(count, np.arange(size), axis)
    return mask
