"""Layers as ONNX nodes: a function for each class of layer adds the nodes that compute it to a Graph.

The Graph knows which value the next node reads, and whether its images stand with the channels first. A function asks
for the arrangement that its operator needs, and a Transpose is written only if the images are in the other one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.layers.base import Shape
from scratchnet.layers.row import prefixes

FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]  # the order of axes that puts the channels first, and last again


class Graph:
    """Nodes and constants, and the name, shape and arrangement of the value that the next node reads."""

    def __init__(self, onnx: Any, shape: Shape, name: str):
        self.onnx, self.shape, self.name, self.first = onnx, shape, name, False
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.prefix = "input"

    def add(self, operator: str, *constants: str, **attributes: Any) -> str:
        """A node that reads the current value and constants; its output is the current value now."""
        return self.join(operator, self.name, *constants, **attributes)

    def join(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node that reads these values and constants; its output is the current value now."""
        output = f"{self.prefix}/{len(self.nodes)}.{operator}"
        node = self.onnx.helper.make_node(operator, inputs, [output], output, **attributes)
        self.nodes.append(node)
        self.name = output
        return output

    def constant(self, name: str, array: Any, dtype: Any = np.float32) -> str:
        """An initializer; its name."""
        name = f"{self.prefix}.{name}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array, dtype), name))
        return name

    def rename(self, name: str) -> None:
        """The output of the last node has this name."""
        if not self.nodes or self.nodes[-1].output[0] != self.name:
            self.add("Identity")
        self.nodes[-1].output[0] = self.name = name

    def channels_first(self) -> None:
        """Images with the channels first."""
        if len(self.shape) == 3 and not self.first:
            self.add("Transpose", perm=FIRST)
            self.first = True

    def channels_last(self) -> None:
        """Images with the channels last."""
        if self.first:
            self.add("Transpose", perm=LAST)
            self.first = False

    def layers(self, layers: Any, names: Any, shapes: Any) -> None:
        """The nodes of these layers, each fed by the one before."""
        for layer, name, shape in zip(layers, names, shapes[1:], strict=True):
            self.prefix = name
            WRITERS[type(layer).__name__](self, layer)
            self.shape = shape


def one(operator: str, **names: str) -> Callable[[Graph, Any], None]:
    """One node, whose attributes are the layer's own under other names."""

    def write(graph: Graph, layer: Any) -> None:
        graph.add(operator, **{theirs: float(getattr(layer, ours)) for theirs, ours in names.items()})

    return write


def rescale(graph: Graph, layer: Any) -> None:
    """Mul and Add, each where it changes something."""
    if layer.scale != 1 or not layer.offset:
        graph.add("Mul", graph.constant("scale", layer.scale))
    if layer.offset:
        graph.add("Add", graph.constant("offset", layer.offset))


def conv(graph: Graph, layer: Any) -> None:
    """Conv, with explicit padding."""
    graph.channels_first()
    weights = [graph.constant("W", layer.W.transpose(3, 2, 0, 1))]  # (filters, c, k_h, k_w)
    weights += [graph.constant("b", layer.b)] if layer.use_bias else []
    graph.add("Conv", *weights, **window(layer.kernel_size, layer))


def depthwise_conv(graph: Graph, layer: Any) -> None:
    """Conv with a group for each channel."""
    graph.channels_first()
    k_h, k_w, c, multiplier = layer.W.shape
    weights = [graph.constant("W", layer.W.transpose(2, 3, 0, 1).reshape(c * multiplier, 1, k_h, k_w))]
    weights += [graph.constant("b", layer.b)] if layer.use_bias else []
    graph.add("Conv", *weights, group=c, **window(layer.kernel_size, layer))


def window(size: tuple[int, int], layer: Any) -> dict[str, list[int]]:
    """The attributes of a window; the padding as numbers, because "same" has two meanings in ONNX."""
    win = layer.windows
    pads = [win.top, win.left, win.bottom, win.right]
    return {"kernel_shape": list(size), "strides": list(layer.stride), "pads": pads}


def pool(operator: str, **attributes: int) -> Callable[[Graph, Any], None]:
    """A pool of the same window; `attributes` are those of the operator alone."""

    def write(graph: Graph, layer: Any) -> None:
        graph.channels_first()
        if operator == "MaxPool" and graph.nodes and graph.nodes[-1].op_type == "Pad":
            # ONNX Runtime, 1.24 for instance, joins Pad and MaxPool, whose own padding is -∞; this keeps them apart.
            graph.add("Clip", graph.constant("lowest", np.finfo(np.float32).min))
        graph.add(operator, **window(layer.pool_size, layer), **attributes)

    return write


def global_average(graph: Graph, layer: Any) -> None:
    """The mean of each channel, as a row."""
    graph.channels_first()
    graph.add("GlobalAveragePool")  # (n, c, 1, 1)
    graph.add("Flatten")
    graph.first = False


def flatten(graph: Graph, layer: Any) -> None:
    """A row in our order, channels last."""
    graph.channels_last()
    graph.add("Flatten")


def dense(graph: Graph, layer: Any) -> None:
    """Gemm with W and b as they are."""
    graph.add("Gemm", *(graph.constant(name, getattr(layer, name)) for name in layer.params))


def batch_norm(graph: Graph, layer: Any) -> None:
    """BatchNormalization on axis 1, where ONNX has the channels."""
    arrays = [(name, getattr(layer, name)) for name in ("gamma", "beta", "running_mean", "running_var")]
    rank = len(graph.shape) + 1
    turned = rank > 2 and rank != 4
    graph.channels_first()
    if turned:
        graph.add("Transpose", perm=[0, rank - 1, *range(1, rank - 1)])
    names = [graph.constant(name, array) for name, array in arrays]
    graph.add("BatchNormalization", *names, epsilon=layer.epsilon, momentum=layer.momentum)
    if turned:
        graph.add("Transpose", perm=[0, *range(2, rank), 1])


def cropping(graph: Graph, layer: Any) -> None:
    """Slice of height and width."""
    graph.channels_first()
    h, w, _ = graph.shape
    b_h, b_w = layer.border
    numbers = {"starts": [b_h, b_w], "ends": [h - b_h, w - b_w], "axes": [2, 3]}
    graph.add("Slice", *(graph.constant(name, values, np.int64) for name, values in numbers.items()))


def zero_padding(graph: Graph, layer: Any) -> None:
    """Pad of height and width."""
    graph.channels_first()
    (top, bottom), (left, right) = layer.padding
    graph.add("Pad", graph.constant("pads", [0, 0, top, left, 0, 0, bottom, right], np.int64))


def softmax(graph: Graph, layer: Any) -> None:
    """Softmax over the channels, wherever they are."""
    graph.add("Softmax", axis=1 if graph.first else -1)


def gelu(graph: Graph, layer: Any) -> None:
    """x (1 + erf(x / √2)) / 2: the operator Gelu is newer than opset 17."""
    x = graph.name
    graph.add("Mul", graph.constant("root_half", np.sqrt(0.5)))
    graph.add("Erf")
    graph.add("Add", graph.constant("one", 1))
    graph.join("Mul", x, graph.name)
    graph.add("Mul", graph.constant("half", 0.5))


def silu(graph: Graph, layer: Any) -> None:
    """x · sigmoid(x)."""
    x = graph.name
    graph.join("Mul", x, graph.add("Sigmoid"))


def residual(graph: Graph, layer: Any) -> None:
    """The two branches and their sum, in one arrangement."""
    graph.channels_first()
    start, shape, prefix = graph.name, graph.shape, graph.prefix
    ends = []
    rows = (("", layer.layers, layer.shapes), ("shortcut.", layer.way, layer.way_shapes))
    for place, row, shapes in rows:
        graph.name, graph.shape, graph.first = start, shape, len(shape) == 3
        graph.layers(row, [f"{prefix}.{place}{name}" for name in prefixes(row)], shapes)
        graph.channels_first()
        ends.append(graph.name)
    graph.prefix = prefix
    graph.join("Add", *ends)


WRITERS: dict[str, Callable[[Graph, Any], None]] = {
    "Rescale": rescale, "Cropping2D": cropping, "ZeroPadding2D": zero_padding, "Conv2D": conv,
    "DepthwiseConv2D": depthwise_conv, "ReLU": one("Relu"), "LeakyReLU": one("LeakyRelu", alpha="slope"),
    "ELU": one("Elu", alpha="alpha"), "Sigmoid": one("Sigmoid"), "Tanh": one("Tanh"), "GELU": gelu, "SiLU": silu,
    "Softmax": softmax, "MaxPool2D": pool("MaxPool"), "AvgPool2D": pool("AveragePool", count_include_pad=0),
    "GlobalAvgPool2D": global_average, "Flatten": flatten, "Dense": dense, "BatchNorm": batch_norm,
    "Dropout": lambda graph, layer: None, "Residual": residual,
}  # fmt: skip
