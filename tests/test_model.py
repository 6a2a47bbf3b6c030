"""A model as a whole: its names, its shapes, its starting point, what goes in and comes out."""

import json
import math
import sys

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import Context
from scratchnet.losses import softmax
from scratchnet.model import from_config


def network(engine="numpy", seed=0, dtype="float32", **options):
    """Every kind of parameter and state, on 10 × 10 grey bytes, four classes."""
    layers = [
        sn.Rescale(), sn.Conv2D(4, 3), sn.BatchNorm(), sn.ReLU(), sn.MaxPool2D(2), sn.Conv2D(4, 3, padding="same"),
        sn.Flatten(), sn.Dropout(0.5), sn.Dense(4),
    ]  # fmt: skip
    return sn.Sequential(layers, (10, 10, 1), engine=engine, seed=seed, dtype=dtype, **options)


def test_parameters_have_these_names_in_this_order():
    model = network()
    assert {name: array.shape for name, array in model.parameters().items()} == {
        "1.conv2d.W": (3, 3, 1, 4), "1.conv2d.b": (4,),
        "2.batchnorm.gamma": (4,), "2.batchnorm.beta": (4,),
        "5.conv2d.W": (3, 3, 4, 4), "5.conv2d.b": (4,),
        "8.dense.W": (64, 4), "8.dense.b": (4,),
    }  # fmt: skip
    assert list(model.parameters()) == sorted(model.parameters(), key=lambda name: int(name.partition(".")[0]))
    assert list(model.state()) == ["2.batchnorm.running_mean", "2.batchnorm.running_var"]


def test_parameters_are_the_live_arrays(engine):
    model, x = network(engine), np.zeros((1, 10, 10), np.uint8)
    model.parameters()["8.dense.b"][...] = [1, 2, 3, 4]
    model.parameters()["8.dense.W"][...] = 0
    np.testing.assert_array_equal(model.forward(x), [[1, 2, 3, 4]])
    assert model.parameters()["1.conv2d.W"] is model.parameters()["1.conv2d.W"]


def test_backward_names_a_gradient_for_every_parameter(rng):
    model = network(dtype="float64")
    logits, caches = model.forward_cached(rng.standard_normal((3, 10, 10)), Context(True, rng))
    dx, grads = model.backward(rng.standard_normal(logits.shape), caches)
    assert dx.shape == (3, 10, 10, 1)
    assert {name: g.shape for name, g in grads.items()} == {name: p.shape for name, p in model.parameters().items()}


def test_forward_is_layer_after_layer(rng):
    model = network()
    x = y = rng.integers(0, 256, (3, 10, 10, 1)).astype(np.uint8)
    for layer in model.layers:
        y, _ = layer.forward(y, Context())
    np.testing.assert_array_equal(model.forward(x), y)


# where a model starts


def test_initial_loss_is_log_of_class_count(engine, rng):
    for classes in (2, 10):
        layers = [sn.Rescale(), sn.Conv2D(8, 3), sn.ReLU(), sn.Flatten(), sn.Dense(32), sn.ReLU(), sn.Dense(classes)]
        model = sn.Sequential(layers, (12, 12, 1), engine=engine)
        x, labels = rng.integers(0, 256, (200, 12, 12)).astype(np.uint8), rng.integers(0, classes, 200)
        assert model.evaluate(x, labels)["loss"] == pytest.approx(math.log(classes), abs=0.05)


def test_the_seed_decides_the_start():
    a, b, c = network(seed=1), network(seed=1), network(seed=2)
    for name in a.parameters():
        np.testing.assert_array_equal(a.parameters()[name], b.parameters()[name])
        if name.endswith("W"):
            assert (a.parameters()[name] != c.parameters()[name]).all()


def test_two_layers_of_equal_shape_start_different():
    layers = [*(sn.Conv2D(3, 3, padding="same") for _ in range(2)), sn.Flatten(), sn.Dense(75), sn.Dense(75)]
    params = sn.Sequential(layers, (5, 5, 3), engine="numpy").parameters()
    assert (params["0.conv2d.W"] != params["1.conv2d.W"]).all()
    assert (params["3.dense.W"] != params["4.dense.W"]).all()


def test_adding_dropout_or_batchnorm_does_not_change_the_start_of_the_others():
    plain = [sn.Conv2D(4, 3), sn.ReLU(), sn.Conv2D(4, 3), sn.Flatten(), sn.Dense(5)]
    more = [sn.Conv2D(4, 3), sn.BatchNorm(), sn.ReLU(), sn.Dropout(0.2), sn.Conv2D(4, 3), sn.Flatten(), sn.Dropout(0.5),
            sn.Dense(5)]  # fmt: skip
    starts = [
        [array for array in sn.Sequential(layers, (8, 8, 1), engine="numpy").parameters().values() if array.ndim > 1]
        for layers in (plain, more)
    ]
    assert len(starts[0]) == len(starts[1]) == 3
    for a, b in zip(*starts, strict=True):
        np.testing.assert_array_equal(a, b)


# what goes in and comes out


def test_grey_images_need_no_channel_axis(engine, rng):
    model, x = network(engine), rng.integers(0, 256, (3, 10, 10)).astype(np.uint8)
    np.testing.assert_array_equal(model.forward(x), model.forward(x[..., None]))


def test_bytes_and_the_same_numbers_as_floats_give_the_same_answer(engine, rng):
    model, x = network(engine), rng.integers(0, 256, (3, 10, 10)).astype(np.uint8)
    for dtype in (np.float32, np.float64, np.int64):
        np.testing.assert_allclose(model.forward(x.astype(dtype)), model.forward(x), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(model.forward(x.tolist()), model.forward(x))


def test_a_model_without_rescale_takes_integers_too():
    model = sn.Sequential([sn.Dense(2)], (3,), engine="numpy")
    assert model.forward(np.array([[1, 2, 3]])).dtype == np.float32


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_models_dtype_is_that_of_all_it_holds_and_gives(dtype, rng):
    model = network(dtype=dtype)
    arrays = [*model.parameters().values(), *model.state().values(), model.forward(rng.standard_normal((2, 10, 10)))]
    assert {str(array.dtype) for array in arrays} == {dtype}


def test_a_float64_model_runs_on_the_textbook():
    assert network(engine="numba", dtype="float64").engine == "numpy"
    assert network(engine="numpy").engine == "numpy"


def test_predict_gives_probabilities_of_the_logits(engine, rng):
    model, x = network(engine), rng.integers(0, 256, (7, 10, 10)).astype(np.uint8)
    p = model.predict(x)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(p, softmax(model.forward(x)), atol=1e-6)


def test_predictions_do_not_depend_on_batch_size(engine, rng):
    model, x = network(engine), rng.integers(0, 256, (23, 10, 10)).astype(np.uint8)
    whole = model.predict(x, batch_size=100)
    for batch_size in (1, 2, 7, 23):
        np.testing.assert_allclose(model.predict(x, batch_size), whole, atol=1e-6)


def test_predicting_nothing_gives_nothing(engine):
    assert network(engine).predict(np.zeros((0, 10, 10), np.uint8)).shape == (0, 4)


def test_evaluation_changes_nothing_and_training_mode_does(engine, rng):
    model, x = network(engine), rng.integers(0, 256, (8, 10, 10)).astype(np.uint8)
    before = model.state()["2.batchnorm.running_mean"].copy()
    first = model.forward(x)
    np.testing.assert_array_equal(model.forward(x), first)
    np.testing.assert_array_equal(model.state()["2.batchnorm.running_mean"], before)
    assert (model.forward(x, training=True) != first).any()
    assert (model.state()["2.batchnorm.running_mean"] != before).all()


def test_input_is_left_as_it_was(engine, rng):
    x = rng.standard_normal((3, 10, 10, 1)).astype(np.float32)
    before = x.copy()
    network(engine).predict(x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("shape", [(10, 10), (3, 10, 9), (3, 10, 10, 2), (3, 100), (10, 10, 1)])
def test_input_of_another_shape_is_explained(engine, shape):
    got = str(shape).replace("(", r"\(").replace(")", r"\)")
    message = rf"expects input of shape \(n, 10, 10, 1\), got {got}. .* for a single image pass image\[None\]"
    with pytest.raises(ValueError, match=message):
        network(engine).forward(np.zeros(shape))


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_of_nothing_is_refused(batch_size):
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        network().predict(np.zeros((2, 10, 10)), batch_size=batch_size)


def test_where_numba_cannot_be_had_the_textbook_takes_over_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "scratchnet.compiled.execution.engine", None)
    with pytest.warns(UserWarning, match='engine="numba" is not available .*; using engine="numpy"'):
        model = sn.Sequential([sn.Dense(2)], (3,), engine="numba")
    assert model.engine == "numpy" and model.forward(np.ones((1, 3))).shape == (1, 2)


# layers of one's own, and the description of a model


class Scale(sn.Layer):
    """y = s · x with a single number s."""

    params = ("s",)

    def build(self, input_shape, rng):
        self.s = np.array(2, self.dtype)
        return input_shape

    def forward(self, x, ctx):
        return self.s * x, x

    def backward(self, dy, x):
        return self.s * dy, {"s": (dy * x).sum()}


def test_a_layer_of_ones_own_is_trained_like_any_other(engine, stripes):
    x, labels = stripes
    model = sn.Sequential([sn.Rescale(), Scale(), sn.Flatten(), sn.Dense(4)], (10, 10, 1), engine=engine)
    model.fit(x, labels, epochs=2, batch_size=32, verbose=False)
    assert model.parameters()["1.scale.s"] != 2


def test_a_layer_that_does_not_keep_its_arguments_can_be_trained_all_the_same(engine, stripes):
    class Forgetful(Scale):
        def __init__(self, size):
            self.half = size // 2

    model = sn.Sequential([sn.Flatten(), Forgetful(4), sn.Dense(4)], (10, 10, 1), engine=engine)
    model.fit(*stripes, verbose=False)
    assert model.layers[1].half == 2


def test_a_layer_that_forgets_a_gradient_is_named(engine, stripes):
    class Forgets(Scale):
        def backward(self, dy, x):
            return self.s * dy, {}

    model = sn.Sequential([sn.Flatten(), Forgets(), sn.Dense(4)], (10, 10, 1), engine=engine)
    message = r"layer 1.forgets: backward must return gradients of \['s'\], got \[\]"
    with pytest.raises(ValueError, match=message):
        model.fit(*stripes, verbose=False)


def test_a_description_of_plain_data_makes_the_same_model_again():
    model = network(seed=7, class_names=["a", "b", "c", 4])
    again = from_config(json.loads(json.dumps(model.config())), engine="numpy")
    assert again.class_names == ["a", "b", "c", "4"]
    assert json.dumps(again.config()) == json.dumps(model.config())
    for name, array in model.parameters().items():
        np.testing.assert_array_equal(again.parameters()[name], array)
