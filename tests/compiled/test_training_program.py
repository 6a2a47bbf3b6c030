"""A captured step equals the step called from Python: the same bits, the same errors, and never a stale program."""

import os
import signal
import time

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.compiled.execution import program as program_module
from scratchnet.compiled.execution.calls import Call
from scratchnet.compiled.execution.native import NativeCode, replay
from scratchnet.compiled.execution.program import Program
from scratchnet.training import train_step

LAYERS = {
    "dropout": lambda: [sn.Conv2D(8, 3, padding="same"), sn.ReLU(), sn.MaxPool2D(2), sn.Dropout(0.3), sn.Flatten(),
                        sn.Dense(12), sn.ReLU(), sn.Dropout(0.5), sn.Dense(10)],
    "padding": lambda: [sn.Conv2D(5, 2, padding="same"), sn.Conv2D(17, 3, padding="same"), sn.ReLU(),
                        sn.Conv2D(20, 3), sn.ReLU(), sn.MaxPool2D(3), sn.Flatten(), sn.Dense(10, use_bias=False)],
    "meetings": lambda: [sn.Conv2D(16, 3, padding="same"), sn.ReLU(), sn.BatchNorm(), sn.MaxPool2D(2),
                         sn.Conv2D(8, 3), sn.BatchNorm(), sn.ReLU(), sn.Flatten(), sn.Dense(10), sn.BatchNorm()],
    "residual": lambda: [sn.Conv2D(8, 3), sn.Residual([sn.Conv2D(16, 3, padding="same"), sn.BatchNorm(), sn.ReLU(),
                         sn.Dropout(0.2), sn.Conv2D(16, 3, padding="same", l2=0.01)], shortcut=sn.Conv2D(16, 1)),
                         sn.ReLU(), sn.Residual([sn.Cropping2D(1), sn.Conv2D(16, 3, padding=2)]), sn.BatchNorm(),
                         sn.LeakyReLU(), sn.Flatten(), sn.Dense(10, l2=0.02)],
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


def programs(model):
    """The identities of all captured steps."""
    return {id(program) for program in model.backend.training_programs.values()}


@pytest.fixture
def called_from_python(monkeypatch):
    """No call is executed natively: every kernel of a program is called from Python, as with NUMBA_DISABLE_JIT=1."""

    def use():
        monkeypatch.setattr(Program, "native_segments", lambda self: self.python_segments(self.phases))
        monkeypatch.setattr(program_module, "runs_of", lambda calls: [call.run for call in calls])

    return use


def trained(digits, layers, optimizer, threads=2, augment=None, steps=6):
    """The parameters after some steps, and the loss of the last."""
    sn.set_threads(threads)
    x, y = digits
    model = sn.Sequential([sn.Rescale(), *layers()], (14, 14, 1), seed=3)
    for i in range(steps):
        loss = sn.SoftmaxCrossEntropy(label_smoothing=0.1)  # another object, and the same loss
        rows = slice(i * 50, i * 50 + 50)
        value = train_step(model, loss, optimizer, x[rows], y[rows], augment)
    assert len(programs(model)) == 1
    return {"loss": np.array(value), **model.parameters(), **model.state()}


def test_a_changed_layer_attribute_invalidates_the_program(digits):
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
def test_native_execution_gives_the_same_bits(digits, layers, optimizer, called_from_python):
    native = [trained(digits, LAYERS[layers], optimizer(), threads=threads) for threads in (1, 2, 5)]
    called_from_python()
    expected = trained(digits, LAYERS[layers], optimizer(), threads=1)
    for got in native:
        assert all(np.array_equal(got[name], expected[name]) for name in expected)


@pytest.mark.parametrize("augment", [sn.Augment(shift=2, rotate=10, noise=5), lambda images, rng: images // 2])
def test_an_augmented_step_gives_the_same_bits(digits, augment, called_from_python):
    got = trained(digits, LAYERS["dropout"], sn.Adam(), augment=augment)
    called_from_python()
    expected = trained(digits, LAYERS["dropout"], sn.Adam(), threads=1, augment=augment)
    assert all(np.array_equal(got[name], expected[name]) for name in expected)


def test_another_augmentation_invalidates_the_program(digits):
    x, y = (array[:50] for array in digits)
    losses = []
    for last in (sn.Augment(shift=3), sn.Augment(erase=0.9), None):
        model, optimizer = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(10)], (14, 14, 1)), sn.SGD(1e-5)
        loss = sn.SoftmaxCrossEntropy()
        for augment in [sn.Augment(shift=3)] * 6 + [last]:
            value = train_step(model, loss, optimizer, x, y, augment)
        losses.append(value)
    assert len(set(losses)) == 3


def test_a_program_reads_the_present_parameters_and_learning_rate(digits):
    x, y = (array[:50] for array in digits)
    losses = []
    for again in (False, True):
        model, optimizer = sn.Sequential([sn.Flatten(), sn.Dense(10)], (14, 14, 1)), sn.SGD(1e-4)
        loss = sn.SoftmaxCrossEntropy()
        for i in range(8):
            if again:
                model.backend.training_programs.clear()
            if i == 5:
                model.parameters()["1.dense.W"][...] *= -1
                optimizer.lr = 1e-3
            value = train_step(model, loss, optimizer, x.astype(np.float32), y)
        losses.append(value)
    assert losses[0] == losses[1]


def test_replaced_moments_invalidate_the_program(digits):
    x, y = (array[:50] for array in digits)
    model, optimizer = sn.Sequential([sn.Flatten(), sn.Dense(10)], (14, 14, 1)), sn.SGD(1e-4)
    loss = sn.SoftmaxCrossEntropy()
    for _ in range(4):
        train_step(model, loss, optimizer, x.astype(np.float32), y)
    before = programs(model)
    optimizer.memory.clear()
    train_step(model, loss, optimizer, x.astype(np.float32), y)
    assert programs(model).isdisjoint(before)


@pytest.mark.parametrize("layers", ["padding", "meetings"])
def test_a_label_out_of_range_or_a_loss_that_is_not_finite_changes_nothing(digits, layers):
    x, y = digits
    model = sn.Sequential([sn.Rescale(), *LAYERS[layers]()], (14, 14, 1))
    optimizer, loss, arrays = sn.Adam(), sn.SoftmaxCrossEntropy(), {**model.parameters(), **model.state()}
    for _ in range(4):
        train_step(model, loss, optimizer, x[:50], y[:50])
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


def test_replay_makes_the_calls_on_what_the_arrays_hold_by_then():
    from scratchnet.compiled.layers.rescale import scale

    x, y, code = np.ones(3, np.uint8), np.empty(3, np.float32), NativeCode()
    calls = [Call(scale, (x, np.float32(2), np.float32(1), y)), Call(scale, (y, np.float32(10), np.float32(0), y))]
    start, stop = code.append(calls)
    x[:] = 0, 1, 2
    replay(code.finish(), start, stop)
    assert y.tolist() == [10, 30, 50]


class Halved(sn.Layer):
    """A layer without kernels, with a parameter."""

    params = ("factor",)

    def build(self, input_shape, rng):
        self.factor = np.full(input_shape, 0.5, self.dtype)
        return input_shape

    def forward(self, x, ctx):
        return x * self.factor, x

    def backward(self, dy, x):
        return dy * self.factor, {"factor": (dy * x).sum(axis=0)}


class OwnNorm(sn.BatchNorm):
    """The textbook's BatchNorm under another name: a layer without kernels that waits for all chunks of the batch."""


OWN = {
    "a layer": lambda: [sn.Flatten(), sn.Dense(12), Halved(), sn.ReLU(), sn.Dropout(0.3), sn.Dense(10)],
    "a layer that waits": lambda: [sn.Conv2D(4, 3), OwnNorm(), sn.ReLU(), sn.BatchNorm(), sn.Flatten(), sn.Dense(10)],
    "the last layer": lambda: [sn.Flatten(), sn.Dense(10), Halved()],
}


@pytest.mark.parametrize("layers", OWN)
def test_layers_without_kernels_give_the_same_bits_on_any_number_of_threads_and_the_textbooks_numbers(digits, layers):
    found = [trained(digits, OWN[layers], sn.Adam(1e-3, eps=1e-3), threads=threads) for threads in (1, 2, 5)]
    assert all(np.array_equal(found[0][name], other[name]) for other in found[1:] for name in other)
    x, y = digits
    textbook = sn.Sequential([sn.Rescale(), *OWN[layers]()], (14, 14, 1), seed=3, engine="numpy")
    optimizer, loss = sn.Adam(1e-3, eps=1e-3), sn.SoftmaxCrossEntropy(label_smoothing=0.1)
    for i in range(6):
        train_step(textbook, loss, optimizer, x[i * 50 : i * 50 + 50], y[i * 50 : i * 50 + 50])
    for name, exact in {**textbook.parameters(), **textbook.state()}.items():
        np.testing.assert_allclose(found[0][name], exact, rtol=2e-3, atol=1e-4)


def squared_error(logits, labels):
    """A loss that no kernel computes."""
    difference = logits - np.eye(logits.shape[1], dtype=logits.dtype)[labels]
    return float((difference**2).sum(dtype=np.float64)) / len(logits), 2 * difference / len(logits)


class SignSGD(sn.Optimizer):
    """An optimizer that no kernel computes."""

    def update(self, name, p, g, lr):
        p -= lr * np.sign(g)


@pytest.mark.parametrize("loss", [sn.SoftmaxCrossEntropy(), squared_error])
@pytest.mark.parametrize("optimizer", [lambda: sn.SGD(0.05), lambda: SignSGD(1e-4), lambda: sn.SGD(clip_norm=0.1)])
@pytest.mark.parametrize("one_hot", [False, True])
def test_losses_labels_and_optimizers_without_kernels_train_as_the_textbook_does(digits, loss, optimizer, one_hot):
    if one_hot and loss is squared_error:
        pytest.skip("that loss takes class numbers")
    x, y = digits
    losses = []
    for engine in ("numba", "numpy"):
        model, own = sn.Sequential([sn.Rescale(), *LAYERS["padding"]()], (14, 14, 1), engine=engine), optimizer()
        labels = np.eye(10)[y] if one_hot else y
        losses.append([train_step(model, loss, own, x[i : i + 50], labels[i : i + 50]) for i in range(0, 300, 50)])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_a_program_prints_every_kernel_with_named_arguments(digits):
    x, y = digits
    model, optimizer = sn.Sequential([sn.Rescale(), *LAYERS["dropout"]()], (14, 14, 1)), sn.Adam(clip_norm=1.0)
    program = model.backend.training_program(sn.SoftmaxCrossEntropy(), optimizer, model.check_input(x[:50]), y[:50])
    text = str(program)
    for part in (
        "phase 1: pack weights", "rescale.scale(x=images[0:", "y=0.rescale.y)", "losses.softmax_cross_entropy(",
        "gemm.matmul(a=", "dropout.drop(", "key=key of draw 1", "relu=True", "optimizers.adam(p=1.conv2d.W",
        "optimizers.clip_factor(",
    ):  # fmt: skip
        assert part in text, part
    assert "float32[" not in text.replace("bias=float32[", "")  # every array has a name


def some_steps(digits, pauses):
    """The loss after as many steps as there are pauses, each followed by one of so many seconds."""
    x, y = (array[:32] for array in digits)
    model, optimizer = sn.Sequential([sn.Flatten(), sn.Dense(10)], (14, 14, 1)), sn.SGD(1e-4)
    loss = sn.SoftmaxCrossEntropy()
    for pause in pauses:
        value = train_step(model, loss, optimizer, x.astype(np.float32), y)
        time.sleep(pause)
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
