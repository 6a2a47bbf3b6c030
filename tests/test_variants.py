"""Wider, narrower, with another dropout: what changes, and that nothing else does."""

import pytest

import scratchnet as sn
from scratchnet.variants import hidden_widths, with_dropout, with_widths
from scratchnet.zoo import PRESETS

every_preset = pytest.mark.parametrize("name", PRESETS)


def model_of(layers):
    return sn.Sequential(layers, (28, 28, 1), engine="numpy")


@every_preset
def test_the_hidden_layers_of_a_built_model_have_the_widths_that_were_asked_for(name):
    layers = PRESETS[name](10).layers
    asked = [8 * (i + 1) for i in range(len(hidden_widths(layers)))]
    model = model_of(with_widths(layers, asked))
    outputs = [W.shape[-1] for key, W in model.parameters().items() if key.endswith(".W") and ".residual." not in key]
    assert outputs == ([16, 10] if name == "resnet" else [*asked, 10])  # resnet's first layer feeds a block


@every_preset
def test_the_widths_that_a_network_has_make_the_same_network(name):
    layers = PRESETS[name](10).layers
    same = model_of(with_widths(layers, hidden_widths(layers)))
    assert same.config() == model_of(PRESETS[name](10).layers).config()


def test_a_wrong_number_of_widths_is_refused_with_the_right_one():
    with pytest.raises(ValueError, match=r"has 3 hidden layers \(32, 64, 128\), got 2 widths"):
        with_widths(PRESETS["two-conv"](10).layers, [16, 32])


def test_dropout_is_changed_where_it_is_and_stands_before_the_last_layer_where_it_was_not():
    rates = [layer.rate for layer in with_dropout(PRESETS["vgg-bn"](10).layers, 0.2) if isinstance(layer, sn.Dropout)]
    assert rates == [0.2, 0.2]
    kinds = [type(layer).__name__ for layer in with_dropout(PRESETS["two-conv"](10).layers, 0.2)]
    assert kinds[-3:] == ["ReLU", "Dropout", "Dense"] and kinds.count("Dropout") == 1
    assert not any(isinstance(layer, sn.Dropout) for layer in with_dropout(PRESETS["two-conv"](10).layers, 0))
