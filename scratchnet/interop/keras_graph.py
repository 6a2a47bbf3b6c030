"""A model of ours as a graph of Keras layers, numbered as Keras numbers them.

In a file of Keras, an array is found by the number of its layer among all layers of its class. A functional model sorts
its layers by their depth, the length of the longest path to the output, and those of one depth in the order in which a
depth-first search from the output meets them. In a chain that is the order of the chain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from scratchnet.interop.keras_structure import FILE_NAMES
from scratchnet.layers import Layer
from scratchnet.model import Sequential

PLAIN = {"ReLU": "relu", "GELU": "gelu", "SiLU": "silu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softmax": "softmax"}
INITIALIZERS = {"he": "he_normal", "glorot": "glorot_uniform", "zeros": "zeros"}


class Node:
    """A layer of Keras: class, configuration, the nodes before it, and the names of our arrays in its order."""

    def __init__(self, kind: str, config: dict[str, Any], before: list[Node], arrays: Sequence[str] = ()):
        self.kind, self.config, self.before, self.arrays = kind, config, before, list(arrays)
        self.name = ""

    @property
    def address(self) -> str:
        """The group of its arrays in a file of version 3."""
        return f"layers/{self.name}"


class Drawing:
    """The nodes of a model in the order of Keras (without the input), and what has no form there."""

    def __init__(self, model: Sequential):
        self.problems: list[str] = []
        self.branching = False
        self.input = Node("InputLayer", {"batch_shape": [None, *model.input_shape], "dtype": "float32"}, [])
        self.output = self.row(model.layers, "", self.input)
        self.nodes = [node for node in in_keras_order(self.output) if node is not self.input]
        used = Counter[str]()
        for node in (self.input, *self.nodes):
            kind = FILE_NAMES.get(node.kind, node.kind.lower())
            k, used[kind] = used[kind], used[kind] + 1
            node.name = f"{kind}_{k}" if k else kind

    def row(self, layers: Sequence[Layer], prefix: str, before: Node) -> Node:
        """The last node of layers in a row."""
        for i, layer in enumerate(layers):
            name = f"{prefix}{i}.{type(layer).__name__.lower()}"
            before = self.residual(layer, name, before) if is_residual(layer) else self.layer(layer, name, before)
        return before

    def residual(self, layer: Any, name: str, before: Node) -> Node:
        """The sum of the branch and the shortcut."""
        self.branching = True
        branch = self.row(layer.layers, f"{name}.", before)
        return Node("Add", {}, [branch, self.row(layer.shortcut or (), f"{name}.shortcut.", before)])

    def layer(self, layer: Layer, name: str, before: Node) -> Node:
        """The node of one layer; of a convolution with padding in pixels, two."""
        try:
            kind, config = in_keras_terms(layer)
        except ValueError as error:
            self.problems.append(f"{name}: {error}")
            return before
        padding = getattr(layer, "padding", None)
        if isinstance(padding, int) and padding:
            before = Node("ZeroPadding2D", {"padding": [[padding, padding]] * 2}, [before])
        return Node(kind, config, [before], [f"{name}.{array}" for array in (*layer.params, *layer.state)])


def in_keras_order(output: Node) -> list[Node]:
    """All nodes that lead to this one, in the order of Keras' functional models."""
    met: dict[Node, int] = {}
    finished: dict[Node, None] = {}  # each behind those before it
    path = [output]
    while path:
        node = path[-1]
        met.setdefault(node, len(met))
        following = next((one for one in node.before if one not in finished), None)
        if following is None:
            finished[path.pop()] = None
        else:
            path.append(following)
    depth = dict.fromkeys(finished, 0)
    for node in reversed(finished):
        for one in node.before:
            depth[one] = max(depth[one], depth[node] + 1)
    return sorted(finished, key=lambda node: (-depth[node], met[node]))


def is_residual(layer: Layer) -> bool:
    """Whether it is a Residual: the sum of `layers` and `shortcut`."""
    return type(layer).__name__ == "Residual" and hasattr(layer, "shortcut")


def in_keras_terms(layer: Any) -> tuple[str, dict[str, Any]]:
    """Class and configuration of the Keras layer that computes the same.

    >>> in_keras_terms(Dense(10))
    ('Dense', {'units': 10, 'use_bias': True, 'kernel_initializer': 'glorot_uniform'})
    """
    kind, own = type(layer).__name__, dict(layer.config())
    if not type(layer).__module__.startswith("scratchnet.layers."):
        raise ValueError(f"Keras has no {kind}: it is a layer of your own")
    if kind in PLAIN:
        return "Activation", {"activation": PLAIN[kind]}
    if kind in ("MaxPool2D", "AvgPool2D"):
        if layer.padding not in ("valid", "same", 0):
            raise ValueError(f"a pool of Keras has no padding of {layer.padding} pixels")
        name = "MaxPooling2D" if kind == "MaxPool2D" else "AveragePooling2D"
        return name, {"pool_size": listed(own["pool_size"]), **window(layer)}
    if kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
        more = {"filters", "units", "depth_multiplier", "use_bias"} & own.keys()
        config = {name: value for name, value in own.items() if name in more}
        if kind != "Dense":
            config |= {"kernel_size": listed(own["kernel_size"]), **window(layer)}
        start = "depthwise" if kind == "DepthwiseConv2D" else "kernel"
        if own.get("l2"):
            config[f"{start}_regularizer"] = {
                "module": "keras.regularizers", "class_name": "L2", "registered_name": None,
                "config": {"l2": own["l2"]},
            }  # fmt: skip
        return kind, config | {f"{start}_initializer": INITIALIZERS.get(own["initializer"], "glorot_uniform")}
    if kind == "Cropping2D":
        b_h, b_w = own["border"]
        return kind, {"cropping": [[b_h, b_h], [b_w, b_w]]}
    if kind == "ZeroPadding2D":
        return kind, {"padding": [listed(side) for side in own["padding"]]}
    names = {"Rescale": "Rescaling", "GlobalAvgPool2D": "GlobalAveragePooling2D", "BatchNorm": "BatchNormalization"}
    if kind in ("Rescale", "GlobalAvgPool2D", "BatchNorm", "Flatten", "Dropout", "ELU"):
        return names.get(kind, kind), own
    if kind == "LeakyReLU":
        return kind, {"negative_slope": own["slope"]}
    raise ValueError(f"Keras has no {kind}, or no way to it is known here")


def window(layer: Any) -> dict[str, Any]:
    """Strides, and a padding that is a word; one in pixels is a layer of its own."""
    padding = layer.padding
    return {"strides": listed(layer.stride), "padding": padding if isinstance(padding, str) else "valid"}


def listed(value: Any) -> list[int]:
    """A size as JSON has it."""
    return [int(size) for size in value]


def arrays_of(model: Sequential) -> dict[str, np.ndarray]:
    """All arrays of a model by name."""
    return {**model.parameters(), **model.state()}
