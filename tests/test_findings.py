"""The doctor after a training: runs made sick on purpose, and what is said about them."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import doctor, metrics
from scratchnet.doctor.after import entropy
from tests.patterns import network, stripes

X, Y = stripes()
TRAIN, VAL = slice(0, 240), slice(240, 320)


def diagnose(model, optimizer, epochs, x=X[TRAIN], y=Y[TRAIN], batch_size=16):
    """Train, and return the findings as {level: [texts]}."""
    health, validation = sn.Health(), (X[VAL], Y[VAL])
    history = model.fit(x, y, epochs=epochs, batch_size=batch_size, optimizer=optimizer, validation_data=validation,
                        callbacks=[health], verbose=False)  # fmt: skip
    confusion = metrics.confusion_matrix(validation[1], model.predict(validation[0]).argmax(axis=1), 4)
    return by_level(doctor.findings(history, health.rows, y, confusion))


def by_level(findings):
    found = {"warning": [], "note": [], "good": []}
    for finding in findings:
        found[finding["level"]].append(finding["text"])
    return found


def of_history(loss, val_loss=(), training_loss=(), labels=(0, 1)):
    """Findings about a history with these numbers."""
    epochs = [{"loss": value} for value in loss]
    for name, values in (("val_loss", val_loss), ("training_loss", training_loss)):
        for epoch, value in zip(epochs, values, strict=False):
            epoch[name] = value
    return by_level(doctor.findings(sn.History(epochs), labels=np.array(labels)))


# real trainings


def test_a_healthy_run_gets_only_good_findings():
    found = diagnose(network(), sn.Adam(0.003), epochs=20)
    assert not found["warning"] and not found["note"]
    begins = "The learning rate fits", "The ReLUs are alive", "The validation loss ", "The training loss fell"
    assert all(text.startswith(begin) for text, begin in zip(found["good"], begins, strict=True))


@pytest.mark.parametrize("optimizer", [sn.SGD(3.0), sn.Adam(1.0)], ids=["sgd 3", "adam 1"])
def test_a_learning_rate_far_too_high_is_named_and_the_units_it_killed(optimizer):
    warnings = diagnose(network(), optimizer, epochs=3)["warning"]
    assert warnings[0].startswith("The learning rate is too high") and "Try a tenth" in warnings[0]
    assert "all of 6.relu since step 15 or earlier" in warnings[1]


def test_a_learning_rate_far_too_low_is_named():
    warnings = diagnose(network(), sn.SGD(1e-7), epochs=2)["warning"]
    assert warnings[0].startswith("The learning rate is too low: a step changes a layer by")


def test_a_dead_layer_is_named_and_not_taken_for_a_low_learning_rate():
    model = network()
    model.parameters()["5.dense.b"][...] = -100
    warnings = diagnose(model, sn.Adam(0.01), epochs=2)["warning"]
    assert warnings[0].startswith("Nothing was learned") and warnings[0].endswith("blocks all gradients.")
    assert warnings[1].startswith("Dead units, 0 for every image: all of 6.relu since step 1 or earlier.")


def test_a_network_that_learns_noise_by_heart_over_fits():
    noise = np.random.default_rng(0).integers(0, 4, 60)
    warnings = diagnose(network(), sn.Adam(0.01), epochs=25, x=X[:60], y=noise, batch_size=8)["warning"]
    assert any(text.startswith("Overfitting: from epoch") for text in warnings)


def test_shuffled_labels_teach_nothing():
    y = np.random.default_rng(0).integers(0, 4, 240)
    warnings = diagnose(network(), sn.Adam(0.003), epochs=4, y=y)["warning"]
    assert warnings[0].startswith("Nothing was learned") and "--doctor" in warnings[0]


def test_a_training_that_stops_too_early_under_fits():
    notes = diagnose(network(), sn.Adam(0.001), epochs=4)["note"]
    assert notes[0].startswith("Underfitting: even on the training set the loss is 1.2")


def test_running_averages_that_lag_behind_are_not_taken_for_anything_else():
    layers = [sn.Rescale(), sn.Conv2D(4, 3), sn.BatchNorm(), sn.ReLU(), sn.Flatten(), sn.Dense(4)]
    found = diagnose(sn.Sequential(layers, (10, 10, 1), engine="numpy"), sn.Adam(0.01), epochs=3, batch_size=64)
    assert found["warning"][0].startswith("In evaluation the training set's loss is")
    assert "BatchNorm" in found["warning"][0]
    assert not any("learning rate" in text for text in found["warning"])


def test_rare_classes_and_classes_never_answered_are_named():
    keep = np.flatnonzero((Y[TRAIN] != 2) | (np.arange(240) < 8))
    found = diagnose(network(), sn.Adam(0.01), epochs=2, x=X[keep], y=Y[keep])
    assert any(text.startswith("There are 60 training images of class 0 and 2 of class 2:") for text in found["note"])
    assert found["warning"] == ["The model never predicts 2, though the validation set has such images."]


# histories


def test_a_loss_that_is_no_number_means_divergence():
    warnings = of_history([0.5, float("nan")], [0.5, 0.4])["warning"]
    assert warnings[0].startswith("Diverged: since epoch 2 ")


def test_a_training_loss_that_goes_up_and_down_asks_for_a_lower_rate():
    assert of_history([0.3, 0.1, 0.3, 0.1, 0.3])["warning"][0].startswith("The training loss oscillates (2 rises")
    assert not of_history([0.30, 0.29, 0.30, 0.29, 0.30])["warning"]  # a flutter


def test_a_training_that_still_improves_should_be_longer():
    assert of_history([0.3, 0.2], [0.3, 0.2])["note"] == [
        "The last epoch was the best and the validation loss still falls: train longer."
    ]
    found = of_history([0.3, 0.2, 0.1], [0.3, 0.2, 0.21])["good"][0]
    assert found.endswith("reached its minimum, 0.2, in epoch 2 of 3.")
    assert of_history([0.3, 0.2, 0.1], [0.3, 0.2, 0.199])["good"][0].startswith("The validation loss hardly falls")
    assert not of_history([0.3, 0.002, 0.001], [0.3, 0.002, 0.0015])["note"]  # of what there is nothing is left


def test_over_fitting_begins_after_the_lowest_validation_loss():
    text = of_history([0.3, 0.2, 0.1, 0.05], [0.3, 0.2, 0.22, 0.3])["warning"][0]
    assert text.startswith("Overfitting: from epoch 3 on the validation loss rose (0.2 to 0.3) while the training")
    assert not of_history([0.3, 0.2, 0.1, 0.05], [0.3, 0.2, 0.22, 0.21])["warning"]  # within the noise
    assert not of_history([0.3, 0.2, 0.1, 0.25], [0.3, 0.2, 0.22, 0.3])["warning"]  # the training loss rose too


def test_without_validation_and_labels_there_is_little_to_say():
    assert doctor.findings(sn.History([{"loss": 0.5}])) == doctor.findings(sn.History()) == []


def test_the_loss_of_a_guess_is_the_entropy_of_the_labels():
    p = np.array([1, 2, 5]) / 8
    assert entropy(np.repeat([0, 1, 2], [1, 2, 5])) == pytest.approx(-(p * np.log(p)).sum())
    assert entropy(np.eye(4)[[0, 1, 2, 3]]) == pytest.approx(np.log(4))


def test_classes_go_by_their_names():
    confusion = np.array([[5, 0], [2, 0]])
    labels = np.array([0] * 8 + [1])
    found = doctor.findings(sn.History(), labels=labels, confusion=confusion, class_names=["cat", "dog"])
    assert "8 training images of class cat and 1 of class dog" in by_level(found)["note"][0]
    assert "never predicts dog," in by_level(found)["warning"][0]


def test_warnings_come_first():
    history, labels, confusion = sn.History([{"loss": 0.1}]), np.array([0] * 9 + [1]), np.array([[3, 0], [1, 0]])
    found = doctor.findings(history, labels=labels, confusion=confusion)
    assert [finding["level"] for finding in found] == ["warning", "note", "good"]
    assert [doctor.line(finding)[0] for finding in found] == ["✗", "·", "✓"]
