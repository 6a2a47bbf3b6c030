"""Activations, pools and depthwise convolutions that are compiled equal the textbook's, on any number of threads."""

import math

import numpy as np
import pytest

pytest.importorskip("numba")

import scratchnet as sn
from scratchnet.compiled.execution.fusion import UncompiledLayer
from scratchnet.compiled.jit.decorators import readable
from scratchnet.compiled.kernels import activations
from tests.compiled.test_compiled_layers import assert_equal_to_textbook

ACTIVATIONS = {
    "LeakyReLU": lambda: sn.LeakyReLU(0.3), "ELU": lambda: sn.ELU(1.3), "GELU": sn.GELU, "SiLU": sn.SiLU,
    "Sigmoid": sn.Sigmoid, "Tanh": sn.Tanh,
}  # fmt: skip
each_activation = pytest.mark.parametrize("name", ACTIVATIONS)
LAYERS = {
    **ACTIVATIONS,
    "depthwise": lambda: sn.DepthwiseConv2D(3),
    "depthwise, same, strided": lambda: sn.DepthwiseConv2D((3, 2), stride=(2, 1), padding="same"),
    "depthwise, padded, without bias": lambda: sn.DepthwiseConv2D(5, padding=2, use_bias=False),
    "maximum": lambda: sn.MaxPool2D(2),
    "maximum of 3×2": lambda: sn.MaxPool2D((3, 2)),
    "average": sn.AvgPool2D,
    "average of 3×2": lambda: sn.AvgPool2D((3, 2)),
    "global average": sn.GlobalAvgPool2D,
}
each_layer = pytest.mark.parametrize("name", LAYERS)


def compiled_stages(model):
    return [not isinstance(stage.op, UncompiledLayer) for stage in model.backend.stages]


@each_layer
@pytest.mark.parametrize(("shape", "n"), [((7, 6, 5), 3), ((9, 11, 19), 5), ((8, 8, 16), 1)])
def test_they_equal_the_textbook_between_other_layers(name, shape, n):
    def layers():
        return [sn.Conv2D(shape[2], 1), LAYERS[name](), sn.Flatten(), sn.Dense(4)]

    model = assert_equal_to_textbook(layers, shape, n)
    assert all(compiled_stages(model))


@each_activation
def test_activations_of_rows_equal_the_textbook(name):
    assert_equal_to_textbook(lambda: [sn.Dense(21), ACTIVATIONS[name](), sn.Dense(3)], (13,), 6)


@each_layer
def test_training_gives_the_same_bits_on_any_number_of_threads(name, rng):
    x, y = rng.integers(0, 256, (70, 9, 9), np.uint8), rng.integers(0, 4, 70)
    seen = set()
    for threads in (1, 2, 3):
        sn.set_threads(threads)
        layers = [sn.Rescale(), sn.Conv2D(8, 1), LAYERS[name](), sn.Flatten(), sn.Dense(4)]
        model = sn.Sequential(layers, (9, 9, 1), seed=1)
        model.fit(x, y, epochs=2, batch_size=64, verbose=False)
        seen.add(b"".join(array.tobytes() for array in model.get_weights()))
    assert len(seen) == 1


def test_a_frozen_depthwise_convolution_keeps_its_bits_and_passes_the_gradient_on(rng):
    x, y = rng.integers(0, 256, (40, 9, 9), np.uint8), rng.integers(0, 4, 40)
    layers = [sn.Rescale(), sn.Conv2D(8, 3), sn.DepthwiseConv2D(3), sn.Flatten(), sn.Dense(4)]
    model = sn.Sequential(layers, (9, 9, 1))
    model.freeze("depthwise")
    before = [array.copy() for array in model.get_weights()]
    model.fit(x, y, verbose=False)
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert moved == [True, True, False, False, True, True]


def test_what_has_no_kernels_runs_as_the_textbooks_layer():
    layers = [sn.DepthwiseConv2D(3, depth_multiplier=2), sn.MaxPool2D(3, stride=1), sn.MaxPool2D(2, padding="same")]
    model = sn.Sequential([*layers, sn.Flatten(), sn.Dense(3)], (9, 9, 4))
    assert compiled_stages(model) == [False, False, False, True, True]
    assert_equal_to_textbook(
        lambda: [sn.DepthwiseConv2D(3, depth_multiplier=2), sn.Flatten(), sn.Dense(3)], (6, 6, 4), 2
    )


EXACT = {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0.0,
    "tanh": math.tanh,
    "silu": lambda x: x / (1 + math.exp(-x)) if x > -700 else 0.0,
    "gelu": lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)),
    "elu": lambda x: x if x > 0 else 1.3 * math.expm1(x),
}
POINTS = np.concatenate(
    [np.linspace(-100, 100, 4001), np.linspace(-1, 1, 4001), 10.0 ** np.arange(-30, 5), -(10.0 ** np.arange(-30, 5))]
).astype(np.float32)


@pytest.mark.parametrize("name", EXACT)
def test_values_are_those_of_the_mathematical_function_to_float32(name):
    y, numbers = np.empty_like(POINTS), [np.float32(1.3)] * (name == "elu")
    getattr(activations, name)(POINTS, *numbers, y)
    exact = np.array([EXACT[name](float(x)) for x in POINTS])
    np.testing.assert_allclose(y, exact, rtol=3e-7, atol=5e-7)
    if name in ("tanh", "elu"):  # computed without cancelling: also the smallest numbers are right
        np.testing.assert_allclose(y, exact, rtol=3e-7, atol=1e-37)


@pytest.mark.parametrize("name", EXACT)
def test_gradients_are_the_slopes_of_the_mathematical_function(name):
    x = np.linspace(-12, 12, 2000).astype(np.float32)  # without 0, where ELU's slope jumps
    dx, numbers, step = np.empty_like(x), [np.float32(1.3)] * (name == "elu"), 1e-5
    getattr(activations, f"{name}_gradient")(np.full_like(x, 2), x, *numbers, dx)
    slopes = [(EXACT[name](float(at) + step) - EXACT[name](float(at) - step)) / (2 * step) for at in x]
    np.testing.assert_allclose(dx, 2 * np.array(slopes), atol=3e-6)


@pytest.mark.parametrize("name", EXACT)
def test_nan_stays_nan_and_the_kernels_mean_the_same_as_plain_numpy(name):
    x = np.array([np.nan, -3, 0, 3, 20, -20, -0.1], np.float32)
    numbers = [np.float32(1.3)] * (name == "elu")
    for kernel, given in ((name, (x,)), (f"{name}_gradient", (np.ones_like(x), x))):
        compiled, plain = np.empty_like(x), np.empty_like(x)
        getattr(activations, kernel)(*given, *numbers, compiled)
        with np.errstate(invalid="ignore"):
            readable(getattr(activations, kernel))(*given, *numbers, plain)
        assert np.isnan(compiled).tolist() == [True] + [False] * 6
        np.testing.assert_allclose(compiled, plain, rtol=1e-6, atol=1e-7)


def test_a_maximum_of_equal_numbers_is_the_first_and_nan_reaches_its_window():
    x = np.zeros((1, 4, 4, 1), np.float32)
    x[0, 0, 3] = np.nan
    model = sn.Sequential([sn.ReLU(), sn.MaxPool2D(2), sn.Flatten()], (4, 4, 1))
    y, caches = model.forward_cached(x, model.context(training=True))
    assert np.isnan(y).tolist() == [[False, True, False, False]]
    pool = sn.Sequential([sn.MaxPool2D(2), sn.Flatten()], (4, 4, 1))
    _, caches = pool.forward_cached(np.zeros((1, 4, 4, 1), np.float32), pool.context(training=True))
    dx, _ = pool.backward(np.ones((1, 4), np.float32), caches)
    np.testing.assert_array_equal(dx[0, :, :, 0], np.kron(np.ones((2, 2)), [[1, 0], [0, 0]]))
