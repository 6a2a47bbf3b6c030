"""Many small images as one: laying out a figure with a hundred axes is slow, with a single axes it is fast.

Each image is copied into its own cell of a sheet, with a margin around it (and space for a label below). The sheet is
drawn once. The positions of the cells are known, so labels can be placed below them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def as_picture(image: np.ndarray) -> np.ndarray:
    """One image of a data set as RGB from 0 to 1: (h, w) and (h, w, 1) grey, (h, w, 3) in colour.

    Bytes are 0 to 255; other types are scaled by the image's own range. For any other number of channels, their mean
    is shown.
    """
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    shown = image.astype(np.float32)
    if image.dtype == np.uint8:
        shown /= 255
    else:
        shown = stretch(shown, float(shown.min()), float(shown.max()))
    if shown.shape[2] != 3:
        shown = np.repeat(shown.mean(axis=2, keepdims=True), 3, axis=2)
    return shown


def stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """low -> 0, high -> 1; a constant becomes 0."""
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


class Montage:
    """A sheet of equal cells, `columns` in a row; sizes are in pixels of the images.

    tiles: (h, w, 3) in colour, or (h, w) numbers that `draw` maps to colours; the space between them is empty.
    below: space for a label under each image, as a multiple of its height.
    """

    def __init__(self, tiles: list[np.ndarray], columns: int, margin: float = 0.08, below: float = 0.0):
        h, w = tiles[0].shape[:2]
        pad = max(1, round(margin * max(h, w)))
        self.h, self.w, self.columns, self.rows = h, w, columns, -(-len(tiles) // columns)
        self.step_y, self.step_x = h + pad + round(below * h), w + pad
        height = self.rows * self.step_y - (0 if below else pad)
        nothing = 1.0 if tiles[0].ndim == 3 else np.nan
        self.sheet = np.full((height, self.columns * self.step_x - pad, *tiles[0].shape[2:]), nothing, np.float32)
        for i, tile in enumerate(tiles):
            top, left = self.corner(i)
            self.sheet[top : top + h, left : left + w] = tile
        self.aspect = self.sheet.shape[0] / self.sheet.shape[1]

    def corner(self, i: int) -> tuple[int, int]:
        """(top, left) of image i."""
        return i // self.columns * self.step_y, i % self.columns * self.step_x

    def draw(self, axes: Axes, **how: Any) -> None:
        """Draw the sheet into the axes, without axis lines."""
        axes.imshow(self.sheet, interpolation="nearest", aspect="equal", **how)
        axes.set_axis_off()

    def label(self, axes: Axes, i: int, text: str, **how: Any) -> None:
        """Text under image i."""
        top, left = self.corner(i)
        axes.text(left + self.w / 2 - 0.5, top + self.h, text, ha="center", va="top", **how)
