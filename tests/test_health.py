"""Health: each recorded number is what its formula says, and looking changes nothing."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.health import COLUMNS, dead_share, norm, read_health
from tests.patterns import network, stripes

X, Y = stripes(64)


def train(model, health, epochs=2, batch_size=16, optimizer=None):
    optimizer = optimizer or sn.SGD(0.05)
    model.fit(X, Y, epochs=epochs, batch_size=batch_size, optimizer=optimizer, callbacks=[health], verbose=False)


def of(health, layer, column):
    """A column of one layer's rows."""
    return [row[column] for row in health.rows if row["layer"] == layer]


def test_there_is_a_record_after_the_first_step_and_at_the_end_of_each_epoch():
    health = sn.Health()
    model = network()
    train(model, health, epochs=3)
    steps = [(row["epoch"], row["step"]) for row in health.rows if row["layer"] == model.names[0]]
    assert steps == [(1, 1), (1, 4), (2, 8), (3, 12)]
    assert [row["layer"] for row in health.rows] == model.names * 4


def test_every_chooses_the_steps_between_two_records():
    health = sn.Health(every=3)
    train(network(), health)
    assert sorted({row["step"] for row in health.rows}) == [1, 3, 6]


def test_the_update_ratio_is_that_of_one_step():
    seen = []

    class Diary(sn.Callback):
        def on_batch_end(self, run, logs):
            seen.append({name: p.copy() for name, p in run.model.parameters().items()})

    health, model = sn.Health(every=1), network()
    seen.append({name: p.copy() for name, p in model.parameters().items()})
    model.fit(X, Y, batch_size=16, optimizer=sn.Adam(0.01), callbacks=[Diary(), health], verbose=False)
    for layer in ("1.conv2d", "5.dense"):
        for before, after, measured in zip(seen, seen[1:], of(health, layer, "update_ratio"), strict=False):
            w0, w1 = (np.concatenate([s[f"{layer}.W"].ravel(), s[f"{layer}.b"]]).astype(float) for s in (before, after))
            assert measured == pytest.approx(np.linalg.norm(w1 - w0) / np.linalg.norm(w0), rel=1e-5)


def test_the_gradient_norm_is_what_finite_differences_give():
    h, model = 1e-5, network().untrained_copy(dtype=np.float64)
    health = sn.Health(sample=8)
    train(model, health, epochs=1, batch_size=64)
    x, y = X[health.chosen], Y[health.chosen]
    b = model.parameters()["7.dense.b"]
    W = model.parameters()["7.dense.W"]

    def slope(array, index):
        values = []
        for sign in (1, -1):
            array[index] += sign * h
            values.append(sn.SoftmaxCrossEntropy()(model.forward(x), y)[0])
            array[index] -= sign * h
        return (values[0] - values[1]) / (2 * h)

    slopes = [slope(array, index) for array in (W, b) for index in np.ndindex(array.shape)]
    assert of(health, "7.dense", "gradient_norm")[-1] == pytest.approx(np.linalg.norm(slopes), rel=1e-6)


def test_activations_are_those_that_the_model_computes(engine):
    health, model = sn.Health(sample=8), network(engine)
    train(model, health)
    pixels, logits = X[health.chosen] / 255, model.forward(X[health.chosen])
    for name, values in (("0.rescale", pixels), ("7.dense", logits)):
        assert of(health, name, "activation_mean")[-1] == pytest.approx(values.mean(), rel=1e-4)
        assert of(health, name, "activation_std")[-1] == pytest.approx(values.std(), rel=1e-4)
    assert of(health, "3.maxpool2d", "activation_mean") == of(health, "4.flatten", "activation_mean")


def test_a_unit_is_dead_if_it_is_zero_for_every_example_and_position():
    y = np.zeros((3, 2, 2, 4))
    y[1, 0, 1, 0] = y[0, 1, 1, 2] = 0.5
    assert dead_share(y) == 0.5


def test_a_relu_behind_large_negative_biases_is_dead_and_lets_no_gradient_through():
    health, model = sn.Health(), network()
    model.parameters()["5.dense.b"][...] = -100
    train(model, health)
    assert of(health, "6.relu", "dead_share") == [1, 1, 1] and max(of(health, "2.relu", "dead_share")) < 1
    assert of(health, "5.dense", "gradient_norm") == of(health, "1.conv2d", "gradient_norm") == [0, 0, 0]
    assert min(of(health, "7.dense", "gradient_norm")) > 0


def test_what_makes_no_sense_for_a_layer_is_left_out():
    health = sn.Health()
    train(network(), health)
    assert set(of(health, "5.dense", "dead_share") + of(health, "2.relu", "update_ratio")) == {None}


def test_looking_changes_nothing(engine):
    def trained(*callbacks):
        model = network(engine, extra=[sn.BatchNorm(), sn.Dropout(0.2)])
        model.fit(X, Y, epochs=2, batch_size=16, callbacks=callbacks, verbose=False)
        return {**model.parameters(), **model.state()}

    watched, alone = trained(sn.Health(every=2)), trained()
    for name, array in alone.items():
        np.testing.assert_array_equal(watched[name], array)


def test_both_engines_record_the_same():
    pytest.importorskip("numba")
    rows = []
    for engine in ("numpy", "numba"):
        health = sn.Health()
        train(network(engine, extra=[sn.BatchNorm()]), health)
        rows.append([[value for value in row.values() if isinstance(value, float)] for row in health.rows])
    np.testing.assert_allclose(np.concatenate(rows[0]), np.concatenate(rows[1]), rtol=2e-3, atol=1e-5)


def test_the_file_holds_what_was_recorded(tmp_path):
    health = sn.Health(tmp_path / "health.csv")
    train(network(), health)
    assert read_health(tmp_path / "health.csv") == health.rows
    assert (tmp_path / "health.csv").read_text().splitlines()[0] == ",".join(COLUMNS)


def test_a_resumed_training_goes_on_with_the_file(tmp_path):
    files = [tmp_path / "whole.csv", tmp_path / "parts.csv"]

    def fit(path, epochs, resume=None, callbacks=()):
        model = network()
        model.fit(X, Y, epochs=epochs, batch_size=16, optimizer=sn.Adam(0.01), resume=resume, verbose=False,
                  callbacks=[sn.Health(path), *callbacks])  # fmt: skip

    fit(files[0], 3)
    fit(files[1], 1, callbacks=[sn.Checkpoint(tmp_path / "c")])
    fit(files[1], 3, resume=tmp_path / "c")
    assert files[0].read_text() == files[1].read_text()


def test_a_new_training_forgets_the_file_of_another(tmp_path):
    health = sn.Health(tmp_path / "health.csv")
    train(network(), health)
    train(network(), health, epochs=1)
    assert {row["step"] for row in read_health(health.path)} == {1, 4}


def test_a_file_that_cannot_be_written_is_no_reason_to_stop(tmp_path):
    health = sn.Health(tmp_path / "missing" / "health.csv")
    with pytest.warns(UserWarning, match=r"health.csv could not be written"):
        train(network(), health)
    assert len({row["step"] for row in health.rows}) == 3


def test_a_training_that_explodes_is_recorded_until_it_does():
    health, layers = sn.Health(every=1), [sn.Flatten(), sn.Dense(8), sn.Dense(4)]
    with pytest.raises(sn.TrainingDivergedError) as error:
        train(sn.Sequential(layers, (10, 10, 1), engine="numpy"), health, optimizer=sn.SGD(1e30))
    assert health.rows[-1]["step"] == error.value.step - 1
    assert np.isnan(of(health, "1.dense", "gradient_norm")[-1])


def test_parameters_that_were_all_zero_have_changed_beyond_measure():
    health, model = sn.Health(), sn.Sequential([sn.Flatten(), sn.Dense(4)], (10, 10, 1), engine="numpy")
    model.parameters()["1.dense.W"][...] = 0
    train(model, health, epochs=1)
    assert of(health, "1.dense", "update_ratio")[0] == np.inf


def test_a_layer_of_ones_own_is_recorded_too():
    class Scale(sn.Layer):
        params = ("s",)

        def build(self, input_shape, rng):
            self.s = np.ones(1, self.dtype)
            return input_shape

        def forward(self, x, ctx):
            return x * self.s, x

        def backward(self, dy, x):
            return dy * self.s, {"s": np.array([(dy * x).sum()])}

    health = sn.Health()
    train(network(extra=[Scale()]), health)
    assert all(ratio > 0 for ratio in of(health, "2.scale", "update_ratio"))


def test_the_norm_is_that_of_all_numbers_together():
    assert norm([np.array([3.0]), np.array([[4.0, 12.0]])]) == 13


def test_a_sample_of_nothing_is_refused():
    with pytest.raises(ValueError, match="sample and every must be at least 1, got 0 and None"):
        sn.Health(sample=0)
