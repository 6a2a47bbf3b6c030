"""A recipe: an unbuilt network, and its training settings.

Settings that a recipe does not have are the defaults of `fit`. A printed recipe lists all its settings. Four steps lead
from a recipe to a trained network; none of them changes the recipe:

    recipe = PRESETS["default"](10).overridden(epochs=1, lr=0.01)
    model = recipe.build((28, 28, 1), seed=0)
    train, val = recipe.split(y)
    model.fit(x[train], y[train], validation_data=(x[val], y[val]), **recipe.fit_options(len(train)))
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from scratchnet.callbacks import Callback, WeightAverage
from scratchnet.data import train_val_split
from scratchnet.data.augment import AUGMENTATIONS, Augment
from scratchnet.layers import Layer
from scratchnet.losses import SoftmaxCrossEntropy
from scratchnet.model import Sequential
from scratchnet.optimizers import OPTIMIZERS, Optimizer, Schedule
from scratchnet.schedules import SCHEDULES, WarmUp
from scratchnet.variants import with_dropout, with_widths


@dataclass
class Recipe:
    """Unbuilt layers, and how to train them."""

    layers: list[Layer]
    optimizer: Optimizer
    epochs: int
    batch_size: int
    callbacks: list[Callback] = field(default_factory=list)
    validation: int | float = 5000  # examples, or the share of them, held out from the training set
    keep: str = "best"  # which epoch's weights: the best on the held-out examples, or the last
    schedule: str = "constant"  # of the learning rate over the run, one of `schedules.SCHEDULES`
    warm_up: int = 0  # steps in which it first rises; fewer in a short run
    augment: Augment | None = None
    label_smoothing: float = 0.0
    weight_average: float = 0.0  # decay of the moving average that is evaluated and saved; 0: use the last weights

    def __str__(self) -> str:
        held_out = f"{self.validation:,}" if isinstance(self.validation, int) else f"{self.validation:.0%}"
        words = {
            f"{self.optimizer}": True,
            self.schedule: self.schedule != "constant",
            f"warm-up {self.warm_up}": self.warm_up,
            f"batch {self.batch_size}": True,
            f"{self.epochs} epoch{'s' * (self.epochs > 1)}": True,
            f"label smoothing {self.label_smoothing}": self.label_smoothing,
            f"weight average {self.weight_average}": self.weight_average,
            f"{self.augment}": self.augment,
            f"{held_out} held out": True,
            f"the {self.keep} weights are kept": self.keep != "best",
        }
        return ", ".join([*(word for word, said in words.items() if said), *map(repr, self.callbacks)])

    def overridden(
        self, *, optimizer: str | None = None, lr: float | None = None, clip_norm: float | None = None,
        widths: Sequence[int] | None = None, dropout: float | None = None, augment: str | None = None,
        schedule: str | None = None, warm_up: int | None = None, **others: Any,
    ) -> Recipe:  # fmt: skip
        """The recipe with other settings. None keeps the recipe's own.

        optimizer, augment, schedule: names in OPTIMIZERS, AUGMENTATIONS, SCHEDULES. widths, dropout: see `variants`.
        Another schedule comes without the warm-up of the recipe's own. others: fields of the recipe, by their names.

        >>> recipe = Recipe([Dense(8), Dense(10)], Adam(0.02), epochs=5, batch_size=128, warm_up=50)
        >>> print(recipe.overridden(optimizer="sgd", schedule="cosine", epochs=2))
        SGD(lr=0.01), cosine, batch 128, 2 epochs, 5,000 held out
        """
        changes = {name: value for name, value in others.items() if value is not None}
        if optimizer or lr or clip_norm:
            changes["optimizer"] = other_optimizer(self.optimizer, optimizer, lr, clip_norm)
        if augment is not None:
            changes["augment"] = AUGMENTATIONS[augment]
        if schedule is not None:
            changes |= {"schedule": schedule, "warm_up": 0}
        if warm_up is not None:
            changes["warm_up"] = warm_up
        if widths is not None:
            changes["layers"] = with_widths(self.layers, widths)
        if dropout is not None:
            changes["layers"] = with_dropout(changes.get("layers", self.layers), dropout)
        return replace(self, **changes)

    def build(
        self, input_shape: Sequence[int], seed: int = 0, engine: str = "numba",
        class_names: Sequence[str] | None = None, name: str = "",
    ) -> Sequential:  # fmt: skip
        """The network, with parameters. Call it once: layers belong to one model. name: of the preset, for errors.

        input_shape: (h, w, c), without the number of images.
        """
        try:
            return Sequential(self.layers, input_shape, seed, engine, class_names=class_names)
        except ValueError as error:
            what = f"the preset {name}" if name else "the recipe"
            raise ValueError(f"{what} does not fit images of {'×'.join(map(str, input_shape))}: {error}") from None

    def split(self, y: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Indices of training images and held-out images; for a small set, a tenth is held out. y: labels."""
        held_out = self.validation if isinstance(self.validation, float) else min(self.validation, len(y) // 10)
        return train_val_split(y, held_out or 1, seed)

    def fit_options(self, examples: int, warm_up: int | None = None) -> dict[str, Any]:
        """Arguments of `Sequential.fit` for this number of training examples. warm_up: as for `scheduled`."""
        optimizer = copy.deepcopy(self.optimizer)
        optimizer.lr = self.scheduled(self.epochs * -(-examples // self.batch_size), warm_up)
        average = [WeightAverage(self.weight_average)] if self.weight_average else []
        return {
            "epochs": self.epochs, "batch_size": self.batch_size, "optimizer": optimizer, "augment": self.augment,
            "loss": SoftmaxCrossEntropy(self.label_smoothing), "callbacks": [*self.callbacks, *average],
        }  # fmt: skip

    def scheduled(self, steps: int, warm_up: int | None = None) -> float | Schedule:
        """The learning rate of each step, at most the optimizer's: a number, or a schedule.

        warm_up: the number of steps; None: the recipe's, at most a quarter of the run.

        >>> Recipe([Dense(10)], Adam(0.02), epochs=1, batch_size=8, schedule="cosine").scheduled(100)
        Cosine(lr=0.02, steps=100, final=0.0)
        """
        lr, rising = self.optimizer.lr, warm_up or min(self.warm_up, steps // 4)
        if self.schedule == "constant" and not rising:
            return lr
        if callable(lr):
            raise ValueError(f"the preset already has a schedule, {lr}: to use another one, also give --lr")
        if rising >= steps:
            raise ValueError(f"--warm-up {rising}: this run has only {steps} steps")
        schedule = SCHEDULES[self.schedule](lr, steps - rising)
        return WarmUp(schedule, rising) if rising else schedule

    def settings(self) -> dict[str, Any]:
        """The recipe as plain data, for config.json."""
        names = ("epochs", "batch_size", "schedule", "warm_up", "label_smoothing", "weight_average", "keep")
        return {
            **{name: getattr(self, name) for name in names},
            "augment": asdict(self.augment) if self.augment else "off",
            "optimizer": type(self.optimizer).__name__.lower(), "lr": self.optimizer.lr,
        }  # fmt: skip


def other_optimizer(own: Optimizer, name: str | None, lr: float | None, clip_norm: float | None) -> Optimizer:
    """A copy of `own`, or an optimizer of another kind or rate, with the default values of its other settings."""
    optimizer = copy.deepcopy(own)
    if name or lr:
        kind: Any = OPTIMIZERS[name] if name else type(own)
        optimizer = kind(lr=lr) if lr else kind()
    optimizer.clip_norm = clip_norm or optimizer.clip_norm
    return optimizer
