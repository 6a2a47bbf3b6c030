"""Depthwise convolution against loops, channel by channel, and against PyTorch's grouped convolution."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scratchnet import Context, DepthwiseConv2D, gradcheck
from tests import oracles
from tests.layers.built import built


@st.composite
def convolutions(draw):
    """Any small depthwise convolution: (n, h, w, c), multiplier, kernel, stride, padding."""
    integers = st.integers
    shape = draw(st.tuples(integers(1, 3), integers(1, 6), integers(1, 6), integers(1, 3)))
    kernel, stride = draw(st.tuples(integers(1, 4), integers(1, 4))), draw(st.tuples(integers(1, 4), integers(1, 4)))
    padding = draw(st.one_of(st.sampled_from(["valid", "same"]), integers(0, 3)))
    assume(all(oracles.output_size(shape, kernel, stride, padding)))
    return shape, draw(integers(1, 3)), kernel, stride, padding


@given(convolutions(), st.sampled_from(["float64", "float32"]))
def test_forward_and_backward_are_the_loops_of_each_channel(convolution, dtype):
    shape, multiplier, kernel, stride, padding = convolution
    layer, rng = built(DepthwiseConv2D(kernel, stride, padding, multiplier), shape[1:], dtype), np.random.default_rng(1)
    x = rng.standard_normal(shape).astype(dtype)
    y, cache = layer.forward(x, Context())
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx, grads = layer.backward(dy, cache)
    expected_dx, expected_dW = oracles.depthwise_conv2d_gradients(x, layer.W, stride, padding, dy)
    tolerance = 1e-12 if dtype == "float64" else 5e-5
    np.testing.assert_allclose(
        y, oracles.depthwise_conv2d(x, layer.W, layer.b, stride, padding), rtol=0, atol=tolerance
    )
    np.testing.assert_allclose(dx, expected_dx, rtol=0, atol=tolerance)
    np.testing.assert_allclose(grads["W"], expected_dW, rtol=0, atol=tolerance)
    np.testing.assert_allclose(grads["b"], dy.sum(axis=(0, 1, 2)), rtol=0, atol=tolerance)


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding"), [
    ((1, 1, 1, 1), 1, 1, "valid"), ((1, 1, 1, 2), 3, 1, "same"), ((2, 7, 7, 2), 2, 3, "valid"),
    ((2, 5, 7, 3), (3, 1), (2, 1), "same"),
])  # fmt: skip
def test_corner_cases_have_the_right_gradients(shape, kernel, stride, padding, rng):
    gradcheck(DepthwiseConv2D(kernel, stride, padding, 2), rng.standard_normal(shape), verbose=False)


def test_no_channel_sees_another(rng):
    layer = built(DepthwiseConv2D(3, depth_multiplier=2), (5, 5, 3))
    x = rng.standard_normal((2, 5, 5, 3))
    before, _ = layer.forward(x, Context())
    x[..., 1] += 1
    after, _ = layer.forward(x, Context())
    assert (np.abs(after - before).max(axis=(0, 1, 2)) > 0).tolist() == [False, False, True, True, False, False]


def test_the_signal_keeps_its_size_behind_a_relu(rng):
    """The initial weights have variance 2 / fan_in, and each output sums over one channel only."""
    layer = DepthwiseConv2D(5, padding="same")
    layer.build((32, 32, 64), rng)
    assert layer.W.std() == pytest.approx((2 / 25) ** 0.5, rel=0.05)


def test_multiply_adds_are_those_of_one_channel_for_each_output():
    layer = built(DepthwiseConv2D(3, depth_multiplier=2), (6, 6, 4))
    assert layer.multiply_adds((6, 6, 4), (4, 4, 8)) == 4 * 4 * 8 * 9


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("multiplier", [1, 3])
def test_pytorch_agrees(multiplier, padding, rng):
    torch = pytest.importorskip("torch")
    layer = built(DepthwiseConv2D(3, 2, padding, multiplier), (7, 8, 4))
    x = rng.standard_normal((2, 7, 8, 4))
    y, cache = layer.forward(x, Context())
    dy = rng.standard_normal(y.shape)
    tx = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    tW = torch.tensor(layer.W.transpose(2, 3, 0, 1).reshape(4 * multiplier, 1, 3, 3).copy(), requires_grad=True)
    ty = torch.nn.functional.conv2d(tx, tW, torch.tensor(layer.b), stride=2, padding=padding, groups=4)
    ty.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
    dx, grads = layer.backward(dy, cache)
    np.testing.assert_allclose(y, ty.detach().numpy().transpose(0, 2, 3, 1), atol=1e-12)
    np.testing.assert_allclose(dx, tx.grad.numpy().transpose(0, 2, 3, 1), atol=1e-12)
    expected = tW.grad.numpy().reshape(4, multiplier, 3, 3).transpose(2, 3, 0, 1)
    np.testing.assert_allclose(grads["W"], expected, atol=1e-12)
