"""Assigning to a layer, a model or an optimizer does what it says on both engines, or is an error."""

import copy
import pickle
import re
import threading

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.training import train_step


def network(engine, units=6):
    layers = [
        sn.Rescale(), sn.Conv2D(4, 3), sn.BatchNorm(), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(), sn.Dense(units),
        sn.ReLU(), sn.Dropout(0.25), sn.Dense(4),
    ]  # fmt: skip
    return sn.Sequential(layers, (10, 10, 1), engine=engine)


ARRAYS = [(1, "W"), (1, "b"), (2, "gamma"), (2, "beta"), (2, "running_mean"), (2, "running_var"), (6, "W"), (6, "b")]


@pytest.mark.parametrize(("place", "name"), ARRAYS)
def test_an_assigned_array_changes_predictions_training_and_the_saved_file(place, name, engine, stripes, tmp_path, rng):
    x, y = stripes
    model = network(engine)
    model.fit(x, y, epochs=2, batch_size=20, verbose=False)  # a captured step, and a captured prediction
    before, layer = model.predict(x), model.layers[place]
    value = 0.5 + rng.random(getattr(layer, name).shape)
    setattr(layer, name, value)
    after = model.predict(x)
    assert np.abs(after - before).max() > 1e-4
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(sn.load_model(tmp_path / "model.safetensors", engine).predict(x), after)
    textbook = sn.load_model(tmp_path / "model.safetensors", "numpy")
    np.testing.assert_allclose(textbook.predict(x), after, rtol=1e-3, atol=1e-5)
    for one in (model, textbook):
        one.fit(x, y, batch_size=20, optimizer=sn.SGD(0.01), verbose=False)
    np.testing.assert_allclose(getattr(layer, name), getattr(textbook.layers[place], name), rtol=1e-2, atol=1e-4)


def test_assignment_copies_into_the_layers_own_array(engine):
    layer = network(engine).layers[6]
    array, value = layer.W, np.arange(layer.W.size, dtype=np.float64).reshape(layer.W.shape)
    layer.W = value
    layer.W *= 2
    assert layer.W is array and array.dtype == np.float32
    np.testing.assert_array_equal(array, 2 * value)


@pytest.mark.parametrize("change", [
    lambda W: W[:-1], lambda W: W.T, lambda W: W[None], lambda W: W.astype(complex), lambda W: None, lambda W: 1.0,
    lambda W: W.astype(str), lambda W: W.astype(object),
])  # fmt: skip
def test_a_wrong_shape_or_dtype_is_refused_with_both_in_the_message(change, engine):
    layer = network(engine).layers[6]
    before, value = layer.W.copy(), change(layer.W)
    given = np.asarray(value)
    message = f"Dense: W is float32 of shape (64, 6), got {given.dtype} of shape {given.shape}."
    with pytest.raises(ValueError, match=re.escape(message)):
        layer.W = value
    np.testing.assert_array_equal(layer.W, before)


@pytest.mark.parametrize(("place", "name", "value"), [
    (1, "stride", (2, 2)), (1, "filters", 8), (1, "use_bias", False), (4, "pool_size", (3, 3)),
    (6, "units", 9), (6, "params", ("W",)), (6, "dtype", np.dtype("float64")), (6, "forward", lambda x, ctx: (x, None)),
])  # fmt: skip
def test_attributes_that_the_model_was_built_from_cannot_be_set(place, name, value, engine):
    with pytest.raises(AttributeError, match=f"{name} cannot be set once the layer is part of a model"):
        setattr(network(engine).layers[place], name, value)


def test_a_float_attribute_must_stay_a_float(engine):
    with pytest.raises(TypeError, match="Dropout: rate must be a number, got 'half'"):
        network(engine).layers[8].rate = "half"


@pytest.mark.parametrize("name", ["layers", "input_shape", "dtype", "engine"])
def test_attributes_that_the_plan_was_built_from_cannot_be_set(name, engine):
    model = network(engine)
    with pytest.raises(AttributeError, match=f"a model's {name} cannot be set once it is made"):
        setattr(model, name, getattr(model, name))


def test_a_models_layers_are_a_tuple(engine):
    assert isinstance(network(engine).layers, tuple)


def test_a_layer_outside_a_model_accepts_any_assignment():
    layer = sn.Conv2D(4, 3)
    layer.stride = (2, 2)
    assert sn.Sequential([layer], (9, 9, 1)).shapes[-1] == (4, 4, 4)


def test_an_array_replaced_behind_assignment_is_an_error_before_any_kernel_runs():
    pytest.importorskip("numba")
    model, x = network("numba"), np.zeros((20, 10, 10), np.uint8)
    vars(model.layers[6])["W"] = np.zeros((3, 3), np.float32)
    for call in (model.predict, model.forward, lambda x: model.fit(x, np.zeros(20, int), verbose=False)):
        with pytest.raises(ValueError, match=r"6.dense: W was float32 of shape .* replaced or reshaped"):
            call(x)


def test_read_only_weights_predict_and_do_not_train(engine, stripes):
    model, (x, y) = network(engine), stripes
    expected = model.predict(x)
    for array in (*model.parameters().values(), *model.state().values()):
        array.flags.writeable = False
    np.testing.assert_array_equal(model.predict(x), expected)
    with pytest.raises(ValueError, match="read-only"):
        model.fit(x, y, verbose=False)


# the optimizer's memory

MAKE = {"adam": sn.Adam, "adamw": sn.AdamW, "rmsprop": sn.RMSprop, "momentum": lambda: sn.SGD(0.01, momentum=0.9)}


@pytest.mark.parametrize("other_units", [512, 6, 2])
@pytest.mark.parametrize("name", MAKE)
def test_an_optimizer_refuses_another_model_of_any_size(name, other_units, engine, stripes):
    x, y = stripes
    optimizer, other = MAKE[name](), network(engine, other_units)
    network(engine).fit(x, y, optimizer=optimizer, verbose=False)
    before = {name: array.copy() for name, array in other.parameters().items()}
    for train in (other.fit, lambda *examples, **options: sn.lr_find(other, *examples, optimizer=optimizer, steps=10)):
        with pytest.raises(ValueError, match=r"holds the moments of another model .*Make a new optimizer"):
            train(x, y, optimizer=optimizer, verbose=False)
    with pytest.raises(ValueError, match="another model"):
        train_step(other, sn.SoftmaxCrossEntropy(), optimizer, x, y)
    assert all(np.array_equal(before[name], array) for name, array in other.parameters().items())


def test_the_same_model_resumes_with_its_moments(engine, stripes):
    model, optimizer = network(engine), sn.Adam()
    model.fit(*stripes, batch_size=20, optimizer=optimizer, verbose=False)
    moments = dict(optimizer.memory.items())
    model.fit(*stripes, batch_size=20, optimizer=optimizer, verbose=False)
    assert optimizer.steps == 8
    assert all(optimizer.memory[name] is slots for name, slots in moments.items())


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copied_optimizer_resumes_with_the_model_and_shares_no_moments(copied, engine, stripes):
    x, y = stripes
    model, optimizer = network(engine), sn.Adam()
    model.fit(x, y, optimizer=optimizer, verbose=False)
    another = copied(optimizer)
    moments = {name: m.copy() for name, (m, _) in optimizer.memory.items()}
    model.fit(x, y, optimizer=another, verbose=False)
    assert another.steps == 2 * optimizer.steps
    assert all(np.array_equal(moments[name], m) for name, (m, _) in optimizer.memory.items())


def test_a_copied_optimizer_refuses_other_shapes(engine, stripes):
    x, y = stripes
    optimizer = sn.Adam()
    network(engine).fit(x, y, optimizer=optimizer, verbose=False)
    with pytest.raises(ValueError, match="another model"):
        network(engine, 512).fit(x, y, optimizer=copy.deepcopy(optimizer), verbose=False)


def test_a_hyperparameter_changed_between_steps_applies_from_the_next_step(stripes):
    """With weight_decay=0 all parameters share their hyperparameters in a captured step; later only weights decay."""
    x, y = stripes
    models = [network(engine) for engine in ("numpy", "numba")]
    for model in models:
        optimizer = sn.AdamW(1e-3, eps=1e-3, weight_decay=0.0)
        for decay in (0.0, 50.0):
            optimizer.weight_decay = decay
            for _ in range(5):
                train_step(model, sn.SoftmaxCrossEntropy(), optimizer, x, y)
    for one, other in zip(*(model.parameters().values() for model in models), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-4)


# one model, several threads


def test_two_threads_cannot_train_one_model_at_once(engine, stripes):
    x, y = stripes
    model, inside, go_on = network(engine), threading.Event(), threading.Event()

    def wait(images, rng):
        inside.set()
        go_on.wait(60)
        return images

    thread = threading.Thread(target=train_step, args=(model, sn.SoftmaxCrossEntropy(), sn.Adam(), x, y, wait))
    thread.start()
    inside.wait(60)
    try:
        with pytest.raises(RuntimeError, match="another thread is in the middle of a training step"):
            train_step(model, sn.SoftmaxCrossEntropy(), sn.Adam(), x, y)
    finally:
        go_on.set()
        thread.join()
    train_step(model, sn.SoftmaxCrossEntropy(), sn.Adam(), x, y)


def test_an_augmentation_that_returns_floats_is_not_truncated_to_bytes(stripes):
    """The buffer of a captured step holds bytes; fractions must not be lost in it."""
    x, y = stripes
    found = []
    for engine in ("numpy", "numba"):
        model, optimizer = network(engine), sn.SGD(0.05)
        for _ in range(6):
            train_step(model, sn.SoftmaxCrossEntropy(), optimizer, x, y, lambda images, rng: images * np.float32(0.004))
        found.append(model)
    for one, other in zip(*(model.parameters().values() for model in found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
