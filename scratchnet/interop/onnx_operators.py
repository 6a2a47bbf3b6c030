"""ONNX operators as layers: what each computes, and which of it a layer can compute too.

A function here takes an `Operation`, a node with its inputs, and returns the value after it. It raises Problem for
what no layer computes. The operators are those of networks for images as PyTorch, Keras (tf2onnx) and this package
write them, in their older forms too: `axes`, `pads`, `ratio` and the like were attributes before they became inputs.

github.com/onnx/onnx/blob/main/docs/Operators.md
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.interop import onnx_moves as moves
from scratchnet.interop.onnx_moves import Operation
from scratchnet.interop.onnx_values import Problem, Value, arranged, common
from scratchnet.interop.onnx_windows import average_pool, conv, max_pool, pad, slice_
from scratchnet.layers import LAYERS, Conv2D, Dense, Rescale
from scratchnet.layers.base import Layer

ROOT_HALF = math.sqrt(0.5)


# one number at a time


def simple(kind: str, **names: tuple[str, float]) -> Callable[[Operation], Value]:
    """A layer without arrays. names: our argument -> ONNX' attribute and its default."""

    def convert(op: Operation) -> Value:
        options = {ours: float(op.attribute(theirs, default)) for ours, (theirs, default) in names.items()}
        return op.value(0).then(kind, **options)

    return convert


def gelu(op: Operation) -> Value:
    """x Φ(x), if it is not the approximation by a tanh."""
    if op.attribute("approximate", "none") != "none":
        raise Problem("the approximation by tanh; only the exact GELU is there")
    return op.value(0).then("GELU")


def clip(op: Operation) -> Value:
    """max(x, 0); any other bounds are a Problem."""
    low, high = (op.number(i, name) for i, name in ((1, "min"), (2, "max")))
    if low != 0 or not (high is None or high >= 3e38):
        raise Problem(f"limits values to [{low}, {high}]; only [0, ∞) is there, as ReLU")
    return op.value(0).then("ReLU")


def prelu(op: Operation) -> Value:
    """One slope for all channels is LeakyReLU."""
    slope = op.constant(1, "slope")
    if slope.size != 1:
        raise Problem("a slope per channel; LeakyReLU has one for all")
    return op.value(0).then("LeakyReLU", float(slope.reshape(-1)[0]))


def softmax(op: Operation) -> Value:
    """Over the features of a row. Before version 13 the default axis was 1 and later axes were joined to it."""
    value, axis = op.value(0), op.attribute("axis", -1 if op.opset >= 13 else 1)
    rank = value.index.ndim + 1
    if value.index.ndim != 1 or axis not in (1, -1):
        raise Problem(f"axis {axis} of a tensor with {rank} axes; only rows of features are normalised")
    if op.node.operator == "LogSoftmax":
        return value.flat.through(moves.LogSoftmax())
    return value.flat.then("Softmax") if "Softmax" in LAYERS else value.flat.through(moves.Softmax())


def dropout(op: Operation) -> Value:
    """The same values: in evaluation nothing is dropped. The rate is kept for further training."""
    op.refuse_inputs(2, "training_mode")
    ratio = op.number(1, "ratio")
    ratio = 0.5 if ratio is None else ratio
    return op.value(0).then("Dropout", ratio) if 0 < ratio < 1 else op.value(0)


# arithmetic


def scaled(value: Value, scale: float, offset: float) -> Value:
    """scale · x + offset. x · s + 0, then + o, is one Rescale(s, o): the same roundings."""
    last = value.layer
    if type(last) is Rescale and not last.offset and scale == 1 and value.parent is not None:
        return value.parent.through(Rescale(last.scale, offset)).moved(value.index)
    return value if (scale, offset) == (1, 0) else value.through(Rescale(scale, offset))


def add(op: Operation) -> Value:
    """A bias, a number, or the two branches of a residual block."""
    if op.both_values:
        return residual(op.value(0), op.value(1))
    value, constant = op.value_and_constant()
    if constant.size == 1 and not takes_bias(value):
        return scaled(value, 1.0, float(constant.reshape(-1)[0]))
    return biased(value, constant)


def takes_bias(value: Value) -> bool:
    """Whether the last layer is a convolution or dense layer without a bias."""
    return isinstance(value.layer, Conv2D | Dense) and not value.layer.use_bias


def biased(value: Value, constant: np.ndarray) -> Value:
    """The last layer with this bias, one number for each of its channels."""
    channels = value.shape[-1]
    shape = (channels, *(1,) * (value.index.ndim - 1))
    by_axis = (
        constant.reshape(constant.shape[1:]) if constant.shape[:1] == (1,) and constant.ndim > len(shape) else constant
    )
    if not takes_bias(value) or value.index.shape[0] != channels or by_axis.shape not in (shape, (1,) * len(shape), ()):
        raise Problem(
            f"adds an array of shape {constant.shape}: no layer does, except as the bias of a convolution or dense layer"
        )
    layer, arrays = value.layer, dict(value.arrays)
    assert isinstance(layer, Conv2D | Dense) and value.parent is not None
    arrays["b"] = np.broadcast_to(by_axis.reshape(-1), channels).astype(arrays["W"].dtype)
    made = value.parent.through(type(layer)(**{**layer.config(), "use_bias": True}), arrays)
    return made.moved(value.index)


def residual(one: Value, other: Value) -> Value:
    """The sum of two branches, from the last value that both were computed from."""
    if one.index.ndim == other.index.ndim == 1:
        one, other = one.flat, other.flat
    if one.shape != other.shape or not np.array_equal(one.index, other.index):
        raise Problem(f"adds (n, {one.sizes}) {one.words} and (n, {other.sizes}) {other.words}")
    start = common(one, other)
    main, way = sorted((one.since(start), other.since(start)), key=len, reverse=True)
    if not main:
        return one.through(Rescale(2.0))
    made = moves.branched(start, main, way)
    return made.moved(one.index)


def subtract(op: Operation) -> Value:
    """x - c or c - x, with one number c."""
    if op.both_values:
        raise Problem("the difference of two branches; only sums are there, as Residual")
    value, constant = op.value_and_constant()
    c = one_number(constant)
    return scaled(value, 1.0, -c) if op.is_value(0) else scaled(value, -1.0, c)


def multiply(op: Operation) -> Value:
    """x · c, or one of the activations that are written as products."""
    if op.both_values:
        return product(op.value(0), op.value(1))
    value, constant = op.value_and_constant()
    factor = one_number(constant)
    if type(value.layer) is Rescale and value.layer.scale == 2 and factor == 0.5 and value.parent is not None:
        return value.parent.moved(value.index)  # the halves of GELU: see `product`
    return scaled(value, factor, 0.0)


def divide(op: Operation) -> Value:
    """x / c."""
    if op.both_values or not op.is_value(0):
        raise Problem("divides by a value; only by one number")
    return scaled(op.value(0), float(1 / np.float64(one_number(op.constant(1, "the divisor")))), 0.0)


def one_number(constant: np.ndarray) -> float:
    """The number in an array of one."""
    if constant.size != 1:
        raise Problem(f"an array of shape {constant.shape}, one number was expected: Rescale has one for all channels")
    return float(constant.reshape(-1)[0])


def product(one: Value, other: Value) -> Value:
    """x · sigmoid(x) is SiLU; x · (1 + erf(x / √2)) is 2 GELU, whose half may stand in either factor or behind."""
    start = common(one, other)
    ways = [[value.layer for value in value.since(start)] for value in (one, other)]
    (short, way) = sorted(ways, key=len)
    kinds = [type(layer).__name__ for layer in way]
    if not short and kinds == ["Sigmoid"]:
        return start.then("SiLU").moved(one.index)
    halves: list[Layer] = [layer for layer in short if isinstance(layer, Rescale)]
    if kinds == ["Rescale", "Erf", "Rescale"] and len(short) == len(halves) <= 1:
        first, _, last = way
        assert isinstance(first, Rescale) and isinstance(last, Rescale)
        half = halves[0].scale if halves else 1.0  # type: ignore[attr-defined]
        if math.isclose(first.scale, ROOT_HALF, rel_tol=1e-6) and last.scale == last.offset and not first.offset:
            return scaled(start.then("GELU").moved(one.index), 2 * half * last.scale, 0.0)
    raise Problem(
        "the product of two branches; only x · sigmoid(x), SiLU, and x · (1 + erf(x / √2)) / 2, GELU, are there"
    )


# matrices


def gemm(op: Operation) -> Value:
    """α x W + β b."""
    if op.attribute("transA", 0):
        raise Problem("transA: the rows are examples")
    weights, bias = op.constant(1, "B"), op.constant(2, "C", optional=True)
    alpha, beta = op.attribute("alpha", 1.0), op.attribute("beta", 1.0)
    weights = weights.T if op.attribute("transB", 0) else weights
    weights = weights if alpha == 1 else weights * weights.dtype.type(alpha)
    if bias is not None and beta != 1:
        bias = bias * bias.dtype.type(beta)
    return dense(op.value(0), weights, bias)


def matmul(op: Operation) -> Value:
    """x W."""
    if not op.is_value(0):
        raise Problem("a constant times a value; the rows are examples, and the weights stand on the right")
    weights = op.constant(1, "B")
    return dense(op.value(0), weights, None)


def dense(value: Value, weights: np.ndarray, bias: np.ndarray | None) -> Value:
    """x W + b for a row of features: the rows of W are put into the order of our features."""
    if weights.ndim != 2:
        raise Problem(f"weights of shape {weights.shape}; a dense layer has (features, units)")
    value = value.flat
    features, units = weights.shape
    if features != len(value.index):
        raise Problem(f"weights for {features:,} features, got {len(value.index):,}")
    ordered = weights
    if not np.array_equal(value.index, arranged((features,))):
        ordered = np.empty_like(weights)
        ordered[value.index] = weights
    arrays = {"W": ordered}
    if bias is not None:
        if bias.shape not in ((), (1,), (units,), (1, units)):
            raise Problem(f"a bias of shape {bias.shape}; a dense layer has one number per unit, ({units},)")
        arrays["b"] = np.broadcast_to(bias.reshape(-1), units)
    made = value.through(Dense(units, use_bias=bias is not None), arrays)
    return made.moved(arranged((units,)))


def batch_norm(op: Operation) -> Value:
    """γ (x - μ) / √(σ² + ε) + β per channel."""
    if op.attribute("training_mode", 0):
        raise Problem("training_mode: the statistics of the batch as outputs")
    if op.attribute("spatial", 1) != 1:
        raise Problem("spatial=0: statistics per pixel; BatchNorm has them per channel")
    value = op.value(0)
    index = value.index
    if index.ndim == 1:
        value, order = value.flat, value.index
    elif len(value.shape) == 1 and index.size == len(index):
        order = index.reshape(-1)  # behind a global pooling
    else:
        value = value.images
        order = arranged(value.shape[-1:])
    names = ("gamma", "beta", "running_mean", "running_var")
    given = {name: op.constant(1 + i, name) for i, name in enumerate(names)}
    arrays = {}
    for name, array in given.items():
        if array.shape != order.shape:
            raise Problem(f"{name} has shape {array.shape}, expected {order.shape}")
        arrays[name] = np.empty_like(array)
        arrays[name][order] = array
    momentum, epsilon = float(op.attribute("momentum", 0.9)), float(op.attribute("epsilon", 1e-5))
    return value.then("BatchNorm", min(max(momentum, 0.0), 0.9999), epsilon, arrays=arrays).moved(index)


def global_average_pool(op: Operation) -> Value:
    """The mean of each channel: (c, h, w) -> (c, 1, 1)."""
    made = op.value(0).images.then("GlobalAvgPool2D")
    return made.moved(made.index.reshape(-1, 1, 1))


def global_max_pool(op: Operation) -> Value:
    """The largest value of each channel: a window as large as the image."""
    value = op.value(0).images
    made = value.then("MaxPool2D", value.shape[:2])
    return made.moved(made.channels_first(made.shape))


def reduce_mean(op: Operation) -> Value:
    """The mean over height and width, as TensorFlow's and PyTorch's converters write a global pooling."""
    value, keep = op.value(0), op.attribute("keepdims", 1)
    rank = value.index.ndim + 1
    axes = sorted(axis % rank for axis in op.integers(1, "axes"))
    for expected, moved in (([2, 3], (2, 0, 1)), ([1, 2], (0, 1, 2))):
        if len(value.shape) == rank - 1 == 3 and axes == expected:
            if not np.array_equal(value.index, arranged(value.shape).transpose(moved)):
                continue
            made = value.then("GlobalAvgPool2D")
            kept = (-1, 1, 1) if expected == [2, 3] else (1, 1, -1)
            return made.moved(made.index.reshape(kept if keep else -1))
    raise Problem(f"the mean over the axes {axes}; only over height and width")


OPERATORS: dict[str, Callable[[Operation], Any]] = {
    "Relu": simple("ReLU"), "Sigmoid": simple("Sigmoid"), "Tanh": simple("Tanh"), "Gelu": gelu,
    "LeakyRelu": simple("LeakyReLU", slope=("alpha", 0.01)), "Elu": simple("ELU", alpha=("alpha", 1.0)),
    "Erf": lambda op: op.value(0).through(moves.Erf()), "Clip": clip, "PRelu": prelu, "Softmax": softmax, "LogSoftmax": softmax,
    "Dropout": dropout, "Add": add, "Sub": subtract, "Mul": multiply, "Div": divide,
    "Gemm": gemm, "MatMul": matmul, "BatchNormalization": batch_norm,
    "Conv": conv, "MaxPool": max_pool, "AveragePool": average_pool, "Pad": pad, "Slice": slice_,
    "GlobalAveragePool": global_average_pool, "GlobalMaxPool": global_max_pool, "ReduceMean": reduce_mean,
    **moves.OPERATORS,
}  # fmt: skip
