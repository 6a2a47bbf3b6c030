"""A model in a file: it comes back whole, in any process."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import ModelFileError, load_model

ROOT = Path(__file__).parents[1]


def network(engine="numpy", dtype="float32", **options):
    """Every layer there is, with arguments that are not the defaults."""
    layers = [
        sn.Rescale(1 / 128, -1.0), sn.Conv2D(4, (3, 2), padding=1, initializer="glorot"), sn.BatchNorm(0.9, 1e-4),
        sn.ReLU(), sn.MaxPool2D((2, 3), stride=1), sn.Conv2D(3, 3, stride=(1, 2), padding="same", use_bias=False),
        sn.AvgPool2D(2, stride=2), sn.LeakyReLU(0.2), sn.ELU(0.5), sn.ZeroPadding2D(((0, 1), (1, 0))),
        sn.DepthwiseConv2D(2, padding=1, depth_multiplier=2), sn.MaxPool2D(3, padding="same"), sn.GELU(),
        sn.Residual([sn.Conv2D(4, 3, padding="same"), sn.BatchNorm(), sn.SiLU()], shortcut=sn.Conv2D(4, 1)),
        sn.Residual([sn.Tanh(), sn.Residual([sn.Sigmoid()])]), sn.Flatten(), sn.Dropout(0.25),
        sn.Dense(6, initializer="he"), sn.Softmax(), sn.Dense(3),
    ]  # fmt: skip
    return sn.Sequential(layers, (10, 10, 1), engine=engine, seed=5, dtype=dtype, **options)


@pytest.fixture
def trained(engine, rng):
    """A model whose every array has moved, and images for it."""
    model = network(engine, class_names=["square", "circle", "cross"])
    x = rng.integers(0, 256, (20, 10, 10)).astype(np.uint8)
    model.fit(x, rng.integers(0, 3, 20), epochs=2, batch_size=10, verbose=False)
    return model, x


def tiny():
    """A model small enough to try every byte of its file."""
    return sn.Sequential([sn.Dense(2)], (2,), seed=3, engine="numpy", class_names=["no", "yes"])


def everything(model):
    """All that a file has to keep, in a form that can be compared."""
    arrays = {**model.parameters(), **model.state()}
    return json.dumps(model.config()), {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()}


# there and back


def test_a_new_process_gives_the_same_logits_to_the_last_bit(trained, tmp_path):
    model, x = trained
    model.save(tmp_path / "model.safetensors")
    np.save(tmp_path / "x.npy", x)
    program = f"""
import numpy as np, scratchnet as sn
model = sn.load_model("model.safetensors", engine={model.engine!r})
np.save("logits.npy", model.forward(np.load("x.npy")))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, cwd=tmp_path, env=environment)
    np.testing.assert_array_equal(np.load(tmp_path / "logits.npy"), model.forward(x))


def random_network(seed):
    """A small model of random layers with random arguments, on images of random size, with every array moved."""
    rng = np.random.default_rng(seed)
    h, w, c = (int(size) for size in rng.integers((4, 4, 1), (10, 10, 4)))
    layers = [sn.Rescale(float(rng.normal()), float(rng.normal()))] if rng.random() < 0.7 else []
    for _ in range(rng.integers(0, 5)):
        filters, stride, *size = (int(number) for number in rng.integers((1, 1, 1, 1), (5, 3, 4, 4)))
        layers.append([
            sn.Conv2D(filters, size, stride, "same", use_bias=False),
            sn.Conv2D(filters, size, padding=3, initializer="glorot"),
            sn.BatchNorm(float(rng.uniform(0, 0.99)), 1e-2), sn.ReLU(), sn.Dropout(float(rng.uniform(0, 0.9))),
            sn.DepthwiseConv2D(size, stride, "same"), sn.MaxPool2D(2, padding="same"),
            sn.ZeroPadding2D(((0, 1), (2, 0))),
            sn.Residual([sn.BatchNorm(), sn.GELU(), sn.Dropout(0.5)]),
            sn.Residual([sn.Conv2D(filters, 3, padding="same"), sn.Tanh()], shortcut=sn.Conv2D(filters, 1)),
        ][rng.integers(10)])  # fmt: skip
    pools = [sn.GlobalAvgPool2D, sn.Flatten, lambda: sn.MaxPool2D(2, 1), lambda: sn.AvgPool2D((2, 1))]
    pool = pools[0 if len(layers) > 4 else rng.integers(4)]()
    layers += [pool] if isinstance(pool, sn.GlobalAvgPool2D | sn.Flatten) else [pool, sn.Flatten()]
    layers += [sn.Dense(int(rng.integers(1, 6))), sn.ReLU(), sn.BatchNorm()][: rng.integers(0, 4)] + [sn.Dense(3)]
    try:
        model = sn.Sequential(layers, (h, w, c), seed, "numpy", rng.choice(["float32", "float64"]))
    except ValueError:  # a window that does not fit
        return random_network(seed + 10_000)
    for array in {**model.parameters(), **model.state()}.values():
        array[...] += rng.uniform(0.1, 1, array.shape)
    return model


def test_M3_200_random_networks_give_the_same_logits_in_a_new_process(tmp_path):
    from safetensors.numpy import load_file

    logits = {}
    for seed in range(200):
        model = random_network(seed)
        x = np.random.default_rng(seed).integers(0, 256, (2, *model.input_shape)).astype(np.uint8)
        logits[str(seed)] = model.forward(x)
        model.save(tmp_path / f"{seed}.safetensors")
        theirs = load_file(tmp_path / f"{seed}.safetensors")
        mine = {**model.parameters(), **model.state()}
        assert {name: a.tobytes() for name, a in mine.items()} == {name: a.tobytes() for name, a in theirs.items()}
    program = """
import numpy as np, scratchnet as sn
logits = {}
for seed in range(200):
    model = sn.load_model(f"{seed}.safetensors", engine="numpy")
    x = np.random.default_rng(seed).integers(0, 256, (2, *model.input_shape)).astype(np.uint8)
    logits[str(seed)] = model.forward(x)
np.savez("logits.npz", **logits)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, cwd=tmp_path, env=environment)
    with np.load(tmp_path / "logits.npz") as theirs:
        for seed, mine in logits.items():
            np.testing.assert_array_equal(theirs[seed], mine, strict=True)


def test_everything_comes_back(trained, tmp_path):
    model, x = trained
    path = tmp_path / "model.safetensors"
    model.save(path)
    again = load_model(path, engine=model.engine)
    assert everything(again) == everything(model)
    assert again.class_names == ["square", "circle", "cross"] and again.engine == model.engine
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_a_loaded_model_knows_how_it_began(tmp_path):
    """Its arrays are not drawn when it is loaded; an untrained copy of it is."""
    model = network()
    start = everything(model)
    next(reversed(model.parameters().values()))[...] = 7
    model.save(tmp_path / "m")
    assert everything(load_model(tmp_path / "m", "numpy").untrained_copy()) == start


def test_a_float64_model_comes_back_as_one(tmp_path):
    model = network(dtype="float64")
    model.save(tmp_path / "m")
    assert everything(load_model(tmp_path / "m")) == everything(model)


def test_a_loaded_model_can_be_trained_on(trained, tmp_path, rng):
    model, x = trained
    model.save(tmp_path / "m")
    again, labels = load_model(tmp_path / "m", engine=model.engine), rng.integers(0, 3, 20)
    for one in (model, again):
        one.fit(x, labels, batch_size=10, optimizer=sn.SGD(0.1), verbose=False)
    assert everything(again) == everything(model)


def test_the_official_library_reads_the_same_arrays(trained, tmp_path):
    from safetensors.numpy import load_file

    model, _ = trained
    model.save(tmp_path / "model.safetensors")
    theirs = load_file(tmp_path / "model.safetensors")
    mine = {**model.parameters(), **model.state()}
    assert set(theirs) == set(mine)
    for name, array in mine.items():
        np.testing.assert_array_equal(theirs[name], array)


def test_paths_may_be_strings_and_files_are_replaced_whole(tmp_path, monkeypatch):
    path = str(tmp_path / "m")
    first, second = tiny(), tiny()
    second.parameters()["0.dense.b"][...] = 7
    first.save(path)
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError("the power failed")))
    with pytest.raises(OSError, match="the power failed"):
        second.save(path)
    assert everything(load_model(path, "numpy")) == everything(first)
    assert os.listdir(tmp_path) == ["m"]
    monkeypatch.undo()
    second.save(path)
    assert everything(load_model(path, "numpy")) == everything(second)


def test_a_model_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    """In any other order a power cut leaves a file of the right name without its bytes."""
    happened = []

    def watched(name):
        original = getattr(os, name)
        return lambda *arguments: (happened.append((name, (tmp_path / "m").exists())), original(*arguments))[1]

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, watched(name))
    monkeypatch.setattr(platform, "system", lambda: "Linux")  # macOS has a call of its own
    tiny().save(tmp_path / "m")
    assert happened[:2] == [("fsync", False), ("replace", False)]


class Shift(sn.Layer):
    """y = x + by + t, with one trained number t."""

    params = ("t",)

    def __init__(self, by=1.0):
        self.by = by

    def build(self, input_shape, rng):
        self.t = np.zeros((), self.dtype)
        return input_shape

    def forward(self, x, ctx):
        return x + self.dtype.type(self.by) + self.t, None

    def backward(self, dy, cache):
        return dy, {"t": dy.sum()}


def test_a_layer_of_ones_own_comes_back_if_its_class_is_given(tmp_path, engine):
    model = sn.Sequential([Shift(2.5), sn.Dense(2)], (3,), engine=engine)
    model.parameters()["0.shift.t"][...] = 4
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m", engine=engine, layers=[Shift])
    assert again.layers[0].by == 2.5 and again.layers[0].t == 4 and again.layers[0].t.shape == ()
    np.testing.assert_array_equal(again.forward(np.ones((1, 3))), model.forward(np.ones((1, 3))))


def test_a_class_that_is_not_known_is_named_and_never_looked_for(tmp_path):
    sn.Sequential([Shift(), sn.Dense(2)], (3,), engine="numpy").save(tmp_path / "m")
    message = r"m: layer 0 is a 'Shift', which is not one of Rescale, .*load_model\(path, layers=\[...\]\)"
    with pytest.raises(ModelFileError, match=message):
        load_model(tmp_path / "m")
