"""Conv2D [+ ReLU] [+ MaxPool2D] as one step: which kernels do it.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled import convolution
from scratchnet.compiled.jit import jit
from scratchnet.compiled.matmul import pack_panels, padded_width
from scratchnet.compiled.memory import aligned_empty, aligned_zeros
from scratchnet.compiled.twin import Twin, bias_or_zeros, contiguous
from scratchnet.layers import MaxPool2D, ReLU


class ConvTwin(Twin):
    """Twin of Conv2D, alone or with ReLU, or with a max-pool whose windows do not overlap, or with both."""

    @classmethod
    def accepts(cls, layers, input_shape):
        pool = layers[-1]
        return not isinstance(pool, MaxPool2D) or (pool.stride == pool.pool_size and np.prod(pool.pool_size) < 255)

    def __init__(self, layers, input_shape, wants_dx: bool):
        self.layers, self.conv, self.wants_dx = layers, layers[0], wants_dx
        self.relu = any(isinstance(layer, ReLU) for layer in layers)
        self.pool = layers[-1] if isinstance(layers[-1], MaxPool2D) else None
        self.h, self.w, self.c = input_shape
        win = self.conv.windows
        self.padded = (self.h + win.top + win.bottom, self.w + win.left + win.right, self.c)
        self.pads = self.padded != tuple(input_shape)
        self.k_h, self.line, self.run = win.k_h, self.padded[1] * self.c, win.k_w * self.c
        self.filters = self.conv.filters
        self.bias = bias_or_zeros(self.conv, self.filters)
        self.out_h, self.out_w = win.out_h, win.out_w
        if self.pool:
            p_h, p_w = self.pool.pool_size
            self.y_shape = (win.out_h // p_h, win.out_w // p_w, self.filters)
            self.cells = np.array([(u * win.stride_h * self.padded[1] + v * win.stride_w) * self.c for u in range(p_h) for v in range(p_w)], np.int32)
        else:
            self.y_shape = (win.out_h, win.out_w, self.filters)

    def allocate_packed(self):
        k_h, k_w, c, f = self.conv.W.shape
        return aligned_empty((k_h * k_w * c + 1) * padded_width(f)), aligned_empty(k_h * k_w * f * padded_width(c))

    def pack(self, packed):
        pack_panels(self.conv.W.reshape(-1, self.filters), self.bias, packed[0])
        convolution.pack_taps(self.conv.W, packed[1])

    def allocate(self, n):
        win = self.conv.windows
        s_h, s_w = win.stride_h, win.stride_w
        starts = convolution.patch_starts(n, *self.padded, win.out_h, win.out_w, s_h, s_w)
        pool_starts = None
        if self.pool:
            p_h, p_w = self.pool.pool_size
            pool_starts = convolution.patch_starts(n, *self.padded, *self.y_shape[:2], s_h * p_h, s_w * p_w)
        return dict(
            x=aligned_zeros((n, *self.padded)), y=aligned_empty((n, *self.y_shape)), winner=np.empty((n, *self.y_shape), np.uint8),
            dx=aligned_empty((n, *self.padded)), dz=aligned_empty((n, win.out_h, win.out_w, self.filters)), starts=starts, pool_starts=pool_starts,
            scratch=aligned_empty(64 * 1024), panels=aligned_empty(convolution.BLOCK * padded_width(self.filters)),
        )

    def forward(self, x, ctx):
        a = ctx.arrays(self, len(x))
        x = contiguous(x)
        if self.pads:
            pad(x, self.conv.windows.top, self.conv.windows.left, a["x"])
            x = a["x"]
        panels = ctx.packed(self)[0]
        if self.pool:
            convolution.convolve_pool(x, a["pool_starts"], self.cells, panels, a["y"], a["winner"], a["scratch"], self.k_h, self.line, self.run, self.relu)
        else:
            convolution.convolve(x, a["starts"], panels, a["y"], self.k_h, self.line, self.run, self.relu)
        return a["y"], (x, a, ctx)

    def backward(self, dy, cache):
        x, a, ctx = cache
        grads, dz, win = ctx.gradients(self), a["dz"], self.conv.windows
        dy = contiguous(dy)
        if self.pool:
            spread(dy, a["winner"], *self.pool.pool_size, dz)
        else:
            gate(dy.reshape(-1, self.filters), a["y"].reshape(-1, self.filters), self.relu, dz.reshape(-1, self.filters))
        db = grads["b"] if self.conv.use_bias else np.empty(self.filters, np.float32)
        convolution.weight_gradient(x, a["starts"], dz, grads["W"], db, a["panels"], self.k_h, self.line, self.run)
        dx = a["dx"]
        if not (self.wants_dx or ctx.wants_dx):
            return None, grads
        convolution.input_gradient(dz, a["starts"], ctx.packed(self)[1], dx, self.k_h, win.k_w, self.line)
        return dx[:, win.top : win.top + self.h, win.left : win.left + self.w], grads


@jit
def pad(x, top, left, padded):
    """Copy the images into the middle of larger ones whose borders are zero already."""
    n, h, w, c = x.shape
    big_h, big_w = padded.shape[1], padded.shape[2]
    source, target = x.reshape(-1), padded.reshape(-1)
    for i in range(n):
        for u in range(h):
            start, to = (i * h + u) * w * c, ((i * big_h + top + u) * big_w + left) * c
            for k in range(w * c):
                target[to + k] = source[start + k]


@jit
def spread(dy, winner, p_h, p_w, dz):
    """dz = dy at the winner of each window, 0 elsewhere."""
    n, out_h, out_w, channels = dy.shape
    dz[...] = 0
    for i in range(n):
        for u in range(out_h):
            for v in range(out_w):
                for cell in range(p_h * p_w):
                    r, s = u * p_h + cell // p_w, v * p_w + cell % p_w
                    for c in range(channels):
                        won = winner[i, u, v, c] == cell
                        dz[i, r, s, c] = dy[i, u, v, c] if won else np.float32(0)


@jit
def gate(dy, y, relu, dz):
    """dz = dy where ReLU let something through."""
    n, channels = dy.shape
    for i in range(n):
        for c in range(channels):
            dz[i, c] = dy[i, c] if y[i, c] > 0 or not relu else np.float32(0)
