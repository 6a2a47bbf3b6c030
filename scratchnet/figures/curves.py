"""Did it learn, and when was it best? Loss, accuracy and learning rate over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scratchnet.figures.picture import BLUE, GREY, ORANGE, SMALL, TEXT, Picture, new_figure, percent


def best_epoch(history: Any) -> int:
    """The position in the history of the best validation accuracy, the first if several are equal.

    Without a validation set, the accuracy on the training sample is used.
    """
    return int(np.argmax(history["val_accuracy" if "val_accuracy" in history.epochs[0] else "accuracy"]))


def kept_epoch(history: Any, keep: str = "best") -> int:
    """The position in the history of the epoch whose weights are kept: the best epoch, or the last."""
    return len(history.epochs) - 1 if keep == "last" else best_epoch(history)


def learning_curves(history: Any, keep: str = "best") -> Picture:
    """Training and validation curves with the kept epoch marked, and the learning rate."""
    epochs = [int(epoch) for epoch in history["epoch"]]
    validated = "val_accuracy" in history.epochs[0]
    best, kept, kind = best_epoch(history), kept_epoch(history, keep), "validation" if validated else "training"
    figure = new_figure(8, 3)
    panels = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    for axes, name in zip(panels[:2], ("loss", "accuracy"), strict=True):
        axes.plot(epochs, history[name], color=ORANGE, marker="o", markersize=4, label="training sample")
        if validated:
            axes.plot(epochs, history[f"val_{name}"], color=BLUE, marker="s", markersize=4, label="validation")
        axes.set_title(name, fontsize=TEXT)
        axes.axvline(epochs[kept], color=GREY, linestyle=":", label=f"{keep} epoch: {epochs[kept]}")
    panels[0].legend(fontsize=SMALL)
    if spans_decades(history, ("loss", "val_loss")):
        panels[0].set_yscale("log")
    panels[1].yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %")
    panels[2].plot(epochs, history["lr"], color=GREY, marker=".")
    panels[2].set_title("learning rate", fontsize=TEXT)
    panels[2].yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    if max(history["lr"]) > 20 * min(history["lr"]) > 0:
        panels[2].set_yscale("log")
    else:
        panels[2].set_ylim(0, 1.15 * max(history["lr"]) or 1)
    for axes in panels:
        axes.set_xlabel("epoch", fontsize=SMALL)
        axes.set_xticks(epochs[:: -(-len(epochs) // 8)])
        axes.margins(x=0.08)
        axes.tick_params(which="both", labelsize=SMALL)
        axes.grid(alpha=0.3)
    accuracy = percent(history["val_accuracy" if validated else "accuracy"][best], 2)
    if len(epochs) == 1:
        title = f"After one epoch the {kind} accuracy is {accuracy}"
    else:
        title = f"The {kind} accuracy was best in epoch {epochs[best]} of {epochs[-1]}: {accuracy}"
    names = [name for name in history.epochs[0] if name not in ("images", "seconds")]
    return Picture(
        "curves", title,
        "Both curves are measured in the same way, at the end of each epoch and without dropout. A validation loss "
        "that rises while the training loss falls indicates over-fitting. The model of the marked epoch was kept.",
        figure, names, ([logs.get(name, "") for name in names] for logs in history.epochs),
    )  # fmt: skip


def spans_decades(history: Any, names: Sequence[str]) -> bool:
    """Whether the largest of these numbers is more than 20 times the smallest."""
    values = [logs[name] for logs in history.epochs for name in names if name in logs]
    return min(values) > 0 and max(values) > 20 * min(values)
