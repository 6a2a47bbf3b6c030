"""The search space. Edit it here.

Each range is centred on the recipe's value, so the same lines work for a small network and a large one, and the first
trial of a search is the unchanged recipe. Optuna draws numbers; these are converted to *options* of
scripts/train.py, so every trial is a command line.

The best learning rate depends on the optimizer: SGD's is ten times Adam's. It is therefore drawn as a multiple of the
default rate of the drawn optimizer, so that results for one optimizer are useful for another.

The schedule is not searched. Trials are compared after the same number of epochs, and a schedule that ends at a small
rate has a lower accuracy until its last epochs. It is an option for all trials instead: --schedule one-cycle.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean
from typing import Any

from scratchnet.data.augment import AUGMENTATIONS
from scratchnet.layers import Dropout
from scratchnet.optimizers import OPTIMIZERS, Optimizer
from scratchnet.variants import hidden_widths

SEARCHED = ("lr", "batch-size", "optimizer", "widths", "dropout", "augment")  # the usually most important first


@dataclass(frozen=True)
class Range:
    """Numbers from low to high: on a logarithmic scale, or integers in steps."""

    low: float
    high: float
    log: bool = False
    step: int | None = None

    def __str__(self) -> str:
        how = " on a logarithmic scale" * self.log + f" in steps of {self.step}" * (self.step is not None)
        return f"{self.low:g} to {self.high:g}{how}"


@dataclass(frozen=True)
class Choice:
    """One of several options."""

    options: tuple

    def __str__(self) -> str:
        return ", ".join(map(str, self.options))


def space(recipe: Any, searched: Iterable[str] = SEARCHED) -> dict[str, Range | Choice]:
    """Name -> the range or choice of its values, for the settings in `searched`."""
    own = own_values(recipe)
    widths = {name: around(width) for name, width in own.items() if name.startswith("width ")}
    parts: dict[str, dict[str, Range | Choice]] = {
        "lr": {"lr": Range(own["lr"] / 10, own["lr"] * 10, log=True)},
        "batch-size": {"batch_size": Choice(tuple(sorted({32, 64, 128, 256, own["batch_size"]})))},
        "optimizer": {"optimizer": Choice(tuple(OPTIMIZERS))},
        "widths": {**widths},
        "dropout": {"dropout": Range(0, max(0.6, own["dropout"]))},
        "augment": {"augment": Choice(tuple(dict.fromkeys([*AUGMENTATIONS, own["augment"]])))},
    }
    return {name: values for part in SEARCHED if part in searched for name, values in parts[part].items()}


def around(width: int) -> Range:
    """From half the width to twice the width, in steps of a quarter."""
    step = max(1, width // 4)
    return Range(max(1, width - 2 * step), width + 4 * step, step=step)


def own_values(recipe: Any) -> dict[str, Any]:
    """The recipe's values of all settings that can be searched, in the form in which they are drawn."""
    kind, lr = type(recipe.optimizer), recipe.optimizer.lr
    rates = [layer.rate for layer in recipe.layers if isinstance(layer, Dropout)]
    names = {augment: name for name, augment in AUGMENTATIONS.items()}
    return {
        "lr": 1.0 if callable(lr) else lr / usual_rate(kind),
        "batch_size": recipe.batch_size,
        "optimizer": kind.__name__.lower(),
        **{f"width {i}": width for i, width in enumerate(hidden_widths(recipe.layers), 1)},
        "dropout": round(mean(rates), 2) if rates else 0.0,
        "augment": names.get(recipe.augment, "preset"),  # "preset": the recipe's augmentation, which has no name
    }


def usual_rate(kind: type[Optimizer]) -> float:
    """An optimizer's default learning rate."""
    return inspect.signature(kind).parameters["lr"].default


def train_options(drawn: dict[str, Any], recipe: Any) -> dict[str, Any]:
    """Options of scripts/train.py from drawn values; the learning rate is absolute and rounded to three digits.

    >>> from scratchnet.zoo import basic
    >>> train_options({"lr": 0.51234, "optimizer": "sgd", "width 1": 16, "width 2": 64, "width 3": 48}, basic())
    {'lr': 0.00512, 'optimizer': 'sgd', 'widths': [16, 64, 48]}
    """
    options: dict[str, Any] = {}
    if "lr" in drawn:
        kind = OPTIMIZERS[drawn["optimizer"]] if "optimizer" in drawn else type(recipe.optimizer)
        options["lr"] = float(f"{drawn['lr'] * usual_rate(kind):.3g}")
    for name in "batch_size", "optimizer":
        if name in drawn:
            options[name] = drawn[name]
    if widths := {int(name[6:]): value for name, value in drawn.items() if name.startswith("width ")}:
        options["widths"] = [widths[i] for i in sorted(widths)]
    if "dropout" in drawn:
        options["dropout"] = round(drawn["dropout"], 2)
    if drawn.get("augment", "preset") != "preset":
        options["augment"] = drawn["augment"]
    return options


def as_arguments(options: dict[str, Any]) -> list[str]:
    """Options as command-line arguments.

    >>> as_arguments({"batch_size": 64, "widths": [16, 32]})
    ['--batch-size', '64', '--widths', '16,32']
    """
    words = []
    for name, value in options.items():
        typed = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        words += [f"--{name.replace('_', '-')}", typed]
    return words
