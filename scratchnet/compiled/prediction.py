"""For those who only want the answer: what prediction need not do.

No gradient will come back, so nothing is remembered for it. And an inference BatchNorm is a straight line for each
filter, y = a z + s with a = γ / √(σ² + ε) and s = β - μ a: it is folded into the convolution before it,

    BatchNorm(x * W + b)             = x * (aW) + (ab + s)
    BatchNorm(max(x * W + b, 0))     = max(z, 0) + s  if a > 0,  min(z, 0) + s  if a < 0        z = x * (aW) + ab

A negative a turns the ReLU's floor into a ceiling. Both grow with z, so a max-pool may come before them, and they are
left with a quarter of the work: `clip_and_shift`.

Behind a max-pool training needs to know which cell of a window won, the first of equals (see `winograd`). Prediction
does not, so Winograd's larger tiles may be used there too: `conv_winograd.WinogradAndPool`.

Seconds for 10,000 images, with the twins of training and with these: vgg-bn 0.42 and 0.30, chollet 0.151 and 0.109,
two-conv 0.133 and 0.107 (AMD Zen 4, two threads, the best of four alternating runs).
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.conv import ConvNormTwin, ConvTwin, geometry_of
from scratchnet.compiled.conv_ways import choose_prediction
from scratchnet.compiled.gate import copy_into_middle
from scratchnet.compiled.jit import jit
from scratchnet.compiled.memory import aligned_empty, aligned_zeros
from scratchnet.compiled.simd import LANES, load_first, select, store_first
from scratchnet.compiled.twin import Twin, bias_or_zeros, contiguous
from scratchnet.layers import BatchNorm, ReLU


def predictor(run):
    """What does a step's work when nobody will ask for gradients."""
    return ConvPredictor(run.layers, run.input_shape) if isinstance(run, (ConvTwin, ConvNormTwin)) else run


class ConvPredictor(Twin):
    """Conv2D [+ ReLU] [+ BatchNorm] [+ ReLU] [+ MaxPool2D], forward only."""

    def __init__(self, layers, input_shape):
        self.layers, self.conv, self.geometry = layers, layers[0], geometry_of(layers, input_shape)
        self.norm = next((layer for layer in layers if isinstance(layer, BatchNorm)), None)
        self.clips = self.norm is not None and isinstance(layers[1], ReLU)
        self.geometry.relu = self.geometry.relu and not self.clips
        self.bias = bias_or_zeros(self.conv, self.geometry.filters)
        self.way = choose_prediction(self.geometry)

    def allocate_packed(self):
        return (self.way.allocate_packed(), np.empty((3, self.geometry.filters), np.float32)), None

    def pack(self, packed, backward):
        W, b, norm, (weights, line) = self.conv.W, self.bias, self.norm, packed[0]
        if norm is not None:
            a = norm.gamma / np.sqrt(norm.running_var + norm.epsilon)
            shift = norm.beta - norm.running_mean * a
            W, b = W * a, b * a if self.clips else b * a + shift
            line[:] = np.where(a > 0, 0, -np.inf), np.where(a < 0, 0, np.inf), shift
        self.way.pack(contiguous(W), contiguous(b), weights)

    def allocate(self, n):
        g = self.geometry
        padded = aligned_zeros((n, g.padded_h, g.padded_w, g.c))
        return padded, aligned_empty((n, *g.y_shape)), np.empty((n, *g.y_shape), np.uint8), self.way.allocate(n)

    def forward(self, x, ctx):
        g, x = self.geometry, contiguous(x)
        padded, y, winner, memory = ctx.arrays(self, len(x))
        weights, (low, high, shift) = ctx.packed(self)
        if padded.shape != x.shape:
            copy_into_middle(x, g.top, g.left, padded)
            x = padded
        self.way.forward(x, weights, y, winner, memory)
        if self.clips:
            clip_and_shift(y, low, high, shift)
        return y, None

    def describe(self):
        return self.way.words


@jit
def clip_and_shift(y, low, high, shift):
    """y = min(max(y, low), high) + shift, in place, with a number of each for every filter. NaN stays NaN."""
    f = low.size
    for j in range(0, f, LANES):
        left = f - j
        floor, ceiling, s = load_first(low, j, left), load_first(high, j, left), load_first(shift, j, left)
        for at in range(j, y.size, f):
            z = load_first(y, at, left)
            z = select(z < floor, floor, z)
            store_first(y, at, select(z > ceiling, ceiling, z) + s, left)
