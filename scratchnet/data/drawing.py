"""Strokes of a pen, drawn as MNIST's digits were: the Python twin of page/static/draw/raster.js.

A drawing is kept as strokes, lists of points, and not as pixels: scaling pixels scales the pen too, so a small drawing
becomes a blob and a large one a hair. Here the *points* are scaled, and then inked with a pen of fixed width:

    box      the points are scaled so that the ink's longer side is `box` = 20 pixels, proportions kept
    ink      coverage of a pixel = ½ + (pen/2 - distance of its centre to the nearest segment) / softness, from 0 to 1
    field    shifted by whole pixels, until the centre of mass is at the centre, as in MNIST

Only + - × ÷ √, comparisons and rounding are used, in float64 and in a fixed order: all of them are exactly rounded
(IEEE 754), so Python and JavaScript give the same bytes. Pen and softness were chosen by `python -m tests.page.pen`,
which measures them against MNIST.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

Strokes: TypeAlias = Iterable[Sequence[Sequence[float]]]

PEN = 2.45  # pixels of a 28 × 28 field
SOFTNESS = 1.1  # pixels in which the edge of a stroke fades
FARTHEST = 1000.0  # a point outside of the field is used as it is; farther than this, it is a mistake of units
DRAWN_PEN = 0.06  # of the side of the drawing field: how wide the page shows a stroke


def digit_from_strokes(
    strokes: Strokes, size: int = 28, box: int | None = 20, centre: bool = True, pen: float | None = PEN
) -> np.ndarray:
    """Strokes -> uint8 (size, size), white on black, in MNIST's format.

    strokes: lists of points (x, y) from 0 to 1, shares of the drawing field's side, y downwards. A stroke of one point
    is a dot. box: pixels of the longer side, or None for the place and size in which it was drawn. centre: shift the
    centre of mass to the centre; otherwise the box is in the middle. pen: its width in pixels, or None for a pen that
    is scaled as the drawing is. No strokes give an empty field. Raises ValueError for what is no list of points.

    >>> bar = digit_from_strokes([[(0.1, 0.1), (0.1, 0.3)]])
    >>> rows, columns = bar.nonzero()
    >>> rows.min(), rows.max(), columns.min(), columns.max()
    (np.int64(4), np.int64(23), np.int64(12), np.int64(15))
    """
    if box is not None and not 4 <= box <= size:
        raise ValueError(f"digit_from_strokes: expected a box from 4 to size = {size}, got {box}")
    drawn = _without_repeats(strokes)
    if not drawn:
        return np.zeros((size, size), np.uint8)
    points, width = _placed(drawn, size, box, pen)
    ink = _inked(points, size, width)
    return _centred(ink) if centre else ink


def _without_repeats(strokes: Strokes) -> list[np.ndarray]:
    """Arrays (points, 2) without the points that repeat the one before, and without empty strokes."""
    kept = []
    for stroke in strokes:
        points = np.asarray(list(stroke), np.float64)
        if not len(points):
            continue
        if points.ndim != 2 or points.shape[1] != 2 or not (np.abs(points) <= FARTHEST).all():
            raise ValueError(
                "digit_from_strokes: expected each stroke as a list of points (x, y), shares of the field's side from "
                f"0 to 1; got {np.array2string(points, threshold=6)}"
            )
        new = np.r_[True, (points[1:] != points[:-1]).any(axis=1)]
        kept.append(points[new])
    return kept


def _placed(drawn: list[np.ndarray], size: int, box: int | None, pen: float | None) -> tuple[list[np.ndarray], float]:
    """The points in pixels, and the pen's width in pixels.

    The ink ends pen/2 + softness/2 beyond the outermost points; half a pixel of that may lie outside of the box, as
    coverage is taken at the pixels' centres.
    """
    if box is None:
        return [points * size for points in drawn], DRAWN_PEN * size if pen is None else pen
    low, high = np.min([p.min(axis=0) for p in drawn], axis=0), np.max([p.max(axis=0) for p in drawn], axis=0)
    extent = high - low
    longer = max(extent[0], extent[1])
    if pen is None:
        # (box + 1 - softness - pen) / longer = scale and pen = DRAWN_PEN · scale
        scale = (box + 1 - SOFTNESS) / (longer + DRAWN_PEN)
        width = DRAWN_PEN * scale
    else:
        scale = (box + 1 - SOFTNESS - pen) / longer if longer > 0 else 1.0
        width = pen
    corner = (size - extent * scale) / 2
    return [(points - low) * scale + corner for points in drawn], width


def _inked(strokes: list[np.ndarray], size: int, width: float) -> np.ndarray:
    """uint8 (size, size): the coverage of each pixel by strokes of this width.

    The distance of a pixel's centre c to the segment from a to b is that to a + t (b - a), t = (c-a)·(b-a) / |b-a|²
    between 0 and 1.
    """
    centres = np.arange(size) + 0.5
    nearest = np.full((size, size), np.inf)  # squared distances
    for points in strokes:
        starts = points[:-1] if len(points) > 1 else points
        ends = points[1:] if len(points) > 1 else points
        for (ax, ay), (bx, by) in zip(starts, ends, strict=True):
            dx, dy = bx - ax, by - ay
            square = dx * dx + dy * dy
            cx, cy = (centres - ax)[None, :], (centres - ay)[:, None]
            t = np.clip((cx * dx + cy * dy) / square, 0.0, 1.0) if square > 0 else 0.0
            ex, ey = cx - t * dx, cy - t * dy
            np.minimum(nearest, ex * ex + ey * ey, out=nearest)
    coverage = np.clip((width / 2 - np.sqrt(nearest)) / SOFTNESS + 0.5, 0.0, 1.0)
    return np.floor(coverage * 255 + 0.5).astype(np.uint8)


def _centred(ink: np.ndarray) -> np.ndarray:
    """Shifted by whole pixels: the centre of mass is at the centre or less than a pixel after it; all ink is kept."""
    field = np.zeros_like(ink)
    if not ink.any():
        return field
    mass = ink.astype(np.int64)
    rows, columns = _shift(mass.sum(axis=1)), _shift(mass.sum(axis=0))
    at = ink.nonzero()
    field[at[0] + rows, at[1] + columns] = ink[at]
    return field


def _shift(mass: np.ndarray) -> int:
    """By how many pixels to move a profile of whole numbers; limited so that all of it stays in the field."""
    size = len(mass)
    used = mass.nonzero()[0]
    moment = int((mass * np.arange(size)).sum()) / int(mass.sum())
    shift = int(np.ceil((size - 1) / 2 - moment))
    return min(max(shift, -int(used[0])), size - 1 - int(used[-1]))
