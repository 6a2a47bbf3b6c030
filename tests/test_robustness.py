"""Robustness: the as-drawn score and the curves are what their definition says, and the same every time."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.data.augment import Augment
from scratchnet.figures.augmented import augmented
from scratchnet.figures.robustness import robustness
from scratchnet.robustness import AS_DRAWN, LEVELS, NONE, as_drawn, changed, measure_robustness


def bars(n=120, size=20):
    """White bars on black, upright in the left half (class 0) or in the right (1)."""
    x, y = np.zeros((n, size, size), np.uint8), np.arange(n) % 2
    for image, side in zip(x, y, strict=True):
        image[3:-3, 7 + 5 * side] = 255
    return x, y


@pytest.fixture(scope="module")
def judge():
    """A linear model that knows the halves by heart: it adds up the right one and takes off the left one."""
    model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(2)], (20, 20, 1), engine="numpy")
    weights = np.where(np.arange(20) < 10, -1.0, 1.0) * np.ones((20, 1))
    dense = model.parameters()
    dense["2.dense.W"][...] = np.stack([-weights.ravel(), weights.ravel()], axis=1)
    dense["2.dense.b"][...] = 0
    return model


def test_a_judge_of_left_and_right_is_lost_only_where_bars_change_sides(judge):
    found = measure_robustness(judge, *bars())
    assert found["accuracy"] == 1
    assert all(accuracy == 1 for accuracy in found["curves"]["thickness"]["accuracy"])
    assert found["curves"]["shift"]["accuracy"][:3] == [1, 1, 1]
    assert found["curves"]["shift"]["accuracy"][-1] == pytest.approx(expected_of_shifts(6), abs=0.08)


def expected_of_shifts(most):
    """How many of the bars stay in their half when shifted uniformly by up to `most` pixels of 28 × 28."""
    most *= 20 / 28
    return 1 - (most - 2.5) / (2 * most)  # 2.5 pixels to the border between the halves


def test_the_first_point_of_every_curve_is_the_clean_accuracy(judge):
    x, y = bars()
    y[:30] = 1 - y[:30]  # a quarter of the labels is wrong
    for name, curve in measure_robustness(judge, x, y)["curves"].items():
        assert curve["up_to"] == list(LEVELS[name][1]) and curve["up_to"][0] == 0
        assert curve["accuracy"][0] == 0.75


def test_the_score_is_the_accuracy_on_the_as_drawn_images(judge):
    x, y = bars()
    x[:40] = 0  # with nothing but noise there, the judge can only guess
    drawn = as_drawn(judge, x)
    assert measure_robustness(judge, x, y)["as_drawn"] == judge.evaluate(drawn, y)["accuracy"] < 0.95
    assert drawn.dtype == np.uint8 and (drawn != x).any(axis=(1, 2)).all()


def test_the_same_model_and_images_give_the_same_numbers(judge):
    assert measure_robustness(judge, *bars()) == measure_robustness(judge, *bars())


def test_an_image_is_changed_in_the_same_way_however_many_come_with_it(judge):
    x, _ = bars(600)
    np.testing.assert_array_equal(as_drawn(judge, x)[:37], as_drawn(judge, x[:37]))


def test_both_engines_see_the_same_images_to_a_grey_level(judge):
    pytest.importorskip("numba")
    compiled = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(2)], (20, 20, 1))
    x = np.random.default_rng(0).integers(0, 256, (50, 20, 20), np.uint8)
    assert np.abs(as_drawn(judge, x).astype(int) - as_drawn(compiled, x)).max() <= 2  # rounded twice


def test_noise_has_the_standard_deviation_that_was_asked_for(judge):
    grey = np.full((200, 20, 20), 128, np.uint8)
    noisy = changed(judge, grey, NONE, 20)
    assert noisy.std() == pytest.approx(20, rel=0.02) and noisy.mean() == pytest.approx(128, abs=0.5)


def test_larger_images_are_shifted_by_more_pixels():
    judge = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(2)], (56, 56, 1), engine="numpy")
    x = np.zeros((200, 56, 56), np.uint8)
    x[:, 28, 28] = 255
    moved = changed(judge, x, Augment(shift=3, rotate=0, zoom=0), 0)
    row, column = np.unravel_index(moved.reshape(200, -1).argmax(axis=1), (56, 56))
    assert np.abs(row - 28).max() == np.abs(column - 28).max() == 6


def test_a_curve_is_measured_on_a_sample_spread_over_the_test_set(judge):
    x, y = bars(100)
    y[1:] = 1 - y[1:]  # only the first label is right
    found = measure_robustness(judge, x, y, sample=4)
    assert found["sample"] == 4 and found["images"] == 100
    assert found["accuracy"] == 0.01 and found["curves"]["noise"]["accuracy"][0] == 0.25


def test_what_is_no_picture_in_bytes_is_an_error_that_says_so(judge):
    with pytest.raises(ValueError, match=r"uint8 images \(n, h, w, ...\), got float64 of shape \(3, 20, 20\)"):
        measure_robustness(judge, np.zeros((3, 20, 20)), np.zeros(3, int))


def test_training_with_augmentation_raises_the_score():
    """The point of it all, on bars that tell their class by their side, in pictures where they may be anywhere."""
    x, y = bars(300)
    x[:, ::2] = 0
    scores = []
    for augment in (None, AS_DRAWN):
        layers = [sn.Rescale(), sn.Flatten(), sn.Dense(16), sn.ReLU(), sn.Dense(2)]
        model = sn.Sequential(layers, (20, 20, 1), engine="numpy", seed=1)
        model.fit(x, y, epochs=6, batch_size=20, optimizer=sn.Adam(3e-3), augment=augment, verbose=False)
        found = measure_robustness(model, x, y)
        assert found["accuracy"] > 0.99
        scores.append(found["as_drawn"])
    assert scores[1] > scores[0] + 0.02


# the pictures


def test_the_picture_of_the_curves_has_every_point_and_names_what_costs_most(judge):
    found = measure_robustness(judge, *bars())
    picture = robustness(found)
    points = [(name, level, accuracy) for name, curve in found["curves"].items()
              for level, accuracy in zip(curve["up_to"], curve["accuracy"], strict=True)]  # fmt: skip
    assert [(row[0], row[2], row[3]) for row in picture.rows] == points
    lines = [axes.lines[0].get_xydata().tolist() for axes in picture.figure.axes]
    assert lines == [[[level, accuracy] for n, level, accuracy in points if n == name] for name in found["curves"]]
    lowest = min(points, key=lambda point: point[2])[0]
    assert picture.title.endswith(f"; {lowest} costs most") and "100 % as they are" in picture.title


@pytest.mark.parametrize("shape", [(28, 28), (12, 20, 3)], ids=str)
def test_the_picture_of_augmented_images_shows_originals_and_says_what_was_done(rng, shape):
    x = rng.integers(0, 256, (10, *shape), np.uint8)
    picture = augmented(x, Augment(shift=1, rotate=0, zoom=0.1, erase=0.25))
    assert picture.title == "Every epoch changed every image a little: shift 1 pixels, zoom 10 %, erase 25 %"
    sheet = np.asarray(picture.figure.axes[0].images[0].get_array())
    original = np.broadcast_to(x[0].reshape(*shape[:2], -1), (*shape[:2], 3)) / 255
    np.testing.assert_allclose(sheet[: shape[0], : shape[1]], original, atol=1e-6)
    assert picture.png().startswith(b"\x89PNG")
