"""Training with another loss than softmax cross-entropy, with weights, and with an L2 penalty, on both engines."""

import json

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.training import train_step


def small(engine="numpy", outputs=4, extra=(), dtype="float32", **options):
    layers = [sn.Rescale(), sn.Flatten(), sn.Dense(12, activation="tanh"), sn.Dense(outputs, **options), *extra]
    return sn.Sequential(layers, (10, 10, 1), engine=engine, dtype=dtype)


def train(model, stripes, **options):
    defaults = {"epochs": 60, "batch_size": 20, "optimizer": sn.Adam(0.01), "verbose": False}
    return model.fit(*stripes, **defaults | options)


def bits(model):
    return [array.tobytes() for array in model.get_weights()]


# what fit, predict and evaluate make of it


def test_one_output_learns_yes_and_no(engine, stripes):
    x, y = stripes[0], stripes[1] == 2
    model = small(engine, outputs=1)
    history = train(model, (x, y), loss="binary_crossentropy", validation_data=(x, y))
    assert history["val_accuracy"][-1] > 0.95
    p = model.predict(x)
    assert p.shape == (80, 1) and ((p[:, 0] > 0.5) == y).mean() == history["accuracy"][-1]
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-model(x).astype(np.float64))), rtol=1e-5)
    for labels in (y, y.astype(int), y[:, None].astype(float)):
        assert model.evaluate(x, labels)["accuracy"] == history["accuracy"][-1]


def test_several_outputs_are_right_or_wrong_each_by_itself(engine, stripes):
    x, y = stripes
    both = np.stack([y >= 2, y % 2 == 1], axis=1).astype(np.uint8)
    model = small(engine, outputs=2)
    history = train(model, (x, both), loss=sn.BinaryCrossEntropy())
    assert history["accuracy"][-1] > 0.95
    right = (model.predict(x) > 0.5) == both
    assert model.evaluate(x, both)["accuracy"] == pytest.approx(right.mean())


def test_numbers_are_predicted_as_they_are_and_have_no_accuracy(engine, stripes, capsys):
    x, y = stripes[0], stripes[1] - 1.5
    model = small(engine, outputs=1)
    history = train(model, (x, y), loss="mse", validation_data=(x, y))
    assert "accuracy" not in history.epochs[-1] and "val_accuracy" not in history.epochs[-1]
    answers = model.predict(x)[:, 0]
    assert model.evaluate(x, y) == {"loss": pytest.approx(float(np.mean((answers - y) ** 2)), rel=1e-5)}
    assert history["loss"][-1] < 0.2 and answers.min() < -1 and answers.max() > 1
    train(small(engine, outputs=1), (x, y), loss="mse", epochs=2, verbose=True)
    assert "loss" in capsys.readouterr().out


def test_classes_learned_by_squared_error_have_an_accuracy(engine, stripes):
    x, y = stripes
    found = [train(small(engine), (x, labels), loss="mse")["accuracy"][-1] for labels in (y, np.eye(4)[y])]
    assert found[0] == found[1] > 0.9


def test_a_monitored_accuracy_that_is_not_measured_is_an_error_before_the_first_step(stripes):
    x, y = stripes[0], stripes[1] / 2
    model = small(outputs=1)
    before = bits(model)
    with pytest.raises(ValueError, match=r"'val_accuracy' is measured where labels are classes, .*: epoch, .*val_loss"):
        train(model, (x, y), loss="mse", validation_data=(x, y), callbacks=sn.EarlyStopping("val_accuracy"))
    assert bits(model) == before


@pytest.mark.parametrize(
    ("loss", "outputs"), [("binary_crossentropy", "sigmoid"), ("mse", "linear"), (None, "softmax")]
)
def test_a_file_says_what_the_outputs_mean(loss, outputs, stripes, tmp_path):
    model = small()
    assert model.outputs == "softmax"
    train(model, stripes, loss=loss, epochs=1)
    model.save(tmp_path / "m")
    again = sn.load_model(tmp_path / "m", "numpy")
    assert model.outputs == again.outputs == model.untrained_copy().outputs == outputs
    np.testing.assert_array_equal(again.predict(stripes[0]), model.predict(stripes[0]))
    assert again.evaluate(*stripes) == model.evaluate(*stripes)
    assert ("outputs" in json.dumps(model.config())) == (outputs != "softmax")


def test_a_model_of_another_loss_can_be_evaluated_by_any(stripes):
    model = small()
    train(model, stripes, epochs=2)
    by_softmax = model.evaluate(*stripes)
    train(model, stripes, epochs=1, loss="mse", optimizer=sn.SGD(1e-30))
    assert model.evaluate(*stripes, loss=sn.SoftmaxCrossEntropy()) == by_softmax
    assert model.evaluate(*stripes, loss="mse") == model.evaluate(*stripes) != by_softmax


@pytest.mark.parametrize(("activation", "loss", "message"), [
    ("softmax", None, r"the model ends with Softmax\(\), but SoftmaxCrossEntropy works on logits and applies"),
    ("sigmoid", "binary_crossentropy", r"ends with Sigmoid\(\), but BinaryCrossEntropy .*the activation=\"sigmoid\" of"),
])  # fmt: skip
def test_a_function_that_the_loss_applies_too_is_refused_at_the_end(activation, loss, message, stripes):
    with pytest.raises(ValueError, match=message):
        train(small(activation=activation), stripes, loss=loss)


def test_a_softmax_at_the_end_is_not_applied_twice(engine, stripes):
    model = small(engine, activation="softmax")
    np.testing.assert_array_equal(model.predict(stripes[0]), model(stripes[0]))
    assert train(model, stripes, loss="mse")["accuracy"][-1] > 0.9
    np.testing.assert_array_equal(model.predict(stripes[0]), model(stripes[0]))


@pytest.mark.parametrize(("options", "labels", "message"), [
    ({"outputs": 1}, np.full(80, np.nan), "labels: 80 of 80 are NaN or infinite"),
    ({"outputs": 1}, ["a"] * 80, "labels are texts"),
    ({"outputs": 3}, np.full(80, 0.5), r"label 0 is 0.5. .*Dense\(1\) and pass loss=\"mse\""),
    ({"outputs": 3}, np.zeros((80, 2)), r"labels must be numbers of shape \(n, 3\)"),
])  # fmt: skip
def test_labels_of_numbers_are_checked_before_the_first_step(options, labels, message, stripes):
    with pytest.raises(ValueError, match=message):
        train(small(**options), (stripes[0], labels), loss="mse")


# weights of classes and of examples


def test_a_weight_of_two_is_the_gradient_of_two_examples(stripes):
    """Of twice as many examples the mean is over twice as many, so the rate is doubled."""
    x, y = stripes
    once, twice = small(dtype="float64"), small(dtype="float64")
    options = {"epochs": 1, "shuffle": False, "batch_size": 160}
    train(once, (np.repeat(x, 2, axis=0), np.repeat(y, 2)), optimizer=sn.SGD(0.2), **options)
    train(twice, (x, y), optimizer=sn.SGD(0.1), sample_weight=np.full(80, 2.0), **options)
    for a, b in zip(once.get_weights(), twice.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_both_engines_weight_the_same(stripes):
    found = []
    rng = np.random.default_rng(0)
    options = {"class_weight": {0: 3.0, 2: 0.5}, "sample_weight": rng.random(80), "epochs": 3}
    for engine, dtype in (("numpy", "float64"), ("numba", "float32")):
        model = small(engine, dtype=dtype)
        history = train(model, stripes, validation_data=stripes, **options)
        found.append([*model.get_weights(), history["training_loss"], history["val_loss"]])
    for exact, array in zip(*found, strict=True):
        np.testing.assert_allclose(array, exact, rtol=1e-4, atol=1e-5)


def test_a_class_of_weight_zero_is_not_learned(engine, stripes):
    x, y = stripes
    model = small(engine)
    train(model, stripes, class_weight={3: 0})
    guesses = model.predict(x).argmax(axis=1)
    assert (guesses[y != 3] == y[y != 3]).mean() > 0.85 and (guesses != 3).all()


def test_class_weight_is_the_sample_weight_of_each_class(engine, stripes):
    x, y = stripes
    models = [small(engine) for _ in range(4)]
    table = np.array([1, 2.5, 1, 0.25])
    train(models[0], (x, y), epochs=2, class_weight={1: 2.5, np.int64(3): 0.25})
    train(models[1], (x, y), epochs=2, sample_weight=table[y].tolist())
    train(models[2], (x, np.eye(4)[y]), epochs=2, class_weight={1: 2.5, 3: 0.25})
    train(models[3], (x, y), epochs=2)
    assert bits(models[0]) == bits(models[1]) != bits(models[3])
    for a, b in zip(models[0].get_weights(), models[2].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_only_the_minimised_value_is_weighted(stripes):
    model = small()
    options = {"epochs": 1, "batch_size": 80, "optimizer": sn.SGD(1e-30)}
    history = train(model, stripes, sample_weight=np.full(80, 3.0), **options)
    assert history["training_loss"][0] == pytest.approx(3 * history["loss"][0], rel=1e-5)
    assert history["loss"][0] == model.evaluate(*stripes)["loss"] and history["accuracy"]


def test_of_held_out_examples_the_weights_are_not_used(engine, stripes):
    x, y = stripes
    w, other = np.linspace(0.5, 2, 80), np.linspace(0.5, 2, 80)
    other[60:] = 1000
    found = [small(engine) for _ in range(3)]
    for model, weights in zip(found, (w, other), strict=False):
        train(model, stripes, epochs=2, validation_split=0.25, sample_weight=weights)
    train(found[2], (x[:60], y[:60]), epochs=2, sample_weight=w[:60])
    assert bits(found[0]) == bits(found[1]) == bits(found[2])


def test_no_and_yes_are_the_classes_of_one_output(stripes):
    x, y = stripes[0], stripes[1] == 0
    shares = []
    for weight in (0.1, 10):
        model = small(outputs=1)
        train(model, (x, y), epochs=3, loss="binary_crossentropy", class_weight={1: weight})
        shares.append(float(model.predict(x).mean()))
    assert shares[0] < 0.3 < shares[1]


@pytest.mark.parametrize("threads", [2, 5])
def test_weighted_training_gives_the_same_bits_for_any_number_of_threads(threads, stripes):
    pytest.importorskip("numba")
    found = []
    for count in (1, threads):
        sn.set_threads(count)
        model = small("numba")
        train(model, stripes, epochs=2, batch_size=50, class_weight={1: 2.0})
        found.append(bits(model))
    assert found[0] == found[1]


def test_a_weighted_run_resumes_to_the_same_bits_and_only_with_the_same_weights(engine, stripes, tmp_path):
    options = {"class_weight": {0: 2.0}, "sample_weight": np.linspace(0, 1, 80), "batch_size": 16}
    whole, rest = small(engine), small(engine)
    train(whole, stripes, epochs=3, **options)
    train(small(engine), stripes, epochs=2, callbacks=sn.Checkpoint(tmp_path / "c"), **options)
    train(rest, stripes, epochs=3, resume=tmp_path / "c", **options)
    assert bits(rest) == bits(whole)
    for change in ({"class_weight": {0: 3.0}}, {"class_weight": None, "sample_weight": None}):
        with pytest.raises(sn.ModelFileError, match=r"data.y was .* and is |loss was"):
            train(small(engine), stripes, epochs=3, resume=tmp_path / "c", **options | change)


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"class_weight": [1, 2, 1, 1]}, TypeError, r"class_weight must be a dict, .*np.unique\(y, return_counts=True\)"),
    ({"class_weight": "balanced"}, TypeError, "class_weight must be a dict"),
    ({"class_weight": {4: 1.0}}, ValueError, "has the key 4; the model's classes are the integers 0 to 3"),
    ({"class_weight": {"cat": 1.0}}, ValueError, "has the key 'cat'; the model's classes are the integers 0 to 3"),
    ({"class_weight": {True: 1.0}}, ValueError, "has the key True"),
    ({"class_weight": {0: -1}}, ValueError, r"class_weight\[0\] must be finite and 0 or more, got -1"),
    ({"class_weight": {0: "2"}}, ValueError, r"class_weight\[0\] must be a number, got '2'"),
    ({"class_weight": dict.fromkeys(range(4), 0)}, ValueError, "all weights are 0"),
    ({"sample_weight": np.ones(79)}, ValueError, r"for each of the 80 examples, got float64 of shape \(79,\)"),
    ({"sample_weight": np.ones((80, 1))}, ValueError, r"got float64 of shape \(80, 1\)"),
    ({"sample_weight": {0: 2.0}}, ValueError, "For a weight of each class: class_weight"),
    ({"sample_weight": np.full(80, np.nan)}, ValueError, "sample_weight must be finite and 0 or more, got nan"),
    ({"sample_weight": ["1"] * 80}, ValueError, "sample_weight must be one number for each"),
    ({"sample_weight": np.ones(80), "loss": lambda z, y: (0.0, z)}, TypeError, "a loss of your own must weight its"),
])  # fmt: skip
def test_weights_that_do_not_fit_are_explained_before_the_first_step(options, error, message, stripes):
    model = small()
    before = bits(model)
    with pytest.raises(error, match=message):
        train(model, stripes, **options)
    assert bits(model) == before


def test_numbers_and_several_outputs_have_no_class_weight(stripes):
    with pytest.raises(ValueError, match="class_weight needs labels that are classes; for other numbers pass sample_w"):
        train(small(outputs=1), (stripes[0], stripes[1] / 2), loss="mse", class_weight={0: 2})
    with pytest.raises(ValueError, match="class_weight needs one class for each example"):
        train(small(outputs=2), (stripes[0], np.ones((80, 2))), loss="binary_crossentropy", class_weight={0: 2})


# L2


def penalised(engine="numpy", dtype="float32", l2=0.05):
    layers = [
        sn.Rescale(), sn.Conv2D(4, 3, l2=l2, activation="relu"), sn.DepthwiseConv2D(3, l2=2 * l2),
        sn.Residual([sn.Conv2D(4, 1, l2=l2)]), sn.MaxPool2D(2), sn.Flatten(), sn.Dense(40, l2=l2, activation="relu"),
        sn.Dense(4),
    ]  # fmt: skip
    return sn.Sequential(layers, (10, 10, 1), engine=engine, dtype=dtype)


def test_l2_adds_the_gradient_of_the_penalty(stripes):
    """The step of SGD is that of the loss plus λ Σ W², whose gradient is taken by finite differences."""
    plain, model = penalised(dtype="float64", l2=0), penalised(dtype="float64", l2=0.05)
    before = {name: array.copy() for name, array in model.parameters().items()}
    losses = [train_step(m, sn.SoftmaxCrossEntropy(), sn.SGD(0.5), *stripes) for m in (plain, model)]
    assert losses[0] == losses[1]  # the penalty is no part of the loss that is reported
    factors = {"1.conv2d.W": 0.05, "3.depthwiseconv2d.W": 0.1, "4.residual.0.conv2d.W": 0.05, "7.dense.W": 0.05}
    for name, array in model.parameters().items():
        h = 1e-4
        slope = factors.get(name, 0) * ((before[name] + h) ** 2 - (before[name] - h) ** 2) / (2 * h)
        np.testing.assert_allclose(array, plain.parameters()[name] - 0.5 * slope, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("optimizer", [
    lambda: sn.SGD(0.1, 0.9), lambda: sn.Adam(1e-3, eps=1e-3), lambda: sn.RMSprop(1e-3, eps=1e-3),
    lambda: sn.SGD(0.1, clip_norm=0.05), lambda: sn.AdamW(1e-3, eps=1e-3, weight_decay=0.1),
])  # fmt: skip
def test_both_engines_take_the_same_steps_with_l2(optimizer, stripes):
    found = []
    for engine, dtype in (("numpy", "float64"), ("numba", "float32")):
        model, own = penalised(engine, dtype), optimizer()
        for _ in range(4):
            train_step(model, sn.SoftmaxCrossEntropy(), own, *stripes)
        found.append(model.get_weights())
    for exact, array in zip(*found, strict=True):
        np.testing.assert_allclose(array, exact, rtol=1e-3, atol=2e-5)


class OwnSGD(sn.SGD):
    """An optimizer without kernels."""


def test_an_optimizer_of_ones_own_gets_the_penalty_too(engine, stripes):
    found = []
    for kind in (OwnSGD, sn.SGD):
        model = penalised(engine)
        train_step(model, sn.SoftmaxCrossEntropy(), kind(0.1), *stripes)
        found.append(model.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_changed_l2_counts_from_the_next_step(stripes):
    found = []
    for engine in ("numpy", "numba"):
        model, optimizer = penalised(engine, l2=0.0), sn.SGD(0.1)
        for i in range(4):
            model.layers[7].l2 = 0.0 if i < 2 else 0.5
            train_step(model, sn.SoftmaxCrossEntropy(), optimizer, *stripes)
        found.append(model.layers[7].W.copy())
    np.testing.assert_allclose(*found, atol=1e-5)
    assert np.abs(found[0]).max() < 0.9 * np.abs(penalised(l2=0.0).layers[7].W).max()


def test_l2_is_in_the_file_where_it_is_not_zero(tmp_path):
    model = sn.Sequential([sn.Dense(3, l2=1e-4), sn.Dense(2)], (4,), engine="numpy")
    model.save(tmp_path / "m")
    assert [layer.l2 for layer in sn.load_model(tmp_path / "m", "numpy").layers] == [1e-4, 0]
    assert "l2" not in model.config()["layers"][1] and "l2=0.0001" in repr(model)


@pytest.mark.parametrize("l2", [-1e-4, float("nan"), float("inf"), "1e-4", True])
def test_l2_is_a_number_of_zero_or_more(l2):
    with pytest.raises(ValueError, match="Dense l2 must be a number of 0 or more, got"):
        sn.Dense(3, l2=l2)


def test_the_argument_of_keras_leads_to_l2():
    with pytest.raises(TypeError, match=r"Dense has no argument 'kernel_regularizer'. Use l2."):
        sn.Dense(3, kernel_regularizer="l2")
    with pytest.raises(TypeError, match=r"SGD has no argument 'weight_decay'. .*AdamW.*, or l2 of the layers"):
        sn.SGD(0.1, weight_decay=1e-4)


def test_a_layer_of_ones_own_may_have_an_attribute_of_that_name(stripes):
    class Own(sn.Dense):
        def __init__(self, units, strength=0.5):
            super().__init__(units)
            self.strength = strength

    class Bare(sn.Layer):
        l2 = 0.5

        def forward(self, x, ctx):
            return x, None

        def backward(self, dy, cache):
            return dy, {}

    train(sn.Sequential([sn.Flatten(), Bare(), Own(4)], (10, 10, 1), engine="numpy"), stripes, epochs=1)
