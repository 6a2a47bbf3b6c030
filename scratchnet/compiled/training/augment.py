"""Augmentation in one pass: the same changes as the textbook's, image by image.

In NumPy each step of it passes over the whole chunk in float64, with index arrays of eight bytes for every one-byte
pixel, and a fifth of the time goes to drawing random numbers. Here the kernel gets the keys of the streams only, and
draws an example's numbers when it comes to that example (`splitmix.uniform`: the numbers of the textbook). Then a
plane, one channel of one image, is copied into a frame and stays in the first-level cache while all changes are made,
LANES pixels of a row at a time. The frame saves four tests for each pixel, whether a neighbour is inside the image.

All of `Augment.digits()` costs 4 ns a pixel, on one thread (AMD Zen 4). Half of that is fetching, for each new pixel,
the four old ones around its origin: two pairs of neighbours at any address, so they are loaded in pairs (`load_pairs`).
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from scratchnet.compiled.jit.decorators import execute, inline, jit
from scratchnet.compiled.kernels.splitmix import uniform
from scratchnet.compiled.simd.intrinsics import (
    LANES,
    broadcast,
    fma,
    lane_numbers,
    load,
    load_pairs,
    maximum,
    minimum,
    narrow,
    store,
    store_partial,
    to_float,
    to_int,
)
from scratchnet.data.augment import KNOTS, Augment, spline
from scratchnet.randomness import ExampleRandom

ROOT3 = math.sqrt(3)  # uniform numbers between -√3 and √3 have standard deviation 1


def is_compiled(augment, images: np.ndarray) -> bool:
    """Whether there are kernels for it: not for a user's function, nor for images that are not bytes."""
    return type(augment) is Augment and images.dtype == np.uint8 and images.ndim in (3, 4)


class Workspace(NamedTuple):
    """The memory of a chunk."""

    changed: np.ndarray  # the images
    scratch: tuple[np.ndarray, ...]


class CompiledAugment:
    """Augment, for bytes and the training loop's random numbers."""

    def __init__(self, augment: Augment):
        self.augment, self.max_moves = augment, augment.most_moved()
        self.amounts = tuple(map(float, (augment.elastic, augment.erase, augment.noise, augment.mirror)))
        self.draws = (True, *map(bool, self.amounts))  # which of the five kinds of random numbers are drawn
        self.keys = np.zeros(5, np.uint64)  # of these random numbers; set before every step

    @property
    def drawn(self) -> int:
        """How many times it draws random numbers."""
        return sum(self.draws)

    def set_keys(self, rng: ExampleRandom) -> None:
        """Draw the keys of a step."""
        self.keys[:] = [rng.next_key() if used else 0 for used in self.draws]

    def allocate(self, n: int, shape) -> Workspace:
        """The workspace for n images."""
        return Workspace(np.empty((n, *shape), np.uint8), scratch(*shape[:2]))

    def changed(self, images: np.ndarray, rng: ExampleRandom) -> np.ndarray:
        """The changed images, computed at once."""
        self.set_keys(rng)
        pixels = np.ascontiguousarray(images).reshape(*images.shape[:3], -1)  # (n, h, w, channels)
        changed = self.emit(execute, pixels, rng.first, self.allocate(len(pixels), pixels.shape[1:]))
        return changed.reshape(images.shape)

    def emit(self, call, images: np.ndarray, first: int, work: Workspace) -> np.ndarray:
        """The changed images, which are the batch's examples first, first + 1, ..."""
        smooth = tuple(map(bumps, images.shape[1:3]))
        changed, moves = work.changed[: len(images)], self.max_moves
        call(change, images, self.keys, first, moves, *self.amounts, *smooth, work.scratch, changed)
        return changed


@cache
def bumps(size: int) -> np.ndarray:
    """(KNOTS, size rounded up to whole vectors): how much each knot moves each pixel."""
    padded = np.zeros((KNOTS, -(-size // LANES) * LANES), np.float32)
    padded[:, :size] = spline(size, KNOTS).T
    return padded


def scratch(h: int, w: int) -> tuple[np.ndarray, ...]:
    """Memory for `change`: two frames; the affine map and what it is made of; arrows, bent; grain; a row of pixels."""
    tall, wide = bumps(h).shape[1], bumps(w).shape[1]  # in whole vectors
    edged, framed = np.zeros((2, h + 3, wide + LANES), np.float32)
    moves, map_ = np.empty(6), np.empty((2, 3), np.float32)
    arrows, bent = np.empty((2, KNOTS, KNOTS), np.float32), np.empty((2, KNOTS, tall), np.float32)
    return edged, framed, moves, map_, arrows, bent, np.zeros((h, wide), np.float32), np.empty(wide, np.uint8)


@jit
def change(pixels, keys, first, most, elastic, erase, noise, mirror, bumps_y, bumps_x, memory, changed):
    """Everything that happens to the examples first, first + 1, ...; pixels, changed: (n, h, w, channels) bytes."""
    n, h, w, channels = pixels.shape
    # edged: the plane from (1, 1), and its edges once more around it; framed: black around it
    edged, framed, moves, map_, arrows, bent, grain, row = memory
    wide = grain.shape[1]
    for i in range(n):
        example = first + i
        for k in range(6):
            moves[k] = most[k] * (2 * uniform(keys[0], example * 6 + k) - 1)
        affine_map(moves, h, w, map_)
        if elastic > 0:
            draw_arrows(keys[1], example, elastic * ROOT3, arrows)
            bend(arrows, bumps_y, bent)
        if noise > 0:
            draw_grain(keys[3], example * (1 + h * w), noise * ROOT3, w, grain)
        mirrored = mirror > 0 and uniform(keys[4], example) < mirror
        for channel in range(channels):
            if most[5] > 0:
                put(pixels[i], channel, mirrored, edged)
                repeat_edges(h, w, edged)
                thicken(edged, np.float32(moves[5]), h, w, framed)
            else:
                put(pixels[i], channel, mirrored, framed)
            for u in range(h):
                for v in range(0, w, LANES):
                    x, y = affine_origins(map_, u, v)
                    if elastic > 0:
                        x, y = x + curve(bent, bumps_x, 0, u, v), y + curve(bent, bumps_x, 1, u, v)
                    value = sample(framed, x, y, h, w) + load(grain, u * wide + v)
                    value = minimum(maximum(0, value), 255)
                    store(row, v, narrow(to_int(value + 0.5)))
                for v in range(w):
                    changed[i, u, v, channel] = row[v]
        if erase > 0:
            blacken(keys[2], example * 4, erase, changed[i])


@inline
def affine_map(moves, h, w, map_):
    """map_: A | c - A (c + shift), with A = turn⁻¹ · shear⁻¹ / zoom."""
    cos, sin, zoom, shear = np.cos(moves[2]), np.sin(moves[2]), np.exp(moves[3]), moves[4]
    a, b = cos / zoom, (sin - shear * cos) / zoom
    d, e = -sin / zoom, (cos + shear * sin) / zoom
    c_x, c_y = (w - 1) / 2, (h - 1) / 2
    x, y = c_x + moves[0], c_y + moves[1]  # where the middle goes
    map_[0, 0], map_[0, 1], map_[0, 2] = a, b, c_x - a * x - b * y
    map_[1, 0], map_[1, 1], map_[1, 2] = d, e, c_y - d * x - e * y


@inline
def draw_arrows(key, example, most, arrows):
    """The arrows of an example, each between -most and most."""
    for axis in range(2):
        for k in range(KNOTS):
            for l in range(KNOTS):
                at = ((example * 2 + axis) * KNOTS + k) * KNOTS + l
                arrows[axis, k, l] = most * (2 * uniform(key, at) - 1)


@inline
def bend(arrows, bumps_y, bent):
    """bent[axis, l, u] = Σ_k bumps_y[k, u] · arrows[axis, k, l]: the arrows, spread over the rows of the image."""
    rows = bumps_y.shape[1]
    for axis in range(2):
        for l in range(KNOTS):
            for u in range(0, rows, LANES):
                total = broadcast(np.float32(0))
                for k in range(KNOTS):
                    total = fma(broadcast(arrows[axis, k, l]), load(bumps_y, k * rows + u), total)
                store(bent, (axis * KNOTS + l) * rows + u, total)


@inline
def draw_grain(key, start, most, w, grain):
    """What is added to each pixel: the first number says how much, the others how much of that."""
    most *= uniform(key, start)
    for u in range(grain.shape[0]):
        for v in range(w):
            grain[u, v] = most * (2 * uniform(key, start + 1 + u * w + v) - 1)


@inline
def put(pixels, channel, mirrored, plane):
    """A channel of an image (h, w, channels) into the plane, from (1, 1)."""
    h, w = pixels.shape[:2]
    for u in range(h):
        for v in range(w):
            plane[1 + u, 1 + v] = pixels[u, w - 1 - v if mirrored else v, channel]


@inline
def repeat_edges(h, w, plane):
    """Around an image, its own edges."""
    for u in range(1, h + 1):
        plane[u, 0], plane[u, w + 1] = plane[u, 1], plane[u, w]
    for v in range(w + 2):
        plane[0, v], plane[h + 1, v] = plane[1, v], plane[h, v]


@inline
def thicken(plane, amount, h, w, thicker):
    """thicker = plane + |amount| · (the largest, or for an amount under 0 the smallest, of five - plane)."""
    pitch = plane.shape[1]
    for u in range(1, h + 1):
        for v in range(0, w, LANES):
            at = u * pitch + 1 + v
            p, above, below = load(plane, at), load(plane, at - pitch), load(plane, at + pitch)
            left, right = load(plane, at - 1), load(plane, at + 1)
            if amount > 0:
                extreme = maximum(maximum(p, above), maximum(below, maximum(left, right)))
            else:
                extreme = minimum(minimum(p, above), minimum(below, minimum(left, right)))
            store_partial(thicker, at, fma(broadcast(abs(amount)), extreme - p, p), w - v)


@inline
def affine_origins(map_, u, v):
    """x, y: where the pixels v, v + 1, ... of row u were, in the old image without its frame."""
    row, columns = np.float32(u), to_float(lane_numbers() + v)
    x = fma(broadcast(map_[0, 0]), columns, broadcast(map_[0, 1] * row + map_[0, 2]))
    y = fma(broadcast(map_[1, 0]), columns, broadcast(map_[1, 1] * row + map_[1, 2]))
    return x, y


@inline
def curve(bent, bumps_x, axis, u, v):
    """How far the pixels v, v + 1, ... of row u are moved along the axis by the elastic distortion."""
    total, wide = broadcast(np.float32(0)), bumps_x.shape[1]
    for k in range(KNOTS):
        total = fma(broadcast(bent[axis, k, u]), load(bumps_x, k * wide + v), total)
    return total


@inline
def sample(plane, x, y, h, w):
    """The plane at the points (x, y), bilinear."""
    x = minimum(maximum(0, x + 1), np.float32(w + 1))
    y = minimum(maximum(0, y + 1), np.float32(h + 1))
    left, top = to_int(x), to_int(y)
    fx, fy = x - to_float(left), y - to_float(top)
    at = top * plane.shape[1] + left
    a, b = load_pairs(plane, at)
    c, d = load_pairs(plane, at + plane.shape[1])
    upper, lower = fma(fx, b - a, a), fma(fx, d - c, c)
    return fma(fy, lower - upper, upper)


@inline
def blacken(key, start, most, image):
    """Erase a box of the image, as `draw_boxes` draws it."""
    h, w = image.shape[:2]
    height, width = int(1 + uniform(key, start) * most * h), int(1 + uniform(key, start + 1) * most * w)
    top, left = int(uniform(key, start + 2) * (h - height + 1)), int(uniform(key, start + 3) * (w - width + 1))
    image[top : top + height, left : left + width] = 0
