"""Exercise 9: a drawn digit, placed as MNIST's digits are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnet.data.images import _in_field
from scratchnet.learn.exercise import Exercise


def centre(ink: np.ndarray, size: int) -> np.ndarray:
    """The ink of a digit in a field of size × size, its centre of mass in the middle.

    ink: (h, w), from 0 to 1, at most size in both directions. The field is 0 around it; ink 1 becomes 255.
    The middle is (size - 1) / 2, 13.5 for size 28. The ink is moved by whole pixels, so that its centre of mass is at
    the middle or less than one pixel after it: the first row is ⌈middle - centre of mass of the rows⌉, likewise the
    first column. Ink that would leave the field is moved back to its border.

    Returns the field: (size, size), uint8, 255 · ink rounded to whole numbers.
    """
    raise NotImplementedError


def textbook(ink: np.ndarray, size: int) -> np.ndarray:
    """The library's last step of the preparation of a picture."""
    return _in_field(ink, size)


def cases(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, int]]:
    """Lopsided pieces of ink, some of them as high or as wide as the field."""
    for i in range(30):
        size = int(rng.integers(3, 6 + i))
        h, w = (int(side) for side in rng.integers(1, size + 1, 2))
        if i % 4 == 0:
            h = size
        ink = rng.random((h, w)) ** 4
        ink[0, 0] = ink[-1, -1] = 0.3
        ink[: (h + 1) // 2, : (w + 1) // 3] = 1
        yield ink, size


def placed(ink: np.ndarray, size: int, first: tuple[float, float]) -> np.ndarray:
    """The ink in the field, from a first row and column on."""
    top, left = (min(max(int(f), 0), size - side) for f, side in zip(first, ink.shape, strict=True))
    field = np.zeros((size, size), np.uint8)
    field[top : top + ink.shape[0], left : left + ink.shape[1]] = np.rint(255 * ink)
    return field


def centre_of_mass(ink: np.ndarray) -> tuple[float, float]:
    """(row, column)."""
    h, w = ink.shape
    return (ink.sum(axis=1) @ np.arange(h)) / ink.sum(), (ink.sum(axis=0) @ np.arange(w)) / ink.sum()


def box_in_the_middle(ink: np.ndarray, size: int) -> np.ndarray:
    """The box around the ink is in the middle of the field. MNIST places the centre of mass there: a 7 is heavier at
    its top."""
    return placed(ink, size, ((size - ink.shape[0]) / 2, (size - ink.shape[1]) / 2))


def rounded(ink: np.ndarray, size: int) -> np.ndarray:
    """The shift is rounded to the nearest pixel; it is to be rounded up, with np.ceil."""
    row, column = centre_of_mass(ink)
    return placed(ink, size, (np.rint((size - 1) / 2 - row), np.rint((size - 1) / 2 - column)))


def rounded_down(ink: np.ndarray, size: int) -> np.ndarray:
    """The shift is rounded down (int or //); it is to be rounded up, with np.ceil."""
    row, column = centre_of_mass(ink)
    return placed(ink, size, (np.floor((size - 1) / 2 - row), np.floor((size - 1) / 2 - column)))


def middle_at_half_the_size(ink: np.ndarray, size: int) -> np.ndarray:
    """The middle of 28 pixels, numbered from 0 to 27, is 13.5, and not 14: (size - 1) / 2."""
    row, column = centre_of_mass(ink)
    return placed(ink, size, (np.ceil(size / 2 - row), np.ceil(size / 2 - column)))


def rows_and_columns_exchanged(ink: np.ndarray, size: int) -> np.ndarray:
    """Rows and columns are exchanged: summing over axis 1 leaves one number for each row."""
    row, column = centre_of_mass(ink)
    return placed(ink, size, (np.ceil((size - 1) / 2 - column), np.ceil((size - 1) / 2 - row)))


def not_rounded_to_whole_levels(ink: np.ndarray, size: int) -> np.ndarray:
    """255 · ink is cut off, not rounded: a conversion to uint8 drops what is after the point. Use np.rint first."""
    row, column = centre_of_mass(ink)
    field = placed(ink, size, (np.ceil((size - 1) / 2 - row), np.ceil((size - 1) / 2 - column)))
    rows, columns = np.nonzero(placed(np.ones_like(ink), size, (
        np.ceil((size - 1) / 2 - row), np.ceil((size - 1) / 2 - column),
    )))  # fmt: skip
    field[rows, columns] = (255 * ink).astype(np.uint8).ravel()
    return field


EXERCISE = Exercise(
    number=9, lesson=9, title="a digit placed by its centre of mass", stub=centre, outputs=("field",),
    textbook=textbook, cases=cases, library="data/images.py: _in_field",
    mistakes=(
        box_in_the_middle, rounded, rounded_down, middle_at_half_the_size, rows_and_columns_exchanged,
        not_rounded_to_whole_levels,
    ),
)  # fmt: skip
