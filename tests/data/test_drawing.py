"""Strokes become images in MNIST's format: what is true of every drawing."""

from itertools import pairwise

import numpy as np
import pytest

from scratchnet.data.drawing import PEN, SOFTNESS, digit_from_strokes

ZIGZAG = [[(0.25, 0.25), (0.5, 0.375), (0.3125, 0.5), (0.5, 0.75)], [(0.375, 0.25), (0.4375, 0.625)]]


def random_strokes(rng, count=3, points=12):
    """A few strokes that wander anywhere in the field."""
    return [(rng.uniform(0.2, 0.8, 2) + rng.normal(0, 0.05, (points, 2)).cumsum(axis=0)).tolist() for _ in range(count)]


def centre_of_mass(image):
    mass = image.astype(float)
    return [(mass.sum(axis=1 - axis) @ np.arange(len(image))) / mass.sum() for axis in (0, 1)]


def test_size_and_place_of_the_drawing_do_not_matter():
    # Powers of two, so that no rounding differs.
    expected = digit_from_strokes(ZIGZAG)
    for scale, dx, dy in ((0.25, 0, 0), (0.5, 0.5, 0.25), (1, 0.125, -0.125), (2, -0.5, -0.5)):
        moved = [[(scale * x + dx, scale * y + dy) for x, y in stroke] for stroke in ZIGZAG]
        np.testing.assert_array_equal(digit_from_strokes(moved), expected)


@pytest.mark.parametrize("seed", range(20))
def test_the_longer_side_is_20_pixels_and_the_mass_is_centred_as_in_mnist(seed):
    image = digit_from_strokes(random_strokes(np.random.default_rng(seed)))
    rows, columns = image.nonzero()
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert all(13.5 <= place < 14.5 for place in centre_of_mass(image))


def test_a_stroke_covers_the_area_that_a_round_pen_covers(rng):
    # The oracle draws with a round pen on a field of 16 times as many pixels, and counts.
    strokes = random_strokes(rng)
    image = digit_from_strokes(strokes, centre=False)
    everything = np.concatenate(strokes)
    low, extent = everything.min(axis=0), np.ptp(everything, axis=0)
    scale = (20 - PEN - 0.1) / extent.max()
    fine = (np.arange(28 * 16) + 0.5) / 16
    covered = np.zeros((len(fine), len(fine)), bool)
    for stroke in strokes:
        points = (np.array(stroke) - low) * scale + (28 - extent * scale) / 2
        for a, b in pairwise(points):
            for t in np.linspace(0, 1, 60):
                x, y = a + t * (b - a)
                covered |= (fine[None, :] - x) ** 2 + (fine[:, None] - y) ** 2 <= (PEN / 2) ** 2
    share = covered.reshape(28, 16, 28, 16).mean(axis=(1, 3))
    # In a pixel that two edges cross, the nearer one alone counts: half of it can be missing, in few pixels.
    assert np.abs(image / 255 - share).max() < 0.5
    assert np.abs(image / 255 - share).mean() < 0.01
    assert (np.abs(image / 255 - share) > 0.15).mean() < 0.01


def test_a_point_is_a_dot_of_the_pens_size():
    dot = digit_from_strokes([[(0.9, 0.1)]])
    rows, columns = dot.nonzero()
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == 4
    # A soft edge of width s has a mean area of π (r² + s²/12), here sampled at sixteen points.
    assert dot.sum() / 255 == pytest.approx(np.pi * ((PEN / 2) ** 2 + SOFTNESS**2 / 12), rel=0.1)
    np.testing.assert_array_equal(dot, dot[::-1, ::-1])
    np.testing.assert_array_equal(digit_from_strokes([[(0.9, 0.1)] * 5]), dot)


def test_repeated_points_and_empty_strokes_change_nothing():
    repeated = [[point for point in stroke for _ in range(3)] for stroke in ZIGZAG]
    np.testing.assert_array_equal(digit_from_strokes([*repeated, []]), digit_from_strokes(ZIGZAG))


def test_without_strokes_the_field_is_empty():
    assert not digit_from_strokes([]).any()
    assert not digit_from_strokes([[], []]).any()


def test_without_the_box_the_drawing_stays_where_it_was():
    corner = [[(0.05, 0.05), (0.2, 0.2)]]
    assert not digit_from_strokes(corner, box=None, centre=False)[10:].any()
    assert all(13.5 <= place < 14.5 for place in centre_of_mass(digit_from_strokes(corner, box=None)))


def test_without_a_fixed_pen_a_small_drawing_is_a_blob_and_a_large_one_a_hair():
    small = [[(x / 8, y / 8) for x, y in stroke] for stroke in ZIGZAG]
    blob, hair = digit_from_strokes(small, pen=None), digit_from_strokes(ZIGZAG, pen=None)
    assert blob.sum() > 1.5 * hair.sum()
    assert max(np.ptp(blob.nonzero()[0]), np.ptp(blob.nonzero()[1])) + 1 == 20


def test_ink_at_the_edge_is_not_cut_off_by_centring():
    # Most of the mass is at one end: centring would push the other end out of the field.
    comb = [[(0, 0), (1, 0)], *[[(k / 40, 0), (k / 40, 0.15)] for k in range(8)]]
    image, before = digit_from_strokes(comb, size=22), digit_from_strokes(comb, size=22, centre=False)
    assert image.sum() == before.sum()


@pytest.mark.parametrize(
    "strokes", [[[(0, np.nan), (1, 1)]], [[(0, np.inf)]], [[0.5, 0.5]], [[(1, 2, 3)]], [[(0, 1e6), (1, 1)]]]
)
def test_what_is_no_list_of_points_is_an_error(strokes):
    with pytest.raises(ValueError, match="digit_from_strokes: expected each stroke as a list of points"):
        digit_from_strokes(strokes)


def test_a_box_larger_than_the_field_is_an_error():
    with pytest.raises(ValueError, match="expected a box from 4 to size = 28, got 30"):
        digit_from_strokes(ZIGZAG, box=30)
