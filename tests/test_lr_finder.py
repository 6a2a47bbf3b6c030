"""The learning-rate sweep: where it suggests, when it stops, what it leaves alone."""

import csv

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.lr_finder import smoothed
from tests.patterns import network, stripes

X, Y = stripes()


def sweep(model=None, **how):
    return sn.lr_find(model or network(), X, Y, **{"batch_size": 32, "steps": 80, **how})


def curve(function, low=-5, high=1, n=121):
    """LearningRates whose loss is a function of log10 of the rate."""
    position = np.linspace(low, high, n)
    losses = np.array([function(p) for p in position])
    return sn.LearningRates(10.0**position, losses, losses)


# the suggestion


def test_the_steepest_descent_is_suggested_if_it_is_the_smaller():
    found = curve(lambda p: 1 - np.tanh(2 * (p + 3)) + max(p, 0) ** 2)  # steepest at 1e-3, lowest at 1
    assert found.steepest == pytest.approx(1e-3, rel=0.13) and found.suggestion == pytest.approx(1e-3, rel=0.13)
    assert "where the loss falls fastest" in found.reason


def test_a_tenth_of_the_lowest_is_suggested_if_it_is_the_smaller():
    found = curve(lambda p: 2 - np.exp(-(((p + 2) / 0.3) ** 2)))
    assert found.lowest == pytest.approx(1e-2) and found.suggestion == pytest.approx(1e-3)
    assert "a tenth of the lowest's" in found.reason


def test_a_descent_behind_the_lowest_loss_does_not_count():
    found = curve(lambda p: 1 - np.exp(-(((p + 3) / 0.5) ** 2)) + 30 * np.exp(-(((p - 0.3) / 0.2) ** 2)))
    assert found.steepest < found.lowest < 0.01


def test_where_the_loss_never_falls_nothing_is_suggested():
    found = curve(lambda p: 1 + max(p, 0))
    assert found.suggestion is None and found.reason.startswith("No suggestion: between 1e-05 and 1e+01 the loss never")


def test_training_with_the_suggestion_learns_and_with_a_hundred_times_as_much_does_not():
    rate = sweep(optimizer=sn.Adam()).suggestion
    accuracies = []
    for lr in (rate, 100 * rate):
        model = network()
        history = model.fit(X, Y, epochs=8, batch_size=32, optimizer=sn.Adam(lr), verbose=False)
        accuracies.append(history["accuracy"][-1])
    assert accuracies[0] > 0.9 > accuracies[1]


# the sweep


def test_the_rates_rise_by_the_same_factor_from_start_to_end():
    found = sweep(start=1e-4, end=1e-2, steps=21)
    np.testing.assert_allclose(found.rates, 10 ** np.linspace(-4, -2, 21))


def test_it_stops_when_the_loss_has_exploded():
    found = sweep(optimizer=sn.SGD(), end=1e6)
    assert 10 < len(found.rates) < 80 and np.isfinite(found.losses).all()


def test_each_loss_is_that_of_a_training_with_this_schedule():
    rates, losses = np.geomspace(1e-4, 1e-2, 10), []

    class Listen(sn.Callback):
        def on_batch_end(self, run, logs):
            losses.append(logs["training_loss"])

    found = sweep(start=1e-4, end=1e-2, steps=10, optimizer=sn.Adam(0.5))
    schedule = sn.Adam(lambda step: float(rates[step]))
    network().fit(X, Y, batch_size=32, optimizer=schedule, callbacks=[Listen()], verbose=False)
    np.testing.assert_array_equal(found.losses, losses)


def test_nothing_is_changed(engine):
    def trained(sweeps):
        model, optimizer = network(engine, extra=[sn.BatchNorm(), sn.Dropout(0.2)]), sn.Adam(0.01)
        for _ in range(2):
            model.fit(X, Y, batch_size=64, optimizer=optimizer, verbose=False)
            if sweeps:
                sweep(model, optimizer=optimizer, steps=15)
        memory = {f"{name}.{i}": a for name, arrays in optimizer.memory.items() for i, a in enumerate(arrays)}
        return optimizer.lr, optimizer.steps, {**model.parameters(), **model.state(), **memory}

    lr, steps, arrays = trained(sweeps=True)
    expected = trained(sweeps=False)
    assert (lr, steps) == expected[:2]
    for name, array in expected[2].items():
        np.testing.assert_array_equal(arrays[name], array)


def test_a_trained_model_is_swept_from_where_it_is():
    model = network()
    model.fit(X, Y, epochs=10, optimizer=sn.Adam(0.01), batch_size=16, verbose=False)
    assert sweep(model, steps=10, end=1e-5).losses[0] < 0.1


def test_smoothing_does_not_move_a_symmetric_valley():
    position = np.linspace(-1, 1, 101)
    assert smoothed(position, position**2).argmin() == 50


def test_smoothing_is_a_weighted_mean_of_the_neighbours():
    position, values = np.array([0.0, 0.05, 0.2]), np.array([1.0, 5.0, 2.0])
    for i in range(3):
        weights = [np.exp(-0.5 * ((position[i] - other) / 0.1) ** 2) for other in position]
        expected = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
        assert smoothed(position, values)[i] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"start": 1.0, "end": 0.1}, r"expected 0 < start < end, got 1.0 and 0.1"),
        ({"steps": 5}, "at least 10 steps, got 5"),
        ({"start": 1e30, "end": 1e38}, r"not finite at a learning rate of 1e\+30 already"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(how, says):
    with pytest.raises(ValueError, match=says):
        sweep(**how)


def test_the_picture_has_its_numbers_beside_it(tmp_path):
    found = sweep()
    found.save_csv(tmp_path / "curve.csv")
    found.plot(tmp_path / "curve.png")
    with open(tmp_path / "curve.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["lr", "loss", "smoothed_loss"]
    np.testing.assert_array_equal(np.array(rows, float).T, [found.rates, found.losses, found.smoothed])
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
