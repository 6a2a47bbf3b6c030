"""Activations against their definitions: which numbers pass, what becomes of the others, forward and backward."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from scratchnet import ELU, GELU, Context, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh, gradcheck
from scratchnet.layers.error_function import erf
from tests.layers.built import built

ELEMENTWISE = [ReLU(), LeakyReLU(0.3), ELU(0.7), GELU(), SiLU(), Sigmoid(), Tanh()]
named = pytest.mark.parametrize("layer", ELEMENTWISE, ids=repr)


def forward(layer, *numbers, dtype="float64"):
    return layer.forward(np.array([numbers], dtype), Context())[0][0]


# ReLU


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


# all of them


@named
def test_not_a_number_is_not_hidden(layer):
    y, cache = layer.forward(np.array([np.nan, 1.0]), Context())
    assert np.isnan(y).tolist() == [True, False]
    assert np.isnan(layer.backward(np.array([np.nan, 1.0]), cache)[0])[0]


@named
def test_finite_differences_agree(layer, rng):
    gradcheck(built(type(layer)(**layer.config()), (4, 4, 2)), rng.standard_normal((2, 4, 4, 2)), verbose=False)


@named
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_numbers_overflow_nothing(layer, dtype):
    """RuntimeWarnings are errors in these tests."""
    y, cache = layer.forward(np.array([-1e4, 1e4], dtype), Context())
    dx, _ = layer.backward(np.ones(2, dtype), cache)
    slope = {"LeakyReLU": 0.3}.get(type(layer).__name__, 0)
    low = {"LeakyReLU": -3e3, "ELU": -0.7, "Tanh": -1}.get(type(layer).__name__, 0)
    bounded = isinstance(layer, Sigmoid | Tanh)
    np.testing.assert_allclose(y, [low, 1 if bounded else 1e4], rtol=1e-6)
    np.testing.assert_allclose(dx, [slope, 0 if bounded else 1], rtol=1e-6)


def exact(function, x):
    """function(Decimal) in 50 digits, of the double x."""
    with localcontext() as context:
        context.prec = 50
        return float(function(Decimal(x)))


@pytest.mark.parametrize(("layer", "definition"), [
    (LeakyReLU(0.25), lambda x: x if x > 0 else x / 4),
    (ELU(2.0), lambda x: x if x > 0 else 2 * (x.exp() - 1)),
    (Sigmoid(), lambda x: 1 / (1 + (-x).exp())),
    (Tanh(), lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())),
    (SiLU(), lambda x: x / (1 + (-x).exp())),
])  # fmt: skip
def test_forward_is_the_definition_in_fifty_digits(layer, definition, rng):
    numbers = [*rng.uniform(-20, 20, 50).tolist(), *(1e-9 * rng.standard_normal(5)).tolist(), 0.0]
    expected = [exact(definition, x) for x in numbers]
    np.testing.assert_allclose(forward(layer, *numbers), expected, rtol=2e-15, atol=0)


def test_at_zero_the_slope_is_that_of_the_left_side():
    for layer, slope in ((LeakyReLU(0.3), 0.3), (ELU(0.7), 0.7)):
        _, cache = layer.forward(np.array([0.0, -0.0]), Context())
        assert layer.backward(np.array([2.0, 2.0]), cache)[0].tolist() == [2 * slope, 2 * slope]


def test_a_slope_of_zero_is_relu_and_a_slope_of_one_changes_nothing(rng):
    x = rng.standard_normal((3, 4))
    np.testing.assert_array_equal(LeakyReLU(0).forward(x, Context())[0], np.maximum(x, 0))
    np.testing.assert_array_equal(LeakyReLU(1).forward(x, Context())[0], x)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "0.1", None, True])
def test_slope_and_alpha_are_numbers_of_zero_or_more(value):
    with pytest.raises(ValueError, match="LeakyReLU slope must be a number of 0 or more, got"):
        LeakyReLU(value)
    with pytest.raises(ValueError, match="ELU alpha must be a number of 0 or more, got"):
        ELU(value)


# the error function, and GELU


def test_erf_is_that_of_the_c_library_to_the_last_digit():
    x = np.concatenate([np.linspace(-6.5, 6.5, 20_001), np.logspace(-300, 0, 301), [0.0, np.inf, -np.inf]])
    expected = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(erf(x), expected, rtol=1e-14, atol=0)
    np.testing.assert_allclose(erf(x), expected, rtol=0, atol=2e-16)
    single = erf(x.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=0, atol=1.2e-7)


def test_erf_is_odd_and_keeps_not_a_number():
    x = np.linspace(0, 7, 1001)
    np.testing.assert_array_equal(erf(-x), -erf(x))
    assert np.isnan(erf(np.array([np.nan]))).all() and np.signbit(erf(np.array([-0.0]))).all()


def test_gelu_is_x_times_the_normal_distribution(rng):
    from statistics import NormalDist

    x = rng.uniform(-6, 6, 200)
    expected = [v * NormalDist().cdf(v) for v in x]
    np.testing.assert_allclose(forward(GELU(), *x), expected, rtol=0, atol=1e-15)


# softmax


def test_softmax_is_a_distribution_over_the_last_axis(rng):
    x = rng.uniform(-1e4, 1e4, (3, 4, 5))
    p, _ = Softmax().forward(x, Context())
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-15)
    np.testing.assert_allclose(Softmax().forward(x + 7, Context())[0], p, atol=1e-11)  # a constant changes nothing


def test_softmax_by_hand_and_its_jacobian_term_by_term():
    p, cache = Softmax().forward(np.log([[1.0, 3.0, 4.0]]), Context())
    np.testing.assert_allclose(p, [[1 / 8, 3 / 8, 1 / 2]], rtol=1e-15)
    dp = [5.0, -2.0, 1.0]
    dx, _ = Softmax().backward(np.array([dp]), cache)
    q = [1 / 8, 3 / 8, 1 / 2]
    expected = [sum(dp[k] * q[k] * ((j == k) - q[j]) for k in range(3)) for j in range(3)]
    np.testing.assert_allclose(dx[0], expected, atol=1e-15)


def test_softmax_does_not_hide_not_a_number():
    p, _ = Softmax().forward(np.array([[np.nan, 0.0], [1.0, 1.0]]), Context())
    assert np.isnan(p[0]).all() and p[1].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("layer", "function", "options"), [
    (LeakyReLU(0.3), "leaky_relu", {"negative_slope": 0.3}), (ELU(0.7), "elu", {"alpha": 0.7}), (GELU(), "gelu", {}),
    (SiLU(), "silu", {}), (Sigmoid(), "sigmoid", {}), (Tanh(), "tanh", {}), (Softmax(), "softmax", {"dim": -1}),
])  # fmt: skip
def test_pytorch_agrees(layer, function, options, rng):
    torch = pytest.importorskip("torch")
    x, dy = 3 * rng.standard_normal((4, 3, 5)), rng.standard_normal((4, 3, 5))
    tx = torch.tensor(x, requires_grad=True)
    ty = getattr(torch.nn.functional, function)(tx, **options)
    ty.backward(torch.tensor(dy))
    y, cache = layer.forward(x, Context())
    np.testing.assert_allclose(y, ty.detach().numpy(), atol=1e-14)
    np.testing.assert_allclose(layer.backward(dy, cache)[0], tx.grad.numpy(), atol=1e-14)
