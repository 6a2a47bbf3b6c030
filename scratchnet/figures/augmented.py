"""The effect of augmentation: a few images, original and as used for training."""

from __future__ import annotations

import numpy as np

from scratchnet.data.augment import Augment
from scratchnet.figures.montage import Montage, as_picture
from scratchnet.figures.picture import SMALL, Picture, new_figure
from scratchnet.randomness import ExampleRandom

IMAGES, VERSIONS = 6, 9  # rows, and changed images in each

UNITS = {  # argument of Augment -> format of its value
    "shift": "{:g} pixels",
    "rotate": "{:g}°",
    "zoom": "{:.0%}",
    "shear": "{:.0%}",
    "elastic": "{:g} pixels",
    "thickness": "{:g} pixels",
    "noise": "{:g} grey levels",
    "erase": "{:.0%}",
    "mirror": "{:.0%} of the images",
}


def augmented(x: np.ndarray, augment: Augment, seed: int = 0) -> Picture:
    """The first images of x, original and as `augment` (an Augment) changes them in the first steps."""
    x = x[:IMAGES]
    versions = [augment(x, ExampleRandom(seed, step)) for step in range(VERSIONS)]
    tiles = [as_picture(images[i]) for i in range(len(x)) for images in (x, *versions)]
    sheet = Montage(tiles, 1 + VERSIONS, margin=0.1)
    figure = new_figure(8, 8 * sheet.aspect + 0.3)
    axes = figure.subplots()
    sheet.draw(axes)
    for place, text in ((0, "original"), (1, "as used for training")):
        axes.text(sheet.corner(place)[1], -0.15 * sheet.h, text, fontsize=SMALL, va="bottom")
    return Picture(
        "augmented", title(augment),
        "The first training images, and nine random changes of each. "
        "If a person could no longer recognise them, the changes are too large.",
        figure, ["argument", "value"], [[name, getattr(augment, name)] for name in UNITS],
    )  # fmt: skip


def title(augment: Augment) -> str:
    """The augmentation in words."""
    done = [f"{name} {unit.format(value)}" for name, unit in UNITS.items() if (value := getattr(augment, name))]
    return "Every epoch changed every image a little: " + (", ".join(done).replace("%", " %") or "not at all")
