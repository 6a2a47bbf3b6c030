"""A frame around the paper and the desk below it are left out; nothing is left out where there is none."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scratchnet.data.idx import read_idx
from scratchnet.data.images import digit_from_image
from scratchnet.data.sheet import otsu, sheet_of_paper
from tests.data.scenes import difference, glyph, nearest, on_desk, sheet

MNIST = Path(os.environ.get("SCRATCHNET_DATA", ""), "t10k-images-idx3-ubyte.gz")
needs_mnist = pytest.mark.skipif(not MNIST.is_file(), reason="needs SCRATCHNET_DATA")
every_digit = pytest.mark.parametrize("digit", range(10))


def paper_with(digit, **colours):
    return sheet((glyph(digit), 70, 50), **colours)


@every_digit
@pytest.mark.parametrize("thickness", [1, 2, 3, 6])
def test_a_frame_is_left_out(digit, thickness):
    paper = paper_with(digit)
    framed = np.pad(paper, thickness, constant_values=0)
    assert difference(digit_from_image(framed), digit_from_image(paper)) < 1
    assert difference(digit_from_image(255 - framed), digit_from_image(paper)) < 1  # chalk, framed in white


def test_a_frame_may_be_soft_and_of_different_thickness_at_each_side():
    framed = np.pad(paper_with(5), ((3, 9), (5, 14)), constant_values=20)
    assert difference(digit_from_image(framed), digit_from_image(paper_with(5))) < 1
    soft = Image.fromarray(framed).resize((134, 159), Image.Resampling.BILINEAR)
    assert nearest(digit_from_image(soft)) == 5


@pytest.mark.parametrize("width", [4, 8])
def test_a_box_with_nothing_in_it_is_a_zero(width):
    box = np.full((80, 50), 20, np.uint8)
    box[width:-width, width:-width] = 240
    for picture in (np.pad(box, 10, constant_values=240), np.pad(255 - box, 20, constant_values=15)):
        found = digit_from_image(picture)
        assert found[13:15, 13:15].max() == 0 and found[4, 10:18].min() > 200


@every_digit
@pytest.mark.parametrize("angle", [0, 4, -11])
def test_a_desk_is_left_out(digit, angle):
    paper = paper_with(digit)
    for desk in (on_desk(paper, angle), 255 - on_desk(paper, angle)):
        found = digit_from_image(desk)
        assert nearest(found) == digit
        assert difference(found, digit_from_image(paper)) < (2 if angle == 0 else 12)  # two digits: 30 to 60


def test_a_turned_sheet_is_turned_back():
    bar = np.ones((70, 8))
    found = digit_from_image(on_desk(sheet((bar, 60, 70)), angle=12))
    assert np.flatnonzero(found.max(axis=0) > 100).size <= 4  # upright: as narrow as it was drawn


@pytest.mark.parametrize("size", [(150, 20), (150, 45), (150, 90), (60, 40)])
def test_a_thick_stroke_is_no_sheet(size):
    picture = np.full((200, 130), 240, np.uint8)
    picture[20 : 20 + size[0], 20 : 20 + size[1]] = 30
    for stroke in (picture, 255 - picture):
        assert sheet_of_paper(stroke.astype(float)).shape == picture.shape
        assert digit_from_image(stroke).max(axis=1).astype(bool).sum() == 20


@needs_mnist
def test_digits_of_mnist_have_no_frame_and_lie_on_no_desk():
    for digit in read_idx(MNIST)[::50]:
        assert sheet_of_paper(digit.astype(float)).shape == (28, 28)
        large = np.asarray(Image.fromarray(digit).resize((140, 140), Image.Resampling.BICUBIC), float)
        assert sheet_of_paper(large).shape == sheet_of_paper(255 - large).shape == (140, 140)


@pytest.mark.parametrize("softness", [0.15, 0.4])
def test_a_shadow_is_no_desk(softness):
    paper = paper_with(5, noise=1).astype(float)
    v, u = np.meshgrid(np.linspace(-1, 1, 200), np.linspace(-1, 1, 160), indexing="ij")
    for direction in (u, v, u + v, u - 0.5 * v):
        shaded = paper * (1 - 0.5 / (1 + np.exp(-direction / softness)))
        assert sheet_of_paper(shaded).shape == paper.shape


def test_otsus_threshold_has_the_largest_variance_between_classes(rng):
    values = np.rint(np.concatenate([rng.normal(70, 20, 900), rng.normal(170, 25, 400)])).clip(0, 255)

    def between(threshold):
        below, above = values[values <= threshold], values[values > threshold]
        return len(below) * len(above) * (below.mean() - above.mean()) ** 2

    best = max(range(40, 200), key=between)
    assert between(otsu(values)) == pytest.approx(between(best))
