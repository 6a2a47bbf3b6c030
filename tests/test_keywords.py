"""The names that other libraries give to arguments and methods lead to the names that they have here."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.keywords import ABSENT, EVERYWHERE, ONLY_IN
from tests.test_model import network


def fit(**options):
    return network().fit(np.zeros((2, 10, 10)), [0, 1], verbose=False, **options)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: sn.Conv2D(32, 3, strides=2), r"Conv2D has no argument 'strides'. Use stride. It accepts: filters"),
    (lambda: sn.Conv2D(32, 3, kernel_initializer="he_normal"), "Use initializer"),
    (lambda: sn.Conv2D(in_channels=1, out_channels=32, kernel_size=3), "'in_channels'. The number of inputs is found"),
    (lambda: sn.Conv2D(32, 3, dilation_rate=2), "Not supported"),
    (lambda: sn.Conv2D(32, 3, input_shape=(28, 28, 1)), r"Sequential\(layers, input_shape=\(28, 28, 1\)\)"),
    (lambda: sn.Conv2D(filter=32, kernel_size=3), "Did you mean filters?"),
    (lambda: sn.MaxPool2D(strides=2), "MaxPool2D has no argument 'strides'. Use stride."),
    (lambda: sn.MaxPool2D(kernel_size=2), "Did you mean pool_size"),
    (lambda: sn.Dense(out_features=10), "Use units"),
    (lambda: sn.BatchNorm(activation="relu"), r"Put an activation behind it: BatchNorm\(\), ReLU\(\)"),
    (lambda: sn.LeakyReLU(negative_slope=0.2), "Use slope"),
    (lambda: sn.LeakyReLU(alpha=0.2), "Use slope"),
    (lambda: sn.GELU(approximate=False), "takes no arguments|The exact form is computed"),
    (lambda: sn.Conv2D(8, 3, groups=8), "DepthwiseConv2D"),
    (lambda: sn.Dense(784, 10), "Dense use_bias must be True or False, got 10. The number of inputs is found"),
    (lambda: sn.Conv2D(3, 32, 3, 1, "valid", 16), "Conv2D use_bias must be True or False, got 'valid'"),
    (lambda: sn.Dropout(p=0.5), "Use rate"),
    (lambda: sn.BatchNorm(eps=1e-5), "Use epsilon"),
    (lambda: sn.BatchNorm(num_features=32), "leave it out"),
    (lambda: sn.Adam(learning_rate=1e-3), "Adam has no argument 'learning_rate'. Use lr."),
    (lambda: sn.Adam(epsilon=1e-3), "Use eps"),
    (lambda: sn.SGD(weight_decay=1e-3), "AdamW"),
    (lambda: sn.SoftmaxCrossEntropy(from_logits=True), "always computed from logits"),
    (lambda: network(optimizer="adam"), "Sequential has no argument 'optimizer'. The optimizer goes to fit"),
    (lambda: network(random_state=1), "Use seed"),
    (lambda: fit(steps_per_epoch=3), "fit has no argument 'steps_per_epoch'. An epoch is one pass over x"),
    (lambda: fit(workers=3), "set_threads"),
    (lambda: fit(learning_rate=1), "The rate belongs to the optimizer"),
    (lambda: fit(epoch=1), "Did you mean epochs?"),
    (lambda: fit(qqq=1), "fit has no argument 'qqq'.  ?It accepts: x, y, epochs"),
    (lambda: network().predict(np.zeros((1, 10, 10)), verbose=0), "predict has no argument 'verbose'. Nothing is"),
    (lambda: network().evaluate(np.zeros((1, 10, 10)), [0], verbose=0), "evaluate has no argument 'verbose'"),
    (lambda: network().fit(np.zeros((2, 10, 10)), [0, 1], 5), "fit takes x, y by position, the rest by name: epochs="),
    (lambda: sn.Dense(128, "relu"), r"use_bias must be .* An activation is given by name: .*activation='relu'\)"),
    (lambda: sn.Sequential(sn.Dense(10), (3,)), r"layers must be a list: Sequential\(\[Flatten"),
    (lambda: fit(callbacks="EarlyStopping"), "callbacks must be Callback objects, got 'EarlyStopping'"),
    (lambda: sn.load_model("m", custom_objects={}), r"layers=\[YourLayer\]"),
])  # fmt: skip
def test_an_argument_of_another_library_is_translated(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("name", ABSENT)
def test_a_method_of_another_library_is_explained(name):
    model = network()
    assert not hasattr(model, name)
    with pytest.raises(AttributeError, match=f"a Sequential has no {name}. "):
        getattr(model, name)


def test_other_errors_of_a_call_are_left_as_they_are():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'units'"):
        sn.Dense()
    with pytest.raises(TypeError, match=r"epochs must be an integer"):
        fit(epochs=1.5)


def test_padding_in_capitals_is_recognised():
    with pytest.raises(ValueError, match=r'padding must be "valid", "same" .*, got .SAME.. Did you mean "same"?'):
        sn.Conv2D(32, 3, padding="SAME")


def test_the_advice_for_a_name_is_a_name_or_a_sentence():
    for words in (*EVERYWHERE.values(), *ONLY_IN.values(), *ABSENT.values()):
        for text in words if isinstance(words, tuple) else [words]:
            assert text.isidentifier() or (text[0].isupper() and not text.endswith("."))
