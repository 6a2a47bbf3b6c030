"""activation="relu" is the layer ReLU() behind, and nothing else."""

import json

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import Context, Conv2D, Dense, DepthwiseConv2D
from scratchnet.layers.named_activations import ACTIVATIONS


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_named_activation_becomes_a_layer_of_the_model(name, engine):
    short = [
        Conv2D(4, 3, activation=name),
        DepthwiseConv2D(3, activation=name),
        sn.Flatten(),
        Dense(5, activation=name),
    ]
    kind = ACTIVATIONS[name]
    long = [Conv2D(4, 3), kind(), DepthwiseConv2D(3), kind(), sn.Flatten(), Dense(5), kind()]
    one, other = (sn.Sequential(layers, (8, 8, 1), engine=engine) for layers in (short, long))
    assert repr(one) == repr(other) and one.config() == other.config()
    assert list(one.parameters()) == list(other.parameters())
    x = np.random.default_rng(0).standard_normal((3, 8, 8))
    np.testing.assert_array_equal(one.forward(x), other.forward(x))


def test_the_file_holds_both_layers(tmp_path):
    model = sn.Sequential([Dense(3, activation="tanh"), Dense(2, activation="linear")], (4,), engine="numpy")
    model.save(tmp_path / "m")
    config = json.loads(json.dumps(model.config()))["layers"]
    assert [layer["class"] for layer in config] == ["Dense", "Tanh", "Dense"]
    assert not any("activation" in layer for layer in config)
    assert repr(sn.load_model(tmp_path / "m", "numpy")) == repr(model)


@pytest.mark.parametrize("none", [None, "linear", "Linear"])
def test_linear_is_no_layer(none):
    assert len(sn.Sequential([Dense(3, activation=none)], (4,), engine="numpy").layers) == 1


def test_names_may_be_written_in_capitals():
    assert repr(sn.Sequential([Dense(3, activation="ReLU")], (4,), engine="numpy").layers) == "(Dense(units=3), ReLU())"


def test_the_layer_that_was_passed_is_the_one_in_the_model():
    dense = Dense(3, activation="relu")
    model = sn.Sequential([dense], (4,), engine="numpy")
    assert model.layers[0] is dense and dense.W is model.parameters()["0.dense.W"] and dense.activation is None


def test_a_model_that_could_not_be_built_has_not_taken_the_activation_away():
    layers = [Conv2D(3, 3, activation="relu"), sn.Flatten()]
    with pytest.raises(ValueError, match="expects images"):
        sn.Sequential(layers, (8, 8))
    assert len(sn.Sequential(layers, (8, 8, 1), engine="numpy").layers) == 3


def test_within_a_residual_it_becomes_a_layer_of_the_branch(rng):
    block = sn.Residual([Dense(4, activation="relu"), Dense(4)], shortcut=Dense(4, activation="tanh"))
    assert repr(block) == "Residual([Dense(units=4), ReLU(), Dense(units=4)], shortcut=[Dense(units=4), Tanh()])"
    again = eval(repr(block), vars(sn))
    assert again.config() == block.config()
    block.build((4,), rng)
    assert block.layers[0].activation is None
    sn.gradcheck(block, rng.standard_normal((3, 4)), verbose=False)


@pytest.mark.parametrize("layer", [Conv2D(2, 1, activation="relu"), DepthwiseConv2D(1, activation="relu"),
                                   Dense(2, activation="relu")])  # fmt: skip
def test_alone_such_a_layer_is_an_error_that_says_what_to_write(layer, rng):
    shape = (4,) if isinstance(layer, Dense) else (4, 4, 2)
    layer.build(shape, rng)
    kind = type(layer).__name__
    message = rf"{kind}: activation='relu' becomes a layer of its own .* write both: {kind}\(...\) and ReLU\(\)"
    with pytest.raises(ValueError, match=message):
        layer.forward(rng.standard_normal((2, *shape)), Context())


def test_an_unknown_name_lists_the_known_ones():
    message = "Conv2D activation must be one of 'linear', 'relu', 'leaky_relu', .*'softmax', or None; got 'rely'"
    with pytest.raises(ValueError, match=message):
        Conv2D(2, 3, activation="rely")


@pytest.mark.parametrize("value", [3, sn.ReLU(), sn.ReLU, np.tanh])
def test_a_layer_or_a_function_goes_behind_it(value):
    with pytest.raises(TypeError, match=r"a layer of its own behind it: \[Dense\(...\), LeakyReLU\(0.1\)\]"):
        Dense(2, activation=value)


def test_variants_of_a_network_keep_its_activations():
    from scratchnet.variants import with_widths

    layers = with_widths(
        [Conv2D(8, 3, activation="relu"), sn.Flatten(), Dense(16, activation="elu"), Dense(10)], [4, 6]
    )
    assert [type(layer).__name__ for layer in sn.Sequential(layers, (8, 8, 1), engine="numpy").layers] == [
        "Conv2D", "ReLU", "Flatten", "Dense", "ELU", "Dense",
    ]  # fmt: skip


def test_a_layer_of_ones_own_may_have_an_argument_of_that_name():
    class Bent(sn.Layer):
        def __init__(self, activation="relu"):
            self.activation = activation

        def forward(self, x, ctx):
            return np.maximum(x, 0), x > 0

        def backward(self, dy, positive):
            return dy * positive, {}

    model = sn.Sequential([Bent(), Dense(2)], (3,), engine="numpy")
    assert len(model.layers) == 2 and model.config()["layers"][0] == {"class": "Bent", "activation": "relu"}
