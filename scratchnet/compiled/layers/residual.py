"""Residual [+ ReLU]: the stages of both ways, and one addition in each direction.

    y = f + s, then max(y, 0)            dz = dy where y > 0            dx = df + ds

The layers of the branch are fused and compiled as they would be anywhere else in a model (`execution.fusion`); this
layer makes their calls, one way after the other, and adds up what they give. Neither way may write into x or dy, which
the other one reads too; each writes into a workspace of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.layers.base import CompiledLayer


class CompiledResidual(CompiledLayer):
    """Residual, and Residual followed by ReLU. branch, way: the fused stages of its layers and of its shortcut."""

    def __init__(self, layers, branch: list[Any], way: list[Any], input_shape):
        self.layers, self.branch, self.way, self.shape = layers, branch, way, input_shape
        self.relu, self.y_shape = len(layers) == 2, branch[-1].output_shape
        self.calls_python = any(stage.op.calls_python for stage in self.inner_stages)

    @property
    def inner_stages(self):
        return [*self.branch, *self.way]

    @property
    def synchronizes(self):
        """As the BatchNorms in it do."""
        return any(stage.op.synchronizes for stage in self.inner_stages)

    @property
    def parts(self):
        return [part for stage in self.inner_stages for part in (*stage.op.parts, stage.op)]

    def changed(self, change: Callable[[CompiledLayer], CompiledLayer]) -> CompiledResidual:
        """The same block with other layers: change(op) in the place of each op."""
        branch, way = ([stage._replace(op=change(stage.op)) for stage in row] for row in (self.branch, self.way))
        return CompiledResidual(self.layers, branch, way, self.shape)

    def allocate(self, n):
        shapes = {"y": self.y_shape, "dx": self.shape, **({"dz": self.y_shape} if self.relu else {})}
        return {name: aligned_empty((n, *shape)) for name, shape in shapes.items()}

    def forward(self, x, ctx):
        x, work, caches = ctx.contiguous(x), ctx.workspace(self, len(x)), []
        results = []
        for row in (self.branch, self.way):
            y, memories = x, []
            for stage in row:
                y, memory = stage.forward(y, ctx)
                memories.append(memory)
            results.append(ctx.contiguous(y).reshape(-1))
            caches.append(memories)
        ctx.call(add, *results, self.relu, work["y"].reshape(-1))
        return work["y"], (work, caches, ctx)

    def backward(self, dy, cache):
        work, caches, ctx = cache
        dy, results = ctx.contiguous(dy), []
        grads: dict[str, np.ndarray] = {}
        if self.relu:
            ctx.call(positive_part, dy.reshape(-1), work["y"].reshape(-1), work["dz"].reshape(-1))
            dy = work["dz"]
        for row, memories in zip((self.branch, self.way), caches, strict=True):
            dx = dy
            for stage, memory in zip(reversed(row), reversed(memories), strict=True):
                dx, own = stage.backward(dx, memory)
                grads |= own
                if dx is None:  # no layer before this one has parameters
                    break
            results.append(dx)
        if any(dx is None for dx in results):
            return None, grads
        ctx.call(add, *(ctx.contiguous(dx).reshape(-1) for dx in results), False, work["dx"].reshape(-1))
        return work["dx"], grads

    def describe(self):
        return ", ".join(dict.fromkeys(stage.op.describe() for stage in self.inner_stages))


@jit
def add(a, b, relu, y):
    """y = a + b, and 0 where that is negative if `relu`. NaN stays NaN."""
    for i in range(y.size):
        total = a[i] + b[i]
        y[i] = np.float32(0) if relu and total <= 0 else total


@jit
def positive_part(dy, y, dz):
    """dz = dy where y > 0, and 0 elsewhere."""
    for i in range(dz.size):
        dz[i] = dy[i] if y[i] > 0 else np.float32(0)
