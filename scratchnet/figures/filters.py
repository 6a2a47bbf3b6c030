"""Some filters of each convolution, before the first step and after the last.

A filter of the first convolution is a small image, grey or in colour. Deeper filters have many channels; the
channel with the largest trained weights is shown, the same one before and after.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.figures.montage import Montage
from scratchnet.figures.picture import SMALL, Picture, new_figure, percent

SHOWN, COLUMNS = 32, 8  # filters of each layer


def filters(model: Any) -> Picture | None:
    """Every convolution's initial filters (drawn again from the seed) and trained ones; None without convolution."""
    start = model.untrained_copy().parameters()
    convolutions = {name: (start[name], W) for name, W in model.parameters().items() if W.ndim == 4}
    if not convolutions:
        return None
    heights = [0.3 + 0.5 * W.shape[0] / W.shape[1] * rows_of(W) for _, W in convolutions.values()]
    figure = new_figure(8, 0.4 + sum(heights))
    figure.get_layout_engine().set(wspace=0.08)  # type: ignore[union-attr, call-arg]
    panels = figure.subplots(len(convolutions), 2, squeeze=False, height_ratios=heights)
    table = []
    for (name, (before, after)), pair in zip(convolutions.items(), panels, strict=True):
        channels = chosen_channels(after)
        scale = max(float(abs(W).max()) for W in (before, after)) or 1.0
        for axes, when, W in zip(pair, ("before", "after"), (before, after), strict=True):
            tiles = [shown_filter(W, k, channel, scale) for k, channel in enumerate(channels)]
            tiles += [np.full_like(tiles[0], 1.0 if tiles[0].ndim == 3 else np.nan)] * (-len(tiles) % COLUMNS)
            Montage(tiles, COLUMNS, margin=0.3).draw(axes, cmap="PuOr", vmin=0, vmax=1)
            axes.set_anchor("W")
            axes.set_title(f"{name.rsplit('.', 1)[0]}, {when} (±{scale:.2g})", fontsize=SMALL, loc="left")
        table += weights(name, before, after, channels)
    moved = {name: change(*pair) for name, pair in convolutions.items()}
    most = max(moved, key=lambda name: moved[name])
    title = f"Training changed {most.rsplit('.', 1)[0]} the most, by {percent(moved[most], 0)} of its initial size"
    if moved[most] == 0:
        title = "Training did not change the filters"
    elif len(convolutions) == 1:
        title = f"Training changed the filters by {percent(moved[most], 0)} of their initial size"
    return Picture(
        "filters", title,
        f"Up to {SHOWN} filters of each convolution, before training on the left, after it on the right, on the same "
        "scale: purple is positive, orange negative; filters over three channels are in colour, with grey for 0. Of "
        "filters over more channels, the one with the largest trained weights is shown. The size of a layer is the "
        "root of the sum of squares of all its weights.",
        figure, ("layer", "filter", "channel", "row", "column", "before", "after"), table,
    )  # fmt: skip


def rows_of(W: np.ndarray) -> int:
    """The number of rows of filters."""
    return -(-min(W.shape[3], SHOWN) // COLUMNS)


def change(before: np.ndarray, after: np.ndarray) -> float:
    """‖after - before‖ / ‖before‖."""
    return float(np.linalg.norm((after - before).ravel()) / (np.linalg.norm(before.ravel()) or 1.0))


def chosen_channels(W: np.ndarray) -> list[list[int]]:
    """The input channels to show for each filter: all of one or three, else the one with the largest weights."""
    _, _, c, count = W.shape
    strongest = (W.astype(float) ** 2).sum(axis=(0, 1)).argmax(axis=0)  # (filters,)
    return [list(range(c)) if c == 3 else [int(strongest[k])] for k in range(min(count, SHOWN))]


def shown_filter(W: np.ndarray, k: int, channels: list[int], scale: float) -> np.ndarray:
    """Filter k as an image: -scale is 0, +scale is 1. (k_h, k_w), or (k_h, k_w, 3) in colour."""
    return (W[:, :, channels, k].astype(float).squeeze(-1) if len(channels) == 1 else W[:, :, :, k]) / (2 * scale) + 0.5


def weights(name: str, before: np.ndarray, after: np.ndarray, channels: list[list[int]]) -> list[list]:
    """The table: one row for each weight that is drawn."""
    k_h, k_w = before.shape[:2]
    return [
        [name, k, c, i, j, float(before[i, j, c, k]), float(after[i, j, c, k])]
        for k, chosen in enumerate(channels) for c in chosen for i in range(k_h) for j in range(k_w)
    ]  # fmt: skip
