"""What the options ask for: images to learn from, and the recipe that fits them.

    images = load_images(args)
    recipe, why = choose_recipe(args, images)
    model = build(args, images, recipe)

So begin train, tune, lr_find and doctor. args: of `options.network_options`, or of `training_options`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from scratchnet import data, zoo
from scratchnet.zoo import Recipe

CHANGES = (
    "optimizer", "lr", "clip_norm", "widths", "dropout", "augment", "schedule", "warm_up", "epochs", "batch_size",
    "label_smoothing", "weight_average",
)  # fmt: skip


class Images(NamedTuple):
    """A data set: what is in the images, and what that is called."""

    x: np.ndarray  # to learn from, uint8 (n, h, w) or (n, h, w, c)
    y: np.ndarray  # their classes, (n,)
    test: tuple[np.ndarray, np.ndarray]
    dataset: str  # as data.load_dataset calls it
    class_names: list[str] | None
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(h, w, c) of an image."""
        return self.x.shape[1:] if self.x.ndim == 4 else (*self.x.shape[1:], 1)

    def settings(self, args) -> dict[str, Any]:
        """What the data set is and where it was found, for config.json."""
        return {"dataset": self.dataset, "data_dir": args.data_dir or data.only_place(self.dataset)}


def load_images(args) -> Images:
    """The data set that --dataset and --data-dir name; of the training images --limit, and the classes of all."""
    dataset, name = data.load_dataset(args.dataset, args.data_dir)
    class_names = data.class_names(name, args.data_dir)
    classes = data.count_classes(dataset, class_names)
    (x, y), test = dataset
    return Images(x[: args.limit], y[: args.limit], test, name, class_names, classes)


def choose_recipe(args, images: Images) -> tuple[Recipe, str]:
    """The recipe of --preset as it fits the images, with what other options say; and why it augments, or does not."""
    recipe, why = zoo.fitted(zoo.PRESETS[args.preset](images.classes), images.dataset, images.class_names)
    said: dict[str, Any] = {name: getattr(args, name, None) for name in CHANGES}
    return recipe.overridden(**said), why if said["augment"] is None else ""


def build(args, images: Images, recipe: Recipe):
    """The recipe's network for these images."""
    return recipe.build(images.shape, args.seed, args.engine, images.class_names, args.preset)
