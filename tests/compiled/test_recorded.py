"""A step from a tape is the step as it is written: the same bits, the same errors, and no step of another model."""

import os
import signal
import time

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.compiled.recorded import RecordedStep
from scratchnet.compiled.tape import Tape, play
from scratchnet.training import train_step

LAYERS = {
    "dropout": lambda: [sn.Conv2D(8, 3, padding="same"), sn.ReLU(), sn.MaxPool2D(2), sn.Dropout(0.3), sn.Flatten(),
                        sn.Dense(12), sn.ReLU(), sn.Dropout(0.5), sn.Dense(10)],
    "padding": lambda: [sn.Conv2D(5, 2, padding="same"), sn.Conv2D(17, 3, padding="same"), sn.ReLU(),
                        sn.Conv2D(20, 3), sn.ReLU(), sn.MaxPool2D(3), sn.Flatten(), sn.Dense(10, use_bias=False)],
    "meetings": lambda: [sn.Conv2D(16, 3, padding="same"), sn.ReLU(), sn.BatchNorm(), sn.MaxPool2D(2),
                         sn.Conv2D(8, 3), sn.BatchNorm(), sn.ReLU(), sn.Flatten(), sn.Dense(10), sn.BatchNorm()],
    "cropping": lambda: [sn.Cropping2D(2), sn.Conv2D(16, 3, use_bias=False), sn.MaxPool2D(2),
                         sn.Flatten(), sn.Dense(10)],
    "cropping twice": lambda: [sn.Cropping2D(1), sn.Conv2D(4, 3), sn.ReLU(), sn.Cropping2D((2, 1)), sn.Flatten(),
                               sn.Dense(10)],
    "cropping alone": lambda: [sn.Cropping2D(2), sn.Flatten(), sn.Dense(10)],
}  # fmt: skip


@pytest.fixture(scope="module")
def digits():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (400, 14, 14), np.uint8), rng.integers(0, 10, 400)


def recordings(model):
    return [step for step in model.plan.recorded.values() if isinstance(step, RecordedStep)]


def trained(digits, layers, optimizer, recorded=True, threads=2, augment=None, steps=6):
    """The parameters after some steps, and the loss of the last."""
    sn.set_threads(threads)
    x, y = digits
    model = sn.Sequential([sn.Rescale(), *layers()], (14, 14, 1), seed=3)
    for i in range(steps):
        loss = sn.SoftmaxCrossEntropy(label_smoothing=0.1)  # another object, and the same loss
        if not recorded:
            model.plan.recorded.clear()  # it never saw such a step before
        rows = slice(i * 50, i * 50 + 50)
        value = train_step(model, loss, optimizer, x[rows], y[rows], augment)
    assert bool(recordings(model)) == recorded
    return {"loss": np.array(value), **model.parameters(), **model.state()}


def test_a_recording_sees_that_a_layer_was_told_another_number(digits):
    x, y = (array[:50] for array in digits)
    losses = []
    for rate in (0.5, 0.0):
        layers = [sn.Flatten(), sn.Dropout(0.5), sn.Dense(10)]
        model, optimizer = sn.Sequential(layers, (14, 14, 1)), sn.SGD(1e-5)
        for i in range(8):
            layers[1].rate = rate if i > 5 else 0.5
            losses.append(train_step(model, sn.SoftmaxCrossEntropy(), optimizer, x.astype(np.float32), y))
    assert losses[:6] == losses[8:14]
    assert losses[6] != losses[14]


@pytest.mark.parametrize("optimizer", [lambda: sn.AdamW(1e-2, weight_decay=0.1), lambda: sn.SGD(0.1, 0.9, True),
                                       lambda: sn.RMSprop(sn.StepDecay(1e-2, every=2, factor=0.5))])  # fmt: skip
@pytest.mark.parametrize("layers", LAYERS)
def test_a_recorded_step_gives_the_same_bits(digits, layers, optimizer):
    expected = trained(digits, LAYERS[layers], optimizer(), recorded=False)
    for threads in (1, 2, 5):
        got = trained(digits, LAYERS[layers], optimizer(), threads=threads)
        assert {name: array.tobytes() for name, array in got.items()} == {
            name: array.tobytes() for name, array in expected.items()
        }


@pytest.mark.parametrize("augment", [sn.Augment(shift=2, rotate=10, noise=5), lambda images, rng: images // 2])
def test_an_augmented_step_gives_the_same_bits(digits, augment):
    expected, got = (trained(digits, LAYERS["dropout"], sn.Adam(), flag, augment=augment) for flag in (False, True))
    assert all(np.array_equal(got[name], expected[name]) for name in expected)


def test_a_recording_sees_another_augmentation(digits):
    x, y = (array[:50] for array in digits)
    losses = []
    for last in (sn.Augment(shift=3), sn.Augment(erase=0.9), None):
        model, optimizer = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(10)], (14, 14, 1)), sn.SGD(1e-5)
        loss = sn.SoftmaxCrossEntropy()
        for augment in [sn.Augment(shift=3)] * 6 + [last]:
            value = train_step(model, loss, optimizer, x, y, augment)
        losses.append(value)
    assert len(set(losses)) == 3


def test_a_recording_sees_a_change_of_the_live_parameters_and_of_the_learning_rate(digits):
    x, y = (array[:50] for array in digits)
    losses = []
    for again in (False, True):
        model, optimizer = sn.Sequential([sn.Flatten(), sn.Dense(10)], (14, 14, 1)), sn.SGD(1e-4)
        loss = sn.SoftmaxCrossEntropy()
        for i in range(8):
            if again:
                model.plan.recorded.clear()
            if i == 5:
                model.parameters()["1.dense.W"][...] *= -1
                optimizer.lr = 1e-3
            value = train_step(model, loss, optimizer, x.astype(np.float32), y)
        losses.append(value)
    assert losses[0] == losses[1]


def test_arrays_that_were_replaced_are_not_the_recorded_ones(digits):
    x, y = (array[:50] for array in digits)
    model, optimizer = sn.Sequential([sn.Flatten(), sn.Dense(10)], (14, 14, 1)), sn.SGD(1e-4)
    loss = sn.SoftmaxCrossEntropy()
    for _ in range(4):
        train_step(model, loss, optimizer, x.astype(np.float32), y)
    assert recordings(model)
    optimizer.memory.clear()  # as when a checkpoint is read
    train_step(model, loss, optimizer, x.astype(np.float32), y)
    assert not recordings(model)


@pytest.mark.parametrize("layers", ["padding", "meetings"])
def test_what_a_recorded_step_cannot_do_is_an_error_as_ever_and_changes_nothing(digits, layers):
    x, y = digits
    model = sn.Sequential([sn.Rescale(), *LAYERS[layers]()], (14, 14, 1))
    optimizer, loss, arrays = sn.Adam(), sn.SoftmaxCrossEntropy(), {**model.parameters(), **model.state()}
    for _ in range(4):
        train_step(model, loss, optimizer, x[:50], y[:50])
    assert recordings(model)
    before = {name: array.copy() for name, array in arrays.items()}
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.9"):
        train_step(model, loss, optimizer, x[:50], np.full(50, 10))
    assert optimizer.steps == 4
    assert all(np.array_equal(array, before[name]) for name, array in arrays.items())
    arrays["1.conv2d.W"][0, 0, 0, 0] = before["1.conv2d.W"][0, 0, 0, 0] = np.nan
    with pytest.raises(sn.TrainingDivergedError):
        train_step(model, loss, optimizer, x[:50], y[:50])
    assert optimizer.steps == 4
    assert all(np.array_equal(array, before[name], equal_nan=True) for name, array in arrays.items())


def test_a_tape_plays_the_calls_with_what_the_arrays_hold_by_then():
    from scratchnet.compiled.rescale import scale

    x, y, tape = np.ones(3, np.uint8), np.empty(3, np.float32), Tape()
    with tape.recording():
        scale(x, np.float32(2), np.float32(1), y)
        scale(y, np.float32(10), np.float32(0), y)
    x[:] = 0, 1, 2
    play(tape.calls(), 0, 2)
    assert y.tolist() == [10, 30, 50]


def some_steps(digits, pauses):
    """The loss after as many steps as there are pauses, each followed by one of so many seconds."""
    x, y = (array[:32] for array in digits)
    model, optimizer = sn.Sequential([sn.Flatten(), sn.Dense(10)], (14, 14, 1)), sn.SGD(1e-4)
    loss = sn.SoftmaxCrossEntropy()
    for pause in pauses:
        value = train_step(model, loss, optimizer, x.astype(np.float32), y)
        time.sleep(pause)
    assert recordings(model)
    return value


@pytest.mark.parametrize("threads", [2, 4])
def test_helpers_come_whether_they_have_left_or_not(digits, threads):
    sn.set_threads(1)
    alone = some_steps(digits, [0] * 200)
    sn.set_threads(threads)
    assert some_steps(digits, [0] * 200) == alone
    assert some_steps(digits, np.random.default_rng(0).choice([0, 1e-4, 5e-4, 2e-3], 200)) == alone


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded")
def test_a_forked_child_finds_helpers_of_its_own(digits):
    sn.set_threads(3)
    x, y = (array[:50] for array in digits)
    model, optimizer = sn.Sequential([sn.Flatten(), sn.Dense(10)], (14, 14, 1)), sn.SGD(1e-4)
    loss = sn.SoftmaxCrossEntropy()
    for _ in range(6):
        train_step(model, loss, optimizer, x.astype(np.float32), y)
    child = os.fork()  # right now: its helpers are still waiting for the next step
    if child == 0:
        signal.alarm(60)  # should nobody come
    value = train_step(model, loss, optimizer, x.astype(np.float32), y)
    if child == 0:
        os._exit(42 if value == train_step(model, loss, optimizer, x.astype(np.float32), y) else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
