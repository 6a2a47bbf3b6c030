"""Images with the model's predictions: the first ones, and those with the largest loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scratchnet import metrics
from scratchnet.figures.montage import Montage, as_picture
from scratchnet.figures.picture import GREEN, RED, Picture, class_labels, new_figure, percent, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("index", "true", "predicted", "p_true", "p_predicted", "loss")


def predictions(
    x: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str] | None = None,
    shown: int = 32,
) -> Picture:
    """The first test images, each with its prediction and the confidence -> Picture."""
    found = metrics.examples(probabilities, labels, range(min(shown, len(labels))))
    right = sum(e.true == e.predicted for e in found)
    if right == len(found):
        title = f"All of the first {len(found)} test images are recognised"
    else:
        title = f"{right} of the first {len(found)} test images are recognised"
    return Picture(
        "predictions", title,
        "Each image with the prediction and its probability: ✓ correct, ✗ wrong, with the true class below.",
        grid(x, found, class_names, columns=8), COLUMNS, rows(found),
    )  # fmt: skip


def top_losses(
    x: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str] | None = None,
    shown: int = 25,
) -> Picture:
    """The test images with the largest losses, the worst first -> Picture."""
    found = metrics.top_losses(probabilities, labels, top=shown)
    names = class_labels(class_names, probabilities.shape[1])
    worst, mistakes = found[0], sum(e.true != e.predicted for e in found)
    if worst.true == worst.predicted:
        title = f"No mistakes; the least certain prediction is image {worst.index:,}: {names[worst.true]}"
        title += f" ({percent(worst.p_true)} sure)"
    else:
        title = f"The worst mistake is image {worst.index:,}: {names[worst.true]} taken for {names[worst.predicted]}"
        title += f" ({percent(worst.p_predicted)} sure)"
    caption = (
        f"The {len(found)} test images with the largest loss, -log of the probability of the true class; "
        f"{mistakes} of them are mistakes. # is the image's number in the test set. Some labels may be wrong."
    )
    return Picture("top_losses", title, caption, grid(x, found, class_names, 5, numbered=True), COLUMNS, rows(found))


def rows(found: list[metrics.Example]) -> list[list]:
    """The table of these examples."""
    return [[getattr(e, name) for name in COLUMNS] for e in found]


def grid(
    x: np.ndarray,
    found: list[metrics.Example],
    class_names: Sequence[str] | None,
    columns: int,
    numbered: bool = False,
) -> Figure:
    """A figure of the images with two or three lines of text below each."""
    columns, lines = min(columns, len(found)), 3 if numbered else 2
    classes = 1 + max(max(e.true, e.predicted) for e in found)
    names = class_labels(class_names, classes, longest=9 if numbered else 6)
    cell = 1.4 if numbered else 1.0  # inches
    tiles = [as_picture(x[e.index]) for e in found]
    height = 0.86 * cell * tiles[0].shape[0] / tiles[0].shape[1]
    sheet = Montage(tiles, columns, margin=0.16, below=(0.13 * lines + 0.02) / height)
    figure = new_figure(cell * columns, cell * columns * sheet.aspect + 0.3)
    axes = figure.subplots()
    sheet.draw(axes)
    for i, e in enumerate(found):
        right = e.true == e.predicted
        text = f"{'✓' if right else '✗'} {names[e.predicted]}  {percent(e.p_predicted, int(numbered))}"
        text += "" if right else f"\nis {names[e.true]}" + (f"  {percent(e.p_true)}" if numbered else "")
        text += f"\n#{e.index}" if numbered else ""
        sheet.label(axes, i, plain(text), fontsize=8, color=GREEN if right else RED, linespacing=1.15)
    return figure
