"""Copies of images: into the interior of padded ones, out of it, and from any memory layout."""

from __future__ import annotations

from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.simd.intrinsics import LANES, load_partial, store_partial


@jit
def copy(a, b):
    """b = a, both flat."""
    for i in range(a.size):
        b[i] = a[i]


@jit
def copy_images(x, y):
    """y = x (n, h, w, c); x in any memory layout."""
    n, h, w, c = x.shape
    for i in range(n):
        for u in range(h):
            for v in range(w):
                for k in range(c):
                    y[i, u, v, k] = x[i, u, v, k]


@jit
def copy_to_interior(x, top, left, padded):
    """Copy images into the interior of larger ones: the padding of a convolution."""
    n, h, w, c = x.shape
    big_h, big_w = padded.shape[1], padded.shape[2]
    for i in range(n):
        for u in range(h):
            start, to = (i * h + u) * w * c, ((i * big_h + top + u) * big_w + left) * c
            for k in range(0, w * c, LANES):
                store_partial(padded, to + k, load_partial(x, start + k, w * c - k), w * c - k)


@jit
def copy_from_interior(x, top, left, y):
    """y = x without `top` rows and `left` columns at each end."""
    n, h, w, c = y.shape
    big_h, big_w = x.shape[1], x.shape[2]
    for i in range(n):
        for u in range(h):
            start, to = ((i * big_h + top + u) * big_w + left) * c, (i * h + u) * w * c
            for k in range(0, w * c, LANES):
                store_partial(y, to + k, load_partial(x, start + k, w * c - k), w * c - k)
