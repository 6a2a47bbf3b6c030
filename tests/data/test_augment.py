"""Augmentation: every change against scipy.ndimage, and what must be true of all of them together."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.interpolate import BSpline

from scratchnet.data.augment import KNOTS, Augment, affine_maps, draw_boxes, sample, spline, thicken
from scratchnet.randomness import ExampleRandom

EVERYTHING = Augment(shift=3, rotate=40, zoom=0.3, shear=0.3, elastic=1, thickness=0.8, noise=15, erase=0.4,
                     mirror=0.5)  # fmt: skip
NOTHING = Augment(shift=0, rotate=0, zoom=0)
EACH = {
    name: Augment(**{"shift": 0, "rotate": 0, "zoom": 0, name: most})
    for name, most in {
        "shift": 3.5, "rotate": 60, "zoom": 0.5, "shear": 0.4, "elastic": 1.5, "thickness": 1, "noise": 20,
        "erase": 0.5, "mirror": 1,
    }.items()
}  # fmt: skip
each = pytest.mark.parametrize("name", EACH)


@pytest.fixture
def images(rng):
    """20 uint8 pictures, higher than wide, bright up to their edges."""
    return rng.integers(1, 256, (20, 17, 12), np.uint8)


def one_map(h, w, shift=(0.0, 0.0), turn=0.0, zoom=1.0, shear=0.0):
    """The map of a single image of h × w; shift is (across, down)."""
    return affine_maps(np.array([[*shift, turn, np.log(zoom), shear, 0]]), h, w)[0]


def warped(image, map_):
    """One image (h, w) under one map."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    old = [row[0] * x + row[1] * y + row[2] for row in map_]
    return sample(image[None, ..., None].astype(float), old[0][None], old[1][None])[0, ..., 0]


# against scipy


@given(st.floats(-180, 180), st.floats(0.4, 3), st.floats(-1, 1), st.tuples(st.floats(-30, 30), st.floats(-30, 30)))
def test_an_affine_map_is_scipys_with_rows_and_columns_exchanged(degrees, zoom, shear, shift):
    image = np.random.default_rng(1).integers(0, 256, (9, 14)).astype(float)
    map_ = one_map(9, 14, shift, np.radians(degrees), zoom, shear)
    matrix, offset = map_[::-1, 1::-1], map_[::-1, 2]  # scipy's points are (row, column)
    expected = ndimage.affine_transform(image, matrix, offset, order=1, mode="grid-constant")
    np.testing.assert_allclose(warped(image, map_), expected, atol=1e-9)


def test_the_map_is_the_inverse_of_zoom_times_shear_times_turn():
    turn, zoom, shear = 0.4, 1.3, 0.2
    A = one_map(9, 14, turn=turn, zoom=zoom, shear=shear)[:, :2]
    forward = zoom * np.array([[1, shear], [0, 1]]) @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    np.testing.assert_allclose(A @ forward, np.eye(2), atol=1e-12)


def test_an_elastic_distortion_is_scipys_map_coordinates_along_its_splines(images):
    augment, rng = EACH["elastic"], ExampleRandom(0, 1)
    arrows = augment.draw(images.shape, ExampleRandom(0, 1)).arrows  # (n, 2, KNOTS, KNOTS)
    changed = augment(images.astype(float), rng)
    for image, (x_arrows, y_arrows), got in zip(images, arrows, changed, strict=True):
        rows, columns = (bumps_by_scipy(size) for size in image.shape)
        y, x = np.mgrid[: image.shape[0], : image.shape[1]]
        old = [y + rows @ y_arrows @ columns.T, x + rows @ x_arrows @ columns.T]
        expected = ndimage.map_coordinates(image.astype(float), old, order=1, mode="grid-constant")
        np.testing.assert_allclose(got, expected, atol=1e-9)


def bumps_by_scipy(size):
    """Cubic B-splines on uniform knots, the rows scaled to length 1."""
    basis = BSpline.design_matrix(np.linspace(3, KNOTS, size), np.arange(KNOTS + 4.0), 3).toarray()
    return basis / np.linalg.norm(basis, axis=1, keepdims=True)


@pytest.mark.parametrize("amount", [-1, -0.3, 0.0, 0.6, 1])
def test_a_pen_is_thicker_by_scipys_grey_dilation_and_thinner_by_its_erosion(images, amount):
    grey = ndimage.grey_dilation if amount > 0 else ndimage.grey_erosion
    cross = ndimage.generate_binary_structure(2, 1)
    for image in images.astype(float):
        expected = (1 - abs(amount)) * image + abs(amount) * grey(image, footprint=cross, mode="nearest")
        got = thicken(image[None, ..., None], np.array([amount]))[0, ..., 0]
        np.testing.assert_allclose(got, expected, atol=1e-9)


# what can be said without an oracle


def test_positive_shifts_go_right_and_down_and_positive_turns_clockwise():
    image = np.zeros((5, 5))
    image[1, 2] = 1
    assert warped(image, one_map(5, 5, shift=(1, 2)))[3, 3] == 1
    assert warped(image, one_map(5, 5, turn=np.pi / 2))[2, 3] == pytest.approx(1)


def test_a_zoom_of_two_makes_a_square_four_times_as_large():
    image = np.zeros((41, 41))
    image[15:26, 15:26] = 1
    assert warped(image, one_map(41, 41, zoom=2)).sum() == pytest.approx(4 * 121, rel=0.01)


def test_a_shear_slants_an_upright_line_and_leaves_the_middle_row():
    image = np.zeros((11, 11))
    image[:, 5] = 1
    slanted = warped(image, one_map(11, 11, shear=0.4))
    assert slanted[5, 5] == 1 and slanted[10, 7] == 1 and slanted[0, 3] == 1


def test_nothing_happens_when_all_is_off(images):
    np.testing.assert_array_equal(NOTHING(images, ExampleRandom(0, 0)), images)


@pytest.mark.parametrize("name", [name for name in EACH if name != "mirror"])
def test_each_change_changes_nearly_every_image_and_no_two_alike(name, images):
    same = np.repeat(images[:1], 20, axis=0)
    changed = EACH[name](same, ExampleRandom(0, 0))
    assert len(np.unique(changed.reshape(20, -1), axis=0)) >= 18
    assert (changed != same).any(axis=(1, 2)).sum() >= 18


@each
def test_the_images_that_were_given_are_left_alone(name, images):
    before = images.copy()
    images.flags.writeable = False
    EACH[name](images, ExampleRandom(0, 0))
    np.testing.assert_array_equal(images, before)


@each
def test_switching_one_change_on_leaves_the_others_as_they_were(name):
    names = ("shift", "shift", "rotate", "zoom", "shear", "thickness")
    before = Augment().draw((8, 17, 12), ExampleRandom(0, 0))
    after = replace(Augment(), **{name: getattr(EACH[name], name)}).draw((8, 17, 12), ExampleRandom(0, 0))
    others = [k for k, other in enumerate(names) if other != name]
    np.testing.assert_array_equal(after.moves[:, others], before.moves[:, others])


@given(st.integers(1, 20), st.integers(0, 1000), st.integers(0, 1000))
def test_changes_belong_to_the_example_whatever_the_chunk(size, seed, step):
    images = np.random.default_rng(0).integers(0, 256, (20, 9, 8), np.uint8)
    parts = [EVERYTHING(images[i : i + size], ExampleRandom(seed, step, first=i)) for i in range(0, 20, size)]
    np.testing.assert_array_equal(np.concatenate(parts), EVERYTHING(images, ExampleRandom(seed, step)))


def test_the_same_example_is_changed_differently_at_another_step(images):
    a, b, c = (EVERYTHING(images, ExampleRandom(*key)) for key in ((0, 0), (0, 1), (1, 0)))
    assert (a != b).any(axis=(1, 2)).all() and (a != c).any(axis=(1, 2)).all()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_type_and_shape_stay_and_all_channels_move_together(images, dtype, channels):
    batch = np.broadcast_to(images.reshape(*images.shape, *[1] * len(channels)), (*images.shape, *channels))
    changed = EVERYTHING(batch.astype(dtype), ExampleRandom(0, 0))
    assert changed.dtype == dtype and changed.shape == batch.shape
    expected = EVERYTHING(images.astype(float), ExampleRandom(0, 0)).reshape(*images.shape, *[1] * len(channels))
    expected = expected.clip(0, 255) if dtype == "uint8" else expected
    tolerance = 0.5 if dtype in ("uint8", "int32") else 1e-4
    np.testing.assert_allclose(changed, np.broadcast_to(expected, batch.shape), atol=tolerance + 1e-9)


def test_an_elastic_distortion_has_the_standard_deviation_that_was_asked_for():
    bumps = spline(28, KNOTS)
    arrows = Augment(elastic=1.5).draw((4000, 28, 28), ExampleRandom(0, 0)).arrows
    field = np.einsum("hk,nikl,wl->nihw", bumps, arrows, bumps, optimize=True)
    np.testing.assert_allclose(field.std(axis=0), 1.5, rtol=0.08)
    assert np.abs(np.diff(field, axis=3)).max() < 1.5  # and it is smooth: nothing is torn


def test_noise_is_white_and_its_standard_deviation_anything_up_to_what_was_asked_for():
    grain = Augment(noise=20).draw((2000, 40, 39), ExampleRandom(0, 0)).grain
    assert np.abs(grain).max() <= 20 * np.sqrt(3)
    deviations = np.sort(grain.std(axis=(1, 2)))
    np.testing.assert_allclose(deviations, np.linspace(0, 20, 2000), atol=1)  # all deviations equally often
    assert abs(grain.mean()) < 0.1
    for a, b in ((grain[:, 1:], grain[:, :-1]), (grain[:, :, 1:], grain[:, :, :-1]), (grain[1:], grain[:-1])):
        assert abs((a * b).mean() / grain.var()) < 0.02


def test_noise_does_not_wrap_around_at_black_and_white():
    images = np.stack([np.zeros((50, 9, 9), np.uint8), np.full((50, 9, 9), 255, np.uint8)])
    black, white = (Augment(shift=0, rotate=0, zoom=0, noise=60)(i, ExampleRandom(0, 0)) for i in images)
    assert black.max() < 110 and white.min() > 145 and (black == 0).mean() > 0.45 < (white == 255).mean()


def test_boxes_lie_in_the_image_reach_every_edge_and_are_no_larger_than_asked():
    top, bottom, left, right = draw_boxes(0.5, 10, 20, ExampleRandom(0, 0).random((5000, 4))).T
    assert top.min() == 0 and left.min() == 0 and bottom.max() == 10 and right.max() == 20
    assert sorted(set(bottom - top)) == list(range(1, 6)) and sorted(set(right - left)) == list(range(1, 11))


def test_what_is_erased_is_black_and_the_rest_is_as_it_was(images):
    changed = EACH["erase"](images, ExampleRandom(0, 0))
    for image, after, (top, bottom, left, right) in zip(
        images, changed, EACH["erase"].draw(images.shape, ExampleRandom(0, 0)).boxes, strict=True
    ):
        expected = image.copy()
        expected[top:bottom, left:right] = 0
        np.testing.assert_array_equal(after, expected)


def test_mirrored_images_are_numpys_and_as_many_as_were_asked_for(images):
    np.testing.assert_array_equal(EACH["mirror"](images, ExampleRandom(0, 0)), np.flip(images, axis=2))
    many = np.broadcast_to(images[:1], (5000, *images[0].shape))
    changed = replace(NOTHING, mirror=0.3)(many, ExampleRandom(0, 0))
    mirrored = (changed == np.fliplr(images[0])).all(axis=(1, 2))
    assert (mirrored | (changed == images[0]).all(axis=(1, 2))).all()
    assert mirrored.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 5000))


def test_shifts_turns_and_zooms_keep_to_their_ranges_and_use_them():
    changes = Augment(shift=2, rotate=30, zoom=0.5).draw((5000, 28, 28), ExampleRandom(0, 0))
    maps = affine_maps(changes.moves, 28, 28)
    A, middle = maps[:, :, :2], 13.5
    zoom = np.linalg.det(A) ** -0.5
    turn = np.degrees(np.arctan2(A[:, 0, 1], A[:, 0, 0]))
    shift = np.linalg.solve(A, (middle - A @ [middle, middle] - maps[:, :, 2])[..., None])
    for values, low, high in ((zoom, 1 / 1.5, 1.5), (turn, -30, 30), (shift, -2, 2)):
        assert low <= values.min() < low + 0.02 * (high - low) and high - 0.02 * (high - low) < values.max() <= high


# mistakes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"shift": -1}, "shift must be a number from 0 to 1000, got -1"),
        ({"rotate": 181}, "rotate must be a number from 0 to 180"),
        ({"zoom": float("nan")}, "zoom .* got nan"),
        ({"shear": "0.1"}, "shear .* got '0.1'"),
        ({"elastic": float("inf")}, "elastic .* got inf"),
        ({"thickness": 2}, "thickness must be a number from 0 to 1"),
        ({"noise": 300}, "noise must be a number from 0 to 255"),
        ({"erase": True}, "erase .* got True"),
        ({"mirror": 2}, "mirror must be a number from 0 to 1, got 2"),
    ],
)
def test_an_argument_out_of_range_is_an_error_that_names_it(arguments, said):
    with pytest.raises(ValueError, match=f"Augment: {said}"):
        Augment(**arguments)


def test_flat_images_are_an_error_that_says_what_was_expected():
    with pytest.raises(ValueError, match=r"expects images \(n, h, w\) or .* got shape \(5, 784\)"):
        Augment()(np.zeros((5, 784), np.uint8), ExampleRandom(0, 0))
