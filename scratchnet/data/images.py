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

from collections.abc import Sequence
from typing import NamedTuple

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


class DigitSteps(NamedTuple):
    """What became of one digit of a picture, as images of bytes, white on black."""

    ink: np.ndarray  # cut out of the picture, in its size
    box: np.ndarray  # scaled: `box` pixels on the longer side
    field: np.ndarray  # (size, size), the centre of mass at the centre: the result


def digit_steps(source: Source, size: int = 28, box: int = 20) -> list[DigitSteps]:
    """Every digit in a picture as `digits_from_image` reads it, with the steps that lead there.

    >>> paper = np.full((60, 100), 255, np.uint8)
    >>> paper[10:50, 18:22] = 0
    >>> [step.shape for step in digit_steps(paper)[0]]
    [(40, 4), (20, 2), (28, 28)]
    """
    steps = []
    for ink in _inked(source, size, box, "digit_steps"):
        boxed = _in_box(ink, box)
        steps.append(DigitSteps(_as_grey(ink), _as_grey(boxed), _in_field(boxed, size)))
    return steps


def _as_grey(ink: np.ndarray) -> np.ndarray:
    """Ink from 0 to 1 as bytes."""
    return np.rint(255 * np.clip(ink, 0, 1)).astype(np.uint8)


def reads_digits(shape: Sequence[int], class_names: Sequence[str] | None) -> bool:
    """Whether a model takes grey squares (h, w, c) and its classes are digits: then a picture's digit is looked for.

    >>> reads_digits((28, 28, 1), None), reads_digits((28, 28, 1), ["boot", "shirt"]), reads_digits((32, 32, 3), None)
    (True, False, False)
    """
    h, w, c = shape
    return h == w and c == 1 and all(name.isdecimal() for name in class_names or ())


def _digits(source: Source, size: int, box: int, caller: str) -> list[np.ndarray]:
    """Each digit in its field."""
    return [_in_field(_in_box(ink, box), size) for ink in _inked(source, size, box, caller)]


def _inked(source: Source, size: int, box: int, caller: str) -> list[np.ndarray]:
    """The ink of each digit of a picture, from 0 to 1, cut out."""
    from PIL.Image import Resampling

    if not 1 <= box <= size:
        raise ValueError(f"{caller}: expected a box from 1 to size = {size}, got {box}")
    image = open_image(source)
    if max(image.size) > LARGEST:
        image = image.convert("L" if image.mode in ("1", "L") else "RGB")
        image.thumbnail((LARGEST, LARGEST), Resampling.BOX)
    grey = sheet_of_paper(brightness(image))
    small = max(grey.shape) <= 2 * size
    return find_digits(ink_on_paper(grey, small), small)


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
