"""How the accuracy falls when the test images are changed: one panel per kind of change."""

from __future__ import annotations

from typing import Any

from scratchnet.figures.picture import BLUE, GREY, SMALL, TEXT, Picture, new_figure, percent


def robustness(found: dict[str, Any]) -> Picture:
    """found: the result of `scratchnet.robustness.measure_robustness`."""
    curves = found["curves"]
    figure = new_figure(8, 2.6)
    panels = figure.subplots(1, len(curves), sharey=True)
    for axes, (name, curve) in zip(panels, curves.items(), strict=True):
        axes.plot(curve["up_to"], curve["accuracy"], color=BLUE, marker="o", markersize=4)
        axes.axhline(found["as_drawn"], color=GREY, linestyle=":")
        axes.set_title(name, fontsize=TEXT)
        axes.set_xlabel(curve["unit"], fontsize=SMALL)
        axes.tick_params(labelsize=SMALL)
        axes.grid(alpha=0.3)
    panels[0].yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %")
    panels[0].set_ylabel("accuracy", fontsize=TEXT)
    return Picture(
        "robustness", title(found),
        f"Each panel: the accuracy on {found['sample']:,} test images, each with one kind of random change, up to "
        "the amount on the axis (noise: with that standard deviation). Dotted: the as-drawn score, the accuracy "
        f"on all {found['images']:,} with moderate amounts of all changes at once. Training with --augment raises it.",
        figure, ["change", "unit", "up_to", "accuracy"],
        [[name, curve["unit"], level, accuracy] for name, curve in curves.items()
         for level, accuracy in zip(curve["up_to"], curve["accuracy"], strict=True)],
    )  # fmt: skip


def title(found: dict[str, Any]) -> str:
    """The score, and the change with the largest drop."""
    falls = {name: curve["accuracy"][0] - min(curve["accuracy"]) for name, curve in found["curves"].items()}
    worst = max(falls, key=lambda name: falls[name])
    score = f"{percent(found['as_drawn'])} are recognised as drawn, {percent(found['accuracy'])} as they are"
    return score + (f"; {worst} costs most" if falls[worst] > 0 else "")
