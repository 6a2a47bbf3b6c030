"""Augmentation: more examples from the existing ones, because a 7 that is shifted a little is still a 7.

A network trained on centred digits only may fail on one that is off centre. So each epoch shows each image slightly
changed. The change of *shape* is one map: for every pixel p = (x, y) of the new picture, its position in the old one,

    p_old = c + A (p - c - shift) + d(p)          A = turn⁻¹ · shear⁻¹ / zoom          c: the middle of the image

The map goes from new to old, so that every new pixel gets exactly one value. p_old lies between pixels: its value is
interpolated *bilinearly* from the four pixels around it, and is 0, black, outside the image.
d is an elastic distortion (Simard, Steinkraus, Platt, ICDAR 2003), computed as for U-Net (arXiv 1505.04597): random
displacements on a coarse grid, interpolated smoothly, here by cubic B-splines.

Before the map the *pen* may become thicker or thinner: each pixel moves towards the largest or the smallest of its
neighbours; and an image may be *mirrored*, which is for clothes and not for digits. After the map the *paper* may get a
grain, random noise added to each pixel; and a box may be *erased* (arXiv 1708.04896), so that the network does not rely
on one part of a digit.

Which changes an example gets is a function of (seed, step, example): see `scratchnet.randomness`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

KNOTS = 6  # displacements along each side of an elastic distortion: on 28 pixels they are 9 pixels apart
MOST = {
    "shift": 1000, "rotate": 180, "zoom": 3, "shear": 1, "elastic": 100, "thickness": 1, "noise": 255, "erase": 1,
    "mirror": 1,
}  # fmt: skip


class Changes(NamedTuple):
    """The changes of each of n examples."""

    moves: np.ndarray  # (n, 6): shift across and down, turn in radians, log of the zoom, shear, thickness
    arrows: np.ndarray  # (n, 2, KNOTS, KNOTS): d at the knots, in x and in y; (n, 2, 0, 0) without distortion
    grain: np.ndarray  # (n, h, w): noise added to each pixel; (n, 1, 1) of zeros without noise
    boxes: np.ndarray  # (n, 4): top, bottom, left, right of the erased box; empty where top = bottom
    mirrored: np.ndarray  # (n,): whether left and right are exchanged


@dataclass(frozen=True)
class Augment:
    """Random changes of images, one for each example: f(images, rng) -> images, for `fit(augment=f)`.

    Every argument is the maximum of one change, in either direction; 0 turns it off.

    shift: pixels, across and down. rotate: degrees. zoom: 0.1 is between 1/1.1 and 1.1 times as large.
    shear: 0.1 slants an upright line by 1 pixel in 10. elastic: pixels, the standard deviation of the distortion.
    thickness: 1 adds or removes a pixel on each side of a stroke. noise: grey levels, the standard deviation of the
    noise, the same in all channels. erase: sides of a black box, as a share of the image's. mirror: the share of the
    images in which left and right are exchanged.

    images: (n, h, w) or (n, h, w, channels). The dtype is kept; integers are rounded and clipped to their range.

    Raises ValueError for an argument out of its range.

    >>> Augment.light()
    Augment(shift=1, rotate=5, zoom=0.05, shear=0, elastic=0, thickness=0, noise=0, erase=0, mirror=0)
    >>> images = np.zeros((4, 28, 28), np.uint8)
    >>> Augment(rotate=20, erase=0.3)(images, np.random.default_rng(0)).shape
    (4, 28, 28)
    """

    shift: float = 2
    rotate: float = 10
    zoom: float = 0.1
    shear: float = 0
    elastic: float = 0
    thickness: float = 0
    noise: float = 0
    erase: float = 0
    mirror: float = 0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            most = MOST[name]
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
                raise ValueError(f"Augment: {name} must be a number from 0 to {most}, got {value!r}")

    @classmethod
    def light(cls) -> Augment:
        """Small moves only: safe for any kind of picture."""
        return cls(shift=1, rotate=5, zoom=0.05)

    @classmethod
    def digits(cls) -> Augment:
        """For handwriting outside MNIST: off centre, slanted, written with another pen on grainy paper."""
        return cls(shift=2.5, rotate=12, zoom=0.15, shear=0.15, elastic=0.5, thickness=0.5, noise=20)

    def __call__(self, images: np.ndarray, rng: Any) -> np.ndarray:
        """Changed copies of the images. rng: an ExampleRandom, or a NumPy Generator."""
        images = np.asarray(images)
        changes = self.draw(images.shape, rng)
        pixels = images.reshape(*images.shape[:3], -1).astype(np.float64)  # (n, h, w, channels)
        pixels = np.where(changes.mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
        pixels = thicken(pixels, changes.moves[:, 5])
        pixels = sample(pixels, *origins(changes, *images.shape[1:3]))
        pixels = pixels + changes.grain[..., None]
        for picture, (top, bottom, left, right) in zip(pixels, changes.boxes, strict=True):
            picture[top:bottom, left:right] = 0
        if images.dtype.kind in "iu":
            info = np.iinfo(images.dtype)
            pixels = np.floor(pixels + 0.5).clip(info.min, info.max)
        return pixels.astype(images.dtype).reshape(images.shape)

    def draw(self, shape: tuple[int, ...], rng: Any) -> Changes:
        """The changes of n examples, for images of shape (n, h, w, ...). All six moves are one draw."""
        if len(shape) not in (3, 4):
            raise ValueError(f"Augment: expects images (n, h, w) or (n, h, w, channels), got shape {shape}")
        n, h, w = shape[:3]
        moves = self.most_moved() * (2 * rng.random((n, 6)) - 1)
        arrows, grain, boxes = np.empty((n, 2, 0, 0)), np.zeros((n, 1, 1)), np.zeros((n, 4), np.int64)
        if self.elastic:
            arrows = self.elastic * spread(rng.random((n, 2, KNOTS, KNOTS)))
        if self.erase:
            boxes = draw_boxes(self.erase, h, w, rng.random((n, 4)))
        if self.noise:  # one number for the noise level of the picture, then one for each pixel
            u = rng.random((n, 1 + h * w))
            grain = self.noise * u[:, :1, None] * spread(u[:, 1:]).reshape(n, h, w)
        mirrored = rng.random((n, 1))[:, 0] < self.mirror if self.mirror else np.zeros(n, bool)
        return Changes(moves, arrows, grain, boxes, mirrored)

    def most_moved(self) -> np.ndarray:
        """(6,): how far each of the `Changes.moves` may go, in either direction."""
        turn, zoom = math.radians(self.rotate), math.log1p(self.zoom)
        return np.array([self.shift, self.shift, turn, zoom, self.shear, self.thickness])


def spread(u: np.ndarray) -> np.ndarray:
    """Uniform in [0, 1) -> uniform in [-√3, √3): mean 0 and standard deviation 1."""
    return math.sqrt(3) * (2 * u - 1)


def affine_maps(moves: np.ndarray, h: int, w: int) -> np.ndarray:
    """(n, 2, 3): A | c - A (c + shift), with A = turn⁻¹ · shear⁻¹ / zoom: x_old = maps[0] · (x, y, 1), y_old the other.

    moves: (n, 6), as in `Changes`. A positive turn is clockwise, as y points down.

    >>> affine_maps(np.array([[1.0, 0, 0, np.log(2), 0.5, 0]]), h=3, w=5)
    array([[[ 0.5 , -0.25,  0.75],
            [-0.  ,  0.5 ,  0.5 ]]])
    """
    shift_x, shift_y, turn, log_zoom, shear, _ = moves.T
    cos, sin, zoom = np.cos(turn), np.sin(turn), np.exp(log_zoom)
    a, b = cos / zoom, (sin - shear * cos) / zoom
    d, e = -sin / zoom, (cos + shear * sin) / zoom
    c_x, c_y = (w - 1) / 2, (h - 1) / 2
    x, y = c_x + shift_x, c_y + shift_y  # the new position of the middle
    return np.array([[a, b, c_x - a * x - b * y], [d, e, c_y - d * x - e * y]]).transpose(2, 0, 1)


def draw_boxes(most: float, h: int, w: int, u: np.ndarray) -> np.ndarray:
    """(n, 4): top, bottom, left, right of boxes, sides one pixel to `most` of the image's; u: (n, 4), uniform."""
    height, width = (1 + u[:, :2] * most * np.array([h, w])).astype(np.int64).T
    top, left = (u[:, 2:].T * (np.array([h - height, w - width]) + 1)).astype(np.int64)
    return np.stack([top, top + height, left, left + width], axis=1)


def spline(size: int, knots: int) -> np.ndarray:
    """(size, knots): the weight of each knot at each pixel, by cubic B-splines.

    B(t) = 2/3 - t² + |t|³/2 for |t| ≤ 1, (2 - |t|)³/6 for |t| ≤ 2, and 0 beyond. The rows have length 1: independent
    numbers of variance 1 at the knots give a curve of variance 1 everywhere.

    >>> spline(28, 6).shape
    (28, 6)
    """
    at = 1 + np.linspace(0, max(knots - 3, 0), size)  # positions of the pixels, in units of the knot spacing
    t = np.abs(at[:, None] - np.arange(knots))
    B = np.where(t <= 1, 2 / 3 - t**2 + t**3 / 2, np.maximum(2 - t, 0) ** 3 / 6)
    return B / np.sqrt((B**2).sum(axis=1, keepdims=True))


def origins(changes: Changes, h: int, w: int) -> tuple[np.ndarray, np.ndarray]:
    """The position of each new pixel in the old image: x and y, (n, h, w) each."""
    y, x = np.mgrid[:h, :w]
    knots = changes.arrows.shape[-1]
    old = np.einsum("nik,khw->inhw", affine_maps(changes.moves, h, w), np.stack([x, y, np.ones_like(x)]))
    if knots:
        old += np.einsum("hk,nikl,wl->inhw", spline(h, knots), changes.arrows, spline(w, knots), optimize=True)
    return old[0], old[1]


def thicken(pixels: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """p + a · (largest of p and its four neighbours - p) for an amount a > 0; -a and the smallest for a < 0.

    pixels: (n, h, w, channels). amount: (n,), from -1 to 1. At the edges there are fewer neighbours.
    """
    if not amount.any():
        return pixels
    around = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    cross = [pixels, around[:, :-2, 1:-1], around[:, 2:, 1:-1], around[:, 1:-1, :-2], around[:, 1:-1, 2:]]
    a = amount[:, None, None, None]
    extreme = np.where(a > 0, np.maximum.reduce(cross), np.minimum.reduce(cross))
    return pixels + np.abs(a) * (extreme - pixels)


def sample(pixels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The values at the points (x, y), (n, h, w) each: bilinear interpolation, 0 outside the image.

    With fx and fy the fractions of x and y, and a b above c d the four pixels around:
    (1 - fy) ((1 - fx) a + fx b) + fy ((1 - fx) c + fx d)
    """
    h, w = pixels.shape[1:3]
    black = np.pad(pixels, ((0, 0), (1, 2), (1, 2), (0, 0)))  # a frame around the image: beyond it nothing differs
    x, y = np.clip(x + 1, 0, w + 1), np.clip(y + 1, 0, h + 1)
    left, top = x.astype(np.int64), y.astype(np.int64)
    fx, fy = (x - left)[..., None], (y - top)[..., None]
    i = np.arange(len(pixels))[:, None, None]
    upper = (1 - fx) * black[i, top, left] + fx * black[i, top, left + 1]
    lower = (1 - fx) * black[i, top + 1, left] + fx * black[i, top + 1, left + 1]
    return (1 - fy) * upper + fy * lower


AUGMENTATIONS = {"off": None, "light": Augment.light(), "digits": Augment.digits()}
