"""The exports without a library: one Python file for NumPy, one file of C99. Both give the same answers."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.interop.c_export import c_text, save_c
from scratchnet.interop.numpy_export import save_numpy
from scratchnet.zoo import PRESETS
from tests.interop.drawn import drawn

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
drawings = pytest.mark.parametrize(
    "seeds", [range(12), pytest.param(range(200), marks=pytest.mark.long)], ids=["12", "200"]
)


def by_numpy(model, x, folder):
    """The probabilities of the exported Python file, run in an interpreter that does not see this package."""
    save_numpy(model, folder / "net.py")
    np.save(folder / "x.npy", x)
    program = f"""
import sys
sys.path.insert(0, {str(folder)!r})
sys.dont_write_bytecode = True
sys.modules["scratchnet"] = None
import numpy as np, net
np.save({str(folder / "y.npy")!r}, net.predict(np.load({str(folder / "x.npy")!r})))
"""
    subprocess.run([sys.executable, "-I", "-W", "error", "-c", program], check=True, timeout=600, cwd=folder)
    return np.load(folder / "y.npy")


def by_c(model, x, folder, *options):
    """The classes and probabilities of the exported C file."""
    save_c(model, folder / "net.c")
    for extra in (["-c", "-o", "net.o"], ["-DDIGIT_MAIN", "-o", "net", "-lm"]):
        output = ["gcc", *STRICT, *options, "net.c", *extra]
        subprocess.run(output, check=True, timeout=300, cwd=folder)
    done = subprocess.run([folder / "net"], input=x.tobytes(), check=True, capture_output=True, timeout=600)
    rows = np.array([line.split() for line in done.stdout.splitlines()], np.float64)
    return rows[:, 0].astype(int), rows[:, 1:]


def off(p, model, x):
    """The largest difference of a probability, where logits are of the size of 1 or in parts of their size."""
    return np.abs(p - model.predict(x)).max() / max(1, np.abs(model.forward(x)).max())


@drawings
def test_drawn_networks_in_numpy(tmp_path, seeds):
    for seed in seeds:
        model, x = drawn(seed)
        assert off(by_numpy(model, x, tmp_path), model, x) < 1e-5, seed


@gcc
@drawings
def test_drawn_networks_in_c_without_a_warning_or_a_step_outside(tmp_path, seeds):
    """The address sanitizer stops at any access outside of an array."""
    for seed in seeds:
        model, x = drawn(seed)
        classes, p = by_c(model, x, tmp_path, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover")
        assert off(p, model, x) < 1e-5, seed
        assert (p[np.arange(3), classes] == p.max(axis=1)).all()


@cache
def digits():
    """The real MNIST where there is one, else synthetic digits."""
    folder = os.environ.get("SCRATCHNET_DATA")
    if folder and Path(folder).is_dir():
        return sn.load_mnist(folder, download=False)
    return sn.load_synthetic(2000, 1000)


@cache
def trained(name, examples):
    """A preset after one epoch."""
    (x, y), _ = digits()
    recipe = PRESETS[name](10)
    model = recipe.build((28, 28, 1), seed=0)
    model.fit(x[:examples], y[:examples], epochs=1, batch_size=64, optimizer=sn.Adam(1e-3), verbose=False)
    return model


names = pytest.mark.parametrize("name", [name for name in ("default", "vgg-bn", "resnet") if name in PRESETS])
amount = pytest.mark.parametrize(
    ("examples", "images"), [(2000, 500), pytest.param(60_000, 10_000, marks=pytest.mark.long)]
)


@names
@amount
def test_test_images_have_the_same_class_in_numpy(tmp_path, name, examples, images):
    model, x = trained(name, examples), digits()[1][0][:images, ..., None]
    theirs, mine = by_numpy(model, x, tmp_path), model.predict(x)
    assert np.abs(theirs - mine).max() < 1e-4
    np.testing.assert_array_equal(theirs.argmax(axis=1), mine.argmax(axis=1))


@gcc
@names
@amount
def test_test_images_have_the_same_class_in_c(tmp_path, name, examples, images):
    model, x = trained(name, examples), digits()[1][0][:images, ..., None]
    (classes, theirs), mine = by_c(model, x, tmp_path, "-O2"), model.predict(x)
    assert np.abs(theirs - mine).max() < 1e-4
    np.testing.assert_array_equal(classes, mine.argmax(axis=1))


def test_the_python_file_can_be_read(tmp_path):
    model = PRESETS["vgg-bn"](10).build((28, 28, 1), engine="numpy")
    save_numpy(model, tmp_path / "net.py")
    program, weights = (tmp_path / "net.py").read_text().split('w = unpack(SHAPES, """')
    assert len(program.splitlines()) < 120 and max(map(len, program.splitlines())) <= 120
    assert "np.einsum" not in program and "def gelu" not in program  # only what the model has
    assert set(map(len, weights.split()[:-2])) == {116}


def test_the_c_file_allocates_nothing_and_names_its_classes(tmp_path):
    layers = [sn.Rescale(), sn.Flatten(), sn.Dense(3)]
    model = sn.Sequential(layers, (28, 28, 1), engine="numpy", class_names=['"quoted"', "é", "back\\slash??/"])
    save_c(model, tmp_path / "net.c")
    text = (tmp_path / "net.c").read_text()
    assert "alloc" not in text and "int digit(const unsigned char pixels[784]);" in text
    assert c_text('"é?') in r'"\042\303\251\077"' and r'"\042quoted\042", "\303\251", "back\134slash\077\077/"' in text


def test_numbers_that_are_not_finite_have_no_constant(tmp_path):
    model = sn.Sequential([sn.Flatten(), sn.Dense(2)], (2, 2, 1), engine="numpy")
    model.layers[1].W[0, 0] = np.inf
    with pytest.raises(ValueError, match=r"1\.dense\.W has numbers that are not finite"):
        save_c(model, tmp_path / "net.c")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("save", "name"), [(save_numpy, "net.c"), (save_numpy, "a b.py"), (save_c, "net.py")])
def test_a_name_that_does_not_fit_is_an_error(tmp_path, save, name):
    model = sn.Sequential([sn.Flatten(), sn.Dense(2)], (2, 2, 1), engine="numpy")
    with pytest.raises(ValueError, match="is needed, for instance"):
        save(model, tmp_path / name)


@pytest.mark.parametrize("save", [save_numpy, save_c])
def test_what_is_no_classifier_is_refused(tmp_path, save):
    model = sn.Sequential([sn.Conv2D(2, 3)], (6, 5, 1), engine="numpy")
    with pytest.raises(ValueError, match="takes 6×5×1 and gives 4×3×2"):
        save(model, tmp_path / ("net.py" if save is save_numpy else "net.c"))
