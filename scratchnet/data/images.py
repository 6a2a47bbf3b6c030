"""A photograph or drawing of one digit, made into what a network trained on MNIST expects to see.

MNIST's makers scaled each digit into a box of 20 × 20 pixels without changing its proportions, which softened
its edges, and moved it so that its centre of mass became the centre of a 28 × 28 field; ink is white, paper
black. A network that learned from such images is lost on others: most digits that a demonstration misreads
were only too small, off centre, or black on white. So the same is done here, step by step:

    grey      colour and transparency become brightness, on white paper
    ink       the paper is a smooth surface through the border, and ink is what stands out from it
    digit     the connected pieces of ink, without specks
    box       scaled to 20 pixels on the longer side, each new pixel the mean of what it covers
    field     shifted by whole pixels until the centre of mass is at the centre

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from scratchnet.data.pictures import open_image

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST = 1024  # pixels on the longer side; a larger picture only costs time
FAINTEST = 12.0  # brightness levels of 255 between ink and paper, and
SURE = 5.0  # standard deviations of the paper's noise: anything less is no ink
SPECK = 0.05  # a piece with less than this share of the largest one's ink is dirt


def digit_from_image(
    source: str | os.PathLike[str] | Image | np.ndarray, size: int = 28, box: int = 20
) -> np.ndarray:
    """One digit of any size, place and colour -> uint8 (size, size), white on black, as MNIST was made.

    source: the path of an image file, a Pillow image, or an array (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)
    of numbers up to 1 (floats), 255 or 65535. The border must be paper, whatever its brightness; the ink may
    be darker or lighter. A digit that is already made like MNIST's hardly changes. Raises ValueError if no
    digit stands out, or if `source` is not an image.

    >>> paper = np.full((60, 40), 255, np.uint8)
    >>> paper[10:50, 18:22] = 0
    >>> digit_from_image(paper).max(axis=1).nonzero()[0]
    array([ 4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
           21, 22, 23])
    """
    if not 1 <= box <= size:
        raise ValueError(f"digit_from_image: expected a box from 1 to size = {size}, got {box}")
    grey = _grey(source)
    small = max(grey.shape) <= 2 * size
    digit = _digit(_ink(grey, small), small)
    return _in_field(_in_box(digit, box), size)


def _grey(source) -> np.ndarray:
    """Any picture -> its brightness, (h, w) from 0 to 255."""
    from PIL.Image import Resampling

    image = open_image(source).convert("L")
    if max(image.size) > LARGEST:
        image.thumbnail((LARGEST, LARGEST), Resampling.BOX)
    return np.asarray(image, np.float64)


def _ink(grey: np.ndarray, small: bool) -> np.ndarray:
    """How much of each pixel is ink, (h, w) from 0 to 1.

    Light varies from place to place, and ink reflects a constant share of what the paper does. So dark ink is
    measured in units of the paper's brightness, and light ink in units of what is missing to white.
    """
    surface, noise = _paper(grey)
    contrast = grey - surface
    floor = max(4 * noise, 0.5)
    darker, lighter = (np.square(part[part > floor]).sum() for part in (-contrast, contrast))
    contrast, room = (-contrast, surface) if darker > lighter else (contrast, 255 - surface)

    strongest = np.percentile(contrast, 99.99)  # not the maximum: one hot pixel is no digit
    if strongest < max(FAINTEST, SURE * noise):
        raise ValueError(
            "digit_from_image: expected a digit, found only paper: nothing differs from its brightness "
            f"of {surface.mean():.0f} by more than {strongest:.0f} of 255. Is it blank, or the ink too faint?"
        )
    ink = np.where(contrast > floor, contrast / np.maximum(room, FAINTEST), 0.0)
    full = ink.max() if small else np.percentile(ink[ink >= ink.max() / 2], 90)
    return np.minimum(ink / full, 1.0)


def _paper(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """The paper's brightness everywhere, (h, w), and the standard deviation of its noise.

    Least squares for a quadratic surface, first through the border, then through all that lies close to it.
    """
    h, w = grey.shape
    v, u = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=-1)  # (h, w, 6)

    rows, cols = (np.unique(np.linspace(0, side - 1, 80).astype(int)) for side in grey.shape)
    sample = np.ix_(rows, cols)  # 80 × 80 points do for six numbers
    points, values = terms[sample], grey[sample]
    paper = np.ones(values.shape, bool)
    paper[1:-1, 1:-1] = False
    for _ in range(4):
        surface = np.linalg.lstsq(points[paper], values[paper], rcond=None)[0]
        distance = values - points @ surface
        paper = np.abs(distance) <= 3 * _deviation(np.abs(distance[paper])) + 1

    # Paper as black or as white as can be has noise on one side only: the noisier side counts.
    sides = [side[side > 0] for side in (distance[paper], -distance[paper])]
    noise = max((_deviation(side) for side in sides if side.size > 0.05 * paper.sum()), default=0.0)
    return terms @ surface, noise


def _deviation(distances: np.ndarray) -> float:
    """The standard deviation of normally distributed noise, from its median distance to the centre."""
    return 1.4826 * float(np.median(distances))


def _digit(ink: np.ndarray, small: bool) -> np.ndarray:
    """The smallest rectangle around the ink that belongs to the digit.

    In a large picture, the edge is where the ink has a third of its full strength. In a small one, a faint
    pixel is one that the pen covered in part, and belongs to the digit.
    """
    least = 0 if small else 1 / 3
    ink = _without_specks(ink, ink > least)
    rows, cols = np.flatnonzero((ink > least).any(axis=1)), np.flatnonzero((ink > least).any(axis=0))
    return ink[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]


def _without_specks(ink: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The ink without the pieces of `mask` that hold little of it; pieces in neighbouring cells are one.

    The cells are pixels, or in larger pictures squares of them, at most 64 × 64 cells in all.
    """
    h, w = ink.shape
    step = -(-max(h, w) // 64)
    rows, cols = np.arange(0, h, step), np.arange(0, w, step)
    cells = np.logical_or.reduceat(np.logical_or.reduceat(mask, rows, axis=0), cols, axis=1)

    piece = np.pad(np.arange(1, cells.size + 1).reshape(cells.shape) * cells, 1)
    while True:  # the largest number of a piece spreads to all its cells
        spread = np.lib.stride_tricks.sliding_window_view(piece, (3, 3)).max(axis=(2, 3)) * cells
        if (spread == piece[1:-1, 1:-1]).all():
            break
        piece[1:-1, 1:-1] = spread

    amount = np.add.reduceat(np.add.reduceat(ink * mask, rows, axis=0), cols, axis=1)
    weight = np.bincount(spread.ravel(), amount.ravel())
    dirt = cells & (weight[spread] < SPECK * weight[1:].max())
    return np.where(dirt.repeat(step, axis=0).repeat(step, axis=1)[:h, :w], 0, ink)


def _in_box(ink: np.ndarray, box: int) -> np.ndarray:
    """The ink scaled so that its longer side is `box` pixels, each of them the mean of what it covers."""
    from PIL import Image

    h, w = (max(1, round(side * box / max(ink.shape))) for side in ink.shape)
    if (h, w) != ink.shape:
        scaled = Image.fromarray(ink.astype(np.float32)).resize((w, h), Image.Resampling.BOX)
        ink = np.asarray(scaled, np.float64)
        full = np.percentile(ink[ink > ink.max() / 2], 80)
        ink = np.minimum(ink / full, 1.0)  # so that thin strokes become as bright as others
    return ink


def _in_field(ink: np.ndarray, size: int) -> np.ndarray:
    """The ink in a field of size × size, its centre of mass at the centre or less than a pixel after it."""
    centre = (size - 1) / 2  # 13.5: in all of MNIST, the mass lies from there to below 14.5

    def place(mass: np.ndarray) -> slice:
        first = int(np.ceil(centre - mass @ np.arange(len(mass)) / mass.sum()))
        first = min(max(first, 0), size - len(mass))
        return slice(first, first + len(mass))

    field = np.zeros((size, size), np.uint8)
    field[place(ink.sum(axis=1)), place(ink.sum(axis=0))] = np.rint(255 * ink)
    return field
