"""From options to training images, and a recipe adapted to them.

    images = load_images(args)
    recipe, why = choose_recipe(args, images)
    model = build(args, images, recipe)

train, tune, lr_find and doctor start with these lines. args: of `options.network_options`, or of `training_options`.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import numpy as np

from scratchnet import Sequential, data, zoo
from scratchnet.engines import import_meanwhile
from scratchnet.zoo import Recipe

CHANGES = (
    "optimizer", "lr", "clip_norm", "widths", "dropout", "augment", "schedule", "warm_up", "epochs", "batch_size",
    "label_smoothing", "weight_average",
)  # fmt: skip


class Images(NamedTuple):
    """A data set: images, classes and their names."""

    x: np.ndarray  # training images, uint8 (n, h, w) or (n, h, w, c)
    y: np.ndarray  # their classes, (n,)
    test: tuple[np.ndarray, np.ndarray]
    dataset: str  # the name used by data.load_dataset
    class_names: list[str] | None
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(h, w, c) of an image."""
        return self.x.shape[1:] if self.x.ndim == 4 else (*self.x.shape[1:], 1)

    def settings(self, args: argparse.Namespace) -> dict[str, Any]:
        """The name and the location of the data set, for config.json."""
        return {"dataset": self.dataset, "data_dir": args.data_dir or data.only_place(self.dataset)}


def load_images(args: argparse.Namespace) -> Images:
    """The data set of --dataset and --data-dir, with at most --limit training images, and all classes."""
    import_meanwhile(args.engine)
    dataset, name = data.load_dataset(args.dataset, args.data_dir, mapped=bool(getattr(args, "distributed", None)))
    class_names = data.class_names(name, args.data_dir)
    classes = data.count_classes(dataset, class_names)
    (x, y), test = dataset
    first = None if args.limit is None else np.arange(min(args.limit, len(y)))
    return Images(data.take(x, first), y[: args.limit], test, name, class_names, classes)


def choose_recipe(args: argparse.Namespace, images: Images) -> tuple[Recipe, str]:
    """The recipe of --preset, adapted to the images and the other options; and the reason for its augmentation."""
    recipe, why = zoo.fitted(zoo.PRESETS[args.preset](images.classes), images.dataset, images.class_names)
    said: dict[str, Any] = {name: getattr(args, name, None) for name in CHANGES}
    return recipe.overridden(**said), why if said["augment"] is None else ""


def build(args: argparse.Namespace, images: Images, recipe: Recipe) -> Sequential:
    """The recipe's network for these images."""
    return recipe.build(images.shape, args.seed, args.engine, images.class_names, args.preset)
