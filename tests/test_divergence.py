"""M8: a training that leaves the numbers stops at that step, says where it began, and spoils no file."""

import math
import warnings

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.data.batches import epoch_order
from tests.test_callbacks import network
from tests.test_training import fingerprint


def small(engine="numpy", batchnorm=False):
    norm = [sn.BatchNorm()] if batchnorm else []
    layers = [sn.Conv2D(4, 3), *norm, sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(), sn.Dense(9), sn.ReLU(), sn.Dense(4)]
    return sn.Sequential(layers, (10, 10, 1), engine=engine)


def files_in(folder):
    """Callbacks that save: the best model after every epoch, a checkpoint after every batch."""
    return [sn.ModelCheckpoint(folder / "best", "loss"), sn.Checkpoint(folder / "checkpoint", every_batches=1)]


class Remember(sn.Callback):
    """Keeps what is in the files when the last good step is done."""

    last = True

    def __init__(self, folder):
        self.folder, self.contents = folder, {}

    def on_batch_end(self, run, logs):
        self.contents = contents(self.folder)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def diverges(model, x, labels, folder, *callbacks, **options):
    """The error of a training that diverges; and that it leaves the files as they were after the step before."""
    remember = Remember(folder)
    options = {"epochs": 40, "batch_size": 8, "verbose": False, **options}
    with pytest.raises(sn.TrainingDivergedError) as caught:
        model.fit(x, labels, callbacks=[*files_in(folder), remember, *callbacks], **options)
    assert contents(folder) == remember.contents
    for path in folder.iterdir():
        assert all(np.isfinite(array).all() for array in sn.saving.read_file(path)[0].values())
    return caught.value


@pytest.mark.parametrize("optimizer", [sn.SGD, sn.RMSprop, sn.Adam, sn.AdamW])
def test_M8_a_learning_rate_of_a_million_is_an_error_that_names_step_and_layer(engine, stripes, tmp_path, optimizer):
    model = sn.Sequential([sn.Rescale(), *(sn.Dense(8) for _ in range(9)), sn.Dense(4)], (100,), engine=engine)
    x = stripes[0].reshape(80, 100)
    error = diverges(model, x, stripes[1], tmp_path, optimizer=optimizer(1e6))
    assert f"diverged at step {error.step}: the loss is" in str(error) or f"after step {error.step}" in str(error)
    index = model.names.index(error.layer)
    assert f"layer {index} (Dense) is the first whose" in str(error) and "smaller learning rate" in str(error)
    assert 2 <= error.step <= 10


def test_M8_a_pixel_that_is_no_number_is_an_error_within_its_batch(engine, stripes, tmp_path):
    x, labels = stripes[0].astype(np.float32), stripes[1]
    x[33, 4, 4] = math.nan
    batch, row = divmod(epoch_order(80, seed=0, epoch=0).tolist().index(33), 8)
    error = diverges(small(engine), x, labels, tmp_path)
    assert f"at step {batch + 1}: the loss is nan. The images themselves are not finite: example {row}" in str(error)
    assert "layer 0 (Conv2D) is the first that gets them" in str(error)
    assert (error.step, error.layer) == (batch + 1, "0.conv2d")


def test_M8_an_infinite_pixel_too(engine, stripes, tmp_path):
    x = stripes[0].astype(np.float32)
    x[:, 0, 0] = math.inf
    error = diverges(small(engine), x, stripes[1], tmp_path)
    assert (error.step, error.layer) == (1, "0.conv2d") and "8 of 800 numbers" in str(error)


@pytest.mark.parametrize(("name", "layer"), [("0.conv2d.b", "0.conv2d"), ("4.dense.W", "4.dense")])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_M8_a_parameter_that_is_no_number_is_named(engine, stripes, tmp_path, name, layer, value):
    class Poison(sn.Callback):
        def on_batch_end(self, run, logs):
            if run.optimizer.steps == 3:
                run.model.parameters()[name].flat[0] = value

    # told after the checkpoint of step 3 was written
    poison = Poison()
    poison.last = True
    x = stripes[0].astype(np.float32)
    error = diverges(small(engine), x, stripes[1], tmp_path, poison)
    assert error.layer == layer
    assert f"is the first whose {name[-1]} is not finite (1 of " in str(error)


def test_M8_nothing_infinite_is_saved_even_if_the_loss_does_not_show_it(stripes, tmp_path):
    """A bias of minus infinity in front of a ReLU: a dead unit, and a loss like any other."""

    def kill_a_unit(run, logs):
        run.model.parameters()["0.conv2d.b"][0] = -math.inf

    model, before = small(), sn.Checkpoint(tmp_path / "c")
    model.fit(*stripes, callbacks=[before, sn.ModelCheckpoint(tmp_path / "m", "loss")], verbose=False)
    good = contents(tmp_path)
    files = [sn.Checkpoint(tmp_path / "c", every_batches=1), sn.ModelCheckpoint(tmp_path / "m", "loss")]
    with pytest.raises(sn.TrainingDivergedError, match=r"after step 1 layer 0 \(Conv2D\) is the first whose b is not"):
        model.fit(*stripes, callbacks=[sn.LambdaCallback(on_batch_end=kill_a_unit), *files], verbose=False)
    assert contents(tmp_path) == good


def test_what_an_optimizer_remembers_must_be_finite_too(stripes):
    def spoil(run, logs):
        run.optimizer.memory["4.dense.W"][1][0, 0] = math.inf

    spoiler = sn.LambdaCallback(on_batch_end=spoil)
    with pytest.raises(sn.TrainingDivergedError, match=r"layer 4 \(Dense\) is the first whose W \(s of Adam\) is not"):
        small().fit(*stripes, callbacks=[spoiler], verbose=False)


def test_the_step_that_diverges_leaves_the_model_as_it_was(engine, stripes):
    x = stripes[0].astype(np.float32)
    x[:, 0, 0] = math.nan
    model = small(engine, batchnorm=True)
    before = fingerprint(model)
    with pytest.raises(sn.TrainingDivergedError):
        model.fit(x, stripes[1], verbose=False)
    assert fingerprint(model) == before


def test_a_loss_that_is_no_number_though_the_logits_are_is_blamed_on_the_loss(stripes):
    def loss(logits, labels):
        return (math.nan if logits.any() else 1.0), np.zeros_like(logits)

    message = "at step 1: the loss is nan, though the logits are finite: look at the labels and at the loss"
    with pytest.raises(sn.TrainingDivergedError, match=message) as caught:
        small().fit(*stripes, loss=loss, verbose=False)
    assert caught.value.layer is None


def test_a_last_update_that_overflows_the_network_is_found_by_the_evaluation(engine, stripes):
    model = sn.Sequential([sn.Flatten(), sn.Dense(8), sn.Dense(8), sn.Dense(4)], (10, 10, 1), engine=engine)
    message = r"at step 1: the loss is (nan|inf). layer \d \(Dense\)"
    with pytest.raises(sn.TrainingDivergedError, match=message) as caught:
        model.fit(*stripes, batch_size=80, optimizer=sn.Adam(1e20), verbose=False)
    assert caught.value.step == 1 and caught.value.layer in model.names


def test_terminate_on_nan_ends_with_a_warning_and_the_epochs_before(stripes, tmp_path):
    x, calls = stripes[0].astype(np.float32), []

    def spoil(run):
        if run.epoch == 2:
            run.x[0] = math.nan

    hooks = sn.LambdaCallback(on_epoch_begin=spoil, on_train_end=lambda run: calls.append("end"))
    with pytest.warns(UserWarning, match="diverged at step"):
        history = small().fit(x, stripes[1], epochs=5, callbacks=[hooks, sn.TerminateOnNaN()], verbose=False)
    assert history["epoch"] == [1, 2] and calls == ["end"]


def test_a_validation_loss_that_is_no_number_is_recorded_and_stops_nothing(stripes):
    x = stripes[0].astype(np.float32)
    bad = x.copy()
    bad[0] = math.nan
    history = small().fit(x, stripes[1], epochs=2, validation_data=(bad, stripes[1]), verbose=False)
    assert len(history.epochs) == 2 and all(math.isnan(value) for value in history["val_loss"])


def test_an_overflow_is_reported_once_and_in_our_words(stripes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(sn.TrainingDivergedError):
            network().fit(*stripes, epochs=50, optimizer=sn.SGD(1e30), verbose=False)
