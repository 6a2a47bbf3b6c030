"""The list of `nets.py` as an ONNX model, for the peers that only predict.

Input "x": floats (n, 1, 28, 28) between 0 and 1. Output "p": class probabilities (n, 10).

The model is what an export for inference would be: no dropout, BatchNorm with its running statistics (mean 0 and
variance 1, as in every framework at the start), softmax at the end. ONNX puts channels first, so the rows of the first
Dense after a Flatten are permuted here, once, and no runtime has to transpose an image.

Operator set 17 and version 8 of the format can be read by every runtime of the last years.
Source: ONNX operators, https://onnx.ai/onnx/operators/
"""

from collections.abc import Sequence

import numpy as np
from nets import IMAGE, Net, channels_first, walk
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from peers.worker import BATCHNORM

OPSET, FORMAT = 17, 8


class Chain:
    """Nodes that each read the output of the one before, and arrays."""

    def __init__(self):
        self.nodes: list[NodeProto] = []
        self.arrays: list[TensorProto] = []
        self.last = "x"

    def add(self, operator: str, *arrays: np.ndarray, output: str = "", **attributes) -> None:
        """Append operator(output of the last node, *arrays)."""
        output = output or f"{len(self.nodes)}.{operator}"
        names = [f"{output}.{i}" for i in range(len(arrays))]
        self.arrays += [numpy_helper.from_array(np.ascontiguousarray(a), n) for a, n in zip(arrays, names, strict=True)]
        self.nodes.append(helper.make_node(operator, [self.last, *names], [output], output, **attributes))
        self.last = output


def onnx_model(net: Net, initial: Sequence[np.ndarray]) -> ModelProto:
    """The network with these weights, in the order of `nets.weights`, as float32."""
    chain, arrays = Chain(), (array.astype(np.float32) for array in channels_first(net, initial))
    for layer, shape in walk(net):
        match layer:
            case "crop", border:
                h, w, _ = shape
                ends = np.array([h - border, w - border])
                chain.add("Slice", np.array([border, border]), ends, np.array([2, 3]))
            case "conv", _, kernel, padding:
                pads = [kernel // 2 if padding == "same" else 0] * 4
                chain.add("Conv", next(arrays), next(arrays), kernel_shape=[kernel, kernel], pads=pads)
            case ("batchnorm",):
                statistics = np.zeros(shape[-1], np.float32), np.ones(shape[-1], np.float32)
                numbers = next(arrays), next(arrays), *statistics
                chain.add("BatchNormalization", *numbers, epsilon=BATCHNORM["epsilon"])
            case "pool", size:
                chain.add("MaxPool", kernel_shape=[size, size], strides=[size, size])
            case "dense", _:
                chain.add("Gemm", next(arrays), next(arrays), transB=1)
            case ("relu",):
                chain.add("Relu")
            case ("flatten",):
                chain.add("Flatten")
            case "dropout", _:
                pass
            case _:
                raise ValueError(f"no ONNX operator for {layer!r}; nets.py and onnx_graph.py must know the same kinds")
    chain.add("Softmax", output="p", axis=1)
    h, w, c = IMAGE
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", c, h, w])
    p = helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", net[-1][1]])
    graph = helper.make_graph(chain.nodes, "net", [x], [p], chain.arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=FORMAT)
