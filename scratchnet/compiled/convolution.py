"""Convolution without copying patches: the matrix product's loop, reading the image where it lies."""

import numpy as np

from .jit import inline, jit
from .matmul import load_columns, pack_rows, pack_rows_transposed, padded_width, panel_width, product, store_columns
from .simd import (LANES, broadcast, load, load_row, maximum, narrow, offsets, outer_fma, select, store_first,
                   store_tile, table_offsets, zero_tile)
from .target import PAIR, ROWS, SINGLE

DEAD = 255
BLOCK = 240
ONE = (0,)


def patch_starts(n, h, w, c, out_h, out_w, step_h, step_w):
    image, row, column = np.ogrid[:n, :out_h, :out_w]
    return (((image * h + row * step_h) * w + column * step_w) * c).astype(np.int32).reshape(-1)


@inline
def convolve_strip(x, starts, panels, y, j, k_h, line, run, floor, columns):
    n = y.shape[-1]
    positions = y.size // n
    width = len(columns) * LANES
    panel = j * (k_h * run + 1)
    for first in range(0, positions, len(ROWS)):
        rows = table_offsets(ROWS, first, positions - 1, starts)
        tile = zero_tile(ROWS, columns) + load_row(panels, panel, columns)
        for i in range(k_h):
            tile = product(tile, x, rows, i * line, 1, panels, panel + (1 + i * run) * width, columns, run)
        store_columns(y, offsets(ROWS, first, positions - 1, n), j, columns, n - j, maximum(floor, tile))


@jit
def convolve(x, starts, panels, y, k_h, line, run, relu):
    n = y.shape[-1]
    floor = np.float32(0 if relu else -np.inf)
    j = 0
    while j < n:
        width = panel_width(n - j)
        if width > LANES:
            convolve_strip(x, starts, panels, y, j, k_h, line, run, floor, PAIR)
        else:
            convolve_strip(x, starts, panels, y, j, k_h, line, run, floor, SINGLE)
        j += width


@inline
def convolve_pool_strip(x, starts, cells, panels, y, argmax, scratch, j, k_h, line, run, floor, columns):
    n = y.shape[-1]
    windows = y.size // n
    width = len(columns) * LANES
    panel = j * (k_h * run + 1)
    for first in range(0, windows, len(ROWS)):
        rows = table_offsets(ROWS, first, windows - 1, starts)
        for cell in range(cells.size):
            tile = zero_tile(ROWS, columns) + load_row(panels, panel, columns)
            for i in range(k_h):
                tile = product(tile, x, rows, cells[cell] + i * line, 1, panels, panel + (1 + i * run) * width, columns,
                               run)
            store_tile(scratch, offsets(ROWS, cell * len(ROWS), cell * len(ROWS) + len(ROWS), width), 0,
                       columns, tile)
        for r in range(min(len(ROWS), windows - first)):
            for v in range(0, min(width, n - j), LANES):
                best = load(scratch, r * width + v)
                which = broadcast(0)
                for cell in range(1, cells.size):
                    rival = load(scratch, (cell * len(ROWS) + r) * width + v)
                    which = select(rival > best, broadcast(cell), which)
                    best = select(rival > best, rival, best)
                which = select(best > floor, which, broadcast(DEAD))
                store_first(y, (first + r) * n + j + v, maximum(floor, best), n - j - v)
                store_first(argmax, (first + r) * n + j + v, narrow(which), n - j - v)


@jit
def convolve_pool(x, starts, cells, panels, y, argmax, scratch, k_h, line, run, relu):
    n = y.shape[-1]
    floor = np.float32(0 if relu else -np.inf)
    j = 0
    while j < n:
        width = panel_width(n - j)
        if width > LANES:
            convolve_pool_strip(x, starts, cells, panels, y, argmax, scratch, j, k_h, line, run, floor, PAIR)
        else:
            convolve_pool_strip(x, starts, cells, panels, y, argmax, scratch, j, k_h, line, run, floor, SINGLE)
        j += width


@inline
def weight_strip(x, starts, p, count, panels, dw, db, j, k_h, line, run, columns):
    """Add what `count` positions from p on contribute to columns j .. of dW and db; `panels` holds their dy."""
    n = db.size
    width = len(columns) * LANES
    panel = j * BLOCK
    total = load_columns(db, ONE, j, columns, n - j)
    for q in range(count):
        total = total + load_row(panels, panel + q * width, columns)
    store_columns(db, ONE, j, columns, n - j, total)
    for i in range(k_h):
        for first in range(0, run, len(ROWS)):
            places = offsets(ROWS, i * run + first, i * run + run - 1, n)
            rows = offsets(ROWS, first, run - 1, 1)
            tile = load_columns(dw, places, j, columns, n - j)
            for q in range(count):
                tile = outer_fma(tile, x, rows, i * line + starts[p + q], load_row(panels, panel + q * width, columns))
            store_columns(dw, places, j, columns, n - j, tile)


@jit
def weight_gradient(x, starts, dy, dw, db, panels, k_h, line, run):
    n = db.size
    positions = dy.size // n
    dw.reshape(-1)[:] = 0
    db[:] = 0
    for p in range(0, positions, BLOCK):
        count = min(BLOCK, positions - p)
        pack_rows(dy, p, count, n, panels, BLOCK, 0)
        j = 0
        while j < n:
            width = panel_width(n - j)
            if width > LANES:
                weight_strip(x, starts, p, count, panels, dw, db, j, k_h, line, run, PAIR)
            else:
                weight_strip(x, starts, p, count, panels, dw, db, j, k_h, line, run, SINGLE)
            j += width


@jit
def pack_taps(w, panels):
    """for every tap"""
    k_h, k_w, c, f = w.shape
    size = f * padded_width(c)
    for tap in range(k_h * k_w):
        pack_rows_transposed(w.reshape(-1), tap * c * f, c, f, panels[tap * size:], f, 0)


@inline
def input_strip(dy, starts, p, last, panels, panel, dx, at, left, f, columns):
    for first in range(p, last + 1, len(ROWS)):
        places = table_offsets(ROWS, first, last, starts)
        tile = load_columns(dx, places, at, columns, left)
        tile = product(tile, dy, offsets(ROWS, first, last, f), 0, 1, panels, panel, columns, f)
        store_columns(dx, places, at, columns, left, tile)


@jit
def input_gradient(dy, starts, panels, dx, k_h, k_w, line):
    f = dy.shape[-1]
    c = dx.shape[-1]
    positions = dy.size // f
    dx.reshape(-1)[:] = 0
    size = f * padded_width(c)
    for p in range(0, positions, BLOCK):
        last = min(p + BLOCK, positions) - 1
        for tap in range(k_h * k_w):
            at = tap // k_w * line + tap % k_w * c
            j = 0
            while j < c:
                width = panel_width(c - j)
                panel = tap * size + j * f
                if width > LANES:
                    input_strip(dy, starts, p, last, panels, panel, dx, at + j, c - j, f, PAIR)
                else:
                    input_strip(dy, starts, p, last, panels, panel, dx, at + j, c - j, f, SINGLE)
                j += width
