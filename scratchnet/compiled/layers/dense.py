"""Dense [+ ReLU]: three matrix products.

    y  = max(x · W + b, 0)        dz = dy where y > 0
    dW = xᵀ · dz    db = Σ dz    dx = dz · Wᵀ

W and Wᵀ are packed into panels once per batch; all three are the same loop of `gemm`, whose epilogue adds the bias and
takes the maximum while the tile is still in registers. In a training step dW is not made here but where the optimizer
uses it: see `kernels.deferred_gradient`.
"""

from __future__ import annotations

from scratchnet.compiled.jit.aligned import aligned_empty, aligned_zeros
from scratchnet.compiled.kernels.deferred_gradient import DeferredGradient
from scratchnet.compiled.kernels.gemm import matmul, pack_panels, pack_panels_transposed, padded_width
from scratchnet.compiled.kernels.relu_pool import relu_bias_backward
from scratchnet.compiled.layers.base import CompiledLayer, bias_or_zeros


class CompiledDense(CompiledLayer):
    """Dense, and Dense followed by ReLU."""

    def __init__(self, layers, input_shape, needs_dx: bool):
        self.layers, self.dense, self.relu, self.needs_dx = layers, layers[0], len(layers) == 2, needs_dx
        self.features, self.units = self.dense.W.shape
        self.no_bias, self.bias = aligned_zeros(self.features), bias_or_zeros(self.dense, self.units)

    def allocate_packed(self, backward):
        rows, columns = (self.units, self.features) if backward else (self.features, self.units)
        return aligned_empty((rows + 1) * padded_width(columns))  # the bias is the first row

    def pack(self, call, packed, backward):
        if backward:
            call(pack_panels_transposed, self.dense.W, self.no_bias, packed)
        else:
            call(pack_panels, self.dense.W, self.bias, packed)

    def allocate(self, n):
        sizes = {"y": self.units, "dz": self.units, "dx": self.features}
        return {name: aligned_empty((n, size)) for name, size in sizes.items()}

    def allocate_gradients(self):
        return {"b": aligned_empty(self.units)}

    def allocate_weight_gradient(self, n):
        return DeferredGradient(n, self.features, self.units)

    def forward(self, x, ctx):
        x, y = ctx.contiguous(x), ctx.workspace(self, len(x))["y"]
        ctx.call(matmul, x, ctx.packed(self), y, relu=self.relu, add=False, transposed=False)
        return y, (x, y, ctx)

    def backward(self, dy, cache):
        x, y, ctx = cache
        work, db = ctx.workspace(self, len(x)), ctx.gradients(self)["b"]
        dz = work["dz"]
        ctx.call(relu_bias_backward, ctx.contiguous(dy), y, self.relu, dz, db)
        grads = {"b": db} if self.dense.use_bias else {}
        if self.dense.trainable:
            dW, first_row = ctx.weight_gradient(self, len(x))
            dW.add_chunk(ctx.call, first_row, x, dz)
            grads["W"] = dW if ctx.defers else dW.whole(ctx.call)
        if not (self.needs_dx or ctx.needs_dx):
            return None, grads
        ctx.call(matmul, dz, ctx.packed(self, True), work["dx"], relu=False, add=False, transposed=False)
        return work["dx"], grads

    def describe(self):
        return "gemm"
