"""Fusion: which compiled layer computes which group of layers.

    Conv2D, ReLU, MaxPool2D, Dense, ReLU          the layers
    [Conv2D ReLU MaxPool2D]  [Dense ReLU]         the stages

The layers of a Residual are fused among themselves. A layer without a compiled one (a user's own, say) becomes a stage
that is run from Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.layers.activation import KERNELS, CompiledActivation
from scratchnet.compiled.layers.base import CompiledLayer
from scratchnet.compiled.layers.batchnorm import CompiledBatchNorm
from scratchnet.compiled.layers.conv import CompiledConv2D
from scratchnet.compiled.layers.conv_batchnorm import CompiledConvBatchNorm
from scratchnet.compiled.layers.conv_batchnorm_recompute import CompiledConvBatchNormRecompute
from scratchnet.compiled.layers.cropping import CompiledCropping2D
from scratchnet.compiled.layers.dense import CompiledDense
from scratchnet.compiled.layers.depthwise import CompiledDepthwiseConv2D
from scratchnet.compiled.layers.dropout import CompiledDropout
from scratchnet.compiled.layers.flatten import CompiledFlatten
from scratchnet.compiled.layers.pool import CompiledAvgPool2D, CompiledMaxPool2D
from scratchnet.compiled.layers.rescale import CompiledRescale
from scratchnet.compiled.layers.residual import CompiledResidual
from scratchnet.engine import Stage, stages_of
from scratchnet.layers import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    MaxPool2D,
    ReLU,
    Rescale,
    Residual,
)
from scratchnet.layers.pool import Pool2D
from scratchnet.layers.row import prefixes

# The first group that fits is taken, so longer groups come first.
FUSED: tuple[tuple[tuple[type, ...], Any], ...] = (
    ((Conv2D, ReLU, BatchNorm, MaxPool2D), CompiledConvBatchNormRecompute),
    ((Conv2D, BatchNorm, ReLU, MaxPool2D), CompiledConvBatchNormRecompute),
    ((Conv2D, BatchNorm, MaxPool2D), CompiledConvBatchNormRecompute),
    ((Conv2D, ReLU, BatchNorm, MaxPool2D), CompiledConvBatchNorm),
    ((Conv2D, BatchNorm, ReLU, MaxPool2D), CompiledConvBatchNorm),
    ((Conv2D, BatchNorm, MaxPool2D), CompiledConvBatchNorm),
    ((Conv2D, ReLU, BatchNorm), CompiledConvBatchNorm),
    ((Conv2D, BatchNorm, ReLU), CompiledConvBatchNorm),
    ((Conv2D, BatchNorm), CompiledConvBatchNorm),
    ((Conv2D, ReLU, MaxPool2D), CompiledConv2D),
    ((Conv2D, MaxPool2D), CompiledConv2D),
    ((Conv2D, ReLU), CompiledConv2D),
    ((Conv2D,), CompiledConv2D),
    ((BatchNorm, ReLU, MaxPool2D), CompiledBatchNorm),
    ((BatchNorm, MaxPool2D), CompiledBatchNorm),
    ((BatchNorm, ReLU), CompiledBatchNorm),
    ((BatchNorm,), CompiledBatchNorm),
    ((Dense, ReLU), CompiledDense),
    ((Dense,), CompiledDense),
    ((Rescale,), CompiledRescale),
    ((Dropout,), CompiledDropout),
    ((Cropping2D,), CompiledCropping2D),
    ((Flatten,), CompiledFlatten),
    ((DepthwiseConv2D,), CompiledDepthwiseConv2D),
    ((MaxPool2D,), CompiledMaxPool2D),
    ((AvgPool2D,), CompiledAvgPool2D),
    ((GlobalAvgPool2D,), CompiledAvgPool2D),
    *(((kind,), CompiledActivation) for kind in KERNELS),
)


def fuse(stages: list[Stage], shapes, needs_dx: bool = False) -> list[Stage]:
    """Replace every group of layers that has a compiled layer. stages: the textbook's, one for each layer.

    needs_dx: whether a layer before the first one has parameters.
    """
    fused: list[Stage] = []
    while (i := sum(len(stage.op.layers) for stage in fused)) < len(stages):
        layers = [stage.op for stage in stages[i:]]
        needed = needs_dx or any(stage.names for stage in stages[:i])  # does a layer before it have parameters?
        op = (
            compiled_residual(layers, shapes[i], needed)
            or compiled_layer(layers, shapes[i], needed)
            or UncompiledLayer(stages[i], shapes[i])
        )
        group = stages[i : i + len(op.layers)]
        names = {local: full for stage in group for local, full in stage.names.items()}
        fused.append(Stage(op, names, " ".join(stage.title for stage in group), group[-1].output_shape))
    return fused


def compiled_residual(layers, input_shape, needs_dx: bool) -> CompiledResidual | None:
    """The compiled block for a Residual, along with a ReLU behind it."""
    block = layers[0]
    if type(block) is not Residual:
        return None
    rows = ("", block.layers, block.shapes), ("shortcut.", block.way, block.way_shapes)
    branch, way = (
        fuse(stages_of(inner, [prefix + name for name in prefixes(inner)], shapes), shapes, needs_dx)
        for prefix, inner, shapes in rows
    )
    group = layers[:2] if [type(layer) for layer in layers[1:2]] == [ReLU] else layers[:1]
    return CompiledResidual(group, branch, way, input_shape, needs_dx)


def compiled_layer(layers, input_shape, needs_dx: bool) -> CompiledLayer | None:
    """The compiled layer for the first of these layers, and as many of the next ones as possible."""
    for kinds, compiled in FUSED:
        group = layers[: len(kinds)]
        # Exactly these classes: a subclass may compute something else.
        if tuple(map(type, group)) != kinds or any(isinstance(x, Pool2D) and x.windows.pads for x in group):
            continue
        if compiled.supports(group, input_shape, needs_dx):
            return compiled(group, input_shape, needs_dx)
    return None


class UncompiledLayer(CompiledLayer):
    """A layer that has no kernels. In a program it is a call of a Python function, between those of kernels."""

    calls_python = True

    def __init__(self, stage: Stage, input_shape):
        self.stage, self.layers, self.input_shape = stage, [stage.op], input_shape

    def allocate(self, n):
        return {"y": aligned_empty((n, *self.stage.output_shape)), "dx": aligned_empty((n, *self.input_shape))}

    def forward(self, x, ctx):
        work = ctx.workspace(self, len(x))
        cache: list[Any] = []

        def forward(chunk):
            y, memory = self.stage.forward(x, ctx.of_run(chunk))
            cache[:] = [memory]
            np.copyto(work["y"], y, casting="unsafe")

        ctx.python(forward, f"{self.stage.title} forward")
        return work["y"], (work, cache, ctx)

    def backward(self, dy, memory):
        work, cache, ctx = memory
        grads = ctx.gradients(self)

        def backward(chunk):
            ctx.of_run(chunk)
            dx, found = self.stage.backward(dy, cache[0])
            np.copyto(work["dx"], dx, casting="unsafe")
            for name, full_name in self.stage.names.items():
                if full_name in found:  # else the layer is frozen
                    grads[name][...] = found[full_name]

        ctx.python(backward, f"{self.stage.title} backward")
        return work["dx"], grads

    def describe(self):
        return "textbook"
