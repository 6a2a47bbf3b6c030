"""Mistakes are found when the model is built, and the error says where, what, and what to do."""

import numpy as np
import pytest

import scratchnet as sn
from tests.test_model import network


def build(*layers, input_shape=(28, 28, 1), **options):
    return sn.Sequential(list(layers), input_shape, engine="numpy", **options)


def test_dense_on_images_says_where_and_what_to_do():
    with pytest.raises(ValueError) as error:
        build(sn.Conv2D(32, 3), sn.ReLU(), sn.MaxPool2D(2), sn.Conv2D(64, 3), sn.MaxPool2D(2), sn.Dense(10))
    expected = "layer 5 (Dense): expects flat input (n, features), got (n, 5, 5, 64). Put Flatten() before it."
    assert str(error.value) == expected


@pytest.mark.parametrize(("layers", "message"), [
    ([sn.Flatten(), sn.Conv2D(2, 3)], r"layer 1 \(Conv2D\): expects images .*, got \(n, 784\). Put it before Flatten"),
    ([sn.Dense], r"layer 0 must be a Layer, got <class '.*Dense'>. Write Dense\(\) with parentheses."),
    ([sn.Flatten(), 3], "layer 1 must be a Layer, got 3"),
    ([sn.Conv2D(2, 29)], r"layer 0 \(Conv2D\): a window of 29×29 does not fit into the input of 28×28"),
    ([], "a model needs at least one layer"),
])  # fmt: skip
def test_a_mistake_in_the_layers_says_where(layers, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build(*layers)


def test_one_layer_cannot_stand_in_two_places():
    relu = sn.ReLU()
    with pytest.raises(ValueError, match=r"layer 2 \(ReLU\) stands in the model twice. Make a second one."):
        build(relu, sn.Conv2D(2, 3), relu)


@pytest.mark.parametrize(("options", "message"), [
    ({"dtype": "int32"}, "dtype must be a floating type, got int32"),
    ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
    ({"seed": None}, "seed must be an integer of at least 0, got None"),
    ({"input_shape": (28, 28, 0)}, "each size in input_shape must be an integer of at least 1, got 0"),
    ({"input_shape": (28, None, 1)}, "each size in input_shape must be an integer of at least 1, got None"),
    ({"input_shape": (28, 28)}, r"layer 0 \(Conv2D\): expects images .*, got \(n, 28, 28\).* input_shape of three"),
])  # fmt: skip
def test_a_wrong_argument_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        build(sn.Conv2D(2, 3), **options)


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match='engine must be "numba" or "numpy", got \'cuda\''):
        sn.Sequential([sn.ReLU()], (3,), engine="cuda")


def test_a_misspelt_attribute_raises():
    with pytest.raises(AttributeError):
        _ = network().paramters


def test_layers_of_one_model_cannot_be_given_to_a_second():
    layers = [sn.Flatten(), sn.Dense(3)]
    first = sn.Sequential(layers, (4, 4, 1), seed=1)
    weights = first.parameters()["1.dense.W"].copy()
    with pytest.raises(ValueError, match=r"layer 0 \(Flatten\) belongs to another model"):
        sn.Sequential(layers, (4, 4, 1), seed=2)
    np.testing.assert_array_equal(first.parameters()["1.dense.W"], weights)
