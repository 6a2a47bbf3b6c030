"""Cropping2D: the middle, and what is refused."""

import numpy as np
import pytest

from scratchnet import Context, Cropping2D


def test_the_middle_is_left_and_gets_the_gradient():
    x = np.arange(24).reshape(1, 4, 6, 1)
    y, cache = Cropping2D((1, 2)).forward(x, Context())
    assert y[0, :, :, 0].tolist() == [[8, 9], [14, 15]]
    dx, _ = Cropping2D((1, 2)).backward(y, cache)
    np.testing.assert_array_equal(dx, np.where(np.isin(x, y), x, 0))


def test_a_border_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match=r"a border of 2×1 leaves nothing of \(n, 4, 6, 1\)"):
        Cropping2D((2, 1)).build((4, 6, 1), np.random.default_rng(0))
