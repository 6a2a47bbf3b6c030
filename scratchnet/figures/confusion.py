"""The confusion matrix, coloured by the mistakes instead of the diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scratchnet.figures.picture import SMALL, TEXT, Picture, class_labels, new_figure, plain
from scratchnet.metrics import most_confused

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NUMBERS = 30  # classes; with more the numbers would not be legible


def confusion_picture(confusion: np.ndarray, class_names: Sequence[str] | None = None) -> Picture:
    """Rows are true classes, columns predictions; the colour, on a logarithmic scale, shows mistakes only."""
    from matplotlib.colors import LogNorm

    confusion = np.asarray(confusion)
    classes = len(confusion)
    names = class_labels(class_names, classes)
    side = min(3.5 + 0.28 * classes, 11)
    figure = new_figure(side + 1.2, side)
    axes = figure.subplots()
    diagonal = np.eye(classes, dtype=bool)
    mistakes = np.ma.masked_where(diagonal | (confusion == 0), confusion)
    axes.imshow(np.where(diagonal, 0.9, 1.0), cmap="gray", vmin=0, vmax=1)
    most = max(int(confusion[~diagonal].max(initial=0)), 2)
    image = axes.imshow(mistakes, cmap="YlOrBr", norm=LogNorm(0.7, 1.4 * most))
    if classes <= MOST_NUMBERS:
        write_numbers(axes, confusion, most, cell=0.85 * (side - 0.8) / classes)
    turned = max(map(len, names)) > 2
    size = SMALL if classes <= MOST_NUMBERS else max(3.5, 260 / classes)
    axes.set_xticks(range(classes), [plain(n) for n in names], fontsize=size, rotation=90 if turned else 0)
    axes.set_yticks(range(classes), [plain(n) for n in names], fontsize=size)
    axes.set_xlabel("predicted", fontsize=TEXT)
    axes.set_ylabel("true", fontsize=TEXT)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=25)
    ticks = [n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000) if n <= most]
    bar.set_ticks(ticks, labels=[f"{n:,}" for n in ticks], fontsize=SMALL)
    bar.minorticks_off()
    bar.set_label("mistakes", fontsize=SMALL)
    return Picture(
        "confusion", confusion_title(confusion, names),
        "One row for each true class: the number of its test images for each predicted class. The grey diagonal is "
        "correct, all other cells are mistakes; darker cells are more frequent.",
        figure, ["true", *range(classes)], ([k, *row] for k, row in enumerate(confusion.tolist())),
    )  # fmt: skip


def write_numbers(axes: Axes, confusion: np.ndarray, most: int, cell: float) -> None:
    """Write the count into every nonzero cell, light on dark cells. cell: its width, inches."""
    digits = len(str(confusion.max()))
    size = min(TEXT, 72 * cell / (0.65 * digits))
    for (i, j), count in np.ndenumerate(confusion):
        if count:
            dark = i != j and np.log(count) > 0.6 * np.log(1.4 * most)
            axes.text(j, i, str(count), ha="center", va="center", fontsize=size, color="white" if dark else "black")


def confusion_title(confusion: np.ndarray, names: list[str]) -> str:
    """The most frequent mistake in words; several, if a few are equally frequent."""
    pairs = most_confused(confusion, top=confusion.size)
    total = int(confusion.sum())
    if not pairs:
        return f"No mistake among {total:,} test images"
    often = pairs[0][2]
    first = [f"{names[i]} for {names[j]}" for i, j, count in pairs if count == often]
    times = "once" if often == 1 else f"{often:,} times"
    if len(first) == 1:
        i, j, _ = pairs[0]
        return f"{names[i]} is most often taken for {names[j]} ({times})"
    if len(first) <= 3:
        return f"Most often mistaken: {', '.join(first[:-1])} and {first[-1]} ({times} each)"
    return f"No mistake is frequent: no class is taken for another more than {times}"
