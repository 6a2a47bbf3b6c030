"""Depthwise convolution with one filter for each channel: vectors of channels, a window at a time.

    y  = b + Σ x[i, j] W[i, j]       db = Σ dy       dW[i, j] = Σ x[i, j] dy       dx[i, j] += W[i, j] dy

Neighbouring channels lie side by side in x, W and y, so one multiply-add serves LANES of them. There are no more than
two numbers to load for each product, which is all that can be gained: nothing is used twice but the filters.
"""

from __future__ import annotations

from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.simd.intrinsics import LANES, fma, load_partial, store_partial


@jit
def depthwise(x, W, b, s_h, s_w, y):
    """x: (n, h, w, c) with its padding. W: (k_h, k_w, c, 1). s_h, s_w: the stride."""
    n, out_h, out_w, c = y.shape
    for i in range(n):
        for u in range(out_h):
            for v in range(out_w):
                start, to = window_start(x, i, u * s_h, v * s_w), ((i * out_h + u) * out_w + v) * c
                for k in range(0, c, LANES):
                    total = load_partial(b, k, c - k)
                    for row in range(W.shape[0]):
                        for column in range(W.shape[1]):
                            pixel = load_partial(x, start + (row * x.shape[2] + column) * c + k, c - k)
                            weight = load_partial(W, (row * W.shape[1] + column) * c + k, c - k)
                            total = fma(pixel, weight, total)
                    store_partial(y, to + k, total, c - k)


@jit
def depthwise_weight_gradient(dy, x, s_h, s_w, dW, db):
    """dW and db of these examples."""
    n, out_h, out_w, c = dy.shape
    dW.fill(0)
    db.fill(0)
    for i in range(n):
        for u in range(out_h):
            for v in range(out_w):
                start, at = window_start(x, i, u * s_h, v * s_w), ((i * out_h + u) * out_w + v) * c
                for k in range(0, c, LANES):
                    g = load_partial(dy, at + k, c - k)
                    store_partial(db, k, load_partial(db, k, c - k) + g, c - k)
                    for row in range(dW.shape[0]):
                        for column in range(dW.shape[1]):
                            pixel = load_partial(x, start + (row * x.shape[2] + column) * c + k, c - k)
                            to = (row * dW.shape[1] + column) * c + k
                            store_partial(dW, to, fma(pixel, g, load_partial(dW, to, c - k)), c - k)


@jit
def depthwise_input_gradient(dy, W, s_h, s_w, dx):
    """dx, with the padding of x."""
    n, out_h, out_w, c = dy.shape
    dx.fill(0)
    for i in range(n):
        for u in range(out_h):
            for v in range(out_w):
                start, at = window_start(dx, i, u * s_h, v * s_w), ((i * out_h + u) * out_w + v) * c
                for k in range(0, c, LANES):
                    g = load_partial(dy, at + k, c - k)
                    for row in range(W.shape[0]):
                        for column in range(W.shape[1]):
                            weight = load_partial(W, (row * W.shape[1] + column) * c + k, c - k)
                            to = start + (row * dx.shape[2] + column) * c + k
                            store_partial(dx, to, fma(weight, g, load_partial(dx, to, c - k)), c - k)


@jit
def window_start(x, i, u, v):
    """Where, in images read as flat, the window that begins at pixel (u, v) of image i begins."""
    return ((i * x.shape[1] + u) * x.shape[2] + v) * x.shape[3]
