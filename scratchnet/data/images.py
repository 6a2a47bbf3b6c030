"""A photograph or drawing of one digit, preprocessed as MNIST was.

In MNIST each digit is scaled into a box of 20 × 20 pixels with its proportions kept, which softens its edges, and
shifted so that its centre of mass is the centre of a 28 × 28 field; ink is white, paper black. A network trained
on such images fails on others: most digits that a demonstration misreads are only too small, off centre, or black
on white. So the same steps are applied here:

    grey      colour and transparency become brightness (`pictures`, `ink`)
    sheet     a frame or a desk around the paper is removed (`sheet`)
    ink       the paper is a smooth surface, and ink is what differs from it (`ink`)
    digits    connected pieces of ink, without specks, ruling, rings and boxes around them (`strokes`)
    box       scaled to 20 pixels on the longer side, each new pixel the mean of what it covers
    field     shifted by whole pixels until the centre of mass is at the centre

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import numpy as np

from scratchnet.data.ink import brightness, ink_on_paper
from scratchnet.data.pictures import Source, open_image
from scratchnet.data.sheet import sheet_of_paper
from scratchnet.data.strokes import find_digits

LARGEST = 1024  # pixels on the longer side; a larger picture only costs time


def digit_from_image(source: Source, size: int = 28, box: int = 20) -> np.ndarray:
    """One digit of any size, place and colour -> uint8 (size, size), white on black, in MNIST's format.

    source: the path of an image file, its bytes, a file opened for reading bytes, a Pillow image, or an array
    (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) of numbers up to 1 (floats), 255 or 65535. The paper may have any
    brightness, a frame or a desk around it; the ink may be darker or lighter, or differ in colour only. A digit
    already in MNIST's format hardly changes. Raises ValueError if no digit is found, if there are several, or if
    `source` is not an image.

    >>> paper = np.full((60, 40), 255, np.uint8)
    >>> paper[10:50, 18:22] = 0
    >>> digit_from_image(paper).max(axis=1).nonzero()[0]
    array([ 4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
           21, 22, 23])
    """
    digits = _digits(source, size, box, "digit_from_image")
    if len(digits) > 1:
        raise ValueError(f"expected one digit, found {len(digits)}. Use digits_from_image, which reads each of them.")
    return digits[0]


def digits_from_image(source: Source, size: int = 28, box: int = 20) -> list[np.ndarray]:
    """Every digit in a picture, each in the format of `digit_from_image`, row by row and from left to right.

    The digits must not touch each other, and the smallest must be at least half as high as the largest.

    Raises ValueError if no digit is found, or if `source` is not an image.

    >>> paper = np.full((60, 100), 255, np.uint8)
    >>> paper[10:50, 18:22] = paper[10:50, 60:64] = 0
    >>> len(digits_from_image(paper))
    2
    """
    return _digits(source, size, box, "digits_from_image")


def _digits(source: Source, size: int, box: int, caller: str) -> list[np.ndarray]:
    """The common part of both functions."""
    from PIL.Image import Resampling

    if not 1 <= box <= size:
        raise ValueError(f"{caller}: expected a box from 1 to size = {size}, got {box}")
    image = open_image(source)
    if max(image.size) > LARGEST:
        image = image.convert("L" if image.mode in ("1", "L") else "RGB")
        image.thumbnail((LARGEST, LARGEST), Resampling.BOX)
    grey = sheet_of_paper(brightness(image))
    small = max(grey.shape) <= 2 * size
    return [_in_field(_in_box(digit, box), size) for digit in find_digits(ink_on_paper(grey, small), small)]


def _in_box(ink: np.ndarray, box: int) -> np.ndarray:
    """The ink scaled so that its longer side is `box` pixels, each the mean of the area it covers."""
    from PIL import Image

    h, w = (max(1, round(side * box / max(ink.shape))) for side in ink.shape)
    if (h, w) != ink.shape:
        scaled = Image.fromarray(ink.astype(np.float32)).resize((w, h), Image.Resampling.BOX)
        ink = np.asarray(scaled, np.float64)
        full = np.percentile(ink[ink > ink.max() / 2], 80)
        ink = np.minimum(ink / full, 1.0)  # thin strokes become as bright as thick ones
    return ink


def _in_field(ink: np.ndarray, size: int) -> np.ndarray:
    """The ink in a field of size × size, its centre of mass at the centre or less than a pixel after it."""
    centre = (size - 1) / 2  # 13.5: in all of MNIST the centre of mass is from 13.5 to below 14.5

    def place(mass: np.ndarray) -> slice:
        first = int(np.ceil(centre - mass @ np.arange(len(mass)) / mass.sum()))
        first = min(max(first, 0), size - len(mass))
        return slice(first, first + len(mass))

    field = np.zeros((size, size), np.uint8)
    field[place(ink.sum(axis=1)), place(ink.sum(axis=0))] = np.rint(255 * ink)
    return field
