"""The terms of layers that only move numbers, Flatten, Cropping2D and ZeroPadding2D; and of Residual, a sum of two."""

from __future__ import annotations

import math

import numpy as np

from scratchnet.page.addresses import Index
from scratchnet.page.parts import Parts, parts, product
from scratchnet.page.passes import Record


def flatten_output(record: Record, index: Index) -> Parts:
    """The same number at another index."""
    return parts("y[(i·w + j)·c + k] = x[i, j, k]",
                 [product(record.input(unravelled(index, record.x.shape)))])  # fmt: skip


def flatten_input(record: Record, index: Index) -> Parts:
    """The same number at another index."""
    flat = int(np.ravel_multi_index(index, record.x.shape)) if record.x.ndim else 0
    return parts("dx[i, j, k] = dy[(i·w + j)·c + k]", [product(record.upstream((flat,)))])


def unravelled(index: Index, shape: tuple[int, ...]) -> Index:
    """(17,) -> the index of number 17 of an array of this shape.

    >>> unravelled((17,), (2, 3, 4))
    (1, 1, 1)
    """
    return tuple(int(i) for i in np.unravel_index(index[0], shape)) if math.prod(shape) else index


def border(record: Record) -> tuple[int, int]:
    """(top, left): by how much the layer moves the image down and to the right."""
    if record.kind == "Cropping2D":
        b_h, b_w = record.layer.border
        return -b_h, -b_w
    (top, _), (left, _) = record.layer.padding
    return top, left


def border_output(record: Record, index: Index) -> Parts:
    """The pixel that was moved here, or nothing: a border of zeros."""
    (top, left), (i, j, c) = border(record), index
    source = i - top, j - left, c
    return parts("y[i, j, c] = x[i - top, j - left, c], and 0 where the image is not",
                 [product(record.input(source))] if inside(source, record.x.shape) else [])  # fmt: skip


def border_input(record: Record, index: Index) -> Parts:
    """The derivative by where the pixel was moved to, or nothing: it was cut off."""
    (top, left), (i, j, c) = border(record), index
    target = i + top, j + left, c
    return parts("dx[i, j, c] = dy[i + top, j + left, c], and 0 where the pixel was cut off",
                 [product(record.upstream(target))] if inside(target, record.y.shape) else [])  # fmt: skip


def inside(index: Index, shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape has the index."""
    return all(0 <= i < size for i, size in zip(index, shape, strict=True))


def residual_output(record: Record, index: Index) -> Parts:
    """y = branch(x) + shortcut(x), or + x."""
    way = record.shortcut[-1].output(index) if record.shortcut else record.input(index)
    return parts("y = f(x) + s(x)", [
        product(record.stages[-1].output(index), label="branch", group="branch"),
        product(way, label="shortcut", group="shortcut"),
    ])  # fmt: skip


def residual_input(record: Record, index: Index) -> Parts:
    """dx comes back on both ways."""
    way = record.shortcut[0].downstream(index) if record.shortcut else record.upstream(index)
    return parts("dx = (∂f/∂x)ᵀ dy + (∂s/∂x)ᵀ dy", [
        product(record.stages[0].downstream(index), label="branch", group="branch"),
        product(way, label="shortcut", group="shortcut"),
    ])  # fmt: skip
