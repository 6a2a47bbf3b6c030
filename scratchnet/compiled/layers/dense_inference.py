"""Dense [+ ReLU] for a few images: one product with the weights as they are, nothing packed."""

from __future__ import annotations

from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.kernels.skinny_gemm import matmul_unpacked, tile_for
from scratchnet.compiled.layers.base import CompiledLayer
from scratchnet.compiled.layers.conv_division import even_parts
from scratchnet.compiled.simd.target import LANES


class CompiledDenseInference(CompiledLayer):
    """Dense, and Dense followed by ReLU, forward only."""

    def __init__(self, layers, bias):
        self.layers, self.dense, self.bias, self.relu = layers, layers[0], bias, len(layers) == 2

    def allocate(self, n):
        return aligned_empty((n, self.bias.size))

    def forward(self, x, ctx):
        y, x, units = ctx.workspace(self, len(x)), ctx.contiguous(x), self.bias.size
        vectors = even_parts(-(-units // LANES), ctx.threads)
        for part in ctx.side_by_side(vectors):
            start, stop = part.start * LANES, min(part.stop * LANES, units)
            tile = tile_for(len(x), stop - start)
            ctx.call(matmul_unpacked, x, self.dense.W, self.bias, y, start, stop, self.relu, *tile)
        return y, None

    def describe(self):
        return "gemm"
