"""The protocol: what a context gives, what a layer of one's own gets for nothing, what errors say."""

import json

import numpy as np
import pytest

from scratchnet import Context, Conv2D, Dense, Layer, MaxPool2D, ReLU
from scratchnet.layers.base import integer, pair


def test_alone_a_context_sums_over_nothing_and_updates_at_once():
    ctx, a, state = Context(), np.arange(3.0), np.zeros(2)
    assert ctx.sum(a) is a
    ctx.update(state, np.array([1.0, 2.0]))
    assert state.tolist() == [1, 2]
    assert not ctx.training and ctx.rng is None


def test_in_a_batch_of_chunks_only_the_first_updates_the_state():
    class Chunk:
        def __init__(self, index):
            self.index = index

        def sum(self, array):
            return array * 10

    state = np.zeros(1)
    for index in (2, 1, 0):
        ctx = Context(True, chunk=Chunk(index))
        ctx.update(state, state + 5)
        assert ctx.sum(np.ones(1)) == 10
    assert state == 5


def test_a_layer_without_forward_or_backward_says_what_is_missing():
    class Half(Layer):
        pass

    with pytest.raises(NotImplementedError, match=r"Half has no forward\(x, ctx\)"):
        Half().forward(np.zeros((1, 1)), Context())
    with pytest.raises(NotImplementedError, match=r"Half has no backward\(dy, cache\)"):
        Half().backward(np.zeros((1, 1)), None)
    assert Half().build((3, 2), np.random.default_rng(0)) == (3, 2)


def test_a_misspelt_attribute_is_an_error_and_not_none():
    with pytest.raises(AttributeError, match="wieghts"):
        _ = Dense(3).wieghts


def test_repr_shows_the_call_that_makes_the_layer():
    assert repr(ReLU()) == "ReLU()"
    assert repr(Dense(10)) == "Dense(units=10)"
    assert eval(repr(Conv2D(8, (3, 5), padding="same"))).config() == Conv2D(8, (3, 5), padding="same").config()


@pytest.mark.parametrize(
    "layer", [Conv2D(8, (3, 5), 2, 1, False, "glorot"), MaxPool2D((2, 3), 1), Dense(4, False, "he")]
)
def test_config_makes_an_equal_layer_even_after_json(layer):
    again = type(layer)(**json.loads(json.dumps(layer.config())))
    assert again.config() == layer.config()
    assert vars(again) == vars(layer)


def test_a_layer_that_does_not_keep_its_argument_is_told_to():
    class Forgetful(Layer):
        def __init__(self, size):
            self.half = size // 2

    assert repr(Forgetful(4)) == "Forgetful()"
    message = r"Forgetful must keep its argument 'size' under that name, self\.size = size"
    with pytest.raises(AttributeError, match=message):
        Forgetful(4).config()


def test_integer_accepts_numpys_integers_and_nothing_that_only_looks_like_one():
    assert integer(np.int64(3), "size", 1) == 3 and type(integer(np.uint8(3), "size", 1)) is int
    for value in (True, 3.0, "3", None, 0):
        with pytest.raises(ValueError, match="size must be an integer of at least 1"):
            integer(value, "size", 1)


def test_one_size_stands_for_height_and_width():
    assert pair(3, "size") == (3, 3) and pair([3, 5], "size") == (3, 5)
