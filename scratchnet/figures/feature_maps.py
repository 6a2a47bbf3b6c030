"""The outputs of all layers for one image.

The textbook layers run one after the other on a single image; no engine is needed. Layers whose output looks
like their input (Rescale, Flatten, Dropout at inference) are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scratchnet.figures.montage import Montage, as_picture, stretch
from scratchnet.figures.picture import SMALL, Picture, class_labels, new_figure, percent, plain
from scratchnet.layers import Context

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 16  # channels of each layer


def feature_maps(
    model: Any,
    image: np.ndarray,
    label: int,
    probabilities: np.ndarray,
    class_names: Sequence[str] | None = None,
) -> Picture:
    """image: one example; label: its class; probabilities: (classes,), the model's output."""
    names = class_labels(class_names, len(probabilities))
    outputs = visible_outputs(model, image)
    heights = [0.6, *(height_of(y) for _, y in outputs[1:]), 0.8]  # inches
    letters = max(map(len, names))
    figure = new_figure(8, 0.5 + sum(heights) + 0.09 * len(heights) + (0.075 * letters if letters > 3 else 0))
    panels = figure.subplots(len(heights), 1, height_ratios=heights)
    panels[0].imshow(as_picture(image), interpolation="nearest")
    panels[0].set_anchor("W")
    panels[0].set_axis_off()
    note(panels[0], "input", image.shape)
    for axes, (name, y) in zip(panels[1:-1], outputs[1:], strict=True):
        draw(axes, y)
        note(axes, name, y.shape)
    draw_answer(panels[-1], probabilities, names)
    guess = int(probabilities.argmax())
    sure = percent(float(probabilities[guess]))
    return Picture(
        "feature_maps", f"{names[label]} on its way through the layers: taken for {names[guess]} ({sure} sure)",
        f"Up to {SHOWN} channels of each layer's output; dark blue is the layer's smallest value, yellow its largest. "
        "Flat outputs are strips with one field per unit. At the bottom, the probabilities of the classes.",
        figure, ("layer", "channel", "row", "column", "value"), table(outputs, probabilities),
    )  # fmt: skip


def visible_outputs(model: Any, image: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """(name, output) of the input and of each layer whose output looks different, up to the logits."""
    x = model.check_input(image[None])
    outputs, looks = [("input", x[0])], looks_of(x)
    for name, _, y in model.backend.activations(x, Context()):
        if not (y.size == looks.size and np.allclose(looks_of(y), looks, atol=1e-6)):
            outputs.append((name, y[0]))
        looks = looks_of(y)
    return outputs


def looks_of(x: np.ndarray) -> np.ndarray:
    """All values, scaled to the range from 0 to 1."""
    values = x.astype(float).ravel()
    return stretch(values, values.min(), values.max())


def height_of(y: np.ndarray) -> float:
    """Inches for a strip, or for SHOWN channels side by side."""
    return 0.22 if y.ndim == 1 else max(0.44 * y.shape[0] / y.shape[1], 0.25)


def draw(axes: Axes, y: np.ndarray) -> None:
    """Channels in a row, or a strip of units."""
    how: dict[str, Any] = {"cmap": "viridis", "vmin": float(y.min()), "vmax": float(max(y.max(), y.min() + 1e-12))}
    if y.ndim == 1:
        axes.imshow(y[None], aspect="auto", interpolation="nearest", **how)
        axes.set_axis_off()
        return
    tiles = [y[..., c].astype(np.float32) for c in range(min(y.shape[-1], SHOWN))]
    empty = [np.full_like(tiles[0], np.nan)] * (SHOWN - len(tiles))
    Montage(tiles + empty, SHOWN, margin=0.12).draw(axes, **how)
    axes.set_anchor("W")


def note(axes: Axes, name: str, shape: tuple[int, ...]) -> None:
    """The layer's name and its output's shape, on the left."""
    text = f"{name}\n{'×'.join(map(str, shape))}"
    axes.annotate(text, (0, 0.5), (-5, 0), xycoords="axes fraction", textcoords="offset points", ha="right",
                  va="center", fontsize=SMALL - 1)  # fmt: skip


def draw_answer(axes: Axes, probabilities: np.ndarray, names: list[str]) -> None:
    """A bar for each class."""
    axes.bar(range(len(names)), probabilities, color="#0072b2")
    turned = max(map(len, names)) > 3
    size = SMALL if len(names) <= 30 else 4
    axes.set_xticks(range(len(names)), [plain(n) for n in names], fontsize=size, rotation=90 if turned else 0)
    axes.set_yticks([0, 1], ["0", "1"], fontsize=SMALL)
    axes.set_ylim(0, 1)
    axes.tick_params(length=0)
    axes.spines[["top", "right"]].set_visible(False)


def table(outputs: list[tuple[str, np.ndarray]], probabilities: np.ndarray) -> list[list]:
    """One row for each value that is drawn; flat outputs have neither row nor column."""
    rows: list[list] = []
    for name, y in outputs:
        if y.ndim == 1:
            rows += [[name, k, "", "", f"{value:.5g}"] for k, value in enumerate(y.tolist())]
        else:
            shown = y[..., :SHOWN]
            rows += [[name, c, i, j, f"{value:.5g}"] for (i, j, c), value in np.ndenumerate(shown)]
    return rows + [["probabilities", k, "", "", float(p)] for k, p in enumerate(probabilities)]
