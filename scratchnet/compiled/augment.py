"""Augmentation, pixel by pixel: the same changes as the textbook's, a plane of a picture at a time.

What happens to an example is a handful of numbers, and the textbook draws them (`Augment.draw`): so both give the same
pictures. What remains is the work on pixels. In NumPy each of its steps walks through the whole chunk in float64, with
index arrays of eight bytes for every one-byte pixel; here a plane (one channel of one image) is copied into a black
frame once, and then stays in the cache nearest to the core while everything is done to it. The frame takes the place
of asking, four times for each pixel, whether a neighbour lies inside of the image.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from scratchnet.compiled.jit import inline, jit
from scratchnet.compiled.simd import LANES, broadcast, fma, load, store
from scratchnet.data.augment import Augment, spline


def compiled_augment(augment):
    """The twin of an augmentation, as `Plan.augment` gives it; None if it has none (a function of the user's own)."""
    if type(augment) is not Augment:
        return None

    def twin(images, rng):
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            return augment(images, rng)
        moves, arrows, boxes = augment.draw(images.shape, rng)
        (h, w), knots = images.shape[1:3], arrows.shape[-1]
        pixels = np.ascontiguousarray(images).reshape(*images.shape[:3], -1)  # (n, h, w, channels)
        changed = np.empty_like(pixels)
        change(pixels, moves, arrows, bumps(h, knots), bumps(w, knots), boxes, changed)
        return changed.reshape(images.shape)

    return twin


@cache
def bumps(size: int, knots: int) -> np.ndarray:
    """(knots, size rounded up to whole vectors): how much each knot moves each pixel."""
    padded = np.zeros((knots, -(-size // LANES) * LANES), np.float32)
    padded[:, :size] = spline(size, knots).T
    return padded


@jit
def change(pixels, moves, arrows, bumps_y, bumps_x, boxes, changed):
    """Everything that happens to n images (n, h, w, channels)."""
    n, h, w, channels = pixels.shape
    knots = bumps_x.shape[0]
    plane = np.zeros((h + 3, w + 3), np.float32)      # the image from (1, 1), and black around it
    other = np.zeros((h + 3, w + 3), np.float32)
    bent = np.empty((2, knots, bumps_y.shape[1]), np.float32)
    x, y = np.empty(bumps_x.shape[1], np.float32), np.empty(bumps_x.shape[1], np.float32)
    numbers = np.arange(x.size).astype(np.float32)     # 0, 1, 2, ...: the pixels of a row
    map_ = np.empty((2, 3), np.float32)
    for i in range(n):
        affine_map(moves[i], h, w, map_)
        bend(arrows[i], bumps_y, bent)
        for channel in range(channels):
            for u in range(h):
                for v in range(w):
                    plane[1 + u, 1 + v] = pixels[i, u, v, channel]
            source = plane
            if moves[i, 5] != 0:
                thicken(plane, np.float32(moves[i, 5]), other)
                source = other
            for u in range(h):
                find_origins(map_, bent, bumps_x, numbers, u, x, y)
                sample_row(source, x, y, changed[i, u], channel)
        for u in range(boxes[i, 0], boxes[i, 1]):
            for v in range(boxes[i, 2], boxes[i, 3]):
                for channel in range(channels):
                    changed[i, u, v, channel] = 0


@inline
def affine_map(moves, h, w, map_):
    """map_: A | c - A (c + shift), with A = turn⁻¹ · shear⁻¹ / zoom."""
    cos, sin, zoom, shear = np.cos(moves[2]), np.sin(moves[2]), np.exp(moves[3]), moves[4]
    a, b = cos / zoom, (sin - shear * cos) / zoom
    d, e = -sin / zoom, (cos + shear * sin) / zoom
    c_x, c_y = (w - 1) / 2, (h - 1) / 2
    x, y = c_x + moves[0], c_y + moves[1]             # where the middle goes
    map_[0, 0], map_[0, 1], map_[0, 2] = a, b, c_x - a * x - b * y
    map_[1, 0], map_[1, 1], map_[1, 2] = d, e, c_y - d * x - e * y


@inline
def bend(arrows, bumps_y, bent):
    """bent[axis, l, u] = Σ_k bumps_y[k, u] · arrows[axis, k, l]: the arrows, spread over the rows of the image."""
    knots, rows = bumps_y.shape
    for axis in range(2):
        for l in range(knots):
            for u in range(0, rows, LANES):
                total = broadcast(np.float32(0))
                for k in range(knots):
                    total = fma(broadcast(np.float32(arrows[axis, k, l])), load(bumps_y, k * rows + u), total)
                store(bent, (axis * knots + l) * rows + u, total)


@inline
def find_origins(map_, bent, bumps_x, numbers, u, x, y):
    """x, y: where the pixels of row u were, in the old image without its frame; a vector of pixels at a time."""
    row, knots = np.float32(u), bumps_x.shape[0]
    x0, y0 = map_[0, 1] * row + map_[0, 2], map_[1, 1] * row + map_[1, 2]
    for v in range(0, x.size, LANES):
        columns = load(numbers, v)
        old_x = fma(broadcast(map_[0, 0]), columns, broadcast(x0))
        old_y = fma(broadcast(map_[1, 0]), columns, broadcast(y0))
        for k in range(knots):
            bump = load(bumps_x, k * x.size + v)
            old_x = fma(broadcast(bent[0, k, u]), bump, old_x)
            old_y = fma(broadcast(bent[1, k, u]), bump, old_y)
        store(x, v, old_x)
        store(y, v, old_y)


@inline
def sample_row(plane, x, y, row, channel):
    """row[:, channel] = the plane at the points (x, y), bilinear, rounded to a whole number."""
    right, bottom = np.float32(plane.shape[1] - 2), np.float32(plane.shape[0] - 2)
    zero, one = np.float32(0), np.float32(1)
    for v in range(row.shape[0]):
        px, py = min(max(x[v] + one, zero), right), min(max(y[v] + one, zero), bottom)
        left, top = np.uint32(px), np.uint32(py)
        fx, fy = px - np.float32(left), py - np.float32(top)
        a, b = plane[top, left], plane[top, left + 1]
        c, d = plane[top + 1, left], plane[top + 1, left + 1]
        upper, lower = a + fx * (b - a), c + fx * (d - c)
        row[v, channel] = np.uint8(upper + fy * (lower - upper) + np.float32(0.5))


@inline
def thicken(plane, amount, other):
    """other = plane + |amount| · (the largest, or for an amount under 0 the smallest, of five - plane)."""
    h, w = plane.shape[0] - 3, plane.shape[1] - 3
    for u in range(1, h + 1):
        for v in range(1, w + 1):
            p = plane[u, v]
            # At the edges the neighbour outside is the pixel itself: the frame's black would count as one.
            above, below = plane[max(u - 1, 1), v], plane[min(u + 1, h), v]
            left, right = plane[u, max(v - 1, 1)], plane[u, min(v + 1, w)]
            if amount > 0:
                other[u, v] = p + amount * (max(max(p, above), max(below, max(left, right))) - p)
            else:
                other[u, v] = p - amount * (min(min(p, above), min(below, min(left, right))) - p)
