"""The arrays of each layer in a Keras file.

Version 3 (.keras, .weights.h5) numbers them: layers/conv2d_1/vars/0 is the first array of the second Conv2D among the
layers of its model, whatever the layers' names are. The order of a layer's arrays is that of their creation.

An older .h5 file has a list of the layers that have a group, layer_names, and each group has the list of its arrays,
weight_names. They are matched by order, not by name. A model within the model has one group: first all arrays that were
trained, then all that were not, each in the order of the layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from scratchnet.interop.hdf5 import Group
from scratchnet.interop.keras_structure import Leaf
from scratchnet.saving.container import ModelFileError, shown

OLDER = "_layer_checkpoint_dependencies"  # what `layers` was called before Keras 2.13


def count(leaf: Leaf) -> tuple[int, int]:
    """How many arrays a layer has: those that are trained, and those that are not."""
    config = leaf.config
    bias = bool(config.get("use_bias", config.get("bias", True)))
    if leaf.kind in ("Conv2D", "Convolution2D", "DepthwiseConv2D", "Dense"):
        return 1 + bias, 0
    if leaf.kind == "SeparableConv2D":
        return 2 + bias, 0
    if leaf.kind == "BatchNormalization":
        return bool(config.get("scale", True)) + bool(config.get("center", True)), 2
    return 0, 2 if leaf.kind == "Normalization" and config.get("mean") is None else 0


def read_arrays(weights: Group, leaves: Sequence[Leaf]) -> list[list[np.ndarray]]:
    """For each layer its arrays of floats. (Integers are the state of random generators, and counters.)"""
    if is_legacy(weights):
        return in_order_of_names(weights, leaves)
    return [numbered(weights, leaf.address) if sum(count(leaf)) else [] for leaf in leaves]


def read_rows(weights: Group, addresses: Sequence[str]) -> list[list[np.ndarray]]:
    """The arrays at each of these addresses, or in an older file of each layer that has arrays, in its order.

    Arrays that are not at one of the addresses are an error: the file is one of another model.
    """
    if is_legacy(weights):
        rows = [arrays for name in texts(weights, "layer_names") if (arrays := listed(weights, name))]
        if len(rows) != len(addresses):
            raise ModelFileError(f"{len(rows)} layers with arrays in the file, {len(addresses)} in the model")
        return rows
    rows = [numbered(weights, address) for address in addresses]
    for root in ("layers", OLDER):
        for name in weights.group(root) or ():
            if f"layers/{name}" not in addresses and has_floats(weights.group(f"{root}/{name}")):
                raise ModelFileError(f"its weights have {shown(name)}, which the model has not")
    return rows


def has_floats(group: Group | None) -> bool:
    """Whether there is an array of floats in a group, or in one of its groups."""
    members = [] if group is None else [group.find(name) for name in group]
    return any(member.dtype.kind == "f" if isinstance(member, np.ndarray) else has_floats(member) for member in members)


def is_legacy(weights: Group) -> bool:
    """Whether the group has the older form."""
    return bool(texts(weights, "layer_names"))


def numbered(weights: Group, address: str) -> list[np.ndarray]:
    """The arrays in address/vars."""
    group = weights.group(f"{address}/vars") or weights.group(f"{address.replace('layers', OLDER)}/vars")
    if group is None:
        raise ModelFileError(f"its weights have no {shown(address)}")
    names = [str(i) for i in range(len(list(group)))]
    if set(names) != set(group):
        raise ModelFileError(f"{shown(address)}: arrays must be numbered from 0, got {shown(sorted(group))}")
    return only_floats([group.find(name) for name in names])


def in_order_of_names(weights: Group, leaves: Sequence[Leaf]) -> list[list[np.ndarray]]:
    """The arrays of each layer of an older file."""
    stored = [arrays for name in texts(weights, "layer_names") if (arrays := listed(weights, name))]
    tops = sorted({leaf.top for leaf in leaves if sum(count(leaf))})
    if len(stored) != len(tops):
        raise ModelFileError(f"{len(stored)} layers with arrays in the file, {len(tops)} in the architecture")
    found: list[list[np.ndarray]] = [[] for _ in leaves]
    for top, arrays in zip(tops, stored, strict=True):
        slots = []  # of the group's arrays, in order: (not trained, number of the layer)
        for i, leaf in enumerate(leaves):
            if leaf.top == top:
                trained, others = count(leaf)
                slots += [(not leaf.trainable, i)] * trained + [(True, i)] * others
        if len(slots) != len(arrays):
            place = next(leaf.place for leaf in leaves if leaf.top == top)
            raise ModelFileError(f"{place}: {len(arrays)} arrays in the file, expected {len(slots)}")
        slots.sort(key=lambda slot: slot[0])
        for (_, i), array in zip(slots, arrays, strict=True):
            found[i].append(array)
    return found


def listed(weights: Group, name: str) -> list[np.ndarray]:
    """The arrays of one layer of an older file."""
    group = weights.group(name)
    if group is None:
        raise ModelFileError(f"its weights have no {shown(name)}")
    return only_floats([group.find(path) for path in texts(group, "weight_names")])


def only_floats(members: Sequence[Group | np.ndarray | None]) -> list[np.ndarray]:
    """The arrays of floats; anything but an array is an error."""
    if not all(isinstance(member, np.ndarray) for member in members):
        raise ModelFileError("a group, or nothing, in place of an array")
    return [array for array in members if isinstance(array, np.ndarray) and array.dtype.kind == "f"]


def texts(group: Group, name: str) -> list[str]:
    """A list of texts among the attributes. Long ones are stored in parts: layer_names0, layer_names1 ..."""
    value = group.attribute(name)
    if value is not None:
        return [str(text) for text in value]
    found: list[str] = []
    for part in itertools.count():
        if (value := group.attribute(f"{name}{part}")) is None:
            return found
        found += [str(text) for text in value]
    return found
