"""Printed digits, and pictures of them as they occur: on a desk, in a ring, several on a sheet."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from scratchnet.data.images import digit_from_image
from scratchnet.data.synthetic import FONTS, PENS, _draw_glyphs

PLAIN = len(PENS) * FONTS.index("DejaVuSans") + 1  # with a pen of one pixel more on each side


@cache
def glyph(digit, version=PLAIN):
    """A printed digit, 0 to 1, cut out: about (66, 45)."""
    ink = np.asarray(_draw_glyphs(str(digit))[0][version]) / 255
    rows, cols = np.flatnonzero((ink > 0.3).any(axis=1)), np.flatnonzero((ink > 0.3).any(axis=0))
    return ink[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]


def sheet(*placed, shape=(200, 160), paper=235, pen=40, noise=2, seed=0):
    """Ink on paper as uint8; placed: (ink, top, left)."""
    ink = np.zeros(shape)
    for part, top, left in placed:
        field = ink[top : top + part.shape[0], left : left + part.shape[1]]
        np.maximum(field, part, out=field)
    picture = paper + (pen - paper) * ink + np.random.default_rng(seed).normal(0, noise, shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def on_desk(paper, angle=0, desk=60, texture=8, seed=0):
    """A sheet on a desk with a grain, turned by `angle` degrees."""
    rng = np.random.default_rng(seed)
    turned, mask = (
        Image.fromarray(picture).rotate(angle, Image.Resampling.BICUBIC, expand=True)
        for picture in (paper, np.full_like(paper, 255))
    )
    w, h = turned.width + 90, turned.height + 60
    grain = Image.fromarray(rng.normal(0, texture, (h // 10, w // 3)).astype(np.float32)).resize((w, h))
    scene = Image.fromarray(np.clip(desk + np.asarray(grain), 0, 255).astype(np.uint8))
    scene.paste(turned, (25, 40), mask)
    return np.asarray(scene)


def ring(shape, box=False, width=5, opening=0):
    """A circle, or a rectangle, around an ink of this shape, 0 to 1, with an opening in degrees; and its margin."""
    margin = 25 if box else int(np.hypot(*shape) / 2 - min(shape) / 2 + 12)
    h, w = shape[0] + 2 * margin, shape[1] + 2 * margin
    image = Image.new("L", (w, h))
    pen = ImageDraw.Draw(image)
    if box:
        pen.rectangle((2, 2, w - 3, h - 3), outline=255, width=width)
    else:
        pen.arc((2, 2, w - 3, h - 3), opening, 360, fill=255, width=width)
    return np.asarray(image) / 255, margin


def encircled(digit, **kind):
    """A printed digit in a ring or box, on a sheet."""
    around, margin = ring(glyph(digit).shape, **kind)
    return sheet((around, 20, 15), (glyph(digit), 20 + margin, 15 + margin))


def difference(a, b):
    """Mean difference of two images of digits, wherever in them: a centre of mass may lie between two pixels."""
    a, b = a.astype(float), b.astype(float)
    shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return min(np.abs(np.roll(a, shift, axis=(0, 1)) - b).mean() for shift in shifts)


@cache
def alone():
    """Each printed digit by itself on a sheet, as digit_from_image makes it."""
    return [digit_from_image(sheet((glyph(digit), 70, 50))) for digit in range(10)]


def nearest(found):
    """The printed digit that an image is most like."""
    return int(np.argmin([difference(found, one) for one in alone()]))
