"""PyTorch: weights of a state_dict end up where they belong, and an exported program computes the same."""

import importlib.util
import pickle
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import scratchnet as sn
from scratchnet.interop.torch_export import save_torch
from scratchnet.interop.torch_import import load_torch, natural
from tests.interop.drawn import difference, drawn


def small(epsilon=1e-5):
    """Two convolutions of different shapes, batch norm before and behind the flatten, two dense layers."""
    layers = [
        sn.Conv2D(3, 3), sn.BatchNorm(epsilon=epsilon), sn.ReLU(), sn.DepthwiseConv2D(2), sn.Flatten(),
        sn.BatchNorm(epsilon=epsilon), sn.Dense(7), sn.ReLU(), sn.Dense(2, use_bias=False),
    ]  # fmt: skip
    return sn.Sequential(layers, (6, 5, 2), engine="numpy")


def state(rng):
    """A state_dict for `small` under names of somebody's own; the channels first."""
    shapes = {
        "block1.conv.weight": (3, 2, 3, 3), "block1.conv.bias": (3,), "block2.conv.weight": (3, 1, 2, 2),
        "block2.conv.bias": (3,), "head.fc2.weight": (7, 18), "head.fc2.bias": (7,), "head.fc10.weight": (2, 7),
    }  # fmt: skip
    norms = {"block1.norm": 3, "head.norm": 18}
    arrays = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    for name, c in norms.items():
        arrays |= {
            f"{name}.{what}": rng.uniform(0.5, 2, c) for what in ("weight", "bias", "running_mean", "running_var")
        }
        arrays[f"{name}.num_batches_tracked"] = np.array(7)
    return {name: np.asarray(a, np.int64 if a.ndim == 0 else np.float32) for name, a in arrays.items()}


def by_hand(s, x):
    """What PyTorch computes with this state, in NumPy, channels first."""

    def norm(x, name, axes):
        shape = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
        g, b, m, v = (s[f"{name}.{what}"].reshape(shape) for what in ("weight", "bias", "running_mean", "running_var"))
        return g * (x - m) / np.sqrt(v + 1e-5) + b

    view = np.lib.stride_tricks.sliding_window_view
    x = np.einsum("nchwij,fcij->nfhw", view(x, (3, 3), (2, 3)), s["block1.conv.weight"])
    x = np.maximum(norm(x + s["block1.conv.bias"].reshape(-1, 1, 1), "block1.norm", 4), 0)
    x = np.einsum("nchwij,cij->nchw", view(x, (2, 2), (2, 3)), s["block2.conv.weight"][:, 0])
    x = norm((x + s["block2.conv.bias"].reshape(-1, 1, 1)).reshape(len(x), -1), "head.norm", 2)
    x = np.maximum(x @ s["head.fc2.weight"].T + s["head.fc2.bias"], 0)
    return x @ s["head.fc10.weight"].T


def test_a_state_dict_gives_the_numbers_that_pytorch_computes(tmp_path, rng):
    arrays, model = state(rng), small()
    save_file(arrays, tmp_path / "m.safetensors")
    assert load_torch(model, tmp_path / "m.safetensors") == {
        "0.conv2d": "block1.conv", "1.batchnorm": "block1.norm", "3.depthwiseconv2d": "block2.conv",
        "5.batchnorm": "head.norm", "6.dense": "head.fc2", "8.dense": "head.fc10",
    }  # fmt: skip
    x = rng.normal(size=(4, 6, 5, 2)).astype(np.float32)
    assert difference(model.forward(x), by_hand(arrays, x.transpose(0, 3, 1, 2))) < 1e-5


def test_names_are_in_the_order_of_their_numbers():
    assert sorted(["a.10.w", "a.9.w", "b", "a.9.b"], key=natural) == ["a.9.b", "a.9.w", "a.10.w", "b"]


def test_layers_of_equal_shape_follow_the_names_and_names_overrule_them(tmp_path):
    arrays = {f"{name}.weight": np.full((2, 2), k, np.float32) for k, name in enumerate(("z2", "z10", "a"))}
    save_file(arrays, tmp_path / "m.safetensors")
    made = lambda: sn.Sequential([sn.Dense(2, use_bias=False) for _ in range(3)], (2,), engine="numpy")  # noqa: E731
    model = made()
    load_torch(model, tmp_path / "m.safetensors")
    assert [int(layer.W[0, 0]) for layer in model.layers] == [2, 0, 1]
    load_torch(model := made(), tmp_path / "m.safetensors", names={"2.dense": "a"})
    assert [int(layer.W[0, 0]) for layer in model.layers] == [0, 1, 2]
    with pytest.raises(sn.ModelFileError, match=r"names: there is no 'b'\. There are a, z2, z10"):
        load_torch(model, tmp_path / "m.safetensors", names={"2.dense": "b"})


def test_what_does_not_fit_is_listed_on_both_sides_and_nothing_is_copied(tmp_path, rng):
    arrays, model = state(rng), small()
    arrays["head.fc2.weight"] = arrays["head.fc2.weight"][:5]
    arrays["head.extra.weight"] = arrays.pop("block1.conv.weight")
    save_file(arrays, tmp_path / "m.safetensors")
    before = [array.copy() for array in model.get_weights()]
    with pytest.raises(sn.ModelFileError) as error:
        load_torch(model, tmp_path / "m.safetensors")
    said = str(error.value)
    for line in (
        "of the model, without a counterpart:\n    0.conv2d: weight (3, 2, 3, 3), bias (3,)\n"
        "    6.dense: weight (7, 18), bias (7,)",
        "of the file, without a counterpart:\n    block1.conv: bias (3,)\n    head.extra: weight (3, 2, 3, 3)\n"
        "    head.fc2: weight (5, 18), bias (7,)",
    ):  # fmt: skip
        assert line in said, said
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_another_epsilon_is_a_warning(tmp_path, rng):
    save_file(state(rng), tmp_path / "m.safetensors")
    with pytest.warns(UserWarning, match=r"PyTorch's BatchNorm has 1e-5, 1.batchnorm, 5.batchnorm another one"):
        load_torch(small(epsilon=1e-3), tmp_path / "m.safetensors")


def test_a_pickle_is_not_read_and_the_line_that_converts_it_is_said(tmp_path):
    (tmp_path / "net.pt").write_bytes(pickle.dumps({"fc.weight": 1}))
    with pytest.raises(sn.ModelFileError) as error:
        load_torch(small(), tmp_path / "net.pt")
    assert "s.save_file(torch.load('net.pt', weights_only=True), 'net.safetensors')\"" in str(error.value)
    with pytest.raises(FileNotFoundError):
        load_torch(small(), tmp_path / "none.pt")
    small().save(tmp_path / "ours.safetensors")
    with pytest.raises(sn.ModelFileError, match=r"sn.load_model\(path\) reads it"):
        load_torch(small(), tmp_path / "ours.safetensors")


def test_the_line_that_converts_a_pickle_does(tmp_path, rng):
    torch = pytest.importorskip("torch")
    torch.save({name: torch.as_tensor(array) for name, array in state(rng).items()}, tmp_path / "net.pt")
    with pytest.raises(sn.ModelFileError) as error:
        load_torch(small(), tmp_path / "net.pt")
    program = str(error.value).partition('python -c "')[2].rstrip('"')
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, cwd=tmp_path)
    assert len(load_torch(small(), tmp_path / "net.safetensors")) == 6


# export


def imported(path, monkeypatch):
    """The module of a file that was written by a test."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seeds", [range(20), pytest.param(range(300), marks=pytest.mark.long)], ids=["20", "300"])
def test_the_exported_program_computes_the_same(tmp_path, monkeypatch, seeds):
    torch = pytest.importorskip("torch")
    for seed in seeds:
        model, x = drawn(seed)
        save_torch(model, tmp_path / "net.py")
        module, logits = imported(tmp_path / "net.py", monkeypatch), model.forward(x)
        with torch.no_grad():
            theirs = module.model(torch.as_tensor(x).permute(0, 3, 1, 2).float()).numpy()
        assert difference(theirs, logits) < 1e-5, seed
        p = module.predict(x).numpy()
        assert p.shape == (3, logits.shape[1]) and np.abs(p.sum(axis=1) - 1).max() < 1e-5
        assert len(module.CLASSES) == logits.shape[1]


@pytest.mark.filterwarnings("error")
def test_what_was_exported_comes_back_to_the_same_bits(tmp_path):
    for seed in range(40):
        model, x = drawn(seed)
        save_torch(model, tmp_path / "net.py")
        again = model.untrained_copy()
        load_torch(again, tmp_path / "net.safetensors")
        np.testing.assert_array_equal(again.forward(x), model.forward(x), err_msg=str(seed))


def test_the_files_hold_what_a_state_dict_holds(tmp_path):
    save_torch(small(), tmp_path / "net.py")
    arrays = load_file(tmp_path / "net.safetensors")
    assert arrays["0.weight"].shape == (3, 2, 3, 3) and arrays["3.weight"].shape == (3, 1, 2, 2)
    assert arrays["6.weight"].shape == (7, 18) and arrays["1.num_batches_tracked"].dtype == np.int64
    text = (tmp_path / "net.py").read_text()
    assert "    nn.Conv2d(3, 3, 2, groups=3),\n" in text
    assert "    nn.BatchNorm1d(18, eps=1e-05, momentum=0.01),\n" in text


def test_a_name_that_no_module_can_have_is_an_error(tmp_path):
    for name in ("net.txt", "my-net.py"):
        with pytest.raises(ValueError, match="the name of a Python module is needed"):
            save_torch(small(), tmp_path / name)
