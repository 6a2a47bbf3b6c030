"""The configuration of a Keras layer, read strictly.

Whatever a configuration says must be taken, or be known to mean nothing in a prediction. An entry that is neither, and
not null, false or empty, is an error: it could change what the layer computes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.saving.container import shown

SILENT = {  # entries without a meaning in a prediction
    "name", "trainable", "dtype", "input_dtype", "batch_shape", "batch_input_shape", "input_shape", "input_dim", "seed",
    "synchronized", "renorm_clipping", "renorm_momentum", "fused", "init", "kernel_init", "autocast", "force_generator",
}  # fmt: skip


class Arguments:
    """A configuration, of which every entry must be taken."""

    def __init__(self, config: dict[str, Any]):
        self.config, self.taken = config, set[str]()

    def take(self, *names: str, default: Any = None) -> Any:
        """The entry with the first of these names that is there: versions of Keras differ in names."""
        self.taken |= set(names)
        return next((self.config[name] for name in names if self.config.get(name) is not None), default)

    def expect(self, name: str, *allowed: Any) -> None:
        """An error unless the entry is missing, or one of these values."""
        value = self.take(name)
        if value is not None and not any(same(value, known) for known in allowed):
            raise ValueError(f"{name}={shown(value)}")

    def penalty(self, name: str) -> dict[str, float]:
        """{"l2": λ} for a regularizer that is L2 and nothing else; {} for none, and for others."""
        l2 = l2_of(self.take(name))
        return {"l2": l2} if l2 else {}

    def finish(self) -> None:
        """An error if an entry with a meaning was not taken."""
        for name, value in self.config.items():
            silent = name in SILENT or name.endswith(("_initializer", "_regularizer", "_constraint"))
            if name not in self.taken and not silent and value not in (None, False, [], {}):
                raise ValueError(f"{shown(name)}={shown(value)} is unknown")


def same(value: Any, known: Any) -> bool:
    """Whether a value, or each of a list, is this one: 1 is not True, and [1, 1] is 1."""
    values = listed(value)
    return bool(values) and all(type(one) is type(known) and one == known for one in values)


def l2_of(regularizer: Any) -> float:
    """λ of L2(λ), also written as L1L2(0, λ); 0 for anything else."""
    config = regularizer.get("config") if isinstance(regularizer, dict) else None
    if not isinstance(config, dict) or regularizer.get("class_name") not in ("L2", "L1L2", "WeightRegularizer"):
        return 0.0
    l2 = config.get("l2")
    return float(l2) if isinstance(l2, int | float) and not config.get("l1") else 0.0


def listed(value: Any) -> Any:
    """A size as a list; the JSON of older versions marks tuples."""
    value = value.get("items") if isinstance(value, dict) and value.get("class_name") == "__tuple__" else value
    return value if isinstance(value, list) else [value]


def pair(value: Any) -> list[Any]:
    """Height and width, from one number or two."""
    value = listed(value)
    return value * 2 if len(value) == 1 else value


def sides(value: Any) -> list[list[Any]]:
    """[[top, bottom], [left, right]] from one number, two, or four."""
    found = [pair(side) for side in pair(value)]
    if [len(side) for side in found] != [2, 2] or not all(type(size) is int for side in found for size in side):
        raise ValueError(f"expected one size, two or four, got {shown(value)}")
    return found


def number(value: Any, name: str) -> float:
    """One number, from a number or a list of equal ones."""
    usable = isinstance(value, int | float | list) and not isinstance(value, bool)
    values = np.unique(np.asarray(value if usable else [], dtype=np.float64))
    if len(values) != 1:
        raise ValueError(f"{name} is {shown(value)}, expected one number")
    return float(values[0])
