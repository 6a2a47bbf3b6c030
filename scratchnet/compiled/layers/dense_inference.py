"""Dense [+ ReLU] for a few images: one product with the weights as they are, nothing packed."""

from __future__ import annotations

from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.kernels.skinny_gemm import matmul_unpacked, tile_for
from scratchnet.compiled.layers.base import CompiledLayer


class CompiledDenseInference(CompiledLayer):
    """Dense, and Dense followed by ReLU, forward only."""

    def __init__(self, layers, bias):
        self.layers, self.dense, self.bias, self.relu = layers, layers[0], bias, len(layers) == 2

    def allocate(self, n):
        return aligned_empty((n, self.bias.size))

    def forward(self, x, ctx):
        y, tile = ctx.workspace(self, len(x)), tile_for(len(x), self.bias.size)
        ctx.call(matmul_unpacked, ctx.contiguous(x), self.dense.W, self.bias, y, self.relu, *tile)
        return y, None

    def describe(self):
        return "gemm"
