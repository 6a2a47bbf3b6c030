"""Dense [+ ReLU]: three matrix products.

    y  = max(x · W + b, 0)        dz = dy where y > 0
    dW = xᵀ · dz    db = Σ dz    dx = dz · Wᵀ

W and Wᵀ are packed into panels once per batch; all three are the same loop of `matmul`, whose epilogue adds the
bias and takes the maximum while the tile is still in registers. In a training step dW is not made here but where
the optimizer uses it: see `factors`.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.factors import Factors
from scratchnet.compiled.jit import jit
from scratchnet.compiled.matmul import matmul, pack_panels, pack_panels_transposed, padded_width
from scratchnet.compiled.memory import aligned_empty, aligned_zeros
from scratchnet.compiled.twin import Twin, bias_or_zeros, contiguous


class DenseTwin(Twin):
    """Twin of Dense and of Dense, ReLU."""

    def __init__(self, layers, input_shape, wants_dx: bool):
        self.layers, self.dense, self.relu = layers, layers[0], len(layers) == 2
        self.features, self.units = self.dense.W.shape
        self.no_bias = aligned_zeros(max(self.features, self.units))
        self.bias = bias_or_zeros(self.dense, self.units)
        self.wants_dx = wants_dx

    def allocate_packed(self):
        return panels_for(self.features, self.units), panels_for(self.units, self.features)

    def pack(self, packed, backward):
        if backward:
            pack_panels_transposed(self.dense.W, self.no_bias[: self.features], packed[1])
        else:
            pack_panels(self.dense.W, self.bias, packed[0])

    def allocate(self, n):
        y, dz = aligned_empty((n, self.units)), aligned_empty((n, self.units))
        return y, dz, aligned_empty((n, self.features))

    def allocate_gradients(self):
        return {"b": aligned_empty(self.units)} if self.dense.use_bias else {}

    def allocate_factors(self, n):
        return Factors(n, self.features, self.units)

    def forward(self, x, ctx):
        x = contiguous(x)
        y = ctx.arrays(self, len(x))[0]
        matmul(x, ctx.packed(self), y, self.relu, False, False)
        return y, (x, y, ctx)

    def backward(self, dy, cache):
        x, y, ctx = cache
        _, dz, dx = ctx.arrays(self, len(x))
        grads = ctx.gradients(self)
        db = grads["b"] if self.dense.use_bias else np.empty(self.units, np.float32)
        relu_backward(contiguous(dy), y, self.relu, dz, db)
        factors, first = ctx.factors(self, len(x))
        factors.note(first, x, dz)
        grads["W"] = factors if ctx.factored else factors.whole()
        if not (self.wants_dx or ctx.wants_dx):
            return None, grads
        matmul(dz, ctx.packed(self, True), dx, False, False, False)
        return dx, grads

    def describe(self):
        return "tiles"


def panels_for(k: int, n: int) -> np.ndarray:
    """Memory for the panels of a (k, n) matrix and a bias."""
    return aligned_empty((k + 1) * padded_width(n))


@jit
def relu_backward(dy, y, relu, dz, db):
    """dz = dy where y > 0 (everywhere without a ReLU), db = Σ dz over the examples; one pass."""
    n, units = dy.shape
    db[:] = 0
    for i in range(n):
        for j in range(units):
            g = dy[i, j] if y[i, j] > 0 or not relu else np.float32(0)
            dz[i, j] = g
            db[j] += g
