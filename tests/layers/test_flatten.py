"""Flatten: the order of the numbers, and the way back."""

import numpy as np

from scratchnet import Context, Flatten


def test_rows_then_columns_then_channels():
    x = np.arange(12).reshape(1, 2, 3, 2)
    y, _ = Flatten().forward(x, Context())
    assert y.tolist() == [list(range(12))]


def test_examples_stay_apart_and_backward_restores_the_shape():
    x = np.random.default_rng(0).standard_normal((3, 2, 2, 2))
    y, cache = Flatten().forward(x, Context())
    assert y.shape == (3, 8)
    np.testing.assert_array_equal(Flatten().backward(y, cache)[0], x)


def test_an_empty_batch_keeps_its_number_of_features():
    y, cache = Flatten().forward(np.zeros((0, 4, 5, 2)), Context())
    assert y.shape == (0, 40)
    assert Flatten().backward(y, cache)[0].shape == (0, 4, 5, 2)


def test_what_is_flat_already_stays_as_it_is():
    assert Flatten().build((7,), np.random.default_rng(0)) == (7,)
    assert Flatten().build((2, 3, 4), np.random.default_rng(0)) == (24,)
