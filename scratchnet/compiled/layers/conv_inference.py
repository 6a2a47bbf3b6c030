"""Inference-only convolutions: BatchNorm folded into the weights, and Winograd tiles that need no argmax.

An inference BatchNorm is an affine map of each filter, y = a z + s with a = γ / √(σ² + ε) and s = β - μ a. It is folded
into the convolution before it,

    BatchNorm(x * W + b)             = x * (aW) + (ab + s)
    BatchNorm(max(x * W + b, 0))     = max(z, 0) + s  if a > 0,  min(z, 0) + s  if a < 0        z = x * (aW) + ab

A negative a turns the ReLU's floor into a ceiling. Both grow with z, so a max-pool may come before them, which leaves
them a quarter of the work: `clip_and_shift`.

Behind a max-pool, training must know which cell of a window was the largest, the first of equals (see `winograd`).
Inference need not, so larger Winograd tiles may be used there too: `conv_winograd.WinogradAndPool`.

Seconds for 10,000 images, with the layers of training and with these: vgg-bn 0.42 and 0.30, chollet 0.151 and 0.109,
two-conv 0.133 and 0.107 (AMD Zen 4, two threads, the best of four alternating runs).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty, aligned_zeros
from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.kernels.conv.geometry import Geometry
from scratchnet.compiled.kernels.conv.unpacked import scale_and_shift
from scratchnet.compiled.layers.base import CompiledLayer, bias_or_zeros
from scratchnet.compiled.layers.conv import padded
from scratchnet.compiled.layers.conv_algorithms import choose_inference
from scratchnet.compiled.simd.intrinsics import LANES, load_partial, select, store_partial
from scratchnet.layers import BatchNorm, ReLU


class Workspace(NamedTuple):
    """The memory of a chunk."""

    padded: np.ndarray
    y: np.ndarray
    argmax: np.ndarray
    algorithm: Any


class PackedWeights(NamedTuple):
    """Folded weights, as they are and in the layout of the algorithm, and the clip and shift of each filter."""

    weights: Any
    W: np.ndarray
    b: np.ndarray
    low: np.ndarray
    high: np.ndarray
    shift: np.ndarray


class CompiledConvInference(CompiledLayer):
    """Conv2D [+ ReLU] [+ BatchNorm] [+ ReLU] [+ MaxPool2D], forward only."""

    def __init__(self, layers, input_shape, few: bool):
        self.layers, self.conv, self.geometry = layers, layers[0], Geometry.of(layers, input_shape)
        self.norm = next((layer for layer in layers if isinstance(layer, BatchNorm)), None)
        self.clips = self.norm is not None and isinstance(layers[1], ReLU)
        self.geometry.relu = self.geometry.relu and not self.clips
        self.bias = bias_or_zeros(self.conv, self.geometry.filters)
        self.algorithm = choose_inference(self.geometry, few)

    def allocate_packed(self, backward):
        W, filters = aligned_empty(self.conv.W.shape if self.norm else 0), self.geometry.filters
        return PackedWeights(self.algorithm.allocate_packed(), W, *aligned_empty((4, filters)))

    def pack(self, call, packed, backward):
        W, b, norm = self.conv.W, self.bias, self.norm
        if norm is not None:
            arrays = W.reshape(-1, b.size), b, norm.gamma, norm.beta, norm.running_mean, norm.running_var
            to = packed.W.reshape(-1, b.size), packed.b, packed.low, packed.high, packed.shift
            call(fold_batchnorm, *arrays, np.float32(norm.epsilon), self.clips, *to)
            W, b = packed.W, packed.b
        self.algorithm.pack(call, W, b, packed.weights)

    def allocate(self, n):
        g, shape = self.geometry, (n, *self.geometry.y_shape)
        images, argmax = aligned_zeros((n, g.padded_h, g.padded_w, g.c)), np.empty(shape, np.uint8)
        return Workspace(images, aligned_empty(shape), argmax, self.algorithm.allocate(n))

    def forward(self, x, ctx):
        work, packed = ctx.workspace(self, len(x)), ctx.packed(self)
        x = padded(ctx, ctx.contiguous(x), work.padded, self.geometry)
        self.algorithm.forward_divided(ctx, x, packed.weights, work.y, work.argmax, work.algorithm)
        if self.clips:
            ctx.call(clip_and_shift, work.y, packed.low, packed.high, packed.shift)
        return work.y, None

    def describe(self):
        return self.algorithm.name


@jit
def clip_and_shift(y, low, high, shift):
    """y = min(max(y, low), high) + shift, in place, with a number of each for every filter. NaN stays NaN."""
    f = low.size
    for j in range(0, f, LANES):
        left = f - j
        floor, ceiling, s = load_partial(low, j, left), load_partial(high, j, left), load_partial(shift, j, left)
        for at in range(j, y.size, f):
            z = load_partial(y, at, left)
            z = select(z < floor, floor, z)
            store_partial(y, at, select(z > ceiling, ceiling, z) + s, left)


@jit
def fold_batchnorm(w, b, gamma, beta, mean, var, epsilon, clips, folded_w, folded_b, low, high, shift):
    """folded_w = aW, folded_b = ab + s, or ab if the ReLU comes between: then low and high are its floor or ceiling."""
    a = folded_b  # until its own numbers are there
    scale_and_shift(gamma, beta, mean, var, epsilon, a, shift)
    for i in range(len(w)):
        for j in range(b.size):
            folded_w[i, j] = w[i, j] * a[j]
    for j in range(b.size):
        low[j] = np.float32(0) if a[j] > 0 else -np.float32(np.inf)
        high[j] = np.float32(0) if a[j] < 0 else np.float32(np.inf)
        folded_b[j] = b[j] * a[j] if clips else b[j] * a[j] + shift[j]
