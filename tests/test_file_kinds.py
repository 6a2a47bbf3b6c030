"""A file of another program is recognised by its first bytes, and the error says what reads it."""

import io
import pickle
import zipfile

import numpy as np
import pytest

import scratchnet as sn


def archive(*members):
    """The bytes of a zip archive with these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for name in members:
            zipped.writestr(name, b"content")
    return file.getvalue()


def saved(function, *values):
    """What a function of NumPy writes into a file."""
    file = io.BytesIO()
    function(file, *values)
    return file.getvalue()


@pytest.mark.parametrize(("content", "words"), [
    (b"\x89HDF\r\n\x1a\n" + bytes(600), "an HDF5 file.*sn.load_keras"),
    (archive("metadata.json", "config.json", "model.weights.h5"), "a Keras model.*sn.load_keras"),
    (archive("archive/data.pkl", "archive/data/0"), "a PyTorch file.*torch.load"),
    (archive("arr_0.npy"), "arrays of NumPy"),
    (archive("holiday.jpg"), "a zip archive"),
    (saved(np.savez, np.zeros(3)), "arrays of NumPy"),
    (saved(np.save, np.zeros(3)), "an array of NumPy"),
    (pickle.dumps({"W": 1}), "a pickle, which can run code"),
    (pickle.dumps({"W": 1}, protocol=2), "a pickle, which can run code"),
    (b"\x08\x07\x12\x07pytorch\x1a\x05" + bytes(99), "an ONNX model.*load_onnx"),
    (b"\x1c\x00\x00\x00TFL3" + bytes(99), "a TensorFlow Lite model"),
    (b"<!DOCTYPE html><html>", "a web page"),
    (b"version https://git-lfs.github.com/spec/v1\n", ".*git lfs pull"),
    (b"\x1f\x8b\x08" + bytes(30), ".*gzip"),
])  # fmt: skip
def test_a_file_of_another_program_is_told_by_its_name(content, words, tmp_path):
    path = tmp_path / "model.safetensors"  # whatever its name says
    path.write_bytes(content)
    with pytest.raises(sn.ModelFileError, match=f"model.safetensors: not a model file of scratchnet, but {words}"):
        sn.load_model(path)


@pytest.mark.parametrize("content", [b"", b"\x08", b"\x80", b"PK\x03\x04", b"hello", bytes(1000)])
def test_any_other_bytes_are_damaged_or_something_else(content, tmp_path):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(sn.ModelFileError):
        sn.load_model(tmp_path / "m")


def tiny():
    """A model of two numbers."""
    return sn.Sequential([sn.Dense(1)], (1,), engine="numpy")


def test_a_folder_is_told_by_the_model_that_it_holds(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is a folder: no such model file.$"):
        sn.load_model(tmp_path)
    tiny().save(tmp_path / "model.safetensors")
    tiny().save(tmp_path / "checkpoint.safetensors")
    with pytest.raises(FileNotFoundError, match=r"Did you mean .*model.safetensors"):
        sn.load_model(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(FileNotFoundError, match="SavedModel of TensorFlow"):
        sn.load_model(tmp_path)


def test_a_folder_cannot_be_saved_onto(tmp_path):
    with pytest.raises(IsADirectoryError, match=r"is a folder. Give the name of a file in it: .*model.safetensors"):
        tiny().save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_made_and_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    model = tiny()
    model.save("~/models/digits/m.safetensors")
    assert (tmp_path / "models" / "digits" / "m.safetensors").is_file()
    again = sn.Sequential.load("~/models/digits/m.safetensors", engine="numpy")
    np.testing.assert_array_equal(again([[2.0]]), model([[2.0]]))
