"""Frozen layers: their arrays keep every bit, the others learn what they would have learned, and nothing else."""

import copy

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import transfer
from scratchnet.randomness import ExampleRandom
from scratchnet.training import train_step

KINDS = {
    "plain": lambda: [
        sn.Rescale(), sn.Conv2D(6, 3), sn.ReLU(), sn.MaxPool2D(2), sn.Conv2D(16, 3), sn.ReLU(),
        sn.Flatten(), sn.Dense(12), sn.ReLU(), sn.Dense(4),
    ],
    "batchnorm": lambda: [
        sn.Rescale(), sn.Conv2D(8, 3, padding="same"), sn.BatchNorm(), sn.ReLU(), sn.MaxPool2D(2),
        sn.Conv2D(16, 3, padding="same"), sn.ReLU(), sn.BatchNorm(), sn.MaxPool2D(2),
        sn.Flatten(), sn.Dropout(0.2), sn.Dense(12), sn.BatchNorm(), sn.ReLU(), sn.Dense(4),
    ],
}  # fmt: skip
# What to freeze: the bottom, a layer in the middle, the top, all of a class, with and without the BatchNorms.
FROZEN = {
    "plain": [["conv"], ["1.conv2d"], ["4.conv2d"], ["9.dense"], ["7.dense"], [sn.Dense], ["..7.dense"]],
    "batchnorm": [["conv"], ["batchnorm"], ["conv", "batchnorm"], ["..5"], ["7.batchnorm"], ["12"], ["1", "5"], [-1]],
}
CASES = [(kind, what) for kind in KINDS for what in FROZEN[kind]]
OPTIMIZERS = {
    "adamw": lambda: sn.AdamW(1e-2, weight_decay=0.1), "momentum": lambda: sn.SGD(0.05, momentum=0.9),
    "clipped": lambda: sn.Adam(1e-2, clip_norm=0.1), "rmsprop": lambda: sn.RMSprop(1e-3),
}  # fmt: skip


def network(engine="numpy", kind="plain", seed=2, dtype="float32"):
    """An untrained network; BatchNorm's averages are not those of any batch."""
    model = sn.Sequential(KINDS[kind](), (10, 10, 1), seed=seed, engine=engine, dtype=dtype)
    rng = np.random.default_rng(0)
    for name, array in model.state().items():
        array[...] = rng.uniform(0.5, 1.5, array.shape) if name.endswith("var") else rng.normal(0, 0.3, array.shape)
    return model


def arrays(model):
    """Copies of all arrays by name."""
    return {name: array.copy() for name, array in {**model.parameters(), **model.state()}.items()}


def of_layers(names, everything):
    """Those arrays that belong to one of these layers."""
    return {name: array for name, array in everything.items() if name.rpartition(".")[0] in names}


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name


# What stays and what moves


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("kind", "what"), CASES)
def test_frozen_arrays_keep_every_bit_and_all_others_move(kind, what, optimizer, engine, stripes):
    model = network(engine, kind)
    frozen, before = model.freeze(*what), arrays(model)
    model.fit(*stripes, epochs=2, batch_size=32, optimizer=OPTIMIZERS[optimizer](), verbose=False)
    after = arrays(model)
    assert frozen and frozen == transfer.frozen(model)
    assert_same_bits(of_layers(frozen, after), of_layers(frozen, before))
    for name, array in after.items():
        assert name.rpartition(".")[0] in frozen or (array != before[name]).any(), name


def test_callbacks_that_write_weights_leave_frozen_ones_alone(engine, stripes):
    model = network(engine, "batchnorm")
    frozen, before = model.freeze("conv", "batchnorm"), arrays(model)
    callbacks = [sn.WeightAverage(0.9), sn.EarlyStopping("val_loss", patience=1, restore_best_weights=True)]
    model.fit(*stripes, epochs=3, batch_size=16, validation_data=stripes, callbacks=callbacks, verbose=False)
    assert_same_bits(of_layers(frozen, arrays(model)), of_layers(frozen, before))


def test_whitening_a_frozen_convolution_is_refused(stripes):
    model = network()
    model.freeze("conv")
    with pytest.raises(ValueError, match=r"WhitenedStart: 1\.conv2d is frozen"):
        model.fit(*stripes, callbacks=[sn.WhitenedStart()], verbose=False)


@pytest.mark.parametrize(("kind", "what"), [(k, w) for k, w in CASES if k == "plain"])
def test_the_gradients_of_the_others_are_the_same_bits_as_with_everything_trained(kind, what, stripes):
    model, (x, y) = network(kind=kind, dtype="float64"), stripes
    loss, rng = sn.SoftmaxCrossEntropy(), ExampleRandom(0, 0)
    _, everything = model.backend.gradients(loss, model.check_input(x), y, rng)
    frozen = model.freeze(*what)
    _, grads = model.backend.gradients(loss, model.check_input(x), y, rng)
    assert grads.keys() == model.trainable_parameters().keys()
    assert_same_bits(grads, {n: g for n, g in everything.items() if n.rpartition(".")[0] not in frozen})


@pytest.mark.parametrize(("kind", "what"), CASES)
def test_both_engines_compute_the_same_gradients(kind, what, stripes):
    pytest.importorskip("numba")
    x, y = stripes
    found = []
    for engine in ("numpy", "numba"):
        model = network(engine, kind)
        model.freeze(*what)
        found.append(model.backend.gradients(sn.SoftmaxCrossEntropy(), model.check_input(x), y, ExampleRandom(0, 0)))
    (value, expected), (other, grads) = found
    assert other == pytest.approx(value, rel=1e-5) and grads.keys() == expected.keys()
    scale = max(np.abs(g).max() for g in expected.values())  # the bias before a BatchNorm has gradient 0, and noise
    for name, g in grads.items():
        np.testing.assert_allclose(g, expected[name], rtol=2e-4, atol=1e-5 * scale, err_msg=name)


@pytest.mark.parametrize(("kind", "what"), CASES)
def test_both_engines_take_the_same_steps(kind, what, stripes):
    pytest.importorskip("numba")
    x, y = stripes
    found = []
    for engine in ("numpy", "numba"):
        model, optimizer = network(engine, kind), sn.SGD(0.05, momentum=0.9)
        model.freeze(*what)
        losses = [train_step(model, sn.SoftmaxCrossEntropy(), optimizer, x, y) for _ in range(4)]
        found.append((losses, arrays(model)))
    (losses, expected), (others, got) = found
    np.testing.assert_allclose(others, losses, rtol=1e-4)
    for name, array in got.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_backward_by_hand_gives_no_gradient_of_a_frozen_layer_and_still_that_of_the_images(engine, stripes):
    model, (x, y) = network(engine), stripes
    found = []
    for _ in range(2):
        logits, caches = model.forward_cached(x, model.context(training=True))
        found.append(model.backward(sn.SoftmaxCrossEntropy()(logits, y)[1], caches))
        model.freeze("conv")
    (dx, grads), (frozen_dx, frozen_grads) = found
    np.testing.assert_array_equal(frozen_dx, dx)
    assert frozen_grads.keys() == grads.keys() - {"1.conv2d.W", "1.conv2d.b", "4.conv2d.W", "4.conv2d.b"}
    before = arrays(model)
    sn.Adam().step(model.parameters(), frozen_grads)  # a training loop of one's own
    assert_same_bits(of_layers(["1.conv2d", "4.conv2d"], arrays(model)), of_layers(["1.conv2d", "4.conv2d"], before))


def test_no_layer_below_the_lowest_that_is_trained_is_called_backward(stripes):
    called = []

    class Noted(sn.Dense):
        def backward(self, dy, x):
            called.append(self.units)
            return super().backward(dy, x)

    model = sn.Sequential([sn.Rescale(), sn.Flatten(), Noted(9), Noted(8), Noted(4)], (10, 10, 1), engine="numpy")
    for what, expected in (([], [4, 8, 9]), ([-1], [4, 8, 9]), (["2"], [4, 8]), (["2", "3"], [4])):
        model.unfreeze()
        model.freeze(*what) if what else None
        called.clear()
        train_step(model, sn.SoftmaxCrossEntropy(), sn.SGD(0.1), *stripes)
        assert called == expected


def test_a_layer_of_ones_own_can_be_frozen_on_both_engines(engine, stripes):
    class Shift(sn.Layer):
        params = ("s",)

        def build(self, input_shape, rng):
            self.s = np.ones(input_shape[-1], self.dtype)
            return input_shape

        def forward(self, x, ctx):
            return x + self.s, None

        def backward(self, dy, cache):
            return dy, {"s": dy.sum(axis=0)}

    layers = [sn.Rescale(), sn.Flatten(), sn.Dense(8), Shift(), sn.ReLU(), sn.Dense(4)]
    model = sn.Sequential(layers, (10, 10, 1), engine=engine)
    model.freeze(Shift)
    model.fit(*stripes, epochs=2, batch_size=32, verbose=False)
    assert (layers[3].s == 1).all()
    model.unfreeze(Shift)
    model.fit(*stripes, batch_size=32, verbose=False)
    assert (layers[3].s != 1).any()


# BatchNorm


def test_a_frozen_batchnorm_uses_its_running_averages_in_training(engine, stripes):
    model, (x, _) = network(engine, "batchnorm"), stripes
    [dropout] = [layer for layer in model.layers if isinstance(layer, sn.Dropout)]
    dropout.rate = 0.0
    assert np.abs(model(x, training=True) - model(x)).max() > 0.01
    model.freeze("batchnorm")
    before = arrays(model)
    np.testing.assert_allclose(model(x, training=True), model(x), rtol=1e-4, atol=1e-5)
    assert_same_bits(arrays(model), before)


def test_the_loss_of_a_step_with_frozen_batchnorms_is_that_of_a_prediction(engine, stripes):
    model, (x, y) = network(engine, "batchnorm"), stripes
    [dropout] = [layer for layer in model.layers if isinstance(layer, sn.Dropout)]
    dropout.rate = 0.0
    for what in (["batchnorm"], ["conv", "batchnorm"]):
        model.freeze(*what)
        expected = model.evaluate(x, y)["loss"]
        assert train_step(model, sn.SoftmaxCrossEntropy(), sn.SGD(0.01), x, y) == pytest.approx(expected, rel=1e-5)


def test_the_gradient_through_a_frozen_batchnorm_is_that_of_a_fixed_affine_map():
    model = network(kind="batchnorm", dtype="float64")
    model.freeze("2.batchnorm", "7.batchnorm")
    x = np.random.default_rng(1).normal(size=(4, 10, 10, 1))
    worst = sn.gradcheck(model, x, entries=6, labels=np.arange(4), verbose=False)
    assert worst.error < 1e-5


def test_dropout_is_not_switched_off_by_freezing(engine, stripes):
    model, (x, _) = network(engine, "batchnorm"), stripes
    model.freeze()
    assert np.abs(model(x, training=True) - model(x)).max() > 0.01


# Rates of single layers


@pytest.mark.parametrize("make", [lambda lr: sn.SGD(lr, momentum=0.9), sn.Adam, sn.AdamW, sn.RMSprop])
def test_a_layers_factor_multiplies_its_rate(make, engine, stripes):
    x, y = stripes

    def moved(lr, factor):
        model, optimizer = network(engine), make(lr)
        model.layers[4].lr_factor = factor
        before = arrays(model)
        train_step(model, sn.SoftmaxCrossEntropy(), optimizer, x, y)
        return {name: array - before[name] for name, array in arrays(model).items()}

    usual, slower, tenth = moved(0.01, 1), moved(0.01, 0.1), moved(0.001, 1)
    for name in usual:
        expected = tenth if name.startswith("4.conv2d") else usual
        np.testing.assert_allclose(slower[name], expected[name], rtol=1e-5, atol=1e-9, err_msg=name)
        assert (slower[name] != 0).any()


@pytest.mark.parametrize("make", [lambda: sn.Adam(0.01), lambda: sn.AdamW(0.01)])
def test_a_layer_that_is_unfrozen_later_begins_with_adams_first_step(make, engine, stripes):
    x, y = stripes

    def step(model, optimizer):
        before = model.layers[1].W.copy()
        train_step(model, sn.SoftmaxCrossEntropy(), optimizer, x, y)
        return np.abs(model.layers[1].W - before)

    model, optimizer = network(engine), make()
    model.freeze("1.conv2d")
    for _ in range(50):
        assert step(model, optimizer).max() == 0
    model.unfreeze()
    # Adam's first step has the length lr in nearly every coordinate; corrected as the 51st it would have 0.7 of it.
    assert np.median(step(model, optimizer)) == pytest.approx(0.01, rel=1e-3)


# Which layers are meant


@pytest.mark.parametrize(("what", "expected"), [
    (["conv"], [1, 4]), (["Conv2D"], [1, 4]), ([sn.Conv2D], [1, 4]), (["conv2d", "dense"], [1, 4, 7, 9]),
    (["4.conv2d"], [4]), (["0.rescale..4.conv2d"], [0, 1, 2, 3, 4]), (["..2"], [0, 1, 2]), (["7.dense.."], [7, 8, 9]),
    (["1..2"], [1, 2]), ([1, -1], [1, 9]), ([slice(0, 3)], [0, 1, 2]), ([range(2)], [0, 1]), (["-1"], [9]),
    ([], range(10)), (["..conv"], range(5)), (["9", 9, "dense"], [7, 9]),
])  # fmt: skip
def test_layers_are_named_in_every_usual_way(what, expected):
    model = network()
    model.freeze(*what)
    assert [i for i, layer in enumerate(model.layers) if not layer.trainable] == list(expected)
    model.unfreeze(*what)
    assert all(layer.trainable for layer in model.layers)


def test_a_layer_itself_may_be_named_and_the_names_of_those_with_parameters_come_back():
    model = network()
    assert model.freeze(model.layers[4]) == ["4.conv2d"] and model.freeze("..3") == ["1.conv2d"]
    assert model.unfreeze() == ["1.conv2d", "4.conv2d", "7.dense", "9.dense"]


@pytest.mark.parametrize("what", ["4.conv", "batchnorm", "", 10, -11, "5..2", sn.BatchNorm, "99", "0..x"])
def test_what_names_no_layer_is_refused_with_the_names(what):
    model = network()
    with pytest.raises(ValueError, match=r"no layer is called .*The layers are 0\.rescale, 1\.conv2d, 2\.relu"):
        model.freeze(what)
    assert not transfer.frozen(model)
    with pytest.raises(ValueError, match=r"Did you mean '4\.conv2d'\?"):
        model.freeze("4.conv2")


@pytest.mark.parametrize("value", ["no", None, 2, [False]])
def test_trainable_is_true_or_false(value):
    for layer in (sn.Dense(3), network().layers[9]):
        with pytest.raises(TypeError, match="Dense: trainable must be True or False"):
            layer.trainable = value


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_factor_is_a_positive_number(value):
    for layer in (sn.Dense(3), network().layers[9]):
        with pytest.raises(ValueError, match=r"Dense: lr_factor must be a positive number.*trainable = False"):
            layer.lr_factor = value


def test_a_layer_may_be_frozen_before_the_model_is_made(engine, stripes):
    layers = KINDS["plain"]()
    layers[1].trainable = False
    model = sn.Sequential(layers, (10, 10, 1), engine=engine)
    before = layers[1].W.copy()
    model.fit(*stripes, batch_size=32, verbose=False)
    np.testing.assert_array_equal(layers[1].W, before)


def test_nothing_to_train_is_an_error_before_the_first_step(engine, stripes):
    model = network(engine)
    model.freeze()
    for train in (lambda: model.fit(*stripes, verbose=False),
                  lambda: train_step(model, sn.SoftmaxCrossEntropy(), sn.SGD(0.1), *stripes)):  # fmt: skip
        with pytest.raises(ValueError, match=r"every layer with parameters is frozen.*model\.unfreeze"):
            train()


# What else knows of it


def test_a_copy_a_pickle_and_a_file_keep_what_is_frozen(tmp_path, engine):
    import pickle

    model = network(engine, "batchnorm")
    model.freeze("conv", "0.rescale")
    model.layers[11].lr_factor = 0.25
    model.save(tmp_path / "m.safetensors")
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model.untrained_copy(), model.with_head(3),
              sn.load_model(tmp_path / "m.safetensors", engine)]  # fmt: skip
    for other in copies:
        assert [layer.trainable for layer in other.layers] == [layer.trainable for layer in model.layers]
        assert [layer.lr_factor for layer in other.layers] == [layer.lr_factor for layer in model.layers]


def test_a_file_of_a_model_without_frozen_layers_says_nothing_of_them(tmp_path):
    assert not {"frozen", "lr_factors"} & network().config().keys()


def test_the_summary_names_frozen_layers_and_counts_what_is_trained(capsys):
    model = network()
    model.freeze("conv")
    model.summary()
    said = capsys.readouterr().out
    trained = sum(array.size for array in model.trainable_parameters().values())
    assert "1.conv2d (frozen)" in said and "7.dense (frozen)" not in said
    assert f"{model.count_params():,} parameters, {trained:,} of them trained" in said
    model.unfreeze()
    model.summary()
    assert "frozen" not in capsys.readouterr().out


def test_health_measures_no_gradient_of_a_frozen_layer(engine, stripes, tmp_path):
    model, health = network(engine), sn.Health(tmp_path / "health.csv")
    model.freeze("conv")
    model.fit(*stripes, epochs=2, batch_size=32, callbacks=[health], verbose=False)
    for row in health.rows:
        known = row["layer"] in ("7.dense", "9.dense")
        assert (row["gradient_norm"] is not None) is (row["update_ratio"] is not None) is known, row
        assert row["activation_std"] > 0


def test_the_learning_rate_is_swept_on_a_copy_with_the_same_layers_frozen(stripes):
    model = network()
    model.freeze("conv")
    before = arrays(model)
    sn.lr_find(model, *stripes, steps=12)
    assert_same_bits(arrays(model), before)


def test_the_checks_before_training_are_made_on_the_whole_network(stripes):
    from scratchnet.doctor.before import examine

    model = network()
    model.freeze("conv")
    assert all(check.passed for check in examine(model, *stripes, verbose=False))
    assert transfer.frozen(model) == ["1.conv2d", "4.conv2d"]
