"""Ink on paper: how much of each pixel is ink.

Lighting varies across a picture, so no single threshold separates ink from paper. But paper is smooth: its brightness
is modelled by a quadratic surface. The surface is fitted by least squares to the border of the picture first, then a
few times to all pixels close to the previous fit. Ink reflects a constant share of the light that paper reflects;
so dark ink is measured relative to the paper's brightness, and light ink relative to the distance to white.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scratchnet.data.sheet import otsu

if TYPE_CHECKING:
    from PIL.Image import Image

FAINTEST = 12.0  # brightness levels of 255 between ink and paper, and
SURE = 5.0  # standard deviations of the paper's noise: anything less is no ink
COLOURED = 3.0  # ink is detected by colour if it differs this many times more in colour than in brightness
CLEARLY = 0.05  # of all points: how many more a surface must explain to be the better one
SAMPLE = 80  # points in each direction are enough to fit six numbers, or to sample the colours
ONLY_PAPER = "expected a digit, found only paper: "


def brightness(image: Image) -> np.ndarray:
    """An 8-bit picture -> (h, w) from 0 to 255: its brightness, or the colour axis along which ink and paper differ.

    Red ink on green paper of equal brightness is visible along the direction of largest colour variance: the first
    principal component of (red, green, blue).

    >>> from PIL import Image
    >>> brightness(Image.new("RGB", (3, 2), "white"))[0]
    array([255., 255., 255.])
    """
    grey = np.asarray(image.convert("L"), np.float64)
    if image.mode in ("1", "L", "LA"):
        return grey
    colours = np.asarray(image.convert("RGB"), np.float64)
    rows, cols = (np.unique(np.linspace(0, side - 1, SAMPLE * 2).astype(int)) for side in grey.shape)
    colours = colours - np.median(colours[np.ix_(rows, cols)], axis=(0, 1))
    _, _, axes = np.linalg.svd(colours[np.ix_(rows, cols)].reshape(-1, 3), full_matrices=False)
    along = colours @ axes[0]
    range_along, range_grey = (np.ptp(np.percentile(values, (0.5, 99.5))) for values in (along, grey))
    if range_along < max(COLOURED * range_grey, 2 * FAINTEST):
        return grey
    return 127.5 + along * min(1, 127.5 / np.abs(along).max())


def ink_on_paper(grey: np.ndarray, small: bool) -> np.ndarray:
    """Brightness (h, w) -> how much of each pixel is ink, from 0 to 1. Raises ValueError if there is none.

    small: the picture has few pixels, so that single pixels matter.

    >>> ink_on_paper(np.array([[200.0, 200, 200], [200, 0, 200], [200, 200, 200]]), small=True)[1]
    array([0., 1., 0.])
    """
    surface, noise = _paper(grey)
    contrast, room, strongest = _contrast(grey, surface, noise)
    if strongest < max(FAINTEST, SURE * noise):
        levels = _two_levels(grey)
        if levels is None:
            raise ValueError(
                f"{ONLY_PAPER}nothing differs from its brightness of {surface.mean():.0f} by more than {strongest:.0f} "
                "of 255. Is it blank, or is the ink too faint?"
            )
        surface, noise = levels
        contrast, room, _ = _contrast(grey, surface, noise)
    floor = max(4 * noise, 0.5)
    ink = np.where(contrast > floor, contrast / np.maximum(room, FAINTEST), 0.0)
    full = ink.max() if small else np.percentile(ink[ink >= ink.max() / 2], 90)
    return np.minimum(ink / full, 1.0)


def _contrast(grey: np.ndarray, surface: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray, float]:
    """The contrast of ink and paper everywhere, its possible maximum everywhere, and its largest value."""
    contrast, floor = grey - surface, max(4 * noise, 0.5)
    darker, lighter = (np.square(part[part > floor]).sum() for part in (-contrast, contrast))
    contrast, room = (-contrast, surface) if darker > lighter else (contrast, 255 - surface)
    return contrast, room, float(np.percentile(contrast, 99.99))  # not the maximum: it may be one hot pixel


def _two_levels(grey: np.ndarray) -> tuple[np.ndarray, float] | None:
    """The paper of a picture whose border is full of ink: of two levels with sharp edges, the one in the corners.

    Returns surface (h, w) and noise as `_paper` does, or None if there are no two such levels.
    """
    h, w = grey.shape
    light = grey > otsu(grey)
    if min(h, w) < 3 or light.all() == light.any():
        return None
    step = np.median(grey[light]) - np.median(grey[~light])
    change = np.abs(np.diff(grey, axis=1))
    noise = _deviation(change) / np.sqrt(2)
    if step < max(2 * FAINTEST, SURE * noise) or (change > max(step / 10, SURE * noise)).sum() < max(h, w) / 2:
        return None
    corners = np.r_[0 : h // 8 + 1, h - h // 8 - 1 : h], np.r_[0 : w // 8 + 1, w - w // 8 - 1 : w]
    paper = light if light[np.ix_(*corners)].mean() > 0.4 else ~light  # in doubt, ink is dark
    return np.full(grey.shape, np.median(grey[paper])), noise


def _paper(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """The paper's brightness everywhere, (h, w), and the standard deviation of its noise.

    If the border's brightness changes more suddenly than a shadow's, and its larger part explains clearly more of the
    picture than all of it, the other part is ink that reaches the border.
    """
    h, w = grey.shape
    v, u = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=-1)  # (h, w, 6)

    rows, cols = (np.unique(np.linspace(0, side - 1, SAMPLE).astype(int)) for side in grey.shape)
    points, values = terms[np.ix_(rows, cols)], grey[np.ix_(rows, cols)]
    border = np.ones(values.shape, bool)
    border[1:-1, 1:-1] = False
    light = values > otsu(values)
    larger = light if light[border].mean() > 0.5 else ~light
    surface, distance, paper = _fit(points, values, border)
    edges = [line[4:] - line[:-4] for line in (grey[0], grey[-1], grey[:, 0], grey[:, -1]) if len(line) > 4]
    sudden = max((np.abs(edge).max() for edge in edges), default=0.0)
    if not larger[border].all() and sudden > max(np.ptp(np.percentile(grey, (5, 95))) / 3, 2 * FAINTEST):
        other = _fit(points, values, border & larger)
        if (np.abs(other[1]) < FAINTEST).mean() > (np.abs(distance) < FAINTEST).mean() + CLEARLY:
            surface, distance, paper = other

    # Pure black or pure white paper has noise on one side only: use the noisier side.
    sides = [side[side > 0] for side in (distance[paper], -distance[paper])]
    noise = max((_deviation(side) for side in sides if side.size > 0.05 * paper.sum()), default=0.0)
    return terms @ surface, noise


def _fit(points: np.ndarray, values: np.ndarray, paper: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit a surface, starting from the points in `paper`: its six coefficients, the residuals, and which are paper."""
    for _ in range(4):
        surface = np.linalg.lstsq(points[paper], values[paper], rcond=None)[0]
        distance = values - points @ surface
        paper = np.abs(distance) <= 3 * _deviation(np.abs(distance[paper])) + 1
    return surface, distance, paper


def _deviation(distances: np.ndarray) -> float:
    """The standard deviation of normally distributed noise, from its median distance to the centre."""
    return 1.4826 * float(np.median(distances))
