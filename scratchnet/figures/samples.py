"""A few images of every class, and the number of images per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scratchnet.figures.montage import Montage, as_picture
from scratchnet.figures.picture import BLUE, GREEN, ORANGE, SMALL, TEXT, Picture, class_labels, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 8  # images of each class


def samples(
    splits: dict[str, tuple[np.ndarray, np.ndarray]], classes: int, class_names: Sequence[str] | None = None
) -> Picture:
    """splits: name -> (images, labels), the training set first; the images of the training set are shown."""
    (x, y), names = next(iter(splits.values())), class_labels(class_names, classes)
    counts = {part: np.bincount(labels, minlength=classes) for part, (_, labels) in splits.items()}
    chosen = [np.flatnonzero(y == k)[:SHOWN] for k in range(classes)]
    sheet = Montage(tiles(x, chosen), columns=SHOWN, margin=0.1)
    height = min(max(2.6, 0.36 * classes + 0.9), 14)
    figure = new_figure(8, height)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    sheet.draw(left)
    for k, name in enumerate(names):
        top, _ = sheet.corner(k * SHOWN)
        left.text(-0.25 * sheet.w, top + sheet.h / 2, plain(name), ha="right", va="center", fontsize=SMALL)
    draw_counts(right, counts, names)
    figure.legend(loc="outside lower center", fontsize=SMALL, ncols=3, frameon=False, handlelength=1)
    full = [*(class_names or []), *range(len(class_names or []), classes)]
    rows = [[k, full[k], *(int(c[k]) for c in counts.values())] for k in range(classes)]
    return Picture(
        "samples", balance(counts[next(iter(splits))], names),
        f"Left, the first {SHOWN} training images of each class; right, the number of images of each class.",
        figure, ["class", "name", *counts], rows,
    )  # fmt: skip


def tiles(x: np.ndarray, chosen: list[np.ndarray]) -> list[np.ndarray]:
    """SHOWN images for each class; a class with fewer images is filled up with empty ones."""
    blank = np.ones_like(as_picture(x[0]))
    return [as_picture(x[of[i]]) if i < len(of) else blank for of in chosen for i in range(SHOWN)]


def draw_counts(axes: Axes, counts: dict[str, np.ndarray], names: list[str]) -> None:
    """Stacked bars, a row for each class."""
    place, start = np.arange(len(names)), np.zeros(len(names), int)
    for (part, n), colour in zip(counts.items(), (BLUE, ORANGE, GREEN), strict=False):
        axes.barh(place, n, left=start, color=colour, label=f"{part} ({n.sum():,})")
        start = start + n
    axes.set_yticks(place, [plain(name) for name in names], fontsize=SMALL)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("images", fontsize=TEXT)
    axes.tick_params(labelsize=SMALL)
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)


def balance(counts: np.ndarray, names: list[str]) -> str:
    """How evenly the training images are distributed over the classes, in words."""
    few, many, classes = int(counts.argmin()), int(counts.argmax()), len(counts)
    if counts[few] == 0:
        missing = [names[k] for k in np.flatnonzero(counts == 0)]
        return f"Of {classes} classes {len(missing)} without a training image: {', '.join(missing[:6])}"
    if counts[few] == counts[many]:
        return f"{classes} classes, each with the same number of training images ({counts[few]:,})"
    return f"{classes} classes with {counts[few]:,} ({names[few]}) to {counts[many]:,} ({names[many]}) training images"
