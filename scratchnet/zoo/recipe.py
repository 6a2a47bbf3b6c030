"""A recipe: a network that is not built yet, and how it is trained.

What a recipe leaves unsaid is as in `fit`. It can be printed, and says then all that is done in its training.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from scratchnet.callbacks import Callback
from scratchnet.data.augment import Augment
from scratchnet.layers import Layer
from scratchnet.optimizers import Optimizer


@dataclass
class Recipe:
    """Unbuilt layers, and how to train them."""

    layers: list[Layer]
    optimizer: Optimizer
    epochs: int
    batch_size: int
    callbacks: list[Callback] = field(default_factory=list)
    validation: int | float = 5000  # examples, or the share of them, held out from the training set
    keep: str = "best"  # which epoch's weights: the best ones for the held-out examples, or the last
    schedule: str = "constant"  # how the learning rate moves over the whole training, one of `schedules.SCHEDULES`
    warm_up: int = 0  # steps in which it first rises; fewer in a training too short for so many
    augment: Augment | None = None
    label_smoothing: float = 0.0
    weight_average: float = 0.0  # decay of the moving average that is evaluated and saved; 0: the last weights are

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
