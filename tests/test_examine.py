"""The doctor before a training: a sound model passes, and each kind of mistake fails the check that is there for it."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import doctor
from tests.patterns import network, stripes

X, Y = stripes(64)
NAMES = ["labels", "input", "first loss", "engines", "gradients", "one batch"]


def failed(model, x=X, y=Y):
    """The names of the checks that fail."""
    checks = {check.text.split(":")[0]: check.passed for check in doctor.examine(model, x, y, verbose=False)}
    return [name for name in NAMES if not checks.get(name, True)]


def test_a_sound_model_passes_everything(engine):
    model = network(engine, extra=[sn.BatchNorm(), sn.Dropout(0.3)])
    checks = list(doctor.examine(model, X, Y, verbose=False))
    assert all(check.passed for check in checks)
    assert [c.text.split(":")[0] for c in checks] == [name for name in NAMES if name != "engines" or engine == "numba"]


def test_the_model_is_left_as_it_was():
    model = network(extra=[sn.BatchNorm(), sn.Dropout(0.3)])
    before = {name: a.copy() for name, a in {**model.parameters(), **model.state()}.items()}
    assert not failed(model) and model.layers[3].rate == 0.3
    for name, array in {**model.parameters(), **model.state()}.items():
        np.testing.assert_array_equal(array, before[name])


def test_a_wrong_gradient_is_found():
    class Twice(sn.Layer):
        def forward(self, x, ctx):
            return x * x, x

        def backward(self, dy, x):
            return dy * x, {}  # and not 2 x

    assert failed(network(extra=[Twice()])) == ["gradients"]


def test_images_that_were_never_scaled_are_found():
    layers = network().untrained_copy().layers[1:]
    for layer in layers:
        layer.in_model = False
    assert "input" in failed(sn.Sequential(layers, (10, 10, 1), engine="numpy"))


def test_images_scaled_twice_are_found():
    assert failed(network(), X / 255) == ["input", "one batch"]


def test_images_that_are_no_numbers_are_found():
    x = X.astype(float)
    x[0, 3, 3] = np.nan
    assert "input" in failed(network(), x)


def test_weights_that_are_too_large_are_found():
    class Loud(sn.Layer):
        def forward(self, x, ctx):
            return 100 * x, None

        def backward(self, dy, cache):
            return 100 * dy, {}

    assert "first loss" in failed(network(extra=[Loud()]))


def test_a_model_that_cannot_learn_is_found():
    class Nothing(sn.Layer):
        def forward(self, x, ctx):
            return 0 * x, None

        def backward(self, dy, cache):
            return 0 * dy, {}

    assert failed(network(extra=[Nothing()])) == ["one batch"]


@pytest.mark.parametrize(
    ("y", "says"),
    [(Y + 1, r"labels must lie in 0..3, got 1..4"), (Y[:-1], "64 images and 63 labels"), (Y / 2, "integers")],
)
def test_labels_that_do_not_fit_end_the_examination(y, says):
    (check,) = doctor.examine(network(), X, y, verbose=False)
    assert not check.passed and says in check.text and str(check).startswith("✗ labels: ")


def test_a_class_without_images_is_said():
    check = next(doctor.examine(network(), X, Y % 2 * 3, verbose=False))
    assert str(check) == "✓ labels: 64 images, classes 0, 3 of 4"


def test_an_engine_that_computes_something_else_is_found(monkeypatch):
    pytest.importorskip("numba")
    from scratchnet.compiled.layers.dense import CompiledDense

    right = CompiledDense.forward

    def wrong(self, x, ctx):
        y, cache = right(self, x, ctx)
        with np.errstate(all="ignore"):  # while a program is captured, y is memory that was not written yet
            return y * np.float32(1.01), cache

    monkeypatch.setattr(CompiledDense, "forward", wrong)
    assert "engines" in failed(network("numba"))
