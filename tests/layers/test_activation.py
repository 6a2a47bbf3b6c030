"""ReLU: which numbers pass, forward and backward."""

import numpy as np

from scratchnet import Context, ReLU, gradcheck
from tests.layers.built import built


def test_positive_numbers_pass_and_negative_ones_become_zero():
    y, _ = ReLU().forward(np.array([[-3.0, -0.0, 0.0, 2.5]]), Context())
    assert y.tolist() == [[0, 0, 0, 2.5]]


def test_gradient_passes_where_the_number_did_and_is_zero_at_zero():
    _, cache = ReLU().forward(np.array([[-3.0, 0.0, 1e-30, 2.0]]), Context())
    assert ReLU().backward(np.array([[5.0, 6.0, 7.0, 8.0]]), cache)[0].tolist() == [[0, 0, 7, 8]]


def test_the_gradient_that_came_is_not_overwritten():
    _, cache = ReLU().forward(np.array([[-1.0, 1.0]]), Context())
    dy = np.array([[3.0, 4.0]])
    ReLU().backward(dy, cache)
    assert dy.tolist() == [[3, 4]]


def test_not_a_number_is_not_hidden():
    assert np.isnan(ReLU().forward(np.array([np.nan]), Context())[0]).all()


def test_finite_differences_agree(rng):
    gradcheck(built(ReLU(), (4, 4, 2)), rng.standard_normal((2, 4, 4, 2)), verbose=False)
