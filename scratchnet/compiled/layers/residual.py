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
from scratchnet.compiled.kernels.relu_pool import relu_backward
from scratchnet.compiled.layers.base import CompiledLayer
from scratchnet.engine import run_backward
from scratchnet.layers import row


class CompiledResidual(CompiledLayer):
    """Residual, and Residual followed by ReLU. branch, way: the fused stages of its layers and of its shortcut."""

    def __init__(self, layers, branch: list[Any], way: list[Any], input_shape, needs_dx: bool):
        self.layers, self.branch, self.way = layers, branch, way
        self.shape, self.needs_dx = input_shape, needs_dx
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
        rows = self.branch, self.way
        branch, way = ([stage._replace(op=change(stage.op)) for stage in stages] for stages in rows)
        return CompiledResidual(self.layers, branch, way, self.shape, self.needs_dx)

    def allocate(self, n):
        shapes = {"y": self.y_shape, "dx": self.shape, **({"dz": self.y_shape} if self.relu else {})}
        return {name: aligned_empty((n, *shape)) for name, shape in shapes.items()}

    def forward(self, x, ctx):
        x, work = ctx.contiguous(x), ctx.workspace(self, len(x))
        (y, caches), (s, way_caches) = (row.forward(stages, x, ctx) for stages in (self.branch, self.way))
        ctx.call(add, *(ctx.contiguous(array).reshape(-1) for array in (y, s)), self.relu, work["y"].reshape(-1))
        return work["y"], (work, caches, way_caches, ctx)

    def backward(self, dy, cache):
        work, caches, way_caches, ctx = cache
        dy, needs_dx = ctx.contiguous(dy), self.needs_dx or ctx.needs_dx
        if self.relu:
            ctx.call(relu_backward, dy, work["y"], True, work["dz"])
            dy = work["dz"]
        dx, grads = run_backward(self.branch, dy, caches, needs_dx)
        dx_way, way_grads = run_backward(self.way, dy, way_caches, needs_dx)
        grads |= way_grads
        if not needs_dx:
            return None, grads
        ctx.call(add, *(ctx.contiguous(array).reshape(-1) for array in (dx, dx_way)), False, work["dx"].reshape(-1))
        return work["dx"], grads

    def describe(self):
        return ", ".join(dict.fromkeys(stage.op.describe() for stage in self.inner_stages))


@jit
def add(a, b, relu, y):
    """y = a + b, and 0 where that is negative if `relu`. NaN stays NaN."""
    for i in range(y.size):
        total = a[i] + b[i]
        y[i] = np.float32(0) if relu and total <= 0 else total
