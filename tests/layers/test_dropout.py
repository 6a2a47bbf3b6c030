"""Dropout: how much is dropped, what becomes of the rest, and when nothing happens at all."""

import numpy as np
import pytest

from scratchnet import Context, Dropout, gradcheck
from scratchnet.randomness import ExampleRandom

ONES = np.ones((200, 500), np.float32)


def training(seed=0):
    return Context(training=True, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_rate_is_the_fraction_that_is_dropped(rate):
    y, _ = Dropout(rate).forward(ONES, training())
    assert (y == 0).mean() == pytest.approx(rate, abs=0.01)  # 100,000 values: six standard deviations


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_what_survives_is_enlarged_so_that_the_mean_stays(rate):
    y, _ = Dropout(rate).forward(ONES, training())
    np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-6)
    assert y.mean() == pytest.approx(1, abs=0.06)


def test_gradient_passes_where_the_value_did_and_is_enlarged_alike(rng):
    x, dy = rng.standard_normal((20, 30)) + 5, rng.standard_normal((20, 30))
    y, cache = Dropout(0.4).forward(x, training())
    np.testing.assert_allclose(Dropout(0.4).backward(dy, cache)[0], dy * (y / x), rtol=1e-12)


def test_in_evaluation_nothing_happens(rng):
    x, dy = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    y, cache = Dropout(0.9).forward(x, Context())
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(Dropout(0.9).backward(dy, cache)[0], dy)


def test_rate_zero_drops_nothing_and_needs_no_random_numbers():
    y, _ = Dropout(0).forward(ONES, Context(training=True))
    assert (y == 1).all()


def test_the_mask_is_the_examples_own_however_the_batch_is_cut():
    whole, _ = Dropout(0.5).forward(ONES[:10], Context(True, ExampleRandom(seed=1, step=2)))
    part, _ = Dropout(0.5).forward(ONES[6:10], Context(True, ExampleRandom(seed=1, step=2, first=6)))
    np.testing.assert_array_equal(whole[6:], part)


def test_another_step_has_another_mask():
    masks = [Dropout(0.5).forward(ONES, Context(True, ExampleRandom(0, step)))[0] for step in (0, 1)]
    assert (masks[0] != masks[1]).mean() == pytest.approx(0.5, abs=0.02)


def test_without_a_generator_the_error_shows_the_call():
    message = r"Dropout needs random numbers in training: Context\(training=True, rng=...\)"
    with pytest.raises(ValueError, match=message):
        Dropout(0.5).forward(ONES, Context(training=True))


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, 30, "0.5", None, True, float("nan")])
def test_a_rate_that_is_no_fraction_is_refused(rate):
    with pytest.raises(ValueError, match=r"Dropout rate is the fraction that is dropped, in \[0, 1\); got"):
        Dropout(rate)


def test_finite_differences_agree_with_the_mask_held_still(rng):
    gradcheck(Dropout(0.5), rng.standard_normal((4, 5)), verbose=False)
