"""The configuration of a run as plain data: with equal setups, one run may resume from the other's checkpoint.

A setup is the model's architecture and seed, the layers that are frozen at its start, the optimizer with its rate or
schedule, the loss, the batch size, the arguments of the callbacks that affect training, and a digest of the data. The
number of threads is not part of it (results do not depend on it), nor is the number of epochs (training may be
extended); but a schedule may depend on the number of epochs, and is part of it.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from typing import Any

import numpy as np

from scratchnet.callbacks import Callback
from scratchnet.saving.architecture import OPTIONAL

# Entries that checkpoints of version 0.1.0 lack, and their values then
ADDED: dict[str, Any] = {"shuffle": True, "initial_epoch": 0, "frozen": [], "lr_factors": {}}
ROWS = 4096  # examples that are copied at a time if the data is not contiguous


def setup_of(run: Any) -> dict[str, Any]:
    """The setup of a run: names, numbers, lists and dicts only."""
    validation = run.validation_data or (None, None)
    return {
        "model": {name: value for name, value in describe(run.model.config()).items() if name not in OPTIONAL},
        "frozen": run.frozen,
        "lr_factors": describe(run.lr_factors),
        "engine": run.model.engine,
        "optimizer": describe(run.optimizer),
        "loss": describe(run.loss),
        "batch_size": run.batch_size,
        "shuffle": run.shuffle,
        "initial_epoch": run.initial_epoch,
        "augment": describe(run.augment),
        "callbacks": [described(callback, callback.arguments) for callback in stateful(run.callbacks)],
        "data": {"x": digest(run.x), "y": digest(run.y)},
        "validation_data": {"x": digest(validation[0]), "y": digest(validation[1])},
    }


def stateful(callbacks: Iterable[Callback]) -> list[Callback]:
    """The callbacks with arguments or memory. The others only observe, and may be added or removed."""
    return [callback for callback in callbacks if callback.arguments or callback.memory]


def describe(value: Any) -> Any:
    """An object as plain data: its class and constructor arguments; a function as its name.

    >>> describe(SGD(StepDecay(0.1, every=100)))["lr"]
    {'class': 'StepDecay', 'lr': 0.1, 'every': 100, 'factor': 0.5}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else repr(value)
    if isinstance(value, np.generic):
        return describe(value.item())
    if isinstance(value, np.ndarray):
        return digest(value)
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, dict):
        return {str(name): describe(item) for name, item in value.items()}
    if inspect.isroutine(value) or isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    try:
        return described(value, inspect.signature(type(value)).parameters)
    except ValueError:  # written in C, without a signature
        return described(value, ())


def described(value: Any, names: Iterable[str]) -> dict[str, Any]:
    """An object's class, and its attributes of these names."""
    attributes = {name: describe(getattr(value, name)) for name in names if hasattr(value, name)}
    return {"class": type(value).__name__, **attributes}


def digest(array: np.ndarray | None) -> str | None:
    """Type, shape and the first digits of the SHA-256 of the bytes: about 20 ms for MNIST on an AMD EPYC.

    >>> digest(np.zeros((2, 3), np.uint8))
    'uint8 (2, 3) b0f66adc83641586'
    """
    if array is None:
        return None
    sha = hashlib.sha256()
    for start in range(0, len(array), ROWS):
        sha.update(np.ascontiguousarray(array[start : start + ROWS]).view(np.uint8).data)
    return f"{array.dtype} {array.shape} {sha.hexdigest()[:16]}"


def differences(then: Any, now: Any, name: str = "") -> list[str]:
    """The differences of two setups, each with its name and both values.

    >>> differences({"lr": 0.1, "sizes": [1, 2]}, {"lr": 0.2, "sizes": [1, 2, 3]})
    ['lr was 0.1 and is 0.2', 'sizes[2] was not there and is 3']
    """
    if isinstance(then, list) and isinstance(now, list):
        then, now = (dict(enumerate(items)) for items in (then, now))
        inner = "{name}[{key}]"
    elif isinstance(then, dict) and isinstance(now, dict) and then.get("class") == now.get("class"):
        inner = "{name}.{key}" if name else "{key}"
    else:
        return [] if then == now else [f"{name} was {shown(then)} and is {shown(now)}"]
    found = []
    for key in dict.fromkeys([*then, *now]):
        full = inner.format(name=name, key=key)
        if key in then and key in now:
            found += differences(then[key], now[key], full)
        else:
            sides = [shown(side[key]) if key in side else "not there" for side in (then, now)]
            found.append("{} was {} and is {}".format(full, *sides))
    return found


def shown(value: Any) -> str:
    """A short form of a value: for an object, its class."""
    return str(value["class"]) if isinstance(value, dict) and "class" in value else repr(value)
