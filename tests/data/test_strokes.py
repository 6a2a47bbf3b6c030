"""Which strokes belong together: all of one digit, none of two, and neither rings around it nor the paper's lines."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scratchnet.data.idx import read_idx
from scratchnet.data.images import digit_from_image, digits_from_image
from tests.data.scenes import alone, difference, encircled, glyph, nearest, sheet

MNIST = Path(os.environ.get("SCRATCHNET_DATA", ""), "t10k-images-idx3-ubyte.gz")
needs_mnist = pytest.mark.skipif(not MNIST.is_file(), reason="needs SCRATCHNET_DATA")
every_digit = pytest.mark.parametrize("digit", range(10))


def read(picture):
    """The digits in a picture, each named by the printed digit that it is nearest to."""
    return "".join(str(nearest(found)) for found in digits_from_image(picture))


# Rings


@every_digit
@pytest.mark.parametrize("kind", [{}, {"box": True}, {"opening": 30}, {"width": 9}, {"box": True, "width": 2}])
def test_a_ring_or_a_box_around_a_digit_is_left_out(digit, kind):
    assert difference(digit_from_image(encircled(digit, **kind)), alone()[digit]) < 2


@pytest.mark.parametrize("digit", [0, 4, 6, 8, 9])
def test_a_digits_own_rings_are_kept_and_so_is_what_has_only_a_speck_inside(digit):
    speck = np.ones((5, 5))
    picture = sheet((glyph(digit), 70, 50), (speck, 100, 70))
    assert difference(digit_from_image(picture), alone()[digit]) < 6


# Several


@pytest.mark.parametrize("number", ["42", "10", "11", "308", "957", "2468013579"])
def test_several_digits_are_read_from_left_to_right(number):
    placed, left = [], 20
    for i, name in enumerate(number):
        placed.append((glyph(int(name)), 40 + 5 * (i % 3), left))
        left += glyph(int(name)).shape[1] + 14
    picture = sheet(*placed, shape=(160, left + 20))
    assert read(picture) == number
    with pytest.raises(ValueError, match=f"expected one digit, found {len(number)}. Use digits_from_image"):
        digit_from_image(picture)


def test_rows_are_read_from_top_to_bottom():
    rng = np.random.default_rng(0)
    placed = [
        (glyph(int(name)), 20 + 100 * row + rng.integers(0, 20), 20 + 80 * column + rng.integers(0, 20))
        for row, names in enumerate(("314", "159", "26"))
        for column, name in enumerate(names)
    ]
    assert read(sheet(*placed, shape=(340, 300))) == "31415926"


def test_a_ring_around_two_digits_is_left_out():
    around = np.zeros((130, 170))
    around[:4] = around[-4:] = 1
    around[:, :4] = around[:, -4:] = 1
    assert read(sheet((around, 20, 15), (glyph(4), 50, 40), (glyph(2), 50, 110), shape=(170, 200))) == "42"


def test_digits_may_be_of_different_size_and_dirt_is_none():
    small = np.asarray(Image.fromarray(glyph(7)).resize((28, 40)))
    assert read(sheet((glyph(3), 70, 30), (small, 90, 100), (np.ones((5, 5)), 20, 20))) == "37"


def test_the_other_digits_ink_is_not_in_the_box_of_one():
    """The 7's bar reaches over the 4: their boxes overlap."""
    seven, four = glyph(7), glyph(4)[20:]
    together = sheet((seven, 40, 20), (four, 70, 20 + seven.shape[1] - 8))
    assert len(digits_from_image(together)) == 2
    assert difference(digits_from_image(together)[0], alone()[7]) < 2


def test_one_digit_is_a_list_of_one():
    (found,) = digits_from_image(sheet((glyph(5), 70, 50)), size=56, box=40)
    assert found.shape == (56, 56) and found.any(axis=1).sum() == 40


# One digit in pieces


@every_digit
@pytest.mark.parametrize("cut", [2, 3, 4])
def test_a_digit_that_is_cut_in_two_stays_one(digit, cut):
    """A pen that skips: a gap of a few pixels in a digit 66 high, level, upright or slanted."""
    v, u = np.indices((66, 60))
    for across in (v - 33, u - glyph(digit).shape[1] // 2, (v - 33 + u - 20) / np.sqrt(2)):
        ink = glyph(digit).copy()
        ink[(np.abs(across) < cut / 2 + 0.1)[: ink.shape[0], : ink.shape[1]]] = 0
        assert len(digits_from_image(sheet((ink, 70, 50)))) == 1


def test_the_bar_of_a_five_and_the_stem_of_a_four_belong_to_them():
    five = np.zeros((90, 60))
    five[:7, 18:55] = 1
    five[20:90, 10:50] = np.asarray(Image.fromarray(glyph(3)).resize((40, 70)))
    four = np.zeros((90, 60))
    four[:50, 5:11] = four[45:51, 5:45] = 1
    four[10:90, 48:54] = 1  # three pixels from the other stroke
    for ink in (five, four):
        assert len(digits_from_image(sheet((ink, 50, 40)))) == 1


@needs_mnist
def test_digits_of_mnist_are_one_each():
    for digit in read_idx(MNIST)[:300]:
        large = np.asarray(Image.fromarray(255 - digit).resize((112, 112), Image.Resampling.BICUBIC))
        assert len(digits_from_image(digit)) == len(digits_from_image(large)) == 1


# Ruling


def ruled(shape=(400, 300), step=30, strength=90, upright=False, paper=240):
    page = np.full(shape, paper, np.uint8)
    page[10::step] = page[11::step] = paper - strength
    if upright:
        page[:, 10::step] = page[:, 11::step] = paper - strength
    return page


@pytest.mark.parametrize("strength", [20, 90, 200])
@pytest.mark.parametrize("upright", [False, True])
def test_empty_ruled_paper_is_only_paper(strength, upright):
    page = ruled(strength=strength, upright=upright)
    margin = page.copy()
    margin[:, 40:43] = 240 - strength
    tilted = Image.fromarray(page).rotate(2, Image.Resampling.BICUBIC, fillcolor=240).crop((25, 25, 275, 375))
    for paper in (page, page.T, margin, tilted):
        with pytest.raises(ValueError, match="found only paper"):
            digit_from_image(paper)


def test_a_digit_on_ruled_paper_is_read():
    for top in (60, 74, 83):
        page = ruled(strength=50)
        part = page[top : top + glyph(5).shape[0], 100 : 100 + glyph(5).shape[1]]
        np.minimum(part, (240 - 220 * glyph(5)).astype(np.uint8), out=part)
        assert difference(digit_from_image(page), alone()[5]) < 3


@pytest.mark.parametrize("lines", [1, 2])
def test_a_line_or_two_across_the_picture_are_digits(lines):
    """A 1, and an 11, cut out so closely that they touch the border."""
    picture = np.full((60, 80), 240, np.uint8)
    for i in range(lines):
        picture[:, 20 + 30 * i : 26 + 30 * i] = 20
    assert len(digits_from_image(picture)) == lines
