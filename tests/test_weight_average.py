"""The average of the weights: against its closed form, and without a trace in the training that it watches."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.callbacks.early_stopping import weights
from tests.interrupted import train
from tests.test_callbacks import network
from tests.test_resuming import EveryPosition
from tests.test_training import fingerprint


class Path(sn.Callback):
    """Writes down all weights: those at the start, and those after every step."""

    def on_train_begin(self, run):
        self.places = [{name: a.astype(np.float64) for name, a in weights(run.model).items()}]

    def on_batch_end(self, run, logs):
        self.places.append({name: a.astype(np.float64) for name, a in weights(run.model).items()})


def closed_form(places, decay):
    """Σ c_i w_i: the weight of a place is (1 - d) of its own step times the d of all steps after it."""
    d = [min(decay, (1 + t) / (10 + t)) for t in range(len(places) - 1)]
    c = [(1.0 if i == 0 else 1 - d[i - 1]) * np.prod(d[i:]) for i in range(len(places))]
    assert sum(c) == pytest.approx(1)
    return {name: sum(c_i * place[name] for c_i, place in zip(c, places, strict=True)) for name in places[0]}


def fit(stripes, *callbacks, engine="numpy", epochs=3, **settings):
    """A training of a network with BatchNorm and Dropout -> (model, history)."""
    model = network(engine)
    settings = {"optimizer": sn.Adam(0.02), "batch_size": 16, "validation_data": stripes, **settings}
    return model, model.fit(*stripes, epochs=epochs, callbacks=callbacks, verbose=False, **settings)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_the_model_ends_as_the_moving_average_of_its_weights_and_statistics(stripes, engine, decay):
    path = Path()
    model, _ = fit(stripes, sn.WeightAverage(decay), path, engine=engine)
    assert len(path.places) == 16
    expected, found = closed_form(path.places, decay), weights(model)
    assert any("running_var" in name for name in found)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_training_goes_the_same_way_with_an_average_beside_it(stripes):
    with_average, alone = Path(), Path()
    fit(stripes, sn.WeightAverage(0.9), with_average)
    fit(stripes, alone)
    for one, other in zip(with_average.places, alone.places, strict=True):
        assert {name: a.tobytes() for name, a in one.items()} == {name: a.tobytes() for name, a in other.items()}


def test_what_is_evaluated_and_saved_is_the_average(stripes, tmp_path):
    path, file = Path(), tmp_path / "model.safetensors"
    model, history = fit(stripes, sn.WeightAverage(0.8), path, sn.ModelCheckpoint(file, save_best_only=False))
    assert fingerprint(sn.load_model(file, engine="numpy")) == fingerprint(model)
    for epoch in (1, 2, 3):
        for name, array in closed_form(path.places[: 5 * epoch + 1], 0.8).items():
            weights(model)[name][...] = array
        assert history["val_loss"][epoch - 1] == pytest.approx(model.evaluate(*stripes)["loss"], rel=1e-4)


def test_early_stopping_brings_the_best_average_back(stripes, tmp_path):
    saved = [sn.ModelCheckpoint(tmp_path / "best", "val_loss")]
    model, history = fit(stripes, sn.EarlyStopping(patience=9), sn.WeightAverage(0.5), *saved, epochs=5)
    assert model.evaluate(*stripes)["loss"] == min(history["val_loss"])
    assert fingerprint(model) == fingerprint(sn.load_model(tmp_path / "best", engine="numpy"))


def test_where_the_weights_wander_about_the_average_is_nearer_to_the_minimum():
    """A linear problem: logits of two classes that overlap, a large rate, batches of one example."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    x = rng.normal(size=(300, 4)) + y[:, None]
    losses = []
    for callbacks in ([sn.WeightAverage(0.99)], []):
        model = sn.Sequential([sn.Dense(2)], (4,), engine="numpy")
        model.fit(x, y, epochs=3, batch_size=1, optimizer=sn.SGD(0.5), callbacks=callbacks, verbose=False)
        losses.append(model.evaluate(x, y)["loss"])
    best = sn.Sequential([sn.Dense(2)], (4,), engine="numpy")
    best.fit(x, y, epochs=300, batch_size=300, optimizer=sn.SGD(1.0), verbose=False)
    minimum = best.evaluate(x, y)["loss"]
    assert minimum < losses[0] < losses[1] and losses[0] - minimum < (losses[1] - minimum) / 3


def test_resumed_anywhere_the_average_is_the_same_to_the_last_bit(tmp_path):
    every = EveryPosition(tmp_path / "x", every_batches=1)
    expected = train(tmp_path, sn.WeightAverage(0.9), every)
    for position in ("0-1", "0-23", "0-39", "0-40", "1-0", "1-1", "1-40", "2-0"):
        resumed = train(tmp_path, sn.WeightAverage(0.9), resume=tmp_path / position, save=False)
        assert resumed == expected, position


def test_a_training_that_was_stopped_while_the_average_was_evaluated_goes_on_the_same(tmp_path):
    class WhileEvaluating(sn.Checkpoint):
        def on_evaluation_begin(self, run):
            self.path = tmp_path / f"{run.epoch}"
            super().save(run)

        def save(self, run):
            """At no other time."""

    expected = train(tmp_path, sn.WeightAverage(0.9), WhileEvaluating(tmp_path / "x"))
    for epoch in ("0", "1"):
        assert train(tmp_path, sn.WeightAverage(0.9), resume=tmp_path / epoch, save=False) == expected


def test_another_decay_is_another_training(stripes, tmp_path):
    fit(stripes, sn.WeightAverage(0.9), sn.Checkpoint(tmp_path / "c"), epochs=1)
    with pytest.raises(sn.ModelFileError, match=r"callbacks\[0\].decay was 0.9 and is 0.99"):
        fit(stripes, sn.WeightAverage(0.99), sn.Checkpoint(tmp_path / "c"), resume=tmp_path / "c")


@pytest.mark.parametrize("decay", [1, -0.1, float("nan")])
def test_an_impossible_decay_is_refused(decay):
    with pytest.raises(ValueError, match=r"WeightAverage: decay must be in \[0, 1\), got"):
        sn.WeightAverage(decay)
