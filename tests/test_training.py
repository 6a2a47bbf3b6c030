"""The training loop: what a step does, what an epoch sees, what is reported, and what a mistake leads to."""

import math

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.training import History, evaluate, train_step
from tests import oracles


def network(engine="numpy", seed=0, dropout=0.2, dtype="float32"):
    layers = [
        sn.Rescale(), sn.Conv2D(6, 3), sn.BatchNorm(momentum=0.8), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(),
        sn.Dropout(dropout), sn.Dense(4),
    ]  # fmt: skip
    return sn.Sequential(layers, (10, 10, 1), engine=engine, seed=seed, dtype=dtype)


def linear(engine="numpy", dtype="float32"):
    """Logits that can be worked out by hand."""
    return sn.Sequential([sn.Flatten(), sn.Dense(4)], (10, 10, 1), engine=engine, dtype=dtype)


def fingerprint(model):
    return b"".join(array.tobytes() for array in {**model.parameters(), **model.state()}.values())


# one step


def test_a_step_moves_every_parameter_against_its_gradient(rng):
    model, x, labels = linear(dtype="float64"), rng.standard_normal((5, 10, 10)), rng.integers(0, 4, 5)
    rows = x.reshape(5, 100)
    before = {name: array.copy() for name, array in model.parameters().items()}
    logits = oracles.dense(rows, before["1.dense.W"], before["1.dense.b"])
    value, dlogits = oracles.cross_entropy(logits, np.eye(4)[labels])
    assert train_step(model, sn.SoftmaxCrossEntropy(), sn.SGD(0.5), x, labels) == pytest.approx(value)
    after = model.parameters()
    np.testing.assert_allclose(after["1.dense.W"], before["1.dense.W"] - 0.5 * rows.T @ dlogits, atol=1e-13)
    np.testing.assert_allclose(after["1.dense.b"], before["1.dense.b"] - 0.5 * dlogits.sum(axis=0), atol=1e-13)


def test_a_step_is_that_of_the_mean_so_doubling_the_batch_changes_nothing(engine, rng):
    x, labels = rng.standard_normal((40, 10, 10)), rng.integers(0, 4, 40)
    once, twice = linear(engine), linear(engine)
    value = train_step(once, sn.SoftmaxCrossEntropy(), sn.SGD(0.1), x, labels)
    doubled = train_step(twice, sn.SoftmaxCrossEntropy(), sn.SGD(0.1), np.concatenate([x, x]), np.tile(labels, 2))
    assert doubled == pytest.approx(value, rel=1e-6)
    for name, array in once.parameters().items():
        np.testing.assert_allclose(twice.parameters()[name], array, atol=1e-6)


# learning


def test_before_the_first_step_nothing_has_moved(engine, stripes):
    """Not even by compiling, which captures a training step of this model."""
    model, optimizer, before = network(engine), sn.Adam(), []

    class Look(sn.Callback):
        def on_train_begin(self, run):
            moments = [slot for slots in optimizer.memory.values() for slot in slots]
            before.append((fingerprint(model), optimizer.steps, any(slot.any() for slot in moments)))

    start = fingerprint(model)
    model.fit(*stripes, optimizer=optimizer, callbacks=[Look()], verbose=False)
    assert before == [(start, 0, False)] and fingerprint(model) != start


def test_twenty_images_are_learned_by_heart(engine, stripes):
    x, labels = stripes[0][:20], stripes[1][:20]
    model = network(engine, dropout=0.0)
    model.fit(x, labels, epochs=60, batch_size=20, optimizer=sn.Adam(0.02), verbose=False)
    assert model.evaluate(x, labels)["loss"] < 0.01
    assert model.evaluate(x, labels)["accuracy"] == 1


def test_random_labels_can_be_learned_by_heart_too(engine, rng):
    x, labels = rng.integers(0, 256, (20, 10, 10)).astype(np.uint8), rng.integers(0, 4, 20)
    model = network(engine, dropout=0.0)
    model.fit(x, labels, epochs=100, batch_size=20, optimizer=sn.Adam(0.02), verbose=False)
    assert model.evaluate(x, labels)["accuracy"] == 1


def test_what_is_learned_holds_for_images_never_seen(engine, stripes):
    x, labels = stripes
    model = network(engine)
    history = model.fit(
        x[:60], labels[:60], epochs=12, batch_size=16, optimizer=sn.Adam(0.01), validation_data=(x[60:], labels[60:]),
        verbose=False,
    )  # fmt: skip
    assert history["val_accuracy"][-1] > 0.9


# one epoch


def seen_in_training(n, epochs, batch_size):
    """The numbers of the examples in every batch; each example carries its number as its pixels."""
    batches = []

    def note(images, rng):
        batches.append(images[:, 0, 0, 0].astype(int).tolist())
        return images

    x = np.broadcast_to(np.arange(n, dtype=float)[:, None, None], (n, 10, 10))
    linear().fit(x, np.zeros(n, int), epochs=epochs, batch_size=batch_size, augment=note, verbose=False)
    return batches


def test_an_epoch_sees_every_example_exactly_once():
    batches = seen_in_training(n=22, epochs=3, batch_size=8)
    assert [len(batch) for batch in batches] == [8, 8, 6] * 3
    for epoch in range(3):
        seen = [number for batch in batches[3 * epoch : 3 * epoch + 3] for number in batch]
        assert sorted(seen) == list(range(22))


def test_batches_have_other_company_in_every_epoch():
    batches = [frozenset(batch) for batch in seen_in_training(n=40, epochs=4, batch_size=8)]
    assert len(set(batches)) == len(batches)  # shuffling whole batches would bring the same sets again


# what is reported


def test_evaluation_is_the_mean_loss_and_the_share_of_right_answers(engine):
    model = sn.Sequential([sn.Dense(3)], (3,), engine=engine)
    model.parameters()["0.dense.W"][...] = np.eye(3)  # the input is the logits
    logits, labels = np.array([[2.0, 1, 0], [0, 3, 0], [1, 0, 4], [5, 0, 0]]), np.array([0, 1, 0, 0])
    expected, _ = oracles.cross_entropy(logits, np.eye(3)[labels])
    assert model.evaluate(logits, labels) == {"loss": pytest.approx(expected, rel=1e-6), "accuracy": 0.75}
    assert model.evaluate(logits, np.eye(3)[labels]) == model.evaluate(logits, labels)


def test_metrics_do_not_depend_on_batch_size(engine, stripes):
    model = network(engine)
    model.fit(*stripes, batch_size=16, verbose=False)
    whole = model.evaluate(*stripes, batch_size=1000)
    for batch_size in (1, 7, 79, 80):
        result = model.evaluate(*stripes, batch_size=batch_size)
        assert result["accuracy"] == whole["accuracy"]
        assert result["loss"] == pytest.approx(whole["loss"], rel=1e-6)


def test_the_reported_training_loss_is_measured_as_the_validations_is(engine, stripes):
    model = network(engine, dropout=0.8)
    history = model.fit(*stripes, epochs=2, batch_size=16, validation_data=stripes, verbose=False)
    assert history["loss"] == history["val_loss"] and history["accuracy"] == history["val_accuracy"]
    assert history["loss"][-1] == model.evaluate(*stripes)["loss"]
    assert history["training_loss"][-1] > history["loss"][-1] + 0.05  # dropout was on, the parameters moved


def test_history_records_these_numbers_for_every_epoch(stripes):
    history = network().fit(*stripes, epochs=3, batch_size=16, validation_data=stripes, verbose=False)
    names = ["epoch", "training_loss", "seconds", "images", "lr", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert [list(logs) for logs in history.epochs] == [names] * 3
    assert history["epoch"] == [1, 2, 3] and history["images"] == [80] * 3
    assert history.history["val_loss"] == history["val_loss"]
    assert all(math.isfinite(value) for logs in history.epochs for value in logs.values())


def test_the_training_loss_is_the_mean_of_the_batches(stripes):
    values = []

    class Note(sn.Callback):
        def on_batch_end(self, run, logs):
            values.append(logs["training_loss"])

    history = network().fit(*stripes, batch_size=32, callbacks=[Note()], verbose=False)
    assert len(values) == 3 and history["training_loss"] == [pytest.approx(sum(values) / 3)]


def test_asking_for_what_was_not_recorded_lists_what_was():
    with pytest.raises(KeyError, match=r"'val_accuracy' was not recorded. Recorded: epoch, loss"):
        History([{"epoch": 1, "loss": 0.5}])["val_accuracy"]
    with pytest.raises(KeyError, match=r"'loss' was not recorded. Recorded: nothing yet"):
        History()["loss"]
    assert History().history == {}


# going on, stopping


def test_an_optimizer_that_is_passed_again_goes_on(stripes):
    model, optimizer = network(), sn.Adam(sn.StepDecay(0.01, every=5, factor=0.1))
    model.fit(*stripes, batch_size=16, optimizer=optimizer, verbose=False)
    assert optimizer.steps == 5 and optimizer.learning_rate() == pytest.approx(0.001)
    memory = optimizer.memory["1.conv2d.W"][0]
    history = model.fit(*stripes, batch_size=16, optimizer=optimizer, verbose=False)
    assert optimizer.steps == 10 and history["lr"] == [pytest.approx(1e-3)]  # of the last step
    assert optimizer.memory["1.conv2d.W"][0] is memory


def test_run_stop_ends_the_training_after_the_epoch(stripes):
    class Stop(sn.Callback):
        def on_epoch_end(self, run, logs):
            run.stop = run.epoch == 1

    history = network().fit(*stripes, epochs=10, callbacks=[Stop()], verbose=False)
    assert history["epoch"] == [1, 2]


# mistakes, found before the first step


@pytest.mark.parametrize(("change", "message"), [
    ({"epochs": 0}, "epochs must be at least 1, got 0"),
    ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ({"y": np.zeros(79, int)}, r"80 examples and labels of shape \(79,\): expected one label per example"),
    ({"y": np.array(3)}, r"80 examples and labels of shape \(\): expected one label per example"),
    ({"y": np.full(80, 4)}, "labels must lie in 0..3, got 4..4. The last Dense layer needs one unit per class."),
    ({"y": np.zeros((80, 3))}, "one-hot labels of 3 classes for a model of 4 classes"),
    ({"y": np.full(80, 0.5)}, "labels must be class numbers"),
    ({"x": np.zeros((80, 9, 10))}, r"expects input of shape \(n, 10, 10, 1\), got \(80, 9, 10\)"),
    ({"x": np.zeros((0, 10, 10)), "y": np.zeros(0, int)}, "0 examples and labels"),
    ({"validation_data": (np.zeros((3, 10, 10)), np.array([0, 1, 9]))}, "validation_data: labels must lie in 0..3"),
    ({"validation_data": (np.zeros((3, 10)), np.zeros(3, int))}, "validation_data: the model expects input of shape"),
])  # fmt: skip
def test_a_mistake_is_found_before_the_first_step(change, message, stripes):
    model = network()
    before = fingerprint(model)
    with pytest.raises(ValueError, match=message):
        model.fit(**{"x": stripes[0], "y": stripes[1], "verbose": False, **change})
    assert fingerprint(model) == before


def test_a_model_that_does_not_end_in_a_row_of_logits_is_told_so(stripes):
    model = sn.Sequential([sn.Conv2D(4, 3)], (10, 10, 1), engine="numpy")
    for use in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"expected logits \(n, classes\) .* A model ends with Dense\(classes\)"):
            use(*stripes)


def test_an_empty_data_set_cannot_be_evaluated():
    with pytest.raises(ValueError, match="nothing to evaluate: the data set is empty"):
        evaluate(network(), np.zeros((0, 10, 10)), np.zeros(0, int))
    with pytest.raises(ValueError, match="2 examples but 1 labels"):
        network().evaluate(np.zeros((2, 10, 10)), np.zeros(1, int))
