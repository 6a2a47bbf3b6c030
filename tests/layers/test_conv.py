"""Convolution against seven loops, forward and backward, and against SciPy's and PyTorch's."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scratchnet import Context, Conv2D, gradcheck
from tests import oracles
from tests.layers.built import built


@st.composite
def convolutions(draw):
    """Any small convolution: (n, h, w, c), filters, kernel, stride, padding. Sizes of one are common."""
    integers = st.integers
    shape = draw(st.tuples(integers(1, 3), integers(1, 6), integers(1, 6), integers(1, 3)))
    kernel, stride = draw(st.tuples(integers(1, 4), integers(1, 4))), draw(st.tuples(integers(1, 4), integers(1, 4)))
    padding = draw(st.one_of(st.sampled_from(["valid", "same"]), integers(0, 3)))
    assume(all(oracles.output_size(shape, kernel, stride, padding)))
    return shape, draw(integers(1, 3)), kernel, stride, padding


def data(layer, shape, dtype="float64", seed=1):
    """x, and a random dy of the output's shape."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(dtype)
    y, _ = layer.forward(x, Context())
    return x, rng.standard_normal(y.shape).astype(dtype)


@given(convolutions(), st.sampled_from(["float64", "float32"]))
def test_forward_is_the_seven_loops(convolution, dtype):
    shape, filters, kernel, stride, padding = convolution
    conv = built(Conv2D(filters, kernel, stride, padding), shape[1:], dtype)
    x, _ = data(conv, shape, dtype)
    y, _ = conv.forward(x, Context())
    expected = oracles.conv2d(x, conv.W, conv.b, stride, padding)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12 if dtype == "float64" else 2e-5)


@given(convolutions(), st.sampled_from(["float64", "float32"]))
def test_backward_hands_every_product_of_the_loops_to_both_factors(convolution, dtype):
    shape, filters, kernel, stride, padding = convolution
    conv = built(Conv2D(filters, kernel, stride, padding), shape[1:], dtype)
    x, dy = data(conv, shape, dtype)
    dx, grads = conv.backward(dy, conv.forward(x, Context())[1])
    expected = oracles.conv2d_gradients(x, conv.W, stride, padding, dy)
    for mine, right in zip((dx, grads["W"], grads["b"]), expected, strict=True):
        assert mine.dtype == dtype
        np.testing.assert_allclose(mine, right, rtol=0, atol=1e-12 if dtype == "float64" else 5e-5)


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding"),
    [
        ((1, 1, 1, 1), 1, 1, "valid"),  # one number, times one weight
        ((1, 1, 1, 1), 3, 1, "same"),  # eight ninths of the window are padding
        ((1, 4, 4, 1), 4, 1, "valid"),  # a window as large as the image
        ((2, 7, 7, 2), 2, 3, "valid"),  # stride > kernel: some pixels are seen by nobody
        ((2, 5, 7, 1), (3, 1), (2, 1), "same"),
        ((1, 3, 3, 2), 2, 1, 3),  # padding wider than the window: outputs that see only zeros
    ],
)  # fmt: skip
def test_corner_cases_have_the_right_gradients(shape, kernel, stride, padding, rng):
    gradcheck(Conv2D(2, kernel, stride, padding), rng.standard_normal(shape), verbose=False)


def test_same_padding_of_an_even_kernel_by_hand():
    conv = Conv2D(1, 2, padding="same", use_bias=False)
    conv.build((2, 2, 1), np.random.default_rng(0))
    conv.W[...] = 1
    y, _ = conv.forward(np.array([[1, 2], [3, 4]], np.float32).reshape(1, 2, 2, 1), Context())
    assert y.reshape(2, 2).tolist() == [[10, 6], [7, 4]]  # sums of what lies below and to the right


def test_nothing_is_flipped(rng):
    signal = pytest.importorskip("scipy.signal")
    conv = built(Conv2D(1, (3, 5), use_bias=False), (8, 9, 1))
    x = rng.standard_normal((8, 9))
    y, _ = conv.forward(x[None, :, :, None], Context())
    np.testing.assert_allclose(y[0, :, :, 0], signal.correlate2d(x, conv.W[:, :, 0, 0], "valid"), atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 0), ((3, 2), (2, 1), 1), (5, 3, 2)])
def test_pytorch_agrees_forward_and_backward(kernel, stride, padding, rng):
    torch = pytest.importorskip("torch")
    conv = built(Conv2D(4, kernel, stride, padding), (9, 8, 3))
    x, dy = data(conv, (2, 9, 8, 3))
    y, cache = conv.forward(x, Context())
    dx, grads = conv.backward(dy, cache)

    def nchw(array):
        return torch.tensor(np.moveaxis(array, -1, 1).copy(), requires_grad=True)

    tx, tW, tb = nchw(x), torch.tensor(conv.W.transpose(3, 2, 0, 1).copy(), requires_grad=True), torch.tensor(conv.b)
    tb.requires_grad_()
    ty = torch.nn.functional.conv2d(tx, tW, tb, stride=conv.stride, padding=padding)
    ty.backward(nchw(dy).detach())
    pairs = [
        (y, ty.detach().numpy().transpose(0, 2, 3, 1)),
        (dx, tx.grad.numpy().transpose(0, 2, 3, 1)),
        (grads["W"], tW.grad.numpy().transpose(2, 3, 1, 0)),
        (grads["b"], tb.grad.numpy()),
    ]
    for mine, theirs in pairs:
        np.testing.assert_allclose(mine, theirs, atol=1e-12)


def test_without_a_bias_there_is_none():
    conv = Conv2D(2, 3, use_bias=False)
    conv.build((5, 5, 1), np.random.default_rng(0))
    assert conv.params == ("W",) and not hasattr(conv, "b")
    y, cache = conv.forward(np.zeros((1, 5, 5, 1), np.float32), Context())
    assert not y.any()
    assert list(conv.backward(y, cache)[1]) == ["W"]


def test_multiply_adds_are_the_terms_of_the_loops():
    conv = Conv2D(4, (3, 2), stride=2)
    output_shape = conv.build((9, 8, 5), np.random.default_rng(0))
    terms = sum(len(inside) for _, _, inside in oracles.windows((1, 9, 8, 5), (3, 2), (2, 2), "valid")) * 5 * 4
    assert conv.multiply_adds((9, 8, 5), output_shape) == terms


def test_weights_have_the_layout_of_keras():
    conv = Conv2D(7, (2, 3))
    conv.build((5, 5, 4), np.random.default_rng(0))
    assert conv.W.shape == (2, 3, 4, 7) and conv.b.shape == (7,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "Conv2D filters must be an integer of at least 1, got 0"),
        ({"filters": 2.0}, "Conv2D filters must be an integer of at least 1, got 2.0"),
        ({"filters": True}, "Conv2D filters must be an integer of at least 1, got True"),
        ({"kernel_size": (3, 3, 3)}, r"Conv2D kernel_size must be one integer or two \(height, width\), got \(3, "),
        ({"kernel_size": 0}, "Conv2D kernel_size must be an integer of at least 1, got 0"),
        ({"stride": (1, 0)}, "Conv2D stride must be an integer of at least 1, got 0"),
        ({"padding": "full"}, 'padding must be "valid", "same" or a number of pixels, got \'full\''),
        ({"padding": -1}, "padding must be an integer of at least 0, got -1"),
        ({"initializer": "xavier"}, "initializer must be one of he, glorot, zeros, got 'xavier'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Conv2D(**{"filters": 2, "kernel_size": 3, **arguments})


def test_flat_input_is_refused_with_advice():
    with pytest.raises(ValueError, match=r"expects images \(n, height, width, channels\), got \(n, 9\). Put it before"):
        Conv2D(2, 3).build((9,), np.random.default_rng(0))
