"""Bugs that respected libraries have shipped, and the shortest test that makes each impossible here.

Most of these facts are also tested, more thoroughly, where they belong; here they stand together as a list.
"""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import Context
from scratchnet.data.batches import batches, epoch_order
from scratchnet.layers import LAYERS
from tests import oracles
from tests.layers.built import built
from tests.layers.test_every_layer import EXAMPLES

TRAINING = Context(training=True)


def test_shuffling_permutes_examples_and_not_the_starts_of_batches():
    """Permuted starts bring the same company together in every epoch."""
    orders = [epoch_order(60, seed=0, epoch=epoch) for epoch in range(3)]
    assert all(sorted(order) == list(range(60)) for order in orders)
    companies = [frozenset(batch.tolist()) for order in orders for batch in batches(order, 10)]
    assert len(set(companies)) == 18


def test_no_layer_is_left_out_of_the_common_tests():
    """A readable edition that nobody runs goes wrong unnoticed."""
    assert {name.partition("-")[0] for name in EXAMPLES} == set(LAYERS)


def test_weight_decay_has_the_sign_that_shrinks():
    """With the other sign the weights grow, and a check that subtracts the decay again does not see it."""
    params = {"W": np.array([3.0, -4.0])}
    for _ in range(3):
        before = np.abs(params["W"])
        sn.AdamW(0.1, weight_decay=0.1).step(params, {"W": np.zeros(2)})
        assert (np.abs(params["W"]) < before).all()


def test_the_gradient_check_sees_a_batchnorm_that_returns_zeros(rng):
    """With an upstream gradient of ones the true dx is zero, and zeros pass."""

    class Zeros(sn.BatchNorm):
        def backward(self, dy, cache):
            return np.zeros_like(dy), super().backward(dy, cache)[1]

    with pytest.raises(sn.GradientError):
        sn.gradcheck(Zeros(), rng.standard_normal((4, 3)), verbose=False)


def test_convolution_has_the_right_values_and_not_only_the_right_shape(rng):
    """A test of shapes calls anything correct."""
    conv = built(sn.Conv2D(3, (2, 3), (1, 2), "same"), (5, 6, 2))
    x = rng.standard_normal((2, 5, 6, 2))
    expected = oracles.conv2d(x, conv.W, conv.b, (1, 2), "same")
    np.testing.assert_allclose(conv.forward(x, Context())[0], expected, atol=1e-13)


def test_fan_in_is_counted_on_the_right_axes(rng):
    """Taken from the wrong axes, the weights start many times too large or too small."""
    conv = sn.Conv2D(128, 3)
    conv.build((8, 8, 16), rng)
    assert conv.W.std() == pytest.approx(np.sqrt(2 / (3 * 3 * 16)), rel=0.03)


def test_two_layers_of_equal_shape_start_different():
    """A seed made from the shape makes them equal."""
    params = sn.Sequential([sn.Dense(5), sn.Dense(5)], (5,), engine="numpy").parameters()
    assert (params["0.dense.W"] != params["1.dense.W"]).all()


@pytest.mark.parametrize("name", EXAMPLES)
def test_backward_leaves_the_callers_gradient_alone(name, rng):
    """An in-place ReLU backward spoils the gradient for everybody else who holds it."""
    make, shape = EXAMPLES[name]
    layer = built(make(), shape)
    y, cache = layer.forward(rng.standard_normal((3, *shape)), Context(True, rng))
    dy = rng.standard_normal(y.shape)
    before = dy.copy()
    layer.backward(dy, cache)
    np.testing.assert_array_equal(dy, before)


def test_batchnorm_normalises_channels_and_not_pixels(rng):
    """Statistics per pixel have h·w·c gammas, and erase what differs between places."""
    layer = built(sn.BatchNorm(), (6, 6, 3))
    layer.gamma[...], layer.beta[...] = 1, 0
    x = rng.standard_normal((10, 6, 6, 3)) + np.arange(6)[:, None, None]
    y, _ = layer.forward(x, TRAINING)
    assert layer.gamma.shape == (3,)
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), 0, atol=1e-12)
    assert y[:, 5].mean() > y[:, 0].mean() + 1  # lower rows were larger, and still are


def test_an_error_message_is_a_sentence():
    """A stray comma makes a tuple of it."""
    with pytest.raises(ValueError) as error:
        sn.Sequential([sn.Dense(3)], (4, 4, 1), engine="numpy")
    assert error.value.args == (
        "layer 0 (Dense): expects flat input (n, features), got (n, 4, 4, 1). Put Flatten() before it.",
    )


def test_a_misspelt_attribute_raises():
    """A __getattr__ that answers None hides every typing error."""
    for thing in (sn.Dense(3), sn.Adam(), sn.Sequential([sn.Dense(3)], (4,), engine="numpy"), sn.SoftmaxCrossEntropy()):
        with pytest.raises(AttributeError):
            _ = thing.does_not_exist


def test_the_order_of_parameters_is_that_of_the_layers():
    """Names kept in a set come in another order in every process."""
    layers = [sn.Conv2D(2, 3), sn.BatchNorm(), sn.Flatten(), sn.Dense(3)]
    assert list(sn.Sequential(layers, (5, 5, 1), engine="numpy").parameters()) == [
        "0.conv2d.W", "0.conv2d.b", "1.batchnorm.gamma", "1.batchnorm.beta", "3.dense.W", "3.dense.b",
    ]  # fmt: skip


def test_an_optimizers_memory_survives_saving_and_loading(stripes, tmp_path):
    """Kept by the identity of the array, it belongs to nobody after loading."""
    images, labels = stripes

    def train(epochs, **options):
        model = sn.Sequential([sn.Flatten(), sn.Dense(4)], (10, 10, 1), engine="numpy")
        model.fit(images, labels, epochs=epochs, optimizer=sn.Adam(), verbose=False, **options)
        return model.parameters()["1.dense.W"]

    without_a_break = train(3)
    train(1, callbacks=[sn.Checkpoint(tmp_path / "c")])
    np.testing.assert_array_equal(train(3, resume=tmp_path / "c"), without_a_break)


def test_dropout_of_nine_tenths_drops_nine_tenths(rng):
    """Elsewhere the same word has meant the share that is kept."""
    y, _ = sn.Dropout(0.9).forward(np.ones((100, 100)), Context(True, rng))
    assert (y == 0).mean() == pytest.approx(0.9, abs=0.02)
