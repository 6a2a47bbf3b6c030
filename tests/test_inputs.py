"""Arrays passed to a model are converted or refused; implausible pixels raise an error or a warning."""

import warnings

import numpy as np
import pytest

import scratchnet as sn


def network(engine="numpy", rescale=True):
    layers = [sn.Rescale()] * rescale + [sn.Flatten(), sn.Dense(4)]
    return sn.Sequential(layers, (10, 10, 1), engine=engine)


def calls(model, y):
    """Every public call that takes images."""
    return (
        model.predict, lambda x: model.evaluate(x, y), lambda x: model.fit(x, y, verbose=False),
        lambda x: sn.lr_find(model, x, y, steps=10),
    )  # fmt: skip


@pytest.mark.parametrize("divide", [lambda x: x / 255, lambda x: (x > 99).astype(np.uint8), lambda x: x > 99])
def test_images_in_0_to_1_given_to_a_model_with_rescale_raise_a_warning_with_the_cure(divide, stripes):
    x, y = stripes
    for call in calls(network(), y):
        with pytest.warns(UserWarning, match=r"range from 0 to 1, but .* scales bytes from 0 to 255: .* Pass 255 \* x"):
            call(divide(x))


@pytest.mark.parametrize("x", [np.zeros((80, 10, 10)), np.full((80, 10, 10), 2.0), np.full((80, 10, 10), -0.5)])
def test_plausible_images_raise_no_warning(x, stripes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network().predict(x)
        network(rescale=False).predict(np.abs(x) / 10)
        network().fit(*stripes, validation_data=stripes, verbose=False)


def test_bytes_read_as_int8_are_refused(stripes):
    x, y = stripes
    for call in calls(network(), y):
        with pytest.raises(ValueError, match=r"pixels are negative, down to -\d+: .* Use x.view\(np.uint8\)"):
            call(x.view(np.int8))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_counted(value, engine, stripes):
    x, y = stripes
    x = x.astype(np.float32)
    x[3, 0, :2] = x[7, 1, 1] = value
    model = network(engine)
    for call in (model.predict, lambda x: model.evaluate(x, y)):
        with pytest.raises(ValueError, match="3 of 8,000 pixels are NaN or infinite, the first in example 3"):
            call(x)


@pytest.mark.parametrize("dtype", [">i4", ">u2", "<i8", ">f4", "f8", "f2", "u4"])
def test_every_real_dtype_is_accepted(dtype, engine, stripes):
    x, y = stripes
    model = network(engine)
    np.testing.assert_allclose(model.predict(x.astype(dtype)), model.predict(x), rtol=1e-5)
    model.fit(x.astype(dtype), y, epochs=4, batch_size=20, verbose=False)


def test_the_layout_in_memory_does_not_matter(engine, stripes):
    x, _ = stripes
    odd = np.empty(x.astype(np.float32).nbytes + 1, np.uint8)[1:].view(np.float32).reshape(x.shape)
    odd[...] = x
    model = network(engine)
    for same in (np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], odd, x.tolist(), np.ma.masked_array(x)):
        np.testing.assert_allclose(model.predict(same), model.predict(x), rtol=1e-6)


def test_masked_pixels_are_refused(engine, stripes):
    x, _ = stripes
    with pytest.raises(ValueError, match=r"\d+ pixels are masked. Fill them first: x.filled\(0\)"):
        network(engine).predict(np.ma.masked_less(x, 50))


@pytest.mark.parametrize("kind", [complex, str, object])
def test_other_dtypes_are_refused(kind, engine):
    with pytest.raises(TypeError, match="the images must be numbers, got"):
        network(engine).predict(np.zeros((2, 10, 10)).astype(kind))


def test_channels_first_images_are_recognised():
    with pytest.raises(ValueError, match=r"The channels come last here: x.transpose\(0, 2, 3, 1\)"):
        network().predict(np.zeros((2, 1, 10, 10), np.uint8))


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
@pytest.mark.parametrize("value", [1.5, 2.0, "1", None, True])
def test_epochs_and_batch_size_must_be_integers(name, value, stripes):
    with pytest.raises(TypeError, match=f"{name} must be an integer, got {value!r}"):
        network().fit(*stripes, **{name: value})


def test_numpy_integers_are_accepted(stripes):
    history = network().fit(*stripes, epochs=np.int64(2), batch_size=np.uint8(20), verbose=False)
    assert len(history.epochs) == 2


class Wrong(sn.Layer):
    """A user's layer that returns wrong shapes on request."""

    params = ("g",)

    def __init__(self, y=None, dx=None, dg=None):
        self.y, self.dx, self.dg = y, dx, dg

    def build(self, input_shape, rng):
        self.g = np.ones(input_shape, self.dtype)
        return input_shape

    def forward(self, x, ctx):
        return (x * self.g)[self.y or ...], x

    def backward(self, dy, x):
        return (dy * self.g)[self.dx or ...], {"g": (dy * x).sum(axis=0)[self.dg or ...]}


@pytest.mark.parametrize(("wrong", "message"), [
    ({"y": (slice(None), slice(3))}, r"forward's result, as build promised it, must have .* 100\), got .*3\)"),
    ({"dx": slice(2)}, r"backward's dx must have shape \(\d+, 100\), got \(2, 100\)"),
    ({"dg": slice(3)}, r"backward's dg must have shape \(100,\), got \(3,\)"),
])  # fmt: skip
def test_wrong_shapes_returned_by_a_users_layer_are_errors(wrong, message, engine, stripes):
    model = sn.Sequential([sn.Rescale(), sn.Flatten(), Wrong(**wrong), sn.Dense(4)], (10, 10, 1), engine=engine)
    with pytest.raises(ValueError, match=f"layer 2.wrong: {message}"):
        model.fit(*stripes, verbose=False)


def test_a_layer_may_return_its_parameter_as_its_gradient(engine, stripes):
    """An L2 penalty returns the weights as their gradient; sums over chunks are made in place."""

    class Penalised(Wrong):
        def backward(self, dy, x):
            return dy * self.g, {"g": self.g}

    model = sn.Sequential([sn.Rescale(), sn.Flatten(), Penalised(), sn.Dense(4)], (10, 10, 1), engine=engine)
    model.fit(*stripes, batch_size=80, optimizer=sn.SGD(1e-3), verbose=False)
    chunks = 1 if engine == "numpy" else 5  # of 16 examples
    np.testing.assert_allclose(model.layers[2].g, 1 - 1e-3 * chunks, rtol=1e-6)


def test_backward_refuses_a_gradient_of_a_wrong_shape_or_dtype(engine, stripes):
    model = network(engine)
    logits, caches = model.forward_cached(stripes[0], model.context())
    for dy in (logits[:3], logits[:, :2], np.zeros(4, np.float32)):
        with pytest.raises(ValueError, match=r"layer 2.dense: dy must have shape \(80, 4\), got"):
            model.backward(dy, caches)
    with pytest.raises(TypeError, match="dL/dlogits must be numbers"):
        model.backward(logits.astype(str), caches)
