"""Winograd's tiles in memory: their places, and how much memory they take.

A tile of side × side outputs sees (side + 2) × (side + 2) numbers of the image. Tiles of the output lie side by side,
those of the image overlap by two rows and columns. A transformed tile is spread over *planes*, number p of every tile
in plane p, so that each plane is an ordinary matrix (tiles, channels); TILES tiles are transformed at a time.
"""

import math

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.kernels.gemm import padded_width
from scratchnet.compiled.kernels.winograd.matrices import POINTS
from scratchnet.compiled.simd.target import LANES, ROWS

TILES = 24  # 16, 32 and 48 are within 3 % of it


def numbers(side):
    """(0, 1, ..., side + 1): a tuple as long as a tile of the image is wide. Kernels are compiled for its length."""
    return tuple(range(side + 2))


def products(side, out_h, out_w):
    """How many products an output of this size takes, for one channel and one filter.

    >>> products(2, 5, 5), products(5, 5, 5)
    (144, 49)
    """
    return (side + 2) ** 2 * math.prod(tiles(side, out_h, out_w))


def tiles(side, out_h, out_w):
    """The number of tiles that cover an output, down and across."""
    return -(-out_h // side), -(-out_w // side)


def best_side(out_h, out_w):
    """The size of tile with the fewest products, counting something more for the transforms of larger ones.

    >>> best_side(14, 14), best_side(7, 7), best_side(3, 3), best_side(2, 2)
    (5, 4, 3, 2)
    """
    return min(POINTS, key=lambda side: products(side, out_h, out_w) * 1.05**side)


def padded_size(out, side):
    """Height (or width) that the padded images must have for an output of height `out`: whole tiles, and 2 more.

    >>> padded_size(11, 2), padded_size(12, 2)
    (14, 14)
    """
    return -(-out // side) * side + 2


def output_offsets(n, out_h, out_w, f, side):
    """Where the positions of every tile lie in outputs (n, out_h, out_w, f) read as flat   -> int32, flat

    -1 stands for a position outside, which the last tile of a line or column may have.
    """
    down, across = tiles(side, out_h, out_w)
    places = np.full((n, side * down, side * across), -1, np.int32)
    places[:, :out_h, :out_w] = np.arange(n * out_h * out_w).reshape(n, out_h, out_w) * f
    return np.ascontiguousarray(places.reshape(n, down, side, across, side).transpose(0, 1, 3, 2, 4)).reshape(-1)


def block_rows(rows_wanted):
    """The rows of the registers' tile for a product with few rows: those that compute the fewest rows twice.

    Nine tiles of one image: two blocks of five rows instead of two of eight. A block of under four rows would wait
    for its own sums.

    >>> len(block_rows(1000)) == len(ROWS)
    True
    >>> len(block_rows(9)), len(block_rows(4))
    (5, 4)
    """
    if rows_wanted >= 6 * len(ROWS):
        return ROWS
    possible = [rows for rows in (8, 6, 5, 4) if rows <= len(ROWS)]
    return tuple(range(min(possible, key=lambda rows: -(-rows_wanted // rows) * rows)))


def winograd_scratch(c, f, side):
    """Memory for V and M (or Z) of TILES tiles   -> two arrays"""
    planes = (side + 2) ** 2
    return aligned_empty(planes * plane_size(c)), aligned_empty(planes * plane_size(f))


def filter_scratch(c, f, side):
    """Memory for U, or dU: a (c, f) matrix for each plane, f padded   -> array"""
    return aligned_empty((side + 2) ** 2 * c * padded_width(f))


@jit
def plane_size(channels):
    """Numbers in a plane of TILES tiles. One vector more than they need, or all planes would begin at the same address
    modulo a power of two, and the cache could keep only some of them."""
    return TILES * padded_width(channels) + LANES


def input_offsets(n, h, w, c, top, left, out_h, out_w, side):
    """Where the positions of every tile of the padded images lie in images (n, h, w, c)   -> int32, flat

    -1 stands for a position in the padding. A tile of `side` x `side` outputs sees two rows and columns more.
    """
    rows, columns = padded_size(out_h, side), padded_size(out_w, side)
    places = np.full((n, max(rows, top + h), max(columns, left + w)), -1, np.int32)
    places[:, top : top + h, left : left + w] = np.arange(n * h * w).reshape(n, h, w) * c
    places = places[:, :rows, :columns]
    seen = np.lib.stride_tricks.sliding_window_view(places, (side + 2, side + 2), axis=(1, 2))[:, ::side, ::side]
    return np.ascontiguousarray(seen).reshape(-1)
