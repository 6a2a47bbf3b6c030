"""scripts/export.py writes each format, runs what it wrote, and says how far it is off."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import commands
from scratchnet.commands import exporting


@pytest.fixture
def call(monkeypatch, tmp_path):
    """`scratchnet export m ...` in a folder with a model -> exit code."""
    monkeypatch.chdir(tmp_path)
    layers = [sn.Rescale(), sn.Conv2D(4, 3), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(), sn.Dense(10)]
    model = sn.Sequential(layers, (28, 28, 1), engine="numpy")
    model.layers[-1].W *= 30  # clear answers
    model.save("m.safetensors")
    return lambda *words: commands.main(["export", "m.safetensors", "--engine", "numpy", *words])


@pytest.mark.parametrize(("to", "name", "tool"), [
    ("onnx", "d.onnx", "onnxruntime"), ("torch", "d.py", "torch"), ("numpy", "d.py", "numpy"), ("c", "d.c", None),
    ("keras", "d.keras", "keras"),
])  # fmt: skip
def test_each_format_is_written_and_checked(call, tmp_path, capsys, to, name, tool):
    if tool:
        pytest.importorskip("onnx" if to == "onnx" else tool)
        pytest.importorskip(tool)
    elif exporting.compiler() is None:
        pytest.skip("there is no C compiler")
    assert call("--to", to, "--out", name) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"wrote {name}, ") and (tmp_path / name).exists()
    assert said[-1].startswith("checked with ") and said[-1].endswith(", the same class for all")
    assert "on 1,000 images: the largest difference of a probability is " in said[-1]


def test_a_tool_that_is_missing_is_named(call, capsys, monkeypatch):
    monkeypatch.setattr(exporting, "compiler", lambda: None)
    assert call("--to", "c", "--out", "d.c") == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("not checked: there is no C compiler here")
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None)
    assert call("--to", "numpy", "--out", "d.py") == 0
    assert "not checked: numpy is not installed here" in capsys.readouterr().out


def test_an_export_that_gives_other_answers_is_found(call, capsys, monkeypatch):
    right = exporting.TARGETS["numpy"]
    wrong = right._replace(run=lambda path, x: np.roll(right.run(path, x), 1, axis=1))
    monkeypatch.setitem(exporting.TARGETS, "numpy", wrong)
    assert call("--to", "numpy", "--out", "d.py") == 1
    assert "another class for " in capsys.readouterr().out
    broken = right._replace(write=lambda model, path: path.write_text("raise ValueError('no such thing')"))
    monkeypatch.setitem(exporting.TARGETS, "numpy", broken)
    assert call("--to", "numpy", "--out", "d.py") == 2
    assert "d.py was written, but numpy cannot run it: ValueError: no such thing" in capsys.readouterr().err


def test_mistakes_are_one_line(call, capsys):
    assert call("--to", "onnx", "--out", "d.txt") == 2
    assert capsys.readouterr().err == "error: d.txt: a file for onnx ends with .onnx\n"
    assert call("--to", "c", "--out", "d.c", "--no-check") == 0
    assert capsys.readouterr().out.count("\n") == 1
