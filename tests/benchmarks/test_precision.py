"""What precision.py compares: the same convolution by three methods, and numbers rounded as bfloat16 is defined."""

import numpy as np
import precision
import pytest
from kernels import arrays, textbook

import scratchnet as sn


@pytest.mark.parametrize("name", precision.METHODS)
@pytest.mark.parametrize("size", [5, 9, 12])  # tiles that fit, and such that reach over the edge
def test_every_method_is_the_textbook_s_convolution_in_float32(name, size):
    x, W, _ = arrays(2, size, 3, 5)
    found = precision.METHODS[name][0](x, W, precision.exactly)
    np.testing.assert_allclose(found, textbook(x, W), rtol=1e-4, atol=1e-5)


def test_bfloat16_is_the_nearest_number_of_eight_bits_ties_to_even():
    eps = 2.0**-7  # between 1 and 2 neighbours are this far apart
    x = np.array(
        [1, 1 + eps, 1 + 0.49 * eps, 1 + 0.51 * eps, 1 + 0.5 * eps, 1 + 1.5 * eps, -1 - 0.51 * eps], np.float32
    )
    np.testing.assert_array_equal(precision.bfloat16(x), [1, 1 + eps, 1, 1 + eps, 1, 1 + 2 * eps, -1 - eps])
    random = np.random.default_rng(0).normal(size=10_000).astype(np.float32) * 1e6
    assert np.abs(precision.bfloat16(random) / random - 1).max() <= 2.0**-8
    assert not (precision.bfloat16(random).view(np.uint32) & 0xFFFF).any()


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_the_logits_in_float32_are_the_model_s(padding):
    layers = [sn.Rescale(), sn.Conv2D(4, 3, padding=padding), sn.ReLU(), sn.Conv2D(6, 5), sn.Flatten(), sn.Dense(10)]
    model = sn.Sequential(layers, (12, 12, 1), engine="numpy")
    x = np.random.default_rng(0).integers(0, 256, (3, 12, 12), np.uint8)
    found = precision.logits(model, x, precision.METHODS["4x4"][0], precision.exactly)
    np.testing.assert_allclose(found, model(x), rtol=1e-4, atol=1e-5)
    rounded = precision.logits(model, x, precision.METHODS["4x4"][0], precision.bfloat16)
    assert 1e-4 < np.abs(rounded - model(x)).max() < 0.1
