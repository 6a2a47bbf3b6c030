"""Predictions are compared before they are timed: weights that give different answers, limits that can be missed."""

import agreement
import nets
import numpy as np
import pytest
from driver import VARIANTS
from peers import ours

import scratchnet as sn
from scratchnet.zoo import PRESETS

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 28, 28)).astype(np.uint8)


def textbook(net, initial):
    """Class probabilities in float64."""
    layers = [sn.Rescale(), *map(ours.module, net)]
    model = sn.Sequential(layers, (28, 28, 1), engine="numpy", dtype="float64")
    for array, values in zip(model.parameters().values(), initial, strict=True):
        array[...] = values
    return model.predict(IMAGES)


def decided(net):
    initial = nets.without_zeros(nets.weights(net))
    return nets.decided(initial, textbook(net, initial))


def test_default_is_the_preset_layer_for_layer():
    layers = [sn.Rescale(), *map(ours.module, nets.NETS["default"])]
    assert list(map(repr, layers)) == list(map(repr, PRESETS["default"](10).layers))


def test_untrained_networks_have_one_answer_and_decided_ones_many():
    net = nets.NETS["two-conv"]
    assert len(set(textbook(net, nets.weights(net)).argmax(axis=1))) < 3
    found = textbook(net, decided(net))
    assert len(set(found.argmax(axis=1))) > 5
    logits = np.log(found) - np.log(found).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(logits.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(logits.std(), 1.5)


def test_no_bias_gamma_or_beta_is_left_at_zero_or_one():
    net = nets.NETS["vgg-bn"]
    before, after = nets.weights(net), nets.without_zeros(nets.weights(net))
    vectors = [array for array in after if array.ndim == 1]
    assert len(vectors) == 12 and not any(np.isin(array, (0, 1)).any() for array in vectors)
    assert all((a == b).all() for a, b in zip(before, after, strict=True) if a.ndim > 1)


@pytest.mark.parametrize(
    "wrong", ["rows of the first dense layer in the order (c, h, w)", "no bias", "filters mirrored"]
)
def test_a_network_with_a_mistake_is_beyond_every_limit(wrong):
    net = nets.NETS["two-conv"]
    initial = decided(net)
    exact, broken = textbook(net, initial), list(initial)
    if wrong.startswith("rows"):
        broken[4] = initial[4].reshape(5, 5, 64, -1).transpose(2, 0, 1, 3).reshape(initial[4].shape)
    elif wrong == "no bias":
        broken[3] = 0 * initial[3]
    else:
        broken[0] = initial[0][::-1]
    found = textbook(net, broken)
    for name in ("scratchnet", "openvino-bf16", "openvino-int8"):
        assert agreement.deviation(found, exact, name) > agreement.limit(name)


def test_eight_bits_may_decide_near_ties_as_they_like_but_nothing_else():
    exact = np.array([[0.9, 0.1], [0.52, 0.48], [0.1, 0.9], [0.48, 0.52]])
    assert agreement.deviation(exact[:, ::-1], exact, "openvino-int8") == 1
    assert agreement.deviation(np.array([[1, 0], [0, 1], [0, 1], [1, 0]]), exact, "openvino-int8") == 0


def test_where_every_image_is_a_tie_eight_bits_are_not_within_their_limit():
    exact = np.full((4, 2), 0.5)
    with pytest.warns(RuntimeWarning):
        assert not agreement.deviation(exact, exact, "openvino-int8") <= agreement.limit("openvino-int8")


def test_the_textbook_in_a_worker_agrees_with_itself_in_float32(monkeypatch):
    class Arguments:
        threads, pythons = 1, {}

    data = {"x": np.tile(IMAGES, (4, 1, 1)), "y": np.zeros(256), "order": np.arange(256)}
    with agreement.Lineup(["textbook"], 1, data) as workers:
        found = agreement.start(workers, Arguments, data, nets.NETS["two-conv"])
        assert 0 < found["textbook"] < 1e-4
        monkeypatch.setitem(agreement.LIMITS, "float32", 0.0)
        with pytest.raises(agreement.NotEqual, match="textbook: largest difference"):
            agreement.start(workers, Arguments, data, nets.NETS["two-conv"])


def test_every_variant_has_a_limit():
    assert {variant.precision for variant in VARIANTS.values()} == set(agreement.LIMITS)
