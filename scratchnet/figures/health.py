"""Do all layers still learn? Each layer's activations, gradients and updates over the training steps.

Drawn from `health.csv`, an optional file of a run's folder, with the columns epoch, step, layer, activation_mean,
activation_std, dead_share, gradient_norm, update_ratio. A field is empty if it does not apply to the layer.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.figures.picture import SMALL, TEXT, Picture, new_figure, percent, plain

PANELS = {  # column -> its label, and whether the scale is logarithmic
    "activation_mean": ("activation: mean", False),
    "activation_std": ("activation: spread", False),
    "dead_share": ("dead units, share", False),
    "gradient_norm": ("gradient: norm", True),
    "update_ratio": ("update / weight, per step", True),
}
Records = dict[str, dict[str, np.ndarray]]


def read_health(path: str | os.PathLike[str]) -> Records:
    """health.csv -> layer -> column -> values over the steps, NaN for empty fields.

    Raises ValueError if the file does not have these columns.
    """
    with open(Path(path), newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ("step", *PANELS)
    if not rows or not set(rows[0]).issuperset({"layer", *columns}):
        raise ValueError(f"{path}: expected a table with the columns layer, {', '.join(columns)}")
    layers = dict.fromkeys(row["layer"] for row in rows)
    return {
        layer: {
            column: np.array([float(row[column] or "nan") for row in rows if row["layer"] == layer])
            for column in columns
        }
        for layer in layers
    }


def health(records: Records) -> Picture:
    """Five panels over the steps, a line for each layer, from the first (dark) to the last (light)."""
    from matplotlib import colormaps

    figure = new_figure(8, max(4.6, 0.085 * len(records) + 3))
    panels = figure.subplots(2, 3).flat
    colours = colormaps["viridis"](np.linspace(0, 0.92, len(records)))
    marker = "o" if max(len(values["step"]) for values in records.values()) == 1 else None
    for axes, (column, (name, logarithmic)) in zip(panels, PANELS.items(), strict=False):
        for i, (values, colour) in enumerate(zip(records.values(), colours, strict=True)):
            known = np.isfinite(values[column]) & ((values[column] > 0) | (not logarithmic))
            if known.any():
                axes.plot(values["step"][known], values[column][known], color=colour, marker=marker,
                          linewidth=1.4, linestyle=("-", "--", ":")[i % 3])  # fmt: skip
        if logarithmic and spans_a_decade(axes):
            axes.set_yscale("log")
        elif logarithmic:
            axes.set_ylim(bottom=0)
        axes.set_title(name, fontsize=TEXT)
        axes.set_xlabel("step", fontsize=SMALL)
        axes.tick_params(which="both", labelsize=SMALL - 1)
        axes.grid(alpha=0.3)
    panels_left = figure.axes[len(PANELS)]
    panels_left.set_axis_off()
    for i, (layer, colour) in enumerate(zip(records, colours, strict=True)):
        panels_left.plot([], [], color=colour, linestyle=("-", "--", ":")[i % 3], label=plain(layer))
    panels_left.legend(fontsize=SMALL - 1, loc="center", ncols=1 + len(records) // 13, frameon=False)
    table = [
        [layer, int(values["step"][i]), *("" if np.isnan(values[c][i]) else float(values[c][i]) for c in PANELS)]
        for layer, values in records.items() for i in range(len(values["step"]))
    ]  # fmt: skip
    return Picture(
        "health", health_title(records),
        "Vanishing or exploding activations, gradients that shrink from layer to layer, and units that are zero for "
        "every image appear here first. An update of about a thousandth of the weight per step is usual.",
        figure, ("layer", "step", *PANELS), table,
    )  # fmt: skip


def spans_a_decade(axes: Any) -> bool:
    """Whether the largest number drawn is more than ten times the smallest."""
    drawn = [value for line in axes.lines for value in line.get_ydata()]
    return bool(drawn) and max(drawn) > 10 * min(drawn)


def health_title(records: Records) -> str:
    """The dead units at the end of training, in words."""
    dead = {layer: values["dead_share"][-1] for layer, values in records.items()}
    dead = {layer: share for layer, share in dead.items() if np.isfinite(share)}
    if not dead:
        return "Activations, gradients and updates of every layer"
    worst = max(dead, key=lambda layer: dead[layer])
    if dead[worst] == 0:
        return "At the end no layer has a dead unit"
    return f"At the end {percent(float(dead[worst]))} of the units of {worst} are dead, the most of any layer"
