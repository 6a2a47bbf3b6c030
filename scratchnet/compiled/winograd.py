"""Winograd"""

import numpy as np

from .jit import inline, jit
from .matmul import padded_width, panel_width, product
from .simd import (LANES, broadcast, load, load_first, load_row, load_tile, maximum, narrow, offsets, outer_fma, select,
                   store, store_first, store_tile, zero_tile)
from .target import PAIR, ROWS, SINGLE

TILES = 32
DEAD = 255


@inline
def before(d0, d1, d2, d3):
    return d0 - d2, d1 + d2, d2 - d1, d1 - d3


@inline
def after(m0, m1, m2, m3):
    return m0 + m1 + m2, m1 - m2 - m3


@inline
def filter_line(g0, g1, g2):
    return g0, 0.5 * (g0 + g1 + g2), 0.5 * (g0 - g1 + g2), g2


@inline
def store_line(v, at, plane, line):
    a, b, c, d = line
    store(v, at, a)
    store(v, at + plane, b)
    store(v, at + 2 * plane, c)
    store(v, at + 3 * plane, d)


@inline
def load_column(x, at, step, left):
    return before(load_first(x, at, left), load_first(x, at + step, left), load_first(x, at + 2 * step, left),
                load_first(x, at + 3 * step, left))


@inline
def transform_input(x, at, line, c, left, v, to, plane):
    p0, p1, p2, p3 = load_column(x, at, line, left)
    q0, q1, q2, q3 = load_column(x, at + c, line, left)
    r0, r1, r2, r3 = load_column(x, at + 2 * c, line, left)
    s0, s1, s2, s3 = load_column(x, at + 3 * c, line, left)
    store_line(v, to, plane, before(p0, q0, r0, s0))
    store_line(v, to + 4 * plane, plane, before(p1, q1, r1, s1))
    store_line(v, to + 8 * plane, plane, before(p2, q2, r2, s2))
    store_line(v, to + 12 * plane, plane, before(p3, q3, r3, s3))


@inline
def product_column(m, at, plane):
    """columns"""
    return after(load(m, at), load(m, at + 4 * plane), load(m, at + 8 * plane), load(m, at + 12 * plane))


@inline
def transform_output(m, at, plane):
    p0, p1 = product_column(m, at, plane)
    q0, q1 = product_column(m, at + plane, plane)
    r0, r1 = product_column(m, at + 2 * plane, plane)
    s0, s1 = product_column(m, at + 3 * plane, plane)
    y00, y01 = after(p0, q0, r0, s0)
    y10, y11 = after(p1, q1, r1, s1)
    return y00, y01, y10, y11


@jit
def transform_weights(w, u):
    """U = G g G^T"""
    c, f = w.shape[2], w.shape[3]
    size = c * padded_width(f)
    tap = c * f
    j = 0
    while j < f:
        width = panel_width(f - j)
        for i in range(c):
            for v in range(0, width, LANES):
                at, left = i * f + j + v, f - j - v
                p0, p1, p2, p3 = weight_column(w, at, 3 * tap, left)
                q0, q1, q2, q3 = weight_column(w, at + tap, 3 * tap, left)
                r0, r1, r2, r3 = weight_column(w, at + 2 * tap, 3 * tap, left)
                to = j * c + i * width + v
                store_line(u, to, size, filter_line(p0, q0, r0))
                store_line(u, to + 4 * size, size, filter_line(p1, q1, r1))
                store_line(u, to + 8 * size, size, filter_line(p2, q2, r2))
                store_line(u, to + 12 * size, size, filter_line(p3, q3, r3))
        j += width


@inline
def weight_column(w, at, step, left):
    return filter_line(load_first(w, at, left), load_first(w, at + step, left), load_first(w, at + 2 * step, left))


@inline
def multiply_strip(v, u, m, at, to, panel, count, c, stride, n, columns):
    for first in range(0, count, len(ROWS)):
        rows = offsets(ROWS, first, count - 1, stride)
        tile = product(zero_tile(ROWS, columns), v, rows, at, 1, u, panel, columns, c)
        store_tile(m, offsets(ROWS, first, count - 1, n), to, columns, tile)


@inline
def products(x, starts, first, count, u, v, m, line, c, f):
    """V = B^T d B for tiles first .. first + count, then M[p] = V[p] @ U[p] for the sixteen p."""
    stride, n = padded_width(c), padded_width(f)
    plane = TILES * stride + LANES
    for t in range(count):
        for i in range(0, c, LANES):
            transform_input(x, starts[first + t] + i, line, c, c - i, v, t * stride + i, plane)
    for p in range(16):
        j = 0
        while j < f:
            width = panel_width(f - j)
            panel = p * c * n + j * c
            if width > LANES:
                multiply_strip(v, u, m, p * plane, p * (TILES * n + LANES) + j, panel, count, c, stride, n, PAIR)
            else:
                multiply_strip(v, u, m, p * plane, p * (TILES * n + LANES) + j, panel, count, c, stride, n, SINGLE)
            j += width


def scratch_sizes(c, f):
    return 16 * (TILES * padded_width(c) + LANES), 16 * (TILES * padded_width(f) + LANES)


@jit
def winograd_pool(x, starts, u, bias, y, argmax, v, m, line, relu):
    c, f = x.shape[-1], y.shape[-1]
    n = padded_width(f)
    windows = y.size // f
    floor = np.float32(0 if relu else -np.inf)
    for first in range(0, windows, TILES):
        count = min(TILES, windows - first)
        products(x, starts, first, count, u, v, m, line, c, f)
        for t in range(count):
            for j in range(0, f, LANES):
                best, b, c_, d = transform_output(m, t * n + j, TILES * n + LANES)
                which = broadcast(0)
                which = select(b > best, 1, which)
                best = select(b > best, b, best)
                which = select(c_ > best, 2, which)
                best = select(c_ > best, c_, best)
                which = select(d > best, 3, which)
                best = select(d > best, d, best) + load_first(bias, j, f - j)
                which = select(best > floor, which, DEAD)
                at = (first + t) * f + j
                store_first(y, at, maximum(floor, best), f - j)
                store_first(argmax, at, narrow(which), f - j)


@jit
def winograd(x, starts, u, bias, y, places, v, m, line, relu):
    c, f = x.shape[-1], y.shape[-1]
    n = padded_width(f)
    tiles = starts.size
    floor = np.float32(0 if relu else -np.inf)
    for first in range(0, tiles, TILES):
        count = min(TILES, tiles - first)
        products(x, starts, first, count, u, v, m, line, c, f)
        for t in range(count):
            at = 4 * (first + t)
            for j in range(0, f, LANES):
                y0, y1, y2, y3 = transform_output(m, t * n + j, TILES * n + LANES)
                b = load_first(bias, j, f - j)
                store_place(y, places[at], j, maximum(floor, y0 + b), f - j)
                store_place(y, places[at + 1], j, maximum(floor, y1 + b), f - j)
                store_place(y, places[at + 2], j, maximum(floor, y2 + b), f - j)
                store_place(y, places[at + 3], j, maximum(floor, y3 + b), f - j)


@inline
def store_place(y, place, j, vector, left):
    store_first(y, place + j, vector, left if place >= 0 else 0)


@inline
def load_place(dy, place, j, left):
    return load_first(dy, place + j, left if place >= 0 else 0)


@inline
def gradient_line(y0, y1):
    return y0, y0 + y1, y0 - y1, -1.0 * y1


@inline
def transform_gradient(dy, places, at, j, left, z, to, plane):
    p0, p1, p2, p3 = gradient_line(load_place(dy, places[at], j, left), load_place(dy, places[at + 2], j, left))
    q0, q1, q2, q3 = gradient_line(load_place(dy, places[at + 1], j, left), load_place(dy, places[at + 3], j, left))
    store_line(z, to, plane, gradient_line(p0, q0))
    store_line(z, to + 4 * plane, plane, gradient_line(p1, q1))
    store_line(z, to + 8 * plane, plane, gradient_line(p2, q2))
    store_line(z, to + 12 * plane, plane, gradient_line(p3, q3))


@inline
def filter_gradient_line(u0, u1, u2, u3):
    return u0 + 0.5 * (u1 + u2), 0.5 * (u1 - u2), 0.5 * (u1 + u2) + u3


@inline
def gradient_column(du, at, step):
    return filter_gradient_line(load(du, at), load(du, at + step), load(du, at + 2 * step), load(du, at + 3 * step))


@inline
def store_filter(dw, at, step, left, line):
    a, b, c = line
    store_first(dw, at, a, left)
    store_first(dw, at + step, b, left)
    store_first(dw, at + 2 * step, c, left)


@inline
def gradient_strip(v, z, du, at, row, to, count, c, stride, n, columns):
    width = len(columns) * LANES
    for first in range(0, c, len(ROWS)):
        rows = offsets(ROWS, first, c - 1, 1)
        places = offsets(ROWS, first, c - 1, n)
        tile = product(load_tile(du, places, to, columns), v, rows, at, stride, z, row, columns, count)
        store_tile(du, places, to, columns, tile)


@jit
def winograd_weight_gradient(x, starts, dy, places, dw, db, v, z, du, line):
    c, f = x.shape[-1], dy.shape[-1]
    stride, n = padded_width(c), padded_width(f)
    plane, zplane, size = TILES * stride + LANES, TILES * n + LANES, c * n
    tiles = starts.size
    du[:] = 0
    for first in range(0, tiles, TILES):
        count = min(TILES, tiles - first)
        for t in range(count):
            for i in range(0, c, LANES):
                transform_input(x, starts[first + t] + i, line, c, c - i, v, t * stride + i, plane)
            j = 0
            while j < f:
                width = panel_width(f - j)
                for k in range(0, width, LANES):
                    transform_gradient(dy, places, 4 * (first + t), j + k, f - j - k, z, j * TILES + t * width + k,
                                       zplane)
                j += width
        for p in range(16):
            j = 0
            while j < f:
                width = panel_width(f - j)
                row = p * zplane + j * TILES
                if width > LANES:
                    gradient_strip(v, z, du, p * plane, row, p * size + j, count, c, stride, n, PAIR)
                else:
                    gradient_strip(v, z, du, p * plane, row, p * size + j, count, c, stride, n, SINGLE)
                j += width
    tap = c * f
    for i in range(c):
        for j in range(0, f, LANES):
            p0, p1, p2 = gradient_column(du, i * n + j, 4 * size)
            q0, q1, q2 = gradient_column(du, i * n + j + size, 4 * size)
            r0, r1, r2 = gradient_column(du, i * n + j + 2 * size, 4 * size)
            s0, s1, s2 = gradient_column(du, i * n + j + 3 * size, 4 * size)
            to, left = i * f + j, f - j
            store_filter(dw, to, tap, left, filter_gradient_line(p0, q0, r0, s0))
            store_filter(dw, to + 3 * tap, tap, left, filter_gradient_line(p1, q1, r1, s1))
            store_filter(dw, to + 6 * tap, tap, left, filter_gradient_line(p2, q2, r2, s2))
