"""Batch normalisation: per channel, over the whole batch; and the running averages of evaluation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet import BatchNorm, Context, gradcheck
from tests import oracles
from tests.layers.built import built

TRAINING = Context(training=True)


@st.composite
def batches(draw):
    """x and dy of two to four axes, at least two numbers per channel, off centre."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)) + [draw(st.integers(1, 3))]
    shape[0] += 1
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return 3 * rng.standard_normal(shape) + rng.standard_normal(shape[-1]), rng.standard_normal(shape)


@given(batches())
def test_forward_is_the_definition_channel_by_channel(batch):
    x, _ = batch
    layer = built(BatchNorm(), x.shape[1:])
    y, _ = layer.forward(x, TRAINING)
    np.testing.assert_allclose(y, oracles.batch_norm(x, layer.gamma, layer.beta, 1e-3)[0], atol=1e-12)


@given(batches())
def test_backward_is_the_chain_rule_through_mean_and_variance(batch):
    x, dy = batch
    layer = built(BatchNorm(), x.shape[1:])
    dx, grads = layer.backward(dy, layer.forward(x, TRAINING)[1])
    np.testing.assert_allclose(dx, oracles.batch_norm_gradient(x, layer.gamma, 1e-3, dy), atol=1e-11)
    normal, _, _ = oracles.batch_norm(x, np.ones(x.shape[-1]), np.zeros(x.shape[-1]), 1e-3)
    for k in range(x.shape[-1]):
        assert grads["gamma"][k] == pytest.approx(float((dy * normal)[..., k].sum()), abs=1e-11)
        assert grads["beta"][k] == pytest.approx(float(dy[..., k].sum()), abs=1e-11)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 2, 2), (2, 1, 1, 1)])
def test_finite_differences_agree_in_training_and_in_evaluation(shape, training, rng):
    layer = built(BatchNorm(), shape[1:])
    gradcheck(layer, rng.standard_normal(shape) + 2, training=training, verbose=False)


def test_every_channel_comes_out_with_mean_zero_and_variance_one(rng):
    x = rng.standard_normal((8, 5, 5, 3)) * [1, 10, 0.5] + [0, 100, -7]
    layer = BatchNorm(epsilon=1e-12)
    layer.dtype = np.dtype("float64")
    layer.build((5, 5, 3), rng)
    y, _ = layer.forward(x, TRAINING)
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=(0, 1, 2)), 1, rtol=1e-9)
    assert y.mean(axis=0).std() > 0.1  # and not every pixel by itself


def test_there_is_one_gamma_per_channel_however_large_the_image(rng):
    layer = built(BatchNorm(), (14, 14, 32))
    assert layer.gamma.shape == layer.beta.shape == layer.running_mean.shape == layer.running_var.shape == (32,)


def test_running_averages_keep_momentum_of_the_old_as_in_keras():
    layer = BatchNorm(momentum=0.9)
    layer.build((1,), np.random.default_rng(0))
    layer.forward(np.array([[2.0], [6.0]], np.float32), TRAINING)  # mean 4, variance 4
    assert layer.running_mean == pytest.approx([0.9 * 0 + 0.1 * 4])
    assert layer.running_var == pytest.approx([0.9 * 1 + 0.1 * 4])
    layer.forward(np.array([[0.0], [0.0]], np.float32), TRAINING)  # mean 0, variance 0
    assert layer.running_mean == pytest.approx([0.9 * 0.4])
    assert layer.running_var == pytest.approx([0.9 * 1.3])


def test_evaluation_uses_the_running_averages_and_leaves_them(rng):
    layer = built(BatchNorm(), (3,))
    mean, var = layer.running_mean.copy(), layer.running_var.copy()
    x = rng.standard_normal((5, 3))
    y, _ = layer.forward(x, Context())
    np.testing.assert_allclose(y, layer.gamma * (x - mean) / np.sqrt(var + 1e-3) + layer.beta, atol=1e-13)
    np.testing.assert_array_equal(layer.running_mean, mean)
    np.testing.assert_array_equal(layer.running_var, var)


def test_in_evaluation_the_answer_for_one_image_does_not_depend_on_its_neighbours(rng):
    layer = built(BatchNorm(), (4, 4, 2), "float32")
    x = rng.standard_normal((6, 4, 4, 2)).astype(np.float32)
    together, _ = layer.forward(x, Context())
    alone, _ = layer.forward(x[2:3], Context())
    np.testing.assert_array_equal(together[2:3], alone)


def test_a_large_mean_does_not_destroy_the_variance_in_float32(rng):
    x = (1000 + rng.standard_normal((64, 8, 8, 1))).astype(np.float32)
    layer = built(BatchNorm(), (8, 8, 1), "float32")
    layer.gamma[...], layer.beta[...] = 1, 0
    y, _ = layer.forward(x, TRAINING)
    assert float(y.std()) == pytest.approx(1, abs=2e-3)  # epsilon alone takes 5e-4


def test_the_mean_of_many_float32_numbers_keeps_all_its_digits(rng):
    x = (1000 + rng.standard_normal((5000, 8, 8, 3))).astype(np.float32)
    layer = BatchNorm(momentum=0.0)
    layer.build((8, 8, 3), rng)
    layer.forward(x, TRAINING)
    np.testing.assert_allclose(layer.running_mean, x.astype(np.float64).mean(axis=(0, 1, 2)), rtol=1e-7)
    np.testing.assert_allclose(layer.running_var, x.astype(np.float64).var(axis=(0, 1, 2)), rtol=1e-5)


def test_a_constant_channel_becomes_beta():
    layer = built(BatchNorm(), (2,))
    y, _ = layer.forward(np.full((4, 2), 7.0), TRAINING)
    np.testing.assert_array_equal(y, np.broadcast_to(layer.beta, (4, 2)))


def test_an_empty_batch_cannot_be_trained_on_and_spoils_nothing():
    layer = built(BatchNorm(), (2,))
    before = layer.running_mean.copy()
    with pytest.raises(ValueError, match=r"BatchNorm: an empty batch, \(0, 2\), has no mean and no variance"):
        layer.forward(np.zeros((0, 2)), TRAINING)
    np.testing.assert_array_equal(layer.running_mean, before)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"momentum": 1}, r"BatchNorm momentum must be in \[0, 1\), got 1"),
    ({"momentum": -0.1}, r"BatchNorm momentum must be in \[0, 1\), got -0.1"),
    ({"epsilon": 0}, "BatchNorm epsilon must be positive, got 0"),
    ({"epsilon": float("nan")}, "BatchNorm epsilon must be positive, got nan"),
])  # fmt: skip
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchNorm(**arguments)


def test_pytorch_agrees_in_training(rng):
    torch = pytest.importorskip("torch")
    x, dy = rng.standard_normal((4, 5, 5, 3)), rng.standard_normal((4, 5, 5, 3))
    layer = built(BatchNorm(momentum=0.9, epsilon=1e-4), (5, 5, 3))
    theirs = torch.nn.BatchNorm2d(3, eps=1e-4, momentum=0.1, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(layer.gamma))
        theirs.bias.copy_(torch.tensor(layer.beta))
    tx = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    ty = theirs(tx)
    ty.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
    y, cache = layer.forward(x, TRAINING)
    dx, grads = layer.backward(dy, cache)
    np.testing.assert_allclose(y, ty.detach().numpy().transpose(0, 2, 3, 1), atol=1e-12)
    np.testing.assert_allclose(dx, tx.grad.numpy().transpose(0, 2, 3, 1), atol=1e-12)
    np.testing.assert_allclose(grads["gamma"], theirs.weight.grad.numpy(), atol=1e-12)
    np.testing.assert_allclose(grads["beta"], theirs.bias.grad.numpy(), atol=1e-12)
