"""A digit on any paper, anywhere, at any size, becomes an image as MNIST's makers would have made it."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from scratchnet.data.idx import read_idx
from scratchnet.data.images import digit_from_image, digits_from_image

MNIST = Path(os.environ.get("SCRATCHNET_DATA", ""), "t10k-images-idx3-ubyte.gz")
needs_mnist = pytest.mark.skipif(not MNIST.is_file(), reason="needs SCRATCHNET_DATA")


def seven(width=200, height=300, left=60, top=80, scale=100, ink=0, paper=255):
    """A drawn 7: a bar and a slanted line, `scale` wide and 1.5 times as high."""
    image = Image.new("L", (width, height), paper)
    pen = ImageDraw.Draw(image)
    points = [(left, top), (left + scale, top), (left + 0.4 * scale, top + 1.5 * scale)]
    pen.line(points, fill=ink, width=max(1, round(0.12 * scale)), joint="curve")
    return np.asarray(image)


EXPECTED = digit_from_image(seven())


def difference(a, b):
    return np.abs(a.astype(float) - b.astype(float)).mean()


# As MNIST was made


def test_ink_is_white_in_a_box_of_20_pixels_with_its_mass_at_the_centre():
    assert EXPECTED.shape == (28, 28) and EXPECTED.dtype == np.uint8
    assert EXPECTED.max() == 255 and EXPECTED[0].max() == 0
    rows, cols = np.flatnonzero(EXPECTED.any(axis=1)), np.flatnonzero(EXPECTED.any(axis=0))
    assert rows[-1] - rows[0] + 1 == 20
    assert (cols[-1] - cols[0] + 1) / 20 == pytest.approx(1.06 / 1.6, abs=0.07)  # the drawing's proportions
    for axis in (0, 1):
        mass = EXPECTED.sum(axis=axis) @ np.arange(28) / EXPECTED.sum()
        assert 13.5 <= mass < 14.5  # as of every image of MNIST


def test_the_upper_bar_stays_above():
    assert EXPECTED[:10].sum() > EXPECTED[-10:].sum()
    assert EXPECTED[:, :14].sum() < 1.5 * EXPECTED[:, 14:].sum()


def test_size_and_box_can_be_chosen():
    large = digit_from_image(seven(), size=56, box=40)
    assert large.shape == (56, 56)
    assert np.flatnonzero(large.any(axis=1)).size == 40
    assert digit_from_image(seven(), size=20, box=20).any(axis=1).all()
    with pytest.raises(ValueError, match="expected a box from 1 to size = 28, got 29"):
        digit_from_image(seven(), box=29)


@needs_mnist
def test_a_digit_of_mnist_hardly_changes():
    for digit in read_idx(MNIST)[:150]:
        assert difference(digit_from_image(digit), digit) < 0.5
        assert difference(digit_from_image(255 - digit), digit) < 0.5


@needs_mnist
def test_a_digit_of_mnist_enlarged_on_paper_comes_back():
    differences = []
    rng = np.random.default_rng(0)
    for digit in read_idx(MNIST)[:60]:
        large = np.asarray(Image.fromarray(255 - digit).resize((196, 196), Image.Resampling.BICUBIC))
        paper = np.full((200, 300), 255, np.uint8)
        left = rng.integers(0, 105)
        paper[2:198, left : left + 196] = large
        differences.append(difference(digit_from_image(paper), digit))
    assert np.median(differences) < 6  # of 255; many are one pixel off, where the mass lies between two
    assert np.mean(differences) < 8


# Whatever the paper, the place, the light


@pytest.mark.parametrize("place", [(20, 20), (85, 138), (7, 60)])
def test_the_place_does_not_matter(place):
    np.testing.assert_array_equal(digit_from_image(seven(left=place[0], top=place[1])), EXPECTED)


@pytest.mark.parametrize("factor", [0.5, 2, 3, 7.5])
def test_the_size_does_not_matter(factor):
    picture = Image.fromarray(seven())
    picture = picture.resize((round(200 * factor), round(300 * factor)), Image.Resampling.BOX)
    assert difference(digit_from_image(picture), EXPECTED) < 2


@pytest.mark.parametrize(("ink", "paper"), [(255, 0), (200, 40), (40, 200), (10, 120), (250, 140), (90, 130)])
def test_ink_may_be_darker_or_lighter_than_any_paper(ink, paper):
    assert difference(digit_from_image(seven(ink=ink, paper=paper)), EXPECTED) < 1


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_uneven_light_hardly_matter(seed):
    rng = np.random.default_rng(seed)
    v, u = np.meshgrid(np.linspace(-1, 1, 300), np.linspace(-1, 1, 200), indexing="ij")
    light = 0.7 + rng.uniform(-0.12, 0.12) * u + rng.uniform(-0.12, 0.12) * v - 0.05 * u * v
    picture = light * (60 + 0.7 * seven()) + rng.normal(0, 5, u.shape)
    assert difference(digit_from_image(np.clip(picture, 0, 255)), EXPECTED) < 3


def test_specks_are_not_part_of_the_digit():
    picture = seven().copy()
    picture[20:24, 30:34] = picture[280:283, 190:192] = picture[250, 5] = 0
    assert difference(digit_from_image(picture), EXPECTED) < 0.5


def test_dust_beside_the_digit_is_not_part_of_it():
    small = np.asarray(Image.fromarray(seven()).resize((37, 56), Image.Resampling.BOX)).copy()
    clean = digit_from_image(small)
    rows, cols = np.nonzero(small < 255)
    small[rows[-1] + 2, cols[-1]] = small[rows[0] - 2, cols[0]] = 235  # below its foot, and above its bar
    np.testing.assert_array_equal(digit_from_image(small), clean)


def test_the_parts_of_a_digit_stay_together():
    picture = np.full((120, 100), 255, np.uint8)
    picture[20:26, 30:70] = 0  # a bar that does not touch the rest
    picture[34:100, 45:51] = 0
    assert np.flatnonzero(digit_from_image(picture).any(axis=1)).size < 20  # a gap between them
    assert np.flatnonzero(digit_from_image(picture[30:]).any(axis=1)).size == 20


# Whatever the picture is kept in


def test_files_pictures_and_arrays_of_all_kinds_give_the_same_digit(tmp_path):
    grey = seven()
    Image.fromarray(grey).save(tmp_path / "seven.png")
    transparent = np.zeros((300, 200, 4), np.uint8)
    transparent[..., 3] = 255 - grey  # black ink on nothing
    same = {
        "path": str(tmp_path / "seven.png"),
        "Path": tmp_path / "seven.png",
        "picture": Image.fromarray(grey),
        "palette": Image.fromarray(grey).convert("P"),
        "colour": Image.fromarray(grey).convert("RGB"),
        "print": Image.fromarray(grey).convert("CMYK"),
        "16 bit": Image.fromarray(grey.astype(np.uint16) * 257),
        "transparent": transparent,
        "transparent grey": Image.fromarray(transparent).convert("LA"),
        "one channel": grey[..., None],
        "unit": grey / 255,
        "floats": grey.astype(np.float32),
        "integers": grey.astype(np.int64),
        "16 bit array": grey.astype(np.uint16) * 257,
    }
    for name, source in same.items():
        np.testing.assert_array_equal(digit_from_image(source), EXPECTED, err_msg=name)
    bilevel = digit_from_image(grey < 128)
    assert difference(bilevel, EXPECTED) < 2


@pytest.mark.parametrize(
    ("ink", "paper"),
    [((200, 40, 40), (20, 116, 60)), ((40, 60, 220), (76, 76, 76)), ((255, 255, 90), (255, 255, 255))],
    ids=["red on green", "blue on grey", "yellow on white"],
)
def test_ink_may_differ_in_colour_only(ink, paper):
    share = 1 - seven()[..., None] / 255
    coloured = np.rint(paper + (np.array(ink) - paper) * share).astype(np.uint8)
    assert np.ptp(np.asarray(Image.fromarray(coloured).convert("L"))) < 20
    assert difference(digit_from_image(coloured), EXPECTED) < 1
    noisy = np.clip(coloured + np.random.default_rng(0).normal(0, 4, coloured.shape), 0, 255)
    assert difference(digit_from_image(noisy), EXPECTED) < 3


def test_white_ink_on_nothing_is_seen():
    transparent = np.full((300, 200, 4), 255, np.uint8)
    transparent[..., 3] = 255 - seven()
    np.testing.assert_array_equal(digit_from_image(transparent), EXPECTED)


def test_bytes_of_a_file_do_as_well_as_its_path():
    file = io.BytesIO()
    Image.fromarray(seven()).save(file, "png")
    for source in (file, file.getvalue()):
        np.testing.assert_array_equal(digit_from_image(source), EXPECTED)


@pytest.mark.parametrize("margin", [0, 1, 2, 5])
def test_a_digit_may_fill_its_picture(margin):
    rows, cols = (np.flatnonzero((seven() < 255).any(axis=axis)) for axis in (1, 0))
    picture = seven()[rows[0] - margin : rows[-1] + 1 + margin, cols[0] - margin : cols[-1] + 1 + margin]
    assert difference(digit_from_image(picture), EXPECTED) < 1


def test_a_photograph_is_turned_as_its_camera_says(tmp_path):
    lying = Image.fromarray(np.rot90(seven()))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    lying.save(tmp_path / "photo.png", exif=exif)
    np.testing.assert_array_equal(digit_from_image(tmp_path / "photo.png"), EXPECTED)


def test_the_picture_given_is_not_changed():
    array, image = seven(2000, 2000).copy(), Image.fromarray(seven(2000, 2000))
    before = array.copy()
    digit_from_image(array)
    digit_from_image(image)
    np.testing.assert_array_equal(array, before)
    np.testing.assert_array_equal(np.asarray(image), before)


# No digit


@pytest.mark.parametrize("paper", [0, 128, 255])
@pytest.mark.parametrize("noise", [0, 8])
def test_a_blank_sheet_is_an_error(paper, noise):
    sheet = np.clip(paper + np.random.default_rng(0).normal(0, noise, (200, 300)), 0, 255)
    with pytest.raises(ValueError, match="found only paper"):
        digit_from_image(sheet)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2), (28, 28)])
def test_a_tiny_blank_sheet_is_an_error_too(shape):
    with pytest.raises(ValueError, match="found only paper"):
        digit_from_image(np.zeros(shape, np.uint8))


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"<html>")
    Image.fromarray(seven()).save(tmp_path / "b.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:200])
    for name in "ab":
        with pytest.raises(ValueError, match=f"{name}.png: expected an image file"):
            digit_from_image(tmp_path / f"{name}.png")
    with pytest.raises(FileNotFoundError):
        digit_from_image(tmp_path / "c.png")


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 5)), np.zeros(784), np.zeros((2, 28, 28)), np.zeros((3, 3, 3, 3)), np.array([["a"]]), None],
)
def test_what_is_not_shaped_like_an_image_is_refused(array):
    with pytest.raises(ValueError, match="expected one image"):
        digit_from_image(array)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, 1e6])
def test_numbers_that_are_no_brightness_are_refused(value):
    with pytest.raises(ValueError, match="expected numbers from 0"):
        digit_from_image(np.full((28, 28), value))


# Anything


def test_whatever_the_picture_there_are_images_or_a_value_error(rng):
    """Noise, blocks, rectangles, soft blots, of all sizes, in grey, in colour, with transparency."""
    found = 0
    for i in range(400):
        h, w = rng.integers(1, [3, 8, 30, 60, 160][i % 5], 2)
        noise = rng.integers(0, 256, (h, w, 4), np.uint8)
        blocks = np.kron(rng.integers(0, 2, (h // 9 + 1, w // 9 + 1)), np.ones((9, 9))) * 255
        blots = Image.fromarray(noise[:5, :5, 0]).resize((w, h))
        dots = np.where(rng.random((h, w)) < 0.1, 255, 0)
        rectangle = np.full((h, w), rng.integers(256))
        rectangle[rng.integers(h) :, rng.integers(w) :] = rng.integers(256)
        try:
            digits = digits_from_image([noise, noise[..., :3], blocks, blots, dots, rectangle][i % 6])
        except ValueError as error:
            assert "found" in str(error)
            continue
        found += 1
        assert all(d.shape == (28, 28) and d.dtype == np.uint8 and d.max() > 0 for d in digits)
    assert found > 100


def test_a_page_full_of_specks_is_refused_and_not_pondered():
    page = np.full((1024, 1024), 255, np.uint8)
    page[::12, ::12] = page[1::12, ::12] = page[::12, 1::12] = 0  # 7,396 pieces of equal size
    with pytest.raises(ValueError, match="more than 400 pieces of ink"):
        digit_from_image(page)
