"""Pooling against loops; who receives a gradient, and who does not."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scratchnet import AvgPool2D, Context, GlobalAvgPool2D, MaxPool2D, gradcheck
from tests import oracles
from tests.layers.built import built


@st.composite
def poolings(draw):
    """(n, h, w, c), pool size, stride (None: the pool size), padding and a seed."""
    integers = st.integers
    shape = draw(st.tuples(integers(1, 3), integers(1, 7), integers(1, 7), integers(1, 3)))
    size = draw(st.tuples(integers(1, 4), integers(1, 4)))
    stride = draw(st.one_of(st.none(), st.tuples(integers(1, 5), integers(1, 5))))
    padding = draw(st.one_of(st.sampled_from(["valid", "same"]), integers(0, min(size) - 1)))
    assume(all(oracles.output_size(shape, size, stride or size, padding)))
    return shape, size, stride, padding, draw(integers(0, 1000))


@given(poolings(), st.sampled_from(["float32", "float64"]))
def test_max_pool_is_its_loops_and_the_first_of_equals_wins(pooling, dtype):
    shape, size, stride, padding, seed = pooling
    rng = np.random.default_rng(seed)
    pool = built(MaxPool2D(size, stride, padding), shape[1:], dtype)
    x = rng.integers(-2, 2, shape).astype(dtype)  # four different numbers: ties are the rule
    y, cache = pool.forward(x, Context())
    dy = rng.integers(-9, 10, y.shape).astype(dtype)
    dx, grads = pool.backward(dy, cache)
    np.testing.assert_array_equal(y, oracles.max_pool(x, size, stride or size, padding)[0])
    np.testing.assert_array_equal(dx, oracles.max_pool_gradient(x, size, stride or size, dy, padding))
    assert y.dtype == dx.dtype == dtype and grads == {}


@given(poolings())
def test_average_pool_is_its_loops(pooling):
    shape, size, stride, padding, seed = pooling
    rng = np.random.default_rng(seed)
    pool = built(AvgPool2D(size, stride, padding), shape[1:])
    x = rng.standard_normal(shape)
    y, cache = pool.forward(x, Context())
    dy = rng.standard_normal(y.shape)
    dx, _ = pool.backward(dy, cache)
    np.testing.assert_allclose(y, oracles.avg_pool(x, size, stride or size, padding), atol=1e-14)
    np.testing.assert_allclose(dx, oracles.avg_pool_gradient(shape, size, stride or size, dy, padding), atol=1e-14)


@pytest.mark.parametrize("layer", [MaxPool2D, AvgPool2D])
@pytest.mark.parametrize(("size", "stride"), [(2, None), ((1, 3), None), (3, 1), (2, 3), ((3, 2), (1, 2))])
def test_finite_differences_agree(layer, size, stride, rng):
    gradcheck(layer(size, stride), rng.standard_normal((2, 7, 6, 2)), verbose=False)


def test_pool_sends_gradient_only_to_the_maximum():
    pool = built(MaxPool2D(2), (2, 4, 1), "float32")
    x = np.array([[1, 5, 0, -1], [4, 3, -2, -3]], np.float32).reshape(1, 2, 4, 1)
    y, cache = pool.forward(x, Context())
    assert y.ravel().tolist() == [5, 0]
    dx, _ = pool.backward(np.array([10, 20], np.float32).reshape(1, 1, 2, 1), cache)
    assert dx.reshape(2, 4).tolist() == [[0, 10, 20, 0], [0, 0, 0, 0]]


def test_on_a_tie_the_first_in_reading_order_gets_all_the_gradient():
    pool = built(MaxPool2D(2), (2, 2, 1), "float32")
    _, cache = pool.forward(np.zeros((1, 2, 2, 1), np.float32), Context())
    dx, _ = pool.backward(np.ones((1, 1, 1, 1), np.float32), cache)
    assert dx.ravel().tolist() == [1, 0, 0, 0]


def test_each_channel_has_its_own_maximum():
    pool = built(MaxPool2D(2), (2, 2, 2), "float32")
    x = np.array([[[1, 8], [2, 7]], [[3, 6], [4, 5]]], np.float32)[None]
    assert pool.forward(x, Context())[0].ravel().tolist() == [4, 8]


def test_where_windows_overlap_a_maximum_of_two_gets_both_gradients():
    pool = built(MaxPool2D((1, 2), stride=1), (1, 3, 1), "float32")
    _, cache = pool.forward(np.array([0, 9, 0], np.float32).reshape(1, 1, 3, 1), Context())
    dx, _ = pool.backward(np.array([2, 3], np.float32).reshape(1, 1, 2, 1), cache)
    assert dx.ravel().tolist() == [0, 5, 0]


@pytest.mark.parametrize("layer", [MaxPool2D, AvgPool2D])
def test_rows_and_columns_that_fill_no_window_get_no_gradient(layer, rng):
    pool = built(layer(2), (5, 5, 1))
    y, cache = pool.forward(rng.standard_normal((1, 5, 5, 1)), Context())
    dx, _ = pool.backward(np.ones_like(y), cache)
    assert y.shape == (1, 2, 2, 1)
    assert not dx[:, 4].any() and not dx[:, :, 4].any() and dx.sum() == pytest.approx(4)


def test_negative_numbers_are_not_beaten_by_a_zero_from_nowhere():
    pool = built(MaxPool2D(3, stride=2), (5, 5, 1), "float32")
    x = np.full((1, 5, 5, 1), -7, np.float32)
    assert (pool.forward(x, Context())[0] == -7).all()


def test_max_pool_of_infinities_and_not_a_numbers_keeps_them():
    pool = built(MaxPool2D((1, 2)), (1, 4, 1), "float32")
    y, _ = pool.forward(np.array([-np.inf, np.inf, 1, np.nan], np.float32).reshape(1, 1, 4, 1), Context())
    np.testing.assert_array_equal(y.ravel(), [np.inf, np.nan])


def test_same_padding_adds_the_odd_row_and_column_at_the_bottom_and_right():
    x = np.arange(1.0, 10).reshape(1, 3, 3, 1)
    y, cache = built(MaxPool2D(2, padding="same"), (3, 3, 1)).forward(-x, Context())
    assert y[..., 0].tolist() == [[[-1, -3], [-7, -9]]]  # the last window is the last pixel alone
    y, cache = (pool := built(AvgPool2D(2, padding="same"), (3, 3, 1))).forward(x, Context())
    assert y[..., 0].tolist() == [[[3, 4.5], [7.5, 9]]]
    dx, _ = pool.backward(np.full((1, 2, 2, 1), 4.0), cache)
    assert dx[..., 0].tolist() == [[[1, 1, 2], [1, 1, 2], [2, 2, 4]]]


def test_padding_that_some_window_would_lie_in_alone_is_refused():
    with pytest.raises(ValueError, match=r'MaxPool2D padding=2 with pool_size=2: .* padding="same"'):
        MaxPool2D(2, padding=2)


def test_a_pool_that_pads_has_no_twin_and_predicts_the_same(rng):
    """The compiled blocks of convolution and pool know whole windows only."""
    pytest.importorskip("numba")
    from scratchnet import Conv2D, Dense, Flatten, ReLU, Sequential

    x, found = rng.standard_normal((6, 9, 9, 1)).astype(np.float32), []
    for engine in ("numba", "numpy"):
        layers = [Conv2D(4, 3), ReLU(), MaxPool2D(2, padding="same"), MaxPool2D(2, padding="same"), Flatten(), Dense(3)]
        model = Sequential(layers, (9, 9, 1), engine=engine)
        model.fit(x, np.arange(6) % 3, epochs=2, batch_size=3, verbose=False)
        found.append(model.forward(x))
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)
    whole = Sequential([Conv2D(4, 3), MaxPool2D(2, padding="same")], (10, 10, 1))  # of 8 rows none is missing
    assert whole.backend.describe()["1.maxpool2d"] == "″"


def test_pytorch_agrees_on_both_poolings(rng):
    torch = pytest.importorskip("torch")
    x, dy = rng.standard_normal((2, 7, 8, 3)), rng.standard_normal((2, 3, 3, 3))
    for layer, function in ((MaxPool2D, "max_pool2d"), (AvgPool2D, "avg_pool2d")):
        pool = built(layer(3, 2), (7, 8, 3))
        y, cache = pool.forward(x, Context())
        tx = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
        ty = getattr(torch.nn.functional, function)(tx, 3, 2)
        ty.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
        np.testing.assert_allclose(y, ty.detach().numpy().transpose(0, 2, 3, 1), atol=1e-14)
        np.testing.assert_allclose(pool.backward(dy, cache)[0], tx.grad.numpy().transpose(0, 2, 3, 1), atol=1e-14)


def test_global_average_is_the_mean_of_each_channel_and_shares_its_gradient_evenly():
    pool = built(GlobalAvgPool2D(), (2, 2, 2))
    x = np.array([[[1, 10], [2, 20]], [[3, 30], [6, 60]]], float)[None]
    y, cache = pool.forward(x, Context())
    assert y.tolist() == [[3, 30]]
    dx, _ = pool.backward(np.array([[4.0, 8.0]]), cache)
    assert (dx[..., 0] == 1).all() and (dx[..., 1] == 2).all() and dx.flags.writeable


@pytest.mark.parametrize("layer", [MaxPool2D(2), AvgPool2D(2), GlobalAvgPool2D()])
def test_flat_input_is_refused_with_advice(layer):
    name = type(layer).__name__
    message = rf"{name}: expects images \(n, height, width, channels\), got \(n, 9\). Put it before Flatten"
    with pytest.raises(ValueError, match=message):
        layer.build((9,), np.random.default_rng(0))


def test_a_pool_larger_than_the_image_says_so():
    with pytest.raises(ValueError, match="MaxPool2D: a window of 3×3 does not fit into the input of 2×5"):
        MaxPool2D(3).build((2, 5, 1), np.random.default_rng(0))


def test_wrong_arguments_name_the_layer_and_the_argument():
    with pytest.raises(ValueError, match="AvgPool2D pool_size must be an integer of at least 1, got 0"):
        AvgPool2D(0)
    with pytest.raises(ValueError, match="MaxPool2D stride must be one integer or two"):
        MaxPool2D(2, stride=(1, 2, 3))
