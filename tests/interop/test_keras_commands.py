"""evaluate and predict take files of Keras and ONNX; evaluate finds out how their pixels were scaled."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import commands
from scratchnet.commands.models import factor, foreign
from tests.interop.samples import sample
from tests.patterns import stripes_folder


def layers(*first):
    return [*first, sn.Conv2D(8, 3), sn.ReLU(), sn.Flatten(), sn.Dense(4)]


@pytest.fixture
def files(tmp_path, monkeypatch, stripes):
    """A folder with data, and a Keras model that is right about bytes only, which the file does not say."""
    monkeypatch.chdir(tmp_path)
    stripes_folder(tmp_path / "stripes")
    x, y = stripes
    model = sn.Sequential(layers(sn.Rescale()), (10, 10, 1), engine="numpy")
    model.fit(x, y, epochs=30, batch_size=20, optimizer=sn.Adam(3e-3), verbose=False)
    bare = sn.Sequential(layers(), (10, 10, 1), engine="numpy")
    bare.set_weights(model.get_weights())
    bare.layers[-1].b[0] += 50  # of little weight beside the logits of bytes, which are 255 times as large
    sn.save_keras(bare, "bare.keras")
    sn.save_keras(model, "scaled.keras")
    model.save("ours.safetensors")
    return tmp_path


def call(*words):
    return commands.main([*words])


EVALUATE = ("--data-dir", "stripes", "--engine", "numpy")


def test_evaluate_names_the_scale_that_is_better_by_more_than_chance(files, capsys):
    assert call("evaluate", "bare.keras", *EVALUATE) == 0
    said = capsys.readouterr()
    assert "bare.keras: the file does not say how pixels were scaled; taking pixels / 255" in said.err
    assert said.out.splitlines()[-1].endswith("--rescale 1 is the better one, by more than chance")


def test_the_scale_that_is_given_is_used(files, capsys):
    assert call("evaluate", "bare.keras", *EVALUATE, "--rescale", "1/255") == 0
    right = capsys.readouterr()
    assert call("evaluate", "bare.keras", *EVALUATE, "--rescale", "1") == 0
    wrong = capsys.readouterr()
    assert right.err == wrong.err == ""
    assert right.out.splitlines()[0] != wrong.out.splitlines()[0]
    assert right.out.splitlines()[-1] == wrong.out.splitlines()[-1]  # the comparison of both scales


def test_a_file_with_its_own_scale_and_a_file_of_ours_are_not_compared(files, capsys):
    for name in ("scaled.keras", "ours.safetensors"):
        assert call("evaluate", name, *EVALUATE) == 0
        said = capsys.readouterr()
        assert said.err == "" and "--rescale" not in said.out
        assert call("evaluate", name, *EVALUATE, "--rescale", "1") == 2
        assert "--rescale" in capsys.readouterr().err


def test_a_difference_that_can_be_chance_is_called_that(files, capsys):
    linear = sn.Sequential([sn.Flatten(), sn.Dense(4, use_bias=False)], (10, 10, 1), engine="numpy")
    sn.save_keras(linear, "linear.keras")  # for it, the scale cannot matter
    assert call("evaluate", "linear.keras", *EVALUATE) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("the difference can be chance")


def test_predict_takes_a_file_of_keras(files, capsys):
    from PIL import Image

    Image.fromarray(np.zeros((10, 10), np.uint8)).save("black.png")
    assert call("predict", "scaled.keras", "black.png", "--whole", "--engine", "numpy") == 0
    assert capsys.readouterr().out.startswith("black.png: ")


def test_files_of_keras_are_known_by_their_first_bytes(files):
    (files / "any.name").write_bytes(sample("keras22.h5"))
    (files / "other.name").write_bytes(sample("nested.keras"))
    names = ("any.name", "other.name", "ours.safetensors", "absent")
    assert [foreign(files / name, "numpy") is not None for name in names] == [True, True, False, False]


@pytest.fixture
def onnx_files(files):
    """The same two models as ONNX files, one under a name that does not say it."""
    pytest.importorskip("onnx")
    scaled = sn.load_keras(files / "scaled.keras", engine="numpy")
    bare = sn.Sequential(layers(), (10, 10, 1), engine="numpy")
    bare.set_weights(scaled.get_weights())
    sn.save_onnx(scaled, "scaled.onnx")
    sn.save_onnx(bare, "bare.model")


def test_files_of_onnx_are_evaluated_with_the_scale_that_they_say_or_that_is_given(onnx_files, capsys):
    def line(*words):
        assert call("evaluate", *words, *EVALUATE) == 0
        said = capsys.readouterr()
        return said.out.splitlines()[0].split(": ", 1)[1], said.out.splitlines()[-1], said.err

    expected, _, _ = line("ours.safetensors")
    measured, last, noted = line("scaled.onnx")
    assert measured == expected and noted == "" and "--rescale" not in last
    measured, last, noted = line("bare.model")
    assert measured == expected and "bare.model: the file does not say how pixels were scaled" in noted
    assert "with --rescale 1/255" in last
    measured, _, noted = line("bare.model", "--rescale", "1/510")
    assert measured != expected and noted == ""
    assert call("evaluate", "scaled.onnx", *EVALUATE, "--rescale", "1") == 2
    assert "scaled.onnx: it has a Rescaling layer of its own" in capsys.readouterr().err


def test_predict_takes_a_file_of_onnx_and_a_damaged_one_is_one_line(onnx_files, files, capsys):
    from PIL import Image

    Image.fromarray(np.zeros((10, 10), np.uint8)).save("black.png")
    answers = []
    for name in ("scaled.onnx", "ours.safetensors"):
        assert call("predict", name, "black.png", "--whole", "--engine", "numpy") == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]
    (files / "half.onnx").write_bytes((files / "scaled.onnx").read_bytes()[:400])
    assert call("predict", "half.onnx", "black.png", "--whole") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: half.onnx: ") and err.count("\n") == 1


@pytest.mark.parametrize("text", ["0", "nan", "inf", "1/0", "", "a"])
def test_a_scale_that_is_no_number_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be a number or a fraction such as 1/255"):
        factor(text)
