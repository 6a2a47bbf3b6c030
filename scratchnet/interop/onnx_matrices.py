"""ONNX operators with arrays for each feature or channel: matrix products and batch normalisation.

Their arrays are in the order in which the features stand in the ONNX tensor. `index` says which of ours each is.
"""

from __future__ import annotations

import numpy as np

from scratchnet.interop.onnx_moves import Operation
from scratchnet.interop.onnx_values import Problem, Value
from scratchnet.layers import Dense

NAMES = ("gamma", "beta", "running_mean", "running_var")


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
    if features != value.dims[0]:
        raise Problem(f"weights for {features:,} features, got {value.dims[0]:,}")
    ordered = weights
    if not value.straight:
        ordered = np.empty_like(weights)
        ordered[value.index] = weights
    arrays = {"W": ordered}
    if bias is not None:
        if bias.shape not in ((), (1,), (units,), (1, units)):
            raise Problem(f"a bias of shape {bias.shape}; a dense layer has one number per unit, ({units},)")
        arrays["b"] = np.broadcast_to(bias.reshape(-1), units)
    made = value.through(Dense(units, use_bias=bias is not None), arrays)
    return made.moved([0], (units,), (units,))


def batch_norm(op: Operation) -> Value:
    """γ (x - μ) / √(σ² + ε) + β per channel."""
    if op.attribute("training_mode", 0):
        raise Problem("training_mode: the statistics of the batch as outputs")
    if op.opset < 7 and not op.attribute("is_test", 0):
        raise Problem("is_test=0: the statistics of the batch")
    if op.attribute("spatial", 1) != 1:
        raise Problem("spatial=0: statistics per pixel; BatchNorm has them per channel")
    value, given = op.value(0), [op.constant(i, name) for i, name in enumerate(NAMES, 1)]
    if len(value.dims) == 1:
        value, channels = value.flat, value.dims[0]
    elif len(value.shape) == 1 and value.dims[0] == value.shape[0]:
        channels = value.shape[0]  # behind a global pooling
    else:
        value, channels = value.images, value.shape[-1]
    for name, array in zip(NAMES, given, strict=True):
        if array.shape != (channels,):
            raise Problem(f"{name} has shape {array.shape}, expected ({channels},)")
    if not value.straight and len(value.dims) == 1:
        places = np.argsort(value.index)
        given = [array[places] for array in given]
    momentum, epsilon = float(op.attribute("momentum", 0.9)), float(op.attribute("epsilon", 1e-5))
    arrays = dict(zip(NAMES, given, strict=True))
    return value.then("BatchNorm", min(max(momentum, 0.0), 0.9999), epsilon, arrays=arrays)
