"""Make samples.zip, the files of the tests that need neither Keras nor h5py.

    python -m tests.interop.make_samples

Small models with random weights as Keras 3 writes them, and as Keras 1 and 2.2 did (written with h5py here, in the form
that their source has); what Keras computes from them; and HDF5 files with everything that Keras does not write.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers as L

from tests.interop.keras_models import with_random_weights
from tests.interop.samples import SAMPLES, pixels

SHAPE = (8, 8, 1)


def models():
    """File name -> model, rescale."""
    chain = [
        L.Conv2D(3, 3, padding="same", activation="relu"), L.BatchNormalization(scale=False), L.MaxPooling2D(),
        L.DepthwiseConv2D(2), L.LeakyReLU(negative_slope=0.2), L.Flatten(), L.Dropout(0.5), L.Dense(4),
    ]  # fmt: skip
    nested = [
        keras.Sequential([L.RandomFlip(), L.RandomRotation(0.1)], name="augmentation"),
        keras.Sequential([L.Conv2D(2, 3), L.BatchNormalization(), L.Conv2D(2, 3)], name="features"),
        L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax"),
    ]  # fmt: skip
    scaled = [L.Rescaling(1 / 127.5, offset=-1), L.Conv2D(2, 3, activation="tanh"), L.Flatten(), L.Dense(3)]
    sequential = keras.Sequential([L.Input(SHAPE), *chain])
    x = inputs = keras.Input(SHAPE)
    for layer in (L.Conv2D(2, 3, activation="relu"), L.ZeroPadding2D(1), L.Flatten(), L.Dense(3)):
        x = layer(x)
    functional = keras.Model(inputs, x)
    x = inputs = keras.Input(SHAPE)
    x = L.Conv2D(2, 3, padding="same")(x)
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(2, 3, padding="same")(x)))
    x = L.Add()([L.Conv2D(2, 3, padding="same")(y), x])
    y = L.BatchNormalization()(L.Conv2D(3, 3, strides=2, padding="same")(x))
    x = L.ReLU()(L.Add()([y, L.BatchNormalization()(L.Conv2D(3, 1, strides=2)(x))]))
    residual = keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(x)))
    return {
        "sequential.keras": (sequential, 1 / 255), "sequential.h5": (sequential, 1 / 255),
        "sequential.weights.h5": (sequential, 1 / 255),
        "nested.keras": (keras.Sequential([L.Input(SHAPE), *nested]), 1),
        "nested.h5": (keras.Sequential([L.Input(SHAPE), *nested]), 1),
        "rescaling.keras": (keras.Sequential([L.Input(SHAPE), *scaled]), None),
        "functional.keras": (functional, 1 / 255), "functional.h5": (functional, 1 / 255),
        "residual.keras": (residual, 1 / 255),
    }  # fmt: skip


def logits(model, x):
    """Its outputs before a softmax at the end."""
    last = model.layers[-1]
    if getattr(last, "activation", None) is keras.activations.softmax:
        last.activation = keras.activations.linear
    return np.asarray(model(x, training=False)).tolist()


def old_file(path, config, arrays, text):
    """A whole model as Keras 1 and 2 wrote it. arrays: layer -> name -> array; text: how names are stored."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = b"2.2.4", b"tensorflow"
        file.attrs["model_config"] = json.dumps(config).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = text(list(arrays))
        for layer, own in arrays.items():
            part = group.create_group(layer)
            part.attrs["weight_names"] = text(list(own))
            for name, array in own.items():
                part.create_dataset(name, data=array)


def old_models(folder):
    """Models of Keras 1 and 2.2, from the sizes of an equal new model; name -> (new model, rescale)."""
    new = with_random_weights(keras.Sequential([
        L.Input(SHAPE), L.Conv2D(2, 3, padding="same"), L.Activation("relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(3),
    ]))  # fmt: skip
    kernel, bias, W, b = new.get_weights()

    def bytes_of(names):
        return np.asarray([name.encode() for name in names])

    layers = [
        {"class_name": "Conv2D", "config": {
            "name": "conv2d_1", "trainable": True, "batch_input_shape": [None, 8, 8, 1], "dtype": "float32",
            "filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "data_format": "channels_last",
            "dilation_rate": [1, 1], "activation": "linear", "use_bias": True,
            "kernel_initializer": {"class_name": "VarianceScaling", "config": {
                "scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None}},
            "bias_initializer": {"class_name": "Zeros", "config": {}}, "kernel_regularizer": None,
            "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None,
            "bias_constraint": None}},
        {"class_name": "Activation", "config": {"name": "activation_1", "trainable": True, "activation": "relu"}},
        {"class_name": "MaxPooling2D", "config": {
            "name": "max_pooling2d_1", "trainable": True, "pool_size": [2, 2], "padding": "valid", "strides": [2, 2],
            "data_format": "channels_last"}},
        {"class_name": "Flatten", "config": {"name": "flatten_1", "trainable": True, "data_format": "channels_last"}},
        {"class_name": "Dense", "config": {
            "name": "dense_1", "trainable": True, "units": 3, "activation": "linear", "use_bias": True}},
        {"class_name": "Activation", "config": {"name": "activation_2", "trainable": True, "activation": "softmax"}},
    ]  # fmt: skip
    old_file(folder / "keras22.h5", {"class_name": "Sequential", "config": layers}, {
        "conv2d_1": {"conv2d_1/kernel:0": kernel, "conv2d_1/bias:0": bias}, "activation_1": {}, "max_pooling2d_1": {},
        "flatten_1": {}, "dense_1": {"dense_1/kernel:0": W, "dense_1/bias:0": b}, "activation_2": {},
    }, bytes_of)  # fmt: skip
    first = [
        {"class_name": "Convolution2D", "config": {
            "name": "convolution2d_1", "trainable": True, "batch_input_shape": [None, 8, 8, 1],
            "input_dtype": "float32", "nb_filter": 2, "nb_row": 3, "nb_col": 3, "init": "glorot_uniform",
            "activation": "relu",
            "border_mode": "same", "subsample": [1, 1], "dim_ordering": "tf", "bias": True, "W_regularizer": None,
            "b_regularizer": None, "activity_regularizer": None, "W_constraint": None, "b_constraint": None}},
        {"class_name": "MaxPooling2D", "config": {
            "name": "maxpooling2d_1", "trainable": True, "pool_size": [2, 2], "strides": [2, 2], "border_mode": "valid",
            "dim_ordering": "tf"}},
        {"class_name": "Flatten", "config": {"name": "flatten_1", "trainable": True}},
        {"class_name": "Dense", "config": {
            "name": "dense_1", "trainable": True, "output_dim": 3, "init": "glorot_uniform", "activation": "softmax",
            "bias": True, "input_dim": 32}},
    ]  # fmt: skip
    old_file(folder / "keras1.h5", {"class_name": "Sequential", "config": first}, {
        "convolution2d_1": {"convolution2d_1_W": kernel, "convolution2d_1_b": bias}, "maxpooling2d_1": {},
        "flatten_1": {}, "dense_1": {"dense_1_W": W, "dense_1_b": b},
    }, bytes_of)  # fmt: skip
    return {"keras22.h5": (new, 1 / 255), "keras1.h5": (new, 1 / 255)}


def refused(folder):
    """HDF5 files with what Keras does not write: each has it as the member `layers`, or in it."""
    array = np.arange(12, dtype="f4").reshape(3, 4)
    makers = {
        "soft_link": lambda f: f.create_group("layers").__setitem__("a", h5py.SoftLink("/etc/passwd")),
        "external_link": lambda f: f.create_group("layers").__setitem__("a", h5py.ExternalLink("secret.h5", "/a")),
        "external_storage": lambda f: f.create_dataset(
            "layers", (10,), "u1", external=[(b"secret.txt", 0, 10)]
        ),
        "chunks": lambda f: f.create_dataset("layers", data=array, chunks=(1, 4)),
        "gzip": lambda f: f.create_dataset("layers", data=array, compression="gzip"),
        "resizable": lambda f: f.create_dataset("layers", data=array, maxshape=(None, 4)),
        "virtual": virtual,
        "reference": lambda f: f.create_dataset("layers", data=np.array([f.ref], h5py.ref_dtype)),
        "big_endian": lambda f: f.create_dataset("layers", data=array.astype(">f4")),
        "bfloat16": lambda f: f.create_dataset("layers", data=np.zeros(4, "V2")),
        "compound": lambda f: f.create_dataset("layers", data=np.zeros(2, [("a", "f4"), ("b", "i4")])),
        "complex": lambda f: f.create_dataset("layers", data=np.zeros(2, "c8")),
        "boolean": lambda f: f.create_dataset("layers", data=np.zeros(2, bool)),
        "texts": lambda f: f.create_dataset("layers", data=["a", "b"]),
        "committed_type": committed_type,
        "ordered": lambda f: f.create_group("layers", track_order=True),
        "never_written": lambda f: f.create_dataset("layers", (4,), "f4"),
    }  # fmt: skip
    for name, make in makers.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            make(file)
    for libver in ("latest", "v108"):
        with h5py.File(folder / f"{libver}.h5", "w", libver=libver) as file:
            file.create_dataset("layers", data=array)
    with h5py.File(folder / "user_block.h5", "w", userblock_size=512) as file:
        file.create_dataset("layers", data=array)
    with h5py.File(folder / "hard_link.h5", "w") as file:
        group = file.create_group("layers")
        group["a"] = array
        group["b"] = group["a"]
        group["self"] = group
    return [*makers, "latest", "v108", "user_block", "hard_link"]


def virtual(file):
    """A virtual dataset, which reads another file."""
    layout = h5py.VirtualLayout((3, 4), "f4")
    layout[:] = h5py.VirtualSource("secret.h5", "a", (3, 4))
    file.create_virtual_dataset("layers", layout)


def committed_type(file):
    """An array whose number format is an object of its own: a shared message."""
    file["type"] = np.dtype("f4")
    file.create_dataset("layers", (4,), file["type"])


def accepted(folder):
    """One file with everything that is read; its content as JSON."""
    rng, content = np.random.default_rng(0), {}
    with h5py.File(folder / "accepted.h5", "w") as file:
        for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
            for shape in ((), (3,), (2, 3), (0, 2)):
                array = (rng.random(shape) * 100).astype(kind)
                file.create_dataset(f"{kind}/{len(shape)}/{array.size}", data=array)
                content[f"{kind}/{len(shape)}/{array.size}"] = [kind, shape, np.asarray(array).ravel().tolist()]
        for i in range(20):  # several leaves
            file[f"many/{i:02}"] = np.float32(i)
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        space, kind = h5py.h5s.create_simple((3,)), h5py.h5t.IEEE_F32LE
        array = h5py.h5d.create(file.id, b"compact", kind, space, compact)
        array.write(h5py.h5s.ALL, h5py.h5s.ALL, np.float32([1, 2, 3]))
        attributes = {
            "text": "α text", "bytes": b"some bytes", "texts": ["", "one", "two " * 100],
            "fixed": np.array([b"a", b"bcd"]), "number": np.float32(2.5), "numbers": np.arange(3),
            "none": np.array([], "f8"),
        }  # fmt: skip
        for name, value in attributes.items():
            file.attrs[name] = value
        file["many"].attrs["long"] = "x" * 100_000
    (folder / "accepted.json").write_text(json.dumps(content))


def main():
    """Write the archive."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        x, expected = pixels(SHAPE).astype(np.float32), {}
        for file, (model, rescale) in models().items():
            with_random_weights(model)
            model.save_weights(folder / file) if ".weights." in file else model.save(folder / file)
            expected[file] = {"rescale": rescale, "logits": logits(model, x * (1 if rescale is None else rescale))}
        for file, (model, rescale) in old_models(folder).items():
            expected[file] = {"rescale": rescale, "logits": logits(model, x * rescale)}
        (folder / "expected.json").write_text(json.dumps(expected))
        accepted(folder)
        (folder / "refused").mkdir()
        refused(folder / "refused")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    member = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                    member.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(member, path.read_bytes())
    SAMPLES.write_bytes(packed.getvalue())
    print(f"{SAMPLES}: {len(packed.getvalue()):,} bytes")


if __name__ == "__main__":
    main()
