"""Rescale: from bytes to numbers around one."""

import numpy as np
import pytest

from scratchnet import Context, Rescale, gradcheck
from tests.layers.built import built


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_256_bytes_become_their_fraction_in_the_models_dtype(dtype):
    layer = built(Rescale(), (256,), dtype)
    y, _ = layer.forward(np.arange(256, dtype=np.uint8)[None], Context())
    assert y.dtype == dtype and y.min() == 0 and y.max() == pytest.approx(1)
    np.testing.assert_allclose(y[0], [k / 255 for k in range(256)], rtol=1e-6)


def test_scale_and_offset_make_a_straight_line():
    y, _ = Rescale(2.0, -1.0).forward(np.array([[0.0, 0.5, 1.0]]), Context())
    assert y.tolist() == [[-1, 0, 1]]


def test_a_large_product_of_bytes_does_not_wrap_around():
    y, _ = Rescale(scale=2).forward(np.array([[200]], np.uint8), Context())
    assert y.tolist() == [[400]]


def test_floating_input_keeps_its_dtype():
    assert Rescale().forward(np.ones((1, 2), np.float32), Context())[0].dtype == np.float32
    assert Rescale().forward(np.ones((1, 2), np.float64), Context())[0].dtype == np.float64


def test_finite_differences_agree(rng):
    gradcheck(Rescale(0.7, 0.1), rng.standard_normal((2, 3)), verbose=False)
