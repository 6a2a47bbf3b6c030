"""What is true of every layer, whatever it computes. A new layer joins by one line in the table."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import Context, gradcheck
from scratchnet.layers import LAYERS
from scratchnet.randomness import ExampleRandom
from scratchnet.saving.architecture import make_layer
from tests.layers.built import built

EXAMPLES = {  # name: (how it is made, one example's shape)
    "Rescale": (lambda: sn.Rescale(0.5, 0.1), (4, 3, 2)),
    "Cropping2D": (lambda: sn.Cropping2D((1, 2)), (5, 6, 2)),
    "ZeroPadding2D": (lambda: sn.ZeroPadding2D(((1, 0), (2, 3))), (3, 4, 2)),
    "Conv2D": (lambda: sn.Conv2D(3, 3), (5, 6, 2)),
    "Conv2D-same-stride": (lambda: sn.Conv2D(2, (2, 3), stride=(2, 1), padding="same", use_bias=False), (5, 6, 2)),
    "DepthwiseConv2D": (lambda: sn.DepthwiseConv2D(3), (5, 6, 2)),
    "DepthwiseConv2D-more": (lambda: sn.DepthwiseConv2D((2, 3), (2, 1), "same", 3, use_bias=False), (5, 6, 2)),
    "ReLU": (sn.ReLU, (4, 3, 2)),
    "LeakyReLU": (lambda: sn.LeakyReLU(0.3), (4, 3, 2)),
    "ELU": (lambda: sn.ELU(0.7), (4, 3, 2)),
    "GELU": (sn.GELU, (4, 3, 2)),
    "SiLU": (sn.SiLU, (4, 3, 2)),
    "Sigmoid": (sn.Sigmoid, (4, 3, 2)),
    "Tanh": (sn.Tanh, (4, 3, 2)),
    "Softmax": (sn.Softmax, (4, 3, 5)),
    "Softmax-flat": (sn.Softmax, (5,)),
    "MaxPool2D": (lambda: sn.MaxPool2D(2), (5, 4, 2)),
    "MaxPool2D-overlapping": (lambda: sn.MaxPool2D((3, 2), stride=1), (5, 4, 2)),
    "MaxPool2D-same": (lambda: sn.MaxPool2D((2, 3), padding="same"), (5, 4, 2)),
    "AvgPool2D-same": (lambda: sn.AvgPool2D(3, stride=2, padding="same"), (5, 4, 2)),
    "AvgPool2D": (lambda: sn.AvgPool2D(2), (5, 4, 2)),
    "GlobalAvgPool2D": (sn.GlobalAvgPool2D, (4, 3, 2)),
    "Flatten": (sn.Flatten, (4, 3, 2)),
    "Dense": (lambda: sn.Dense(4), (6,)),
    "Dropout": (lambda: sn.Dropout(0.4), (4, 3, 2)),
    "BatchNorm": (sn.BatchNorm, (4, 3, 2)),
    "BatchNorm-flat": (sn.BatchNorm, (5,)),
    "Residual": (lambda: sn.Residual([sn.Conv2D(2, 3, padding="same"), sn.Tanh(), sn.Dropout(0.4)]), (4, 3, 2)),
    "Residual-shortcut": (
        lambda: sn.Residual(
            [sn.Conv2D(3, 3, 2, padding="same"), sn.SiLU(), sn.Residual([sn.Conv2D(3, 1, use_bias=False)])],
            [sn.AvgPool2D(2, padding="same"), sn.Conv2D(3, 1)],
        ),
        (5, 4, 2),
    ),
    "Residual-batchnorm": (lambda: sn.Residual([sn.BatchNorm(), sn.Sigmoid()], shortcut=sn.BatchNorm()), (4, 3, 2)),
}
every_layer = pytest.mark.parametrize("name", EXAMPLES)
both_modes = pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def example(name, dtype="float64", n=3, seed=0):
    """The layer, x and a random dy. Gradients of ones would hide a wrong BatchNorm."""
    make, shape = EXAMPLES[name]
    layer, rng = built(make(), shape, dtype), np.random.default_rng(seed)
    x = rng.standard_normal((n, *shape)).astype(dtype)
    y, _ = layer.forward(x, Context())
    return layer, x, rng.standard_normal(y.shape).astype(dtype)


def context(training=True, first=0):
    """The same random numbers every time."""
    return Context(training, ExampleRandom(seed=5, step=1, first=first))


def test_the_table_has_every_layer_of_the_library():
    assert {name.partition("-")[0] for name in EXAMPLES} == set(LAYERS)
    assert {cls.__name__: cls for cls in LAYERS.values()} == LAYERS


@every_layer
def test_the_outline_is_what_build_makes(name):
    make, shape = EXAMPLES[name]
    layer, other = make(), make()
    arrays = set(layer.params) | set(layer.state)
    said_output, said = layer.compute_shapes(shape)
    assert not arrays & vars(layer).keys()  # nothing was made
    assert said_output == other.build(shape, np.random.default_rng(0))
    assert said == {array: a.shape for array, a in other.arrays("params", "state").items()}


@every_layer
def test_its_description_in_a_file_makes_the_same_layer_again(name):
    layer = EXAMPLES[name][0]()
    description = json.loads(json.dumps({"class": type(layer).__name__, **layer.config()}))
    assert repr(make_layer(LAYERS, description, 0)) == repr(layer)


@every_layer
@both_modes
def test_finite_differences_agree_with_backward(name, training):
    layer, x, _ = example(name)
    gradcheck(layer, x, training=training, verbose=False)


@every_layer
@both_modes
def test_forward_and_backward_leave_what_they_were_given(name, training):
    layer, x, dy = example(name)
    x_before, dy_before = x.copy(), dy.copy()
    params = {p: array.copy() for p, array in layer.arrays("params").items()}
    _, cache = layer.forward(x, context(training))
    layer.backward(dy, cache)
    np.testing.assert_array_equal(x, x_before)
    np.testing.assert_array_equal(dy, dy_before)
    for p, before in params.items():
        np.testing.assert_array_equal(layer.arrays("params")[p], before)


@every_layer
@both_modes
def test_a_cache_can_be_used_twice(name, training):
    layer, x, dy = example(name)
    _, cache = layer.forward(x, context(training))
    (dx, grads), (dx_again, grads_again) = layer.backward(dy, cache), layer.backward(dy, cache)
    np.testing.assert_array_equal(dx, dx_again)
    for p in layer.params:
        np.testing.assert_array_equal(grads[p], grads_again[p])


@every_layer
def test_a_layer_holds_its_parameters_and_nothing_of_the_data(name):
    layer, x, dy = example(name)
    before = {key for key in vars(layer) if key not in layer.state}
    _, cache = layer.forward(x, context())
    layer.backward(dy, cache)
    assert {key for key in vars(layer) if key not in layer.state} == before


@every_layer
@both_modes
def test_read_only_and_non_contiguous_arrays_will_do(name, training):
    layer, x, dy = example(name)
    y, cache = layer.forward(x, context(training))
    dx, grads = layer.backward(dy, cache)

    x_strided, dy_strided = np.asfortranarray(x), np.repeat(dy, 2, axis=-1)[..., ::2]
    x_strided.flags.writeable = dy_strided.flags.writeable = False
    y_again, cache = layer.forward(x_strided, context(training))
    dx_again, grads_again = layer.backward(dy_strided, cache)
    np.testing.assert_allclose(y_again, y, rtol=0, atol=1e-12)
    np.testing.assert_allclose(dx_again, dx, rtol=0, atol=1e-12)
    for p in layer.params:
        np.testing.assert_allclose(grads_again[p], grads[p], rtol=0, atol=1e-12)


@every_layer
@both_modes
@both_dtypes
def test_dtype_in_is_dtype_out_everywhere(name, training, dtype):
    layer, x, dy = example(name, dtype)
    y, cache = layer.forward(x, context(training))
    dx, grads = layer.backward(dy, cache)
    arrays = {"y": y, "dx": dx, **grads, **{f"own {a}": array for a, array in layer.arrays("params", "state").items()}}
    assert {key: str(array.dtype) for key, array in arrays.items()} == dict.fromkeys(arrays, dtype)


@every_layer
@both_modes
def test_float32_agrees_with_float64_to_rounding(name, training):
    layer, x, dy = example(name, "float64")
    single, _, _ = example(name, "float32")
    for name, array in layer.arrays("params", "state").items():  # the same numbers to begin with
        array[...] = single.arrays("params", "state")[name]
    x32, dy32 = x.astype(np.float32), dy.astype(np.float32)
    y, cache = layer.forward(x32.astype(np.float64), context(training))
    y32, cache32 = single.forward(x32, context(training))
    np.testing.assert_allclose(y32, y, rtol=0, atol=1e-5)
    dx, _ = layer.backward(dy32.astype(np.float64), cache)
    dx32, _ = single.backward(dy32, cache32)
    np.testing.assert_allclose(dx32, dx, rtol=0, atol=1e-5)


@every_layer
def test_build_foretells_the_shape_that_forward_gives(name):
    make, shape = EXAMPLES[name]
    layer = make()
    promised = layer.build(shape, np.random.default_rng(0))
    y, _ = layer.forward(np.zeros((2, *shape), np.float32), context(training=False))
    assert y.shape == (2, *promised)
    assert all(type(size) is int for size in promised)


@every_layer
def test_gradients_have_the_names_and_shapes_of_the_parameters(name):
    layer, x, dy = example(name)
    dx, grads = layer.backward(dy, layer.forward(x, context())[1])
    assert dx.shape == x.shape
    assert {p: g.shape for p, g in grads.items()} == {p: a.shape for p, a in layer.arrays("params").items()}
    assert set(layer.arrays("params")) == set(layer.params) and set(layer.arrays("state")) == set(layer.state)


@every_layer
def test_an_empty_batch_passes_through_in_evaluation(name):
    layer, x, dy = example(name)
    y, cache = layer.forward(x[:0], context(training=False))
    dx, grads = layer.backward(dy[:0], cache)
    assert y.shape == dy[:0].shape and dx.shape == x[:0].shape
    assert not any(g.any() for g in grads.values())


@every_layer
@both_modes
def test_examples_do_not_influence_each_other_but_through_batchnorm_in_training(name, training):
    layer, x, dy = example(name, n=4)
    if "batchnorm" in name.lower() and training:
        pytest.skip("the batch's mean and variance are what it is about")
    y, cache = layer.forward(x, context(training))
    dx, _ = layer.backward(dy, cache)
    alone, cache = layer.forward(x[2:3], context(training, first=2))
    dx_alone, _ = layer.backward(dy[2:3], cache)
    np.testing.assert_allclose(alone[0], y[2], rtol=0, atol=1e-12)
    np.testing.assert_allclose(dx_alone[0], dx[2], rtol=0, atol=1e-12)


@every_layer
@both_modes
def test_one_layer_serves_eight_threads_at_once(name, training):
    layer, x, dy = example(name, "float32", n=40)
    parts = [slice(5 * i, 5 * i + 5) for i in range(8)]
    start = threading.Barrier(8)

    def work(part):
        y, cache = layer.forward(x[part], context(training, first=part.start))
        return y, *layer.backward(dy[part], cache)

    def work_with_the_others(part):
        start.wait(timeout=60)
        return [work(part) for _ in range(5)]

    serial = [work(part) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        for (y, dx, grads), results in zip(serial, pool.map(work_with_the_others, parts), strict=True):
            for y_again, dx_again, grads_again in results:
                np.testing.assert_array_equal(y_again, y)
                np.testing.assert_array_equal(dx_again, dx)
                for p in layer.params:
                    np.testing.assert_array_equal(grads_again[p], grads[p])


@every_layer
def test_a_misspelt_attribute_raises(name):
    layer, _, _ = example(name)
    with pytest.raises(AttributeError):
        _ = layer.paramz
