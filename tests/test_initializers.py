"""How weights start: the variance the papers ask for, from the fans that the layers know."""

import numpy as np
import pytest

from scratchnet import Conv2D, Dense
from scratchnet.initializers import INITIALIZERS, get_initializer, glorot, he, zeros


def close_to(expected, samples):
    """Within six standard errors of a standard deviation, which are about 4.2/√samples of it."""
    return pytest.approx(expected, rel=6 / np.sqrt(2 * samples))


def test_he_has_variance_two_over_fan_in(rng):
    W = he(rng, (200, 300), fan_in=50, fan_out=7)
    assert W.std() == close_to(np.sqrt(2 / 50), W.size)
    assert abs(W.mean()) < 6 * np.sqrt(2 / 50 / W.size)


def test_he_is_normal_and_not_cut_off(rng):
    W = he(rng, (100_000,), fan_in=2, fan_out=1)
    assert (np.abs(W) > 2).mean() == pytest.approx(0.0455, abs=0.005)


def test_glorot_has_variance_two_over_both_fans_and_sharp_limits(rng):
    W = glorot(rng, (200, 300), fan_in=40, fan_out=60)
    limit = np.sqrt(6 / 100)
    assert W.std() == close_to(np.sqrt(2 / 100), W.size)
    assert 0.999 * limit < np.abs(W).max() <= limit * (1 + 1e-6)


def test_zeros_are_zero(rng):
    assert not zeros(rng, (3, 4), 3, 4).any()


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_initializer_gives_shape_and_dtype(name, dtype, rng):
    W = get_initializer(name)(rng, (2, 3, 4), fan_in=6, fan_out=4, dtype=dtype)
    assert W.shape == (2, 3, 4) and W.dtype == dtype


def test_conv_weights_have_the_standard_deviation_of_their_true_fan_in(rng):
    conv = Conv2D(64, (3, 5))
    conv.build((9, 9, 20), rng)
    assert conv.W.std() == close_to(np.sqrt(2 / (3 * 5 * 20)), conv.W.size)  # k_h·k_w·in_c, not in_c or filters


def test_conv_weights_by_glorot_count_the_window_in_both_fans(rng):
    conv = Conv2D(64, 3, initializer="glorot")
    conv.build((9, 9, 20), rng)
    assert conv.W.std() == close_to(np.sqrt(2 / (9 * 20 + 9 * 64)), conv.W.size)


def test_dense_weights_have_the_fans_of_their_two_sides(rng):
    dense = Dense(100)
    dense.build((400,), rng)
    assert dense.W.std() == close_to(np.sqrt(2 / 500), dense.W.size)
    dense = Dense(100, initializer="he")
    dense.build((400,), rng)
    assert dense.W.std() == close_to(np.sqrt(2 / 400), dense.W.size)


def test_biases_start_at_zero(rng):
    for layer, shape in ((Conv2D(4, 3), (5, 5, 2)), (Dense(4), (5,))):
        layer.build(shape, rng)
        assert not layer.b.any()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="initializer must be one of he, glorot, zeros, got 'normal'"):
        get_initializer("normal")
