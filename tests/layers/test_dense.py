"""Dense against sums written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet import Context, Dense, gradcheck
from tests import oracles
from tests.layers.built import built

sizes = st.integers(1, 6)


@given(n=sizes, features=sizes, units=sizes, dtype=st.sampled_from(["float32", "float64"]))
def test_forward_is_a_sum_over_all_features_for_every_unit(n, features, units, dtype):
    layer = built(Dense(units), (features,), dtype)
    x = np.random.default_rng(n).standard_normal((n, features)).astype(dtype)
    y, _ = layer.forward(x, Context())
    np.testing.assert_allclose(y, oracles.dense(x, layer.W, layer.b), atol=1e-14 if dtype == "float64" else 2e-6)
    assert y.dtype == dtype


@given(n=sizes, features=sizes, units=sizes)
def test_backward_is_the_chain_rule_term_by_term(n, features, units):
    layer = built(Dense(units), (features,))
    rng = np.random.default_rng(n)
    x, dy = rng.standard_normal((n, features)), rng.standard_normal((n, units))
    dx, grads = layer.backward(dy, layer.forward(x, Context())[1])
    for i in range(features):
        for j in range(units):
            assert grads["W"][i, j] == pytest.approx(sum(x[a, i] * dy[a, j] for a in range(n)), abs=1e-13)
        for a in range(n):
            assert dx[a, i] == pytest.approx(sum(dy[a, j] * layer.W[i, j] for j in range(units)), abs=1e-13)
    for j in range(units):
        assert grads["b"][j] == pytest.approx(sum(dy[a, j] for a in range(n)), abs=1e-13)


def test_finite_differences_agree(rng):
    gradcheck(Dense(4), rng.standard_normal((3, 5)), verbose=False)


def test_without_a_bias_zero_goes_to_zero():
    layer = built(Dense(2, use_bias=False), (3,))
    y, cache = layer.forward(np.zeros((1, 3)), Context())
    assert layer.params == ("W",) and not y.any()
    assert list(layer.backward(y, cache)[1]) == ["W"]


def test_images_are_refused_with_advice():
    message = r"Dense: expects flat input \(n, features\), got \(n, 5, 5, 64\). Put Flatten\(\) before it."
    with pytest.raises(ValueError, match=message):
        Dense(10).build((5, 5, 64), np.random.default_rng(0))


@pytest.mark.parametrize("units", [0, -1, 1.5, "ten", None])
def test_units_must_be_a_positive_integer(units):
    with pytest.raises(ValueError, match="Dense units must be an integer of at least 1, got"):
        Dense(units)


def test_multiply_adds_are_the_number_of_weights():
    layer = built(Dense(7), (5,))
    assert layer.multiply_adds((5,), (7,)) == layer.W.size == 35
