"""Files of Keras read without Keras: samples that Keras wrote, and forgeries of them."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.interop.hdf5_writer import write_hdf5
from scratchnet.interop.keras_layers import NEUTRAL
from tests.interop.samples import expected, names, pixels, sample

ROOT = Path(__file__).parents[2]
SHAPE = (8, 8, 1)
MODELS = [name for name in expected() if ".weights." not in name]
WHOLE = [name for name in MODELS if name.endswith(".keras")]


def load(path, rescale=1 / 255, engine="numpy"):
    """The model in a file, without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sn.load_keras(path, rescale=rescale, engine=engine)


def notes(path, rescale=1):
    """The warnings of a load."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sn.load_keras(path, rescale, engine="numpy")
    return [str(one.message) for one in caught]


def archive(members):
    """A .keras file with these members: name -> bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return packed.getvalue()


def members(name):
    """The members of a .keras sample."""
    with zipfile.ZipFile(io.BytesIO(sample(name))) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


@pytest.fixture
def write(tmp_path):
    """Write a file; its path."""

    def written(content, name="m.keras"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return written


@pytest.fixture
def changed(write):
    """Write the sample sequential.keras after its configuration was changed."""

    def written(change, name="sequential.keras"):
        parts = members(name)
        config = json.loads(parts["config.json"])
        change(config["config"]["layers"])
        return write(archive({**parts, "config.json": json.dumps(config)}))

    return written


def layer(kind, name="new", **config):
    """A description of a layer, as Keras 3 writes it."""
    return {
        "module": "keras.layers", "class_name": kind, "registered_name": None,
        "config": {"name": name, "trainable": True, "dtype": "float32", **config},
    }  # fmt: skip


# what is read


@pytest.mark.parametrize("name", MODELS)
def test_samples_give_the_logits_that_keras_computed(name, write):
    about = expected()[name]
    model = load(write(sample(name), name), about["rescale"])
    np.testing.assert_allclose(model(pixels(SHAPE)), about["logits"], atol=1e-5)


def test_a_converted_model_is_a_model_like_any_other(write, tmp_path, engine):
    model = load(write(sample("residual.keras")), engine=engine)
    model.save(tmp_path / "ours.safetensors")
    np.testing.assert_array_equal(
        sn.load_model(tmp_path / "ours.safetensors", engine)(pixels(SHAPE)), model(pixels(SHAPE))
    )
    y = np.arange(4) % 3
    model.fit(pixels(SHAPE), y, epochs=1, batch_size=2, verbose=False)


def test_the_scale_of_the_pixels_is_the_first_layer(write):
    path = write(sample("sequential.keras"))
    assert repr(load(path, 1 / 255).layers[0]) == "Rescale()"
    assert (load(path, (2, -1)).layers[0].scale, load(path, (2, -1)).layers[0].offset) == (2.0, -1.0)
    x = pixels(SHAPE)
    np.testing.assert_allclose(load(path, 1)(x / np.float32(255)), load(path, 1 / 255)(x), atol=1e-6)


def test_without_a_scale_pixels_are_divided_by_255_and_that_is_said(write):
    path = write(sample("sequential.keras"))
    said = notes(path, None)
    assert len(said) == 1 and "does not say how pixels were scaled; taking pixels / 255" in said[0]
    assert notes(path, 1 / 255) == []
    np.testing.assert_array_equal(load(path, None)(pixels(SHAPE)), load(path, 1 / 255)(pixels(SHAPE)))


def test_a_file_with_a_scale_of_its_own_keeps_it_and_takes_no_other(write):
    path = write(sample("rescaling.keras"))
    assert notes(path, None) == []
    assert [type(one).__name__ for one in load(path, None).layers[:2]] == ["Rescale", "Conv2D"]
    with pytest.raises(ValueError, match="has a Rescaling layer of its own: leave out rescale=1"):
        sn.load_keras(path, rescale=1)


def test_what_is_left_out_is_said(write, changed):
    said = notes(write(sample("nested.keras")))
    assert any("left out, as they do nothing in a prediction: RandomFlip, RandomRotation" in one for one in said)

    def l1(layers):
        layers[1]["config"]["kernel_regularizer"] = {"class_name": "L1", "config": {"l1": 0.01}}

    assert any("layer 1, 'conv2d" in one and "act in training only" in one for one in notes(changed(l1)))


def test_l2_of_a_kernel_is_kept(changed):
    def l2(layers):
        layers[1]["config"]["kernel_regularizer"] = {"class_name": "L2", "config": {"l2": 0.25}}
        layers[-1]["config"]["kernel_regularizer"] = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.5}}

    path = changed(l2)
    assert [one.l2 for one in load(path).layers if hasattr(one, "l2")] == [0.25, 0.0, 0.5]
    assert notes(path) == []


@pytest.mark.parametrize("kind", sorted(NEUTRAL))
def test_layers_that_do_nothing_in_a_prediction_are_left_out(kind, changed):
    path = changed(lambda layers: layers.insert(1, layer(kind, factor=0.2)))
    np.testing.assert_allclose(load(path)(pixels(SHAPE)), expected()["sequential.keras"]["logits"], atol=1e-5)
    assert any(kind in one for one in notes(path))


def test_activations_at_the_end_say_what_predict_gives(changed):
    x = pixels(SHAPE)

    def ending(name):
        return load(changed(lambda layers: layers.append(layer("Activation", activation=name))))

    logits = ending("linear")(x)
    np.testing.assert_allclose(ending("softmax")(x), logits)
    np.testing.assert_allclose(ending("sigmoid")(x), logits)
    np.testing.assert_allclose(ending("sigmoid").predict(x), 1 / (1 + np.exp(-logits)), atol=1e-6)
    np.testing.assert_allclose(ending("softmax").predict(x).sum(axis=1), 1, atol=1e-6)


# weights alone


def twin():
    """The layers of sequential.keras."""
    return sn.Sequential([
        sn.Rescale(), sn.Conv2D(3, 3, padding="same"), sn.ReLU(), sn.BatchNorm(), sn.MaxPool2D(2),
        sn.DepthwiseConv2D(2), sn.LeakyReLU(0.2), sn.Flatten(), sn.Dense(4),
    ], SHAPE, engine="numpy")  # fmt: skip


def full_weights(**changes):
    """A .weights.h5 of the twin: addresses -> arrays."""
    rng = np.random.default_rng(0)
    shapes = {
        "conv2d": [(3, 3, 1, 3), (3,)], "batch_normalization": [(3,)] * 4,
        "depthwise_conv2d": [(2, 2, 3, 1), (3,)], "dense": [(27, 4), (4,)],
    }  # fmt: skip
    layers = {name: [rng.normal(size=shape).astype("f4") for shape in own] for name, own in shapes.items()}
    layers.update(changes)
    groups = {name: {"vars": dict(zip("0123", own, strict=False))} for name, own in layers.items() if own is not None}
    return {"layers": groups, "vars": {}}


def test_weights_are_matched_by_class_and_order(write):
    model, tree = twin(), full_weights()
    sn.load_keras_weights(model, write(write_hdf5(tree), "m.weights.h5"))
    flat = [array for own in tree["layers"].values() for array in own["vars"].values()]
    for mine, theirs in zip(model.get_weights(), flat, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_weights_of_files_before_keras_2_13_are_found(write):
    model, tree = twin(), full_weights()
    tree["_layer_checkpoint_dependencies"] = tree.pop("layers")
    sn.load_keras_weights(model, write(write_hdf5(tree), "m.weights.h5"))
    np.testing.assert_array_equal(model.layers[1].W, tree["_layer_checkpoint_dependencies"]["conv2d"]["vars"]["0"])


@pytest.mark.parametrize("name", ["keras1.h5", "keras22.h5"])
def test_weights_of_older_files_are_matched_by_order(name, write):
    layers = [sn.Rescale(), sn.Conv2D(2, 3, padding="same"), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(), sn.Dense(3)]
    model = sn.Sequential(layers, SHAPE, engine="numpy")
    sn.load_keras_weights(model, write(sample(name), name))
    np.testing.assert_allclose(model(pixels(SHAPE)), expected()[name]["logits"], atol=1e-5)


@pytest.mark.parametrize(("changes", "message"), [
    ({"dense": None}, "its weights have no 'layers/dense'"),
    ({"dense_1": [np.ones(3, "f4")]}, "its weights have 'dense_1', which the model has not"),
    ({"dense": [np.ones((27, 4), "f4")]}, "layer dense has 1 arrays in the file, and 2 in the model"),
    ({"dense": [np.ones((4, 27), "f4"), np.ones(4, "f4")]}, r"8.dense.W is float32 \(4, 27\), expected"),
])  # fmt: skip
def test_weights_of_another_model_are_refused_and_change_nothing(changes, message, write):
    model = twin()
    before = model.get_weights()
    with pytest.raises(sn.ModelFileError, match=message):
        sn.load_keras_weights(model, write(write_hdf5(full_weights(**changes)), "m.weights.h5"))
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_without_an_architecture_are_no_model(write):
    with pytest.raises(sn.ModelFileError, match=r"weights alone. Make the model here, then sn.load_keras_weights"):
        sn.load_keras(write(sample("sequential.weights.h5"), "m.weights.h5"))


def test_weights_of_a_shortcut_have_no_known_place(write):
    block = sn.Residual([sn.Conv2D(3, 3, padding="same")], shortcut=sn.Conv2D(3, 1))
    model = sn.Sequential([block, sn.Flatten(), sn.Dense(2)], SHAPE, engine="numpy")
    with pytest.raises(sn.ModelFileError, match="a shortcut has weights"):
        sn.load_keras_weights(model, write(sample("residual.keras")))


# what we write


def test_what_we_write_we_read(tmp_path):
    model = twin()
    for array in model.get_weights():
        assert array.dtype == np.float32
    sn.save_keras(model, tmp_path / "m.keras")
    again = load(tmp_path / "m.keras", None)
    np.testing.assert_allclose(again(pixels(SHAPE)), model(pixels(SHAPE)), atol=1e-6)
    assert again.count_params() == model.count_params()


def test_residual_blocks_that_we_write_we_read(tmp_path):
    """The graph is written in the older form of inbound_nodes, and its layers in the order of Keras."""

    def conv(filters=3, **more):
        return sn.Conv2D(filters, 3, padding="same", **more)

    inner = sn.Residual([conv(), sn.BatchNorm(), sn.ReLU(), conv()])
    block = sn.Residual([conv(4, stride=2), inner_of(4), sn.BatchNorm()], shortcut=[sn.Conv2D(4, 1, 2), sn.BatchNorm()])
    model = sn.Sequential([conv(), inner, sn.ReLU(), block, sn.GlobalAvgPool2D(), sn.Dense(3)], SHAPE, engine="numpy")
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, array.shape) for array in model.get_weights()])
    sn.save_keras(model, tmp_path / "m.keras")
    x = pixels(SHAPE) / np.float32(255)
    np.testing.assert_allclose(load(tmp_path / "m.keras", 1)(x), model(x), rtol=1e-5)


def inner_of(filters):
    """A block within a block."""
    return sn.Residual([sn.Conv2D(filters, 3, padding="same")])


def test_equal_models_give_equal_files(tmp_path):
    sn.save_keras(twin(), tmp_path / "a.keras")
    sn.save_keras(twin(), tmp_path / "b.keras")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def test_what_has_no_form_in_keras_is_one_error(tmp_path):
    class Own(sn.Layer):
        def forward(self, x, ctx):
            return x, None

    model = sn.Sequential([Own(), sn.MaxPool2D(3, padding=1), sn.Flatten(), sn.Dense(2)], SHAPE, engine="numpy")
    with pytest.raises(
        ValueError, match=r"0.own: Keras has no Own.*; 1.maxpool2d: a pool of Keras has no padding of 1"
    ):
        sn.save_keras(model, tmp_path / "m.keras")
    assert not (tmp_path / "m.keras").exists()
    with pytest.raises(ValueError, match=r'Keras expects the ending ".keras"'):
        sn.save_keras(twin(), tmp_path / "m.h5")


# what has no form here


def test_everything_without_a_form_here_is_one_error(changed):
    def change(layers):
        layers[1]["config"]["dilation_rate"] = [2, 2]
        layers.insert(2, layer("LSTM", "memory", units=3))
        layers.insert(3, layer("Lambda", "secret", function="code"))
        layers[-1]["config"]["activation"] = "softplus"
        layers[-2]["config"]["noise_shape"] = [1]

    with pytest.raises(sn.ModelFileError) as caught:
        load(changed(change))
    message = str(caught.value)
    for part in (
        "not everything in this model can be expressed here: layer 1, 'conv2d", "(Conv2D): dilation_rate=[2, 2]",
        "layer 2, 'memory' (LSTM): there is no such layer here",
        "layer 3, 'secret' (Lambda): it holds code, which is not run", "(Dropout): noise_shape=[1]",
        "(Dense): activation='softplus'",
    ):  # fmt: skip
        assert part in message, message


@pytest.mark.parametrize(("kind", "config", "message"), [
    ("Conv2D", {"filters": 2, "kernel_size": [3, 3], "groups": 3}, "groups=3"),
    ("Conv2D", {"filters": 2, "kernel_size": [3, 3], "padding": "causal"}, "padding='causal'"),
    ("Conv2D", {"filters": "many", "kernel_size": [3, 3]}, "filters must be an integer"),
    ("Conv2D", {"filters": 2, "kernel_size": [9, 9]}, "a window of 9×9 does not fit"),
    ("Conv2D", {"filters": 2, "kernel_size": [3, 3], "new_argument": 7}, "'new_argument'=7 is unknown"),
    ("Dense", {"units": 3}, r"expects flat input \(n, features\)"),
    ("MaxPooling2D", {"pool_size": 2, "padding": "full"}, "padding='full'"),
    ("BatchNormalization", {"axis": 1}, r"axis=\[1\] is not the last one"),
    ("BatchNormalization", {"renorm": True}, "renorm=True"),
    ("Dropout", {"rate": 1.0}, r"rate must be a number in \[0, 1\)"),
    ("Dropout", {"rate": None}, "rate is None, expected one number"),
    ("ReLU", {"max_value": 6.0}, "max_value=6.0"),
    ("ReLU", {"threshold": 1.0}, "threshold=1.0"),
    ("PReLU", {}, "there is no such layer here"),
    ("Softmax", {"axis": 1}, "axis=1"),
    ("Reshape", {"target_shape": [4, 16, 1]}, r"target_shape=\[4, 16, 1\] behind the first layer"),
    ("Cropping2D", {"cropping": [[1, 2], [0, 0]]}, r"cropping=\[\[1, 2\], \[0, 0\]\]"),
    ("ZeroPadding2D", {"padding": [1, 2, 3]}, "expected one size, two or four"),
    ("Rescaling", {"scale": [0.1, 0.2]}, r"scale is \[0.1, 0.2\], expected one number"),
    ("Normalization", {"invert": True}, "invert=True"),
    ("GlobalAveragePooling2D", {"keepdims": True}, "keepdims=True"),
    ("Activation", {"activation": "hard_sigmoid"}, "activation='hard_sigmoid'"),
    ("Activation", {"activation": {"class_name": "function", "config": "os.system"}}, "activation='os.system'"),
    ("RandomCrop", {"height": 4, "width": 4}, "there is no such layer here"),
    ("TFSMLayer", {"filepath": "/etc"}, "there is no such layer here"),
])  # fmt: skip
def test_an_argument_without_a_form_here_is_named(kind, config, message, changed):
    with pytest.raises(sn.ModelFileError, match=rf"layer 2, 'new' \({kind}\).*{message}"):
        load(changed(lambda layers: layers.insert(2, layer(kind, **config))))


@pytest.mark.parametrize("place", ["module", "registered_name"])
def test_a_layer_of_another_package_is_refused_whatever_its_class_is_called(place, changed):
    with pytest.raises(
        sn.ModelFileError, match=r"layer 1, .* \(Conv2D\): a layer of another package \('my.package>Conv2D'\)"
    ):
        load(changed(lambda layers: layers[1].__setitem__(place, "my.package>Conv2D")))


def test_channels_first_is_refused_with_a_way_out(changed):
    with pytest.raises(sn.ModelFileError, match=r'layers are "channels_first".*make the same layers with data_format='):
        load(changed(lambda layers: layers[1]["config"].__setitem__("data_format", "channels_first")))


@pytest.mark.parametrize(("shape", "message"), [
    ([None, None, None, 1], "the input has no fixed size"), ([None], "does not say the shape"), (7, "does not say"),
    ([None] + [8] * 5000, "does not say the shape"),
    ([None, "8", 8, 1], "no fixed size"), ([None, -8, 8, 1], "no fixed size"), ([None, True, 8, 1], "no fixed size"),
])  # fmt: skip
def test_an_input_without_a_size_is_refused(shape, message, changed):
    with pytest.raises(sn.ModelFileError, match=message):
        load(changed(lambda layers: layers[0]["config"].__setitem__("batch_shape", shape)))


# functional models


def rewired(name, change):
    """The bytes of a functional sample whose configuration was changed."""
    parts = members(name)
    config = json.loads(parts["config.json"])
    change(config["config"], {one["name"]: one for one in config["config"]["layers"]})
    return archive({**parts, "config.json": json.dumps(config)})


def inputs_of(one):
    return one["inbound_nodes"][0]["args"]


def concatenated(config, layers):
    next(one for one in layers.values() if one["class_name"] == "Add")["class_name"] = "Concatenate"


def shared(config, layers):
    one = next(one for one in layers.values() if one["class_name"] == "Conv2D")
    one["inbound_nodes"] *= 2


def two_outputs(config, layers):
    config["output_layers"] = [["a", 0, 0], ["b", 0, 0]]


def cycle(config, layers):
    names = [one["name"] for one in layers.values() if one["class_name"] == "Conv2D"]
    inputs_of(layers[names[0]])[0]["config"]["keras_history"][0] = names[1]


def unknown_source(config, layers):
    one = next(one for one in layers.values() if one["class_name"] == "Conv2D")
    inputs_of(one)[0]["config"]["keras_history"][0] = "nowhere"


def used_twice(config, layers):
    dense = next(one for one in layers.values() if one["class_name"] == "Dense")
    pool = next(one for one in layers.values() if one["class_name"] == "GlobalAveragePooling2D")
    second = copy.deepcopy(layers[next(name for name in layers if name.startswith("add"))])
    second["name"] = second["config"]["name"] = "last"
    inner = next(one for one in layers.values() if one["class_name"] == "ReLU")
    tensors = inputs_of(second)[0]
    tensors[0]["config"]["keras_history"][0], tensors[1]["config"]["keras_history"][0] = pool["name"], inner["name"]
    inputs_of(dense)[0]["config"]["keras_history"][0] = "last"
    config["layers"].append(second)


@pytest.mark.parametrize(("change", "message"), [
    (concatenated, r"Concatenate of 2 outputs. Only the sum \(Add\) of two paths from one layer has a form here"),
    (shared, "is used 2 times, expected once"),
    (two_outputs, "several output layers"),
    (cycle, "cycle"),
    (unknown_source, "receives the output of 'nowhere', which is not there"),
    (used_twice, "is used in several places that are not added"),
])  # fmt: skip
def test_a_graph_that_is_no_chain_with_sums_is_refused(change, message, write):
    with pytest.raises(sn.ModelFileError, match=message):
        load(write(rewired("residual.keras", change)))


# archives


def test_a_flipped_bit_of_an_archives_weights_is_found_by_its_crc(write):
    content = bytearray(sample("sequential.keras"))
    kernel = next(array for array in load(write(bytes(content))).parameters().values())
    content[bytes(content).index(kernel.tobytes())] ^= 1
    with pytest.raises(sn.ModelFileError, match="damaged: Bad CRC-32"):
        load(write(bytes(content)))


def test_an_archive_must_have_the_three_members_of_keras(write):
    parts = members("sequential.keras")
    for name in parts:
        with pytest.raises(
            sn.ModelFileError, match=r"a Keras archive has metadata.json, config.json and model.weights.h5"
        ):
            load(write(archive({other: content for other, content in parts.items() if other != name})))
    for name in ("code.py", "../escape", "/etc/passwd", "config.json/", "Config.json"):
        with pytest.raises(sn.ModelFileError, match="each once; got"):
            load(write(archive({**parts, name: b""})))
    load(write(archive({**parts, "assets/words.txt": b"ignored"})))


def test_a_member_may_not_stand_there_twice(write):
    parts, packed = members("sequential.keras"), io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w") as zipped:
        warnings.simplefilter("ignore")
        for name, content in (*parts.items(), ("config.json", parts["config.json"])):
            zipped.writestr(name, content)
    with pytest.raises(sn.ModelFileError, match="each once"):
        load(write(packed.getvalue()))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_members_are_refused_before_they_are_unpacked(method, write):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as zipped:
        for name, content in {**members("sequential.keras"), "config.json": b" " * (1 << 26)}.items():
            zipped.writestr(name, content)
    path = write(packed.getvalue())
    tracemalloc.start()
    try:
        with pytest.raises(sn.ModelFileError, match=r"is compressed. Keras stores its files as they are"):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def test_an_encrypted_member_is_refused(write):
    content = bytearray(archive(members("sequential.keras")))
    directory = bytes(content).index(b"PK\x01\x02")
    content[directory + 8] |= 1
    with pytest.raises(sn.ModelFileError, match="is encrypted"):
        load(write(bytes(content)))


def test_sharded_weights_are_refused_with_a_way_out(write):
    parts = members("sequential.keras")
    weights = parts.pop("model.weights.h5")
    path = write(archive({**parts, "model.weights.json": b"{}", "model_00000.weights.h5": weights}))
    with pytest.raises(sn.ModelFileError, match=r"its weights are in several files.*Save it again with model.save"):
        load(path)


@pytest.mark.parametrize("text", [
    b"", b"[]", b"null", b"{", b'{"class_name": "Sequential", "class_name": "Model"}', b'{"a": NaN}', b"[" * 100_000,
    b'{"class_name": 7, "config": {}}', b'{"class_name": "Sequential"}', b'{"class_name": "Sequential", "config": []}',
    b'{"class_name": "Sequential", "config": {"layers": [7]}}', b"\xff\xfe", b'{"class_name": "Lambda", "config": {}}',
    b'{"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": 7}]}}',
    b'{"class_name": "Sequential", "config": {"layers": [{"class_name": null, "config": {}}]}}',
])  # fmt: skip
def test_a_configuration_that_is_none_is_one_kind_of_error(text, write):
    with pytest.raises(sn.ModelFileError, match=r"m\.keras: "):
        load(write(archive({**members("sequential.keras"), "config.json": text})))


def test_what_is_no_keras_file_is_told_by_its_name(write, tmp_path):
    twin().save(tmp_path / "ours.safetensors")
    with pytest.raises(sn.ModelFileError, match=r"not a file of Keras, but .*sn.load_model"):
        sn.load_keras(tmp_path / "ours.safetensors")
    with pytest.raises(sn.ModelFileError, match="not a file of Keras, but a web page"):
        sn.load_keras(write(b"<!DOCTYPE html>"))
    with pytest.raises(FileNotFoundError, match="no such file"):
        sn.load_keras(tmp_path / "absent.keras")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        sn.load_keras(tmp_path)


# sizes that ask for gigabytes


@pytest.mark.parametrize(("change", "message"), [
    (lambda layers: layers[-1]["config"].__setitem__("units", 1 << 20), r"W has the shape .* expected \(27, 1048576\)"),
    (lambda layers: layers[1]["config"].__setitem__("filters", 1 << 20), r"W has the shape .* expected"),
    (lambda layers: layers[0]["config"].__setitem__("batch_shape", [None, 1 << 20, 1 << 20, 1]), "numbers per example"),
    (lambda layers: layers.insert(1, layer("ZeroPadding2D", padding=1 << 20)), "numbers per example"),
    (lambda layers: layers.extend(layer("ReLU", f"r{i}") for i in range(1001)), "more than 1,000 layers"),
])  # fmt: skip
def test_forged_sizes_are_refused_before_memory_is_asked_for(change, message, changed):
    path = changed(change)
    tracemalloc.start()
    try:
        with pytest.raises(sn.ModelFileError, match=message):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_samples_are_all_used():
    assert {*names(), "expected.json"} == {*expected(), "expected.json", "accepted.h5", "accepted.json"}


# thousands of forgeries


@pytest.mark.parametrize("profile", [(600, 0), pytest.param((5000, 1), marks=pytest.mark.long)])
def test_M10_a_changed_keras_file_is_refused_or_a_valid_model_and_loading_it_does_nothing_else(tmp_path, profile):
    """Random damage, and forgeries with a right checksum: see tests/interop/mutating.py."""
    pytest.importorskip("resource")
    command = [sys.executable, "-m", "tests.interop.mutating", str(tmp_path), *map(str, profile)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["wrong"] == [] and found["events"] == []
    assert found["refused"] > 0.5 * profile[0]
    assert found["grown"] < 128 << 20
