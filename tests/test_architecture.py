"""What a description of a network may say."""

import inspect
import json

import pytest

import scratchnet as sn
from scratchnet import ModelFileError
from scratchnet.layers import LAYERS
from scratchnet.model import from_config
from scratchnet.saving.architecture import ARGUMENTS, FRACTION, NUMBER, make_layers


def description(layers=(), **entries):
    return {"input_shape": [8, 8, 1], "seed": 0, "dtype": "float32", "class_names": None, "layers": layers} | entries


def test_every_argument_of_every_layer_has_a_type_and_a_range():
    assert {name for cls in LAYERS.values() for name in inspect.signature(cls).parameters} == set(ARGUMENTS)


@pytest.mark.parametrize("argument", sorted(ARGUMENTS))
@pytest.mark.parametrize(
    "value", [None, [], {}, "os.system", float("nan"), float("inf"), -(10**9), 10**30, [3, 3, 3], [1, "1"], [[1], 1]]
)
def test_what_no_argument_may_be(argument, value):
    cls = next(kind for kind, cls in LAYERS.items() if argument in inspect.signature(cls).parameters)
    with pytest.raises(ModelFileError, match=rf"layer 0 \({cls}\): {argument} must be .*; got "):
        if ARGUMENTS[argument] is NUMBER and value == -(10**9):
            value = "1"  # any finite number is a scale
        if argument in ("activation", "shortcut") and value is None:
            value = "none"  # a file may say that there is none
        make_layers(description([{"class": cls, argument: value}]))


@pytest.mark.parametrize(("argument", "value"), [
    ("filters", True), ("filters", 2.0), ("filters", 0), ("filters", 2**20 + 1), ("kernel_size", [3, 0]),
    ("padding", "Same"), ("padding", -1), ("use_bias", 1), ("initializer", "os"), ("stride", 2**20 + 1),
])  # fmt: skip
def test_a_value_of_another_type_or_out_of_range_is_refused(argument, value):
    layer = {"class": "Conv2D", "filters": 2, "kernel_size": 3, argument: value}
    with pytest.raises(ModelFileError, match=rf"layer 0 \(Conv2D\): {argument} must be"):
        make_layers(description([layer]))


def test_true_is_not_one_and_one_half_is_a_fraction():
    assert not NUMBER.holds(True) and not FRACTION.holds(False)
    assert FRACTION.holds(0) and FRACTION.holds(0.5) and not FRACTION.holds(1)


@pytest.mark.parametrize(("entries", "message"), [
    ({"input_shape": [0]}, "input_shape must be"), ({"input_shape": []}, "input_shape must be"),
    ({"input_shape": 28}, "input_shape must"), ({"seed": -1}, "seed must be"), ({"seed": 2**128}, "seed must be"),
    ({"dtype": "float128"}, "dtype must be float32, float64"),
    ({"class_names": "abc"}, "class_names must be"), ({"class_names": [1]}, "class_names must be"),
    ({"class_names": ["x" * 201]}, "class_names must be .* at most 200 characters"),
    ({"class_names": ["\x1b[31m"]}, "class_names must be"),
    ({"layers": [{"class": "ReLU"}] * 1001}, "layers must be 1 to 1,000 times"),
    ({"loader": "os"}, "an unknown entry: 'loader'"),
])  # fmt: skip
def test_every_entry_of_a_description_has_its_bounds(entries, message):
    with pytest.raises(ModelFileError, match=message):
        make_layers(description(**{"layers": [{"class": "ReLU"}], **entries}))


def nested(depth, innermost=None):
    """A description of a Residual within a Residual within ..."""
    row = [innermost or {"class": "ReLU"}]
    for _ in range(depth):
        row = [{"class": "Residual", "layers": row, "shortcut": None}]
    return row


def test_a_residual_is_described_by_its_layers():
    row = [{"class": "Conv2D", "filters": 2, "kernel_size": 1, "use_bias": False}, {"class": "ReLU"}]
    made = make_layers(description([{"class": "Residual", "layers": row, "shortcut": row}]))
    assert repr(made) == (
        "[Residual([Conv2D(filters=2, kernel_size=1, use_bias=False), ReLU()], "
        "shortcut=[Conv2D(filters=2, kernel_size=1, use_bias=False), ReLU()])]"
    )
    assert len(make_layers(description(nested(4)))) == 1


def refusal(layers):
    with pytest.raises(ModelFileError) as error:
        make_layers(description(layers))
    return str(error.value)


def test_depth_and_number_of_layers_are_bounded_before_any_is_made(monkeypatch):
    def make(self, layers, shortcut=None):
        raise AssertionError("a layer was made")

    monkeypatch.setattr(sn.Residual, "__init__", make)
    assert refusal(nested(5)) == "more than 4 Residual blocks within each other"
    assert refusal(nested(900)) == "more than 4 Residual blocks within each other"
    relus = [{"class": "ReLU"}] * 500
    block = {"class": "Residual", "layers": relus, "shortcut": relus}
    assert refusal([block]) == "the model has 1,001 layers, where 1,000 are allowed"
    assert refusal([{"class": "Residual", "layers": [block] * 999}]).startswith("the model has 1,000,")
    for layers in ([], None, {"class": "ReLU"}, ["ReLU"]):
        message = "layer 0 (Residual): layers must be 1 to 1,000 times a description of a layer; got "
        assert message in refusal([{"class": "Residual", "layers": layers}])


@pytest.mark.parametrize(("inner", "message"), [
    ({"class": "os.system"}, r"layer 1 \(Residual\), layers: layer 0 is a 'os.system', which is not one of"),
    ({"class": "Dense", "units": 0}, r"layer 1 \(Residual\), layers: layer 0 \(Dense\): units must be"),
    ({"class": "Dense"}, r"layer 1 \(Residual\), layers: layer 0 \(Dense\) lacks units"),
    ({"class": "Dense", "units": 2, "activation": "relu"}, r"layer 0 \(Dense\): activation must be null"),
])  # fmt: skip
def test_a_mistake_within_a_residual_says_where(inner, message):
    with pytest.raises(ModelFileError, match=message):
        make_layers(description([{"class": "ReLU"}, *nested(1, inner)]))


def test_a_value_that_the_constructor_refuses_says_where_too():
    with pytest.raises(ValueError, match=r"layer 1 \(Residual\), layers: layer 0 \(BatchNorm\): BatchNorm epsilon"):
        make_layers(description([{"class": "ReLU"}, *nested(1, {"class": "BatchNorm", "epsilon": 0})]))


def test_sizes_within_a_residual_are_compared_before_anything_is_built():
    """Half a terabyte of weights, or of pixels, is asked for by a few digits."""
    wide = [{"class": "Dense", "units": 2**18}, {"class": "Dense", "units": 2**18}, {"class": "Dense", "units": 8}]
    far = [{"class": "ZeroPadding2D", "padding": 2**20}, {"class": "ReLU"}]
    for row, shape, message in (
        (wide, [8], "0.residual.1.dense.W is missing"),
        (far, [8, 8, 1], "numbers per example"),
    ):
        config = description([{"class": "Residual", "layers": row, "shortcut": None}], input_shape=shape)
        with pytest.raises(ValueError, match=message):
            from_config(config, "numpy", arrays={})


def test_errors_quote_no_more_than_a_line_of_a_file():
    with pytest.raises(ModelFileError) as error:
        make_layers(description([{"class": "x" * 10**6}]))
    assert len(str(error.value)) < 400


def test_an_error_says_in_which_layer_it_is():
    with pytest.raises(ValueError, match=r"layer 1 \(Dense\): expects flat input"):
        from_config(description([{"class": "ReLU"}, {"class": "Dense", "units": 2}]), "numpy")
    with pytest.raises(
        ValueError, match=r"layer 0 \(BatchNorm\): BatchNorm epsilon must be positive, got 0|layer 0 .*epsilon"
    ):
        make_layers(description([{"class": "BatchNorm", "epsilon": 0}]))


def test_class_names_are_one_for_each_output():
    for names, message in [
        (["a"], "1 names for 2 outputs"), (["a", "b\n"], "controls a terminal"), (["a", "b" * 201], "at most 200"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            sn.Sequential([sn.Dense(2)], (3,), engine="numpy", class_names=names)


def test_class_names_may_be_in_any_script():
    names = ["nem\u200ctavanad", "\u3042\u3000\u3044", "\U0001f469\u200d\U0001f52c", "d\u00e9j\u00e0 vu"]
    model = sn.Sequential([sn.Dense(4)], (3,), engine="numpy", class_names=names)
    assert from_config(json.loads(json.dumps(model.config())), "numpy").class_names == names


def test_a_description_is_plain_json():
    model = sn.Sequential([sn.Conv2D(2, (3, 1)), sn.MaxPool2D(2)], (8, 8, 1), engine="numpy")
    assert from_config(json.loads(json.dumps(model.config())), "numpy").config() == model.config()
