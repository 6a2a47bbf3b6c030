"""Callbacks that steer a training: when it stops, how fast it goes, which weights remain."""

import math

import numpy as np
import pytest

import scratchnet as sn
from tests.test_callbacks import network
from tests.test_training import fingerprint


class Script(sn.Callback):
    """Puts the values of a script into the logs, as if they had been measured."""

    def __init__(self, values, name="val_loss"):
        self.values, self.name = values, name

    def on_epoch_end(self, run, logs):
        logs[self.name] = self.values[run.epoch]


def play(values, *callbacks, name="val_loss", optimizer=None, hooks=None):
    """A training of a small model that sees these values -> (model, history)."""
    model = sn.Sequential([sn.Flatten(), sn.BatchNorm(), sn.Dense(4)], (10, 10, 1), engine="numpy")
    x, labels = np.random.default_rng(0).normal(size=(12, 10, 10)), np.arange(12) % 4
    history = model.fit(
        x, labels, epochs=len(values), batch_size=4, optimizer=optimizer, verbose=False,
        callbacks=[Script(values, name), *([sn.LambdaCallback(**hooks)] if hooks else []), *callbacks],
    )  # fmt: skip
    return model, history


# EarlyStopping


@pytest.mark.parametrize(("values", "options", "epochs"), [
    ([5, 4, 3, 3, 3, 3], {"patience": 2}, 5),
    ([5, 4, 6, 3, 6, 6, 1], {"patience": 2}, 6),
    ([5, 6, 1], {}, 2),  # patience 0: the first epoch without improvement is the last
    ([5, 4.95, 4.9, 4.85], {"patience": 2, "min_delta": 0.5}, 3),
    ([1, 2, 3, 2, 2], {"patience": 1, "mode": "max"}, 4),
    ([math.nan, 5, math.nan, 4, 9, 9, 9], {"patience": 2}, 6),
])  # fmt: skip
def test_early_stopping_stops_after_patience_epochs_in_a_row_without_improvement(values, options, epochs):
    assert len(play(values, sn.EarlyStopping(**options))[1].epochs) == epochs


def test_an_accuracy_gets_better_upwards_and_everything_else_downwards():
    assert len(play([1, 2, 3], sn.EarlyStopping("val_accuracy"), name="val_accuracy")[1].epochs) == 3
    assert len(play([1, 2, 3], sn.EarlyStopping("val_loss"))[1].epochs) == 2


def test_early_stopping_brings_the_best_epochs_weights_and_batchnorm_statistics_back():
    after = []
    note = {"on_epoch_end": lambda run, logs: after.append(fingerprint(run.model))}
    model, _ = play([5, 3, 4, 4, 4, 4], sn.EarlyStopping(patience=3), hooks=note)
    assert len(after) == 5 and len(set(after)) == 5
    assert fingerprint(model) == after[1]


def test_without_restore_best_weights_the_last_weights_stay():
    after = []
    note = {"on_epoch_end": lambda run, logs: after.append(fingerprint(run.model))}
    model, _ = play([5, 3, 4, 4], sn.EarlyStopping(patience=2, restore_best_weights=False), hooks=note)
    assert fingerprint(model) == after[-1] != after[1]


def test_a_callback_forgets_what_an_earlier_training_left(stripes):
    stop, lengths = sn.EarlyStopping("training_loss", patience=1), []
    for _ in range(2):  # the second begins where the first began, much worse than where it ended
        history = network().fit(*stripes, epochs=4, optimizer=sn.Adam(0.01), callbacks=[stop], verbose=False)
        lengths.append(len(history.epochs))
    assert lengths == [4, 4]


# ReduceLROnPlateau


def rates(values, optimizer, **options):
    return play(values, sn.ReduceLROnPlateau(**options), optimizer=optimizer)[1]["lr"]


def test_the_rate_is_reduced_after_patience_epochs_without_improvement():
    values = [5, 4, 4, 4, 4, 3, 3, 3]  # the rates are those used: a reduction shows in the epoch after
    assert rates(values, sn.Adam(0.8), factor=0.5, patience=2) == pytest.approx([0.8] * 4 + [0.4] * 4)


def test_after_a_reduction_the_cooldown_counts_nothing():
    assert rates([1] * 8, sn.Adam(0.8), factor=0.5, patience=1, cooldown=2) == pytest.approx(
        [0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2]
    )


def test_the_rate_is_never_reduced_below_min_lr():
    assert rates([1] * 5, sn.Adam(0.8), factor=0.1, patience=1, min_lr=0.03) == pytest.approx(
        [0.8, 0.8, 0.08, 0.03, 0.03]
    )
    assert rates([1] * 3, sn.Adam(0.01), patience=1, min_lr=0.03) == pytest.approx([0.01] * 3)


def test_on_a_schedule_the_plateau_scales_the_whole_schedule():
    schedule = sn.StepDecay(0.8, every=6, factor=0.5)  # 3 steps an epoch: a stair every other epoch
    assert rates([1] * 6, sn.SGD(schedule), factor=0.1, patience=2) == pytest.approx([0.8, 0.8, 0.4, 0.04, 0.02, 0.002])


def test_the_scaled_rate_is_the_one_that_moves_the_parameters(engine):
    moved = []
    for lr, scale in ((0.1, 1.0), (0.2, 0.5)):
        model, optimizer = sn.Sequential([sn.Dense(4)], (3,), engine=engine), sn.SGD(lr)
        optimizer.lr_scale = scale
        model.fit(np.eye(3), np.arange(3), optimizer=optimizer, verbose=False)
        moved.append(fingerprint(model))
    assert moved[0] == moved[1]


# LearningRateSchedule, LambdaCallback, TerminateOnNaN


def test_a_learning_rate_schedule_counts_epochs_and_gives_the_optimizer_its_own_rate_back():
    optimizer = sn.SGD(0.5)
    _, history = play([1] * 4, sn.LearningRateSchedule(sn.StepDecay(0.1, every=2)), optimizer=optimizer)
    assert history["lr"] == pytest.approx([0.1, 0.1, 0.05, 0.05]) and optimizer.lr == 0.5


def test_a_recorded_rate_is_the_one_the_epochs_last_step_used():
    _, history = play([1, 1], optimizer=sn.SGD(lambda step: 1.0 / (step + 1)))  # 3 steps an epoch: 0 1 2, 3 4 5
    assert history["lr"] == pytest.approx([1 / 3, 1 / 6])


def test_functions_can_be_callbacks(stripes):
    calls = []
    hooks = {
        "on_train_begin": lambda run: calls.append("begin"),
        "on_batch_end": lambda run, logs: calls.append(list(logs)),
        "on_train_end": lambda run: calls.append("end"),
    }
    network().fit(*stripes, batch_size=80, callbacks=[sn.LambdaCallback(**hooks)], verbose=False)
    assert calls == ["begin", ["training_loss"], "end"]


# mistakes


@pytest.mark.parametrize(("make", "message"), [
    (lambda: sn.EarlyStopping(mode="best"), 'EarlyStopping: mode must be "auto", "min" or "max", got \'best\''),
    (lambda: sn.EarlyStopping(patience=-1), "EarlyStopping: patience must be a whole number of epochs, 0 or more"),
    (lambda: sn.EarlyStopping(patience=1.5), "patience must be a whole number"),
    (lambda: sn.EarlyStopping(min_delta=-1), "EarlyStopping: min_delta must be 0 or more, got -1"),
    (lambda: sn.ReduceLROnPlateau(factor=1), "ReduceLROnPlateau: factor must be between 0 and 1, got 1"),
    (lambda: sn.ReduceLROnPlateau(min_lr=-1), "ReduceLROnPlateau: min_lr must be 0 or more"),
    (lambda: sn.ReduceLROnPlateau(cooldown=-1), "ReduceLROnPlateau: cooldown must be a whole number"),
])  # fmt: skip
def test_an_impossible_argument_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match=r"LearningRateSchedule: expected a function epoch -> learning rate, got 0.1"):
        sn.LearningRateSchedule(0.1)
    with pytest.raises(TypeError, match=r"LambdaCallback: expected functions for on_train_begin, .*; got on_batch=<"):
        sn.LambdaCallback(on_batch=print)
    with pytest.raises(ValueError, match=r"expected a positive rate for epoch 1, got 0.0"):
        play([1, 1], sn.LearningRateSchedule(lambda epoch: 1.0 - epoch))


@pytest.mark.parametrize("kind", [sn.EarlyStopping, sn.ReduceLROnPlateau])
def test_monitoring_what_is_not_recorded_lists_what_is(stripes, kind):
    steps = []
    count = sn.LambdaCallback(on_batch_end=lambda run, logs: steps.append(1))
    message = rf"{kind.__name__}: monitor: 'val_acc' will not be .* Recorded: epoch, .*loss, .*Did you mean 'val_acc"
    with pytest.raises(ValueError, match=message):
        network().fit(*stripes, callbacks=[count, kind("val_acc")], validation_data=stripes, verbose=False)
    with pytest.raises(ValueError, match=rf"{kind.__name__}: monitor: 'val_loss' is measured on validation_d"):
        network().fit(*stripes, callbacks=[count, kind()], verbose=False)
    with pytest.raises(ValueError, match=r"Did you mean 'val_accuracy'\? It is measured on validation_data"):
        network().fit(*stripes, callbacks=[count, kind("val_acc")], verbose=False)
    assert not steps


def test_a_callback_of_ones_own_may_record_what_another_one_watches(stripes):
    watch = sn.EarlyStopping("f1", mode="max")
    _, history = play([0.5, 0.7, 0.6, 0.9], watch, name="f1")
    assert history["f1"] == [0.5, 0.7, 0.6]
    with pytest.raises(KeyError, match=r"EarlyStopping: 'f1_macr' was not recorded. Recorded: epoch, .*, f1_macro. D"):
        play([0.5], sn.EarlyStopping("f1_macr"), name="f1_macro")


@pytest.mark.parametrize("two", [2, np.int64(2), np.uint8(2)])
def test_any_integer_is_a_number_of_epochs(two):
    assert sn.EarlyStopping(patience=two).patience == sn.ReduceLROnPlateau(cooldown=two).cooldown == 2
    for not_one in (True, np.True_, np.float64(2), "2", None):
        with pytest.raises(ValueError, match="must be a whole number of epochs"):
            sn.EarlyStopping(patience=not_one)


def test_callbacks_print_as_they_were_made():
    shown = repr(sn.ReduceLROnPlateau("val_loss", factor=0.5, patience=3, min_lr=1e-7))
    assert shown == "ReduceLROnPlateau(factor=0.5, patience=3, min_lr=1e-07)"
    assert repr(sn.EarlyStopping("val_accuracy", patience=5)) == "EarlyStopping(monitor='val_accuracy', patience=5)"


def test_a_callback_that_wants_the_last_word_gets_it(stripes):
    class Last(sn.Callback):
        last = True

        def on_epoch_end(self, run, logs):
            assert logs["seen"] == 1

    hooks = {"on_epoch_end": lambda run, logs: logs.update(seen=1)}
    network().fit(*stripes, callbacks=[Last(), sn.LambdaCallback(**hooks)], verbose=False)
