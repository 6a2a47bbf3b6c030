"""Models that Keras made and saved give the same outputs here, and ours the same in Keras."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.layers import LAYERS

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")
models = pytest.importorskip("tests.interop.keras_models")

TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


def made(make):
    """A model with random weights."""
    return models.with_random_weights(make())


def pixels(shape, n=6):
    return np.random.default_rng(1).integers(0, 256, (n, *shape)).astype(np.uint8)


def logits(model, x):
    """Keras' outputs before a softmax or sigmoid at the end."""
    last = model.layers[-1]
    if type(last).__name__ == "Softmax":
        model = keras.Sequential(model.layers[:-1])
    elif getattr(last, "activation", None) in (keras.activations.softmax, keras.activations.sigmoid):
        last.activation = keras.activations.linear
    return keras.ops.convert_to_numpy(model(x, training=False))


def read(path, rescale, engine="numpy"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sn.load_keras(path, rescale=rescale, engine=engine)


def agree(model, path, rescale, engine="numpy"):
    """The model in the file, after its logits were compared with those of Keras."""
    ours = read(path, rescale, engine)
    x = pixels(model.input_shape[1:])
    fed = x.astype(np.float32) * (1 if rescale is None else rescale)
    outputs = keras.ops.convert_to_numpy(model(fed, training=False))
    want, got = logits(model, fed), ours(x.reshape(len(x), *ours.input_shape))
    scale = max(1.0, np.abs(want).max())
    np.testing.assert_allclose(got / scale, want / scale, **TOLERANCE)
    if not np.array_equal(want, outputs):  # it ends with a softmax or sigmoid
        np.testing.assert_allclose(ours.predict(x.reshape(len(x), *ours.input_shape)), outputs, atol=1e-4)
    return ours


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("name", models.ONE_LAYER)
def test_every_layer_gives_keras_outputs(name, ending, tmp_path):
    if name == "average_pool_same" and keras.backend.backend() == "torch":
        pytest.skip("of all backends torch alone repeats the pixels at the border and averages over them")
    model = made(lambda: models.chain(*models.ONE_LAYER[name]()))
    model.save(tmp_path / f"m{ending}")
    agree(model, tmp_path / f"m{ending}", 1 / 255)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("name", models.NETWORKS)
def test_networks_of_public_projects_give_keras_outputs(name, ending, tmp_path):
    make, rescale = models.NETWORKS[name]
    model = made(make)
    model.save(tmp_path / f"m{ending}")
    agree(model, tmp_path / f"m{ending}", rescale)


def test_the_compiled_engine_gives_keras_outputs(tmp_path, engine):
    model = made(models.NETWORKS["three_blocks"][0])
    model.save(tmp_path / "m.keras")
    assert agree(model, tmp_path / "m.keras", 1 / 255, engine).engine == engine


@pytest.mark.skipif("Residual" not in LAYERS, reason="there is no Residual")
@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("name", models.RESIDUAL)
def test_sums_of_two_paths_give_keras_outputs(name, ending, tmp_path):
    model = made(models.RESIDUAL[name])
    model.save(tmp_path / f"m{ending}")
    agree(model, tmp_path / f"m{ending}", 1 / 255)


def test_every_array_is_taken_bit_for_bit(tmp_path):
    model = made(models.NETWORKS["three_blocks"][0])
    model.save(tmp_path / "m.keras")
    ours = read(tmp_path / "m.keras", 1)
    for mine, theirs in zip(ours.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("ending", [".weights.h5", ".keras", ".h5"])
def test_weights_alone_go_into_a_model_of_the_same_layers(ending, tmp_path):
    model = made(models.NETWORKS["three_blocks"][0])
    path = tmp_path / f"m{ending}"
    model.save_weights(path) if ending == ".weights.h5" else model.save(path)
    blocks = [
        layer
        for filters in (8, 8, 16)
        for layer in (sn.Conv2D(filters, 3, padding="same"), sn.ReLU(), sn.BatchNorm(), sn.MaxPool2D(2))
    ]
    ours = sn.Sequential([*blocks, sn.Flatten(), sn.Dense(16), sn.ReLU(), sn.Dense(10)], (28, 28, 1), engine="numpy")
    sn.load_keras_weights(ours, path)
    x = pixels((28, 28, 1)).astype(np.float32) / 255
    np.testing.assert_allclose(ours.predict(x), model.predict(x, verbose=0), atol=1e-5)


# what we write


def ours_with_every_layer(engine="numpy"):
    return sn.Sequential(
        [
            sn.Rescale(1 / 127.5, -1.0), sn.Cropping2D((2, 1)), sn.ZeroPadding2D(((0, 1), (2, 0))),
            sn.Conv2D(6, 3, padding=2), sn.LeakyReLU(0.1), sn.BatchNorm(), sn.MaxPool2D(3, 2, padding="same"),
            sn.DepthwiseConv2D(3, padding="same", depth_multiplier=2), sn.GELU(), sn.AvgPool2D(2, 1, padding="same"),
            sn.Conv2D(5, (2, 3), (1, 2), use_bias=False), sn.SiLU(), sn.Dropout(0.2), sn.Conv2D(4, 1), sn.ELU(0.5),
            sn.Conv2D(4, 1), sn.Tanh(), sn.Flatten(), sn.Dense(9), sn.Sigmoid(), sn.Dense(8), sn.Softmax(),
            sn.Dense(7, use_bias=False), sn.ReLU(), sn.Dense(6),
        ], (16, 14, 3), engine=engine,
    )  # fmt: skip


def randomized(model):
    rng = np.random.default_rng(5)
    for name, array in {**model.parameters(), **model.state()}.items():
        array[...] = rng.uniform(0.5, 2, array.shape) if "var" in name else rng.normal(0, 0.3, array.shape)
    return model


def written(model, path):
    """What Keras computes from the file, and what the model does."""
    sn.save_keras(model, path)
    x = pixels(model.input_shape)
    return keras.saving.load_model(path).predict(x.astype(np.float32), verbose=0), model(x)


def test_keras_opens_what_we_write_and_computes_the_same(tmp_path):
    model = randomized(ours_with_every_layer())
    theirs, ours = written(model, tmp_path / "m.keras")
    np.testing.assert_allclose(theirs, ours, **TOLERANCE)
    again = read(tmp_path / "m.keras", None)
    assert again(pixels((16, 14, 3))).shape == ours.shape
    np.testing.assert_allclose(again(pixels((16, 14, 3))), ours, atol=1e-6)


def test_keras_computes_the_same_from_global_pools(tmp_path):
    model = randomized(sn.Sequential([sn.Conv2D(4, 3), sn.GlobalAvgPool2D(), sn.Dense(3)], (8, 8, 1), engine="numpy"))
    theirs, ours = written(model, tmp_path / "m.keras")
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-3)


def test_keras_writes_our_file_again_and_we_read_it(tmp_path):
    model = randomized(ours_with_every_layer())
    sn.save_keras(model, tmp_path / "m.keras")
    keras.saving.load_model(tmp_path / "m.keras").save(tmp_path / "again.keras")
    x = pixels((16, 14, 3))
    np.testing.assert_allclose(read(tmp_path / "again.keras", None)(x), model(x), atol=1e-6)


@pytest.mark.skipif("Residual" not in LAYERS, reason="there is no Residual")
@pytest.mark.parametrize("deep", [False, True])
def test_keras_opens_residual_blocks_that_we_write(tmp_path, deep):
    same = {"padding": "same"}
    branch = [sn.Conv2D(4, 3, **same), sn.BatchNorm(), sn.ReLU(), sn.Conv2D(4, 3, **same), sn.BatchNorm()]
    inner = [sn.LAYERS["Residual"]([sn.Conv2D(4, 3, **same)])] if hasattr(sn, "LAYERS") else []
    block = LAYERS["Residual"]
    way = [sn.Conv2D(4, 3, **same), sn.BatchNorm()] if deep else [sn.Conv2D(4, 1)]
    layers = [
        sn.Rescale(), sn.Conv2D(4, 3), block(branch), sn.ReLU(),
        block([sn.Conv2D(4, 3, **same), sn.BatchNorm(), block([sn.Conv2D(4, 3, **same)])], shortcut=way), *inner,
        sn.ReLU(), sn.Flatten(), sn.Dense(3),
    ]  # fmt: skip
    model = randomized(sn.Sequential(layers, (9, 9, 1), engine="numpy"))
    theirs, ours = written(model, tmp_path / "m.keras")
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(read(tmp_path / "m.keras", None)(pixels((9, 9, 1))), ours, atol=1e-6)
