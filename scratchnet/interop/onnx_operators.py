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
from scratchnet.interop.onnx_borders import pad, slice_
from scratchnet.interop.onnx_matrices import batch_norm, gemm, matmul
from scratchnet.interop.onnx_moves import Operation
from scratchnet.interop.onnx_values import Problem, Value, common
from scratchnet.interop.onnx_windows import (
    average_pool,
    conv,
    global_average_pool,
    global_max_pool,
    max_pool,
    reduce_mean,
)
from scratchnet.layers import Conv2D, Dense, DepthwiseConv2D, Rescale
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
    """max(x, 0), or no bounds at all; others are a Problem."""
    low, high = (op.number(i, name) for i, name in ((1, "min"), (2, "max")))
    if (low is None or low <= -3e38) and (high is None or high >= 3e38):
        return op.value(0)
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
    axis %= len(value.dims) + 1
    if (
        len(value.dims) == len(value.shape) > 1
        and op.node.operator == "Softmax"
        and (op.opset >= 13 or axis == len(value.dims))
    ):
        axes = value.axes if len(value.dims) == 3 else [*range(len(value.dims))]
        if value.dims == tuple(value.shape[i] for i in axes) and axis == 1 + axes.index(len(axes) - 1):
            return value.then("Softmax")
    if len(value.dims) != 1 or axis != 1:
        raise Problem(f"axis {axis} of {value}; only features, or the channels of images, are normalised")
    if op.node.operator == "LogSoftmax":
        return value.flat.through(moves.LogSoftmax())
    return value.flat.then("Softmax")


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
        return value.parent.through(Rescale(last.scale, offset)).like(value)
    return value if (scale, offset) == (1, 0) else value.through(Rescale(scale, offset))


def add(op: Operation) -> Value:
    """A bias, a number, or the two branches of a residual block."""
    if op.both_values:
        return residual(op.value(0), op.value(1))
    value, constant = op.value_and_constant()
    if "axis" in op.node.attributes and constant.ndim == 1:  # version 6: the axis along which the constant lies
        constant = constant.reshape(-1, *(1,) * (len(value.dims) - op.attribute("axis", 0)))
    if constant.size == 1 and not takes_bias(value):
        return scaled(value, 1.0, float(constant.reshape(-1)[0]))
    return biased(value, constant)


def takes_bias(value: Value) -> bool:
    """Whether the last layer is a convolution or dense layer without a bias."""
    return isinstance(value.layer, Conv2D | DepthwiseConv2D | Dense) and not value.layer.use_bias


def biased(value: Value, constant: np.ndarray) -> Value:
    """The last layer with this bias, one number for each of its channels."""
    channels = value.shape[-1]
    shape = (channels, *(1,) * (len(value.dims) - 1))
    by_axis = (
        constant.reshape(constant.shape[1:]) if constant.shape[:1] == (1,) and constant.ndim > len(shape) else constant
    )
    if not takes_bias(value) or value.dims[0] != channels or by_axis.shape not in (shape, (1,) * len(shape), ()):
        raise Problem(f"adds an array of shape {constant.shape}: only the bias of a convolution or dense layer is one")
    layer, arrays = value.layer, dict(value.arrays)
    assert isinstance(layer, Conv2D | DepthwiseConv2D | Dense) and value.parent is not None
    arrays["b"] = np.broadcast_to(by_axis.reshape(-1), channels).astype(arrays["W"].dtype)
    made = value.parent.through(type(layer)(**{**layer.config(), "use_bias": True}), arrays)
    return made.like(value)


def residual(one: Value, other: Value) -> Value:
    """The sum of two branches, from the last value that both were computed from."""
    if len(one.dims) == len(other.dims) == 1:
        one, other = one.flat, other.flat
    if (one.shape, one.dims, one.grid, one.order) != (other.shape, other.dims, other.grid, other.order):
        raise Problem(f"adds {one} and {other}")
    start = common(one, other)
    main, way = sorted((one.since(start), other.since(start)), key=len, reverse=True)
    if not main:
        return one.through(Rescale(2.0))
    made = moves.branched(start, main, way)
    return made.like(one)


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
        return value.parent.like(value)  # the halves of GELU: see `product`
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
        return start.then("SiLU").like(one)
    halves: list[Layer] = [layer for layer in short if isinstance(layer, Rescale)]
    if kinds == ["Rescale", "Erf", "Rescale"] and len(short) == len(halves) <= 1:
        first, _, last = way
        assert isinstance(first, Rescale) and isinstance(last, Rescale)
        half = halves[0].scale if halves else 1.0  # type: ignore[attr-defined]
        if math.isclose(first.scale, ROOT_HALF, rel_tol=1e-6) and last.scale == last.offset and not first.offset:
            return scaled(start.then("GELU").like(one), 2 * half * last.scale, 0.0)
    raise Problem(
        "the product of two branches; only x · sigmoid(x), SiLU, and x · (1 + erf(x / √2)) / 2, GELU, are there"
    )


OPERATORS: dict[str, Callable[[Operation], Any]] = {
    "Relu": simple("ReLU"), "Sigmoid": simple("Sigmoid"), "Tanh": simple("Tanh"), "Gelu": gelu,
    "LeakyRelu": simple("LeakyReLU", slope=("alpha", 0.01)), "Elu": simple("ELU", alpha=("alpha", 1.0)),
    "Erf": lambda op: op.value(0).through(moves.Erf()), "Clip": clip, "PRelu": prelu,
    "Softmax": softmax, "LogSoftmax": softmax, "Dropout": dropout,
    "Add": add, "Sub": subtract, "Mul": multiply, "Div": divide,
    "Gemm": gemm, "MatMul": matmul, "BatchNormalization": batch_norm,
    "Conv": conv, "MaxPool": max_pool, "AveragePool": average_pool, "Pad": pad, "Slice": slice_,
    "GlobalAveragePool": global_average_pool, "GlobalMaxPool": global_max_pool, "ReduceMean": reduce_mean,
    **moves.OPERATORS,
}  # fmt: skip
