"""What is no model file, or one that was damaged or forged, is never taken for one; and nothing in it is run."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import ModelFileError, load_model, saving
from tests.test_saving import everything, tiny

ROOT = Path(__file__).parents[1]


def test_a_missing_file_is_a_missing_file(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(FileNotFoundError, match="no such model file"):
            load_model(path)


def test_every_file_that_was_cut_off_is_refused(tmp_path):
    tiny().save(tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    for length in range(len(content)):
        (tmp_path / "cut").write_bytes(content[:length])
        with pytest.raises(ModelFileError, match="cut: "):
            load_model(tmp_path / "cut", "numpy")


@pytest.mark.parametrize("flip", [0x01, 0x02, 0x20, 0x80, 0xFF])
def test_a_changed_byte_is_refused_or_changes_nothing(tmp_path, flip):
    model = tiny()
    model.save(tmp_path / "m")
    content, accepted = (tmp_path / "m").read_bytes(), 0
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= flip
        (tmp_path / "flipped").write_bytes(changed)
        try:
            loaded = load_model(tmp_path / "flipped", "numpy")
        except ModelFileError as error:
            assert "flipped: " in str(error)
        else:
            accepted += 1
            assert everything(loaded) == everything(model)
    assert accepted <= 8  # at most the blanks that fill the header up


def test_bytes_after_the_end_are_refused(tmp_path):
    tiny().save(tmp_path / "m")
    with open(tmp_path / "m", "ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelFileError):
        load_model(tmp_path / "m")


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"hello", b"\x89PNG\r\n" + b"\0" * 100, b"\xff" * 64, b"PK\3\4"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"other: not a safetensors file, or cut off \("):
        load_model(tmp_path / "other")


def test_a_safetensors_file_of_another_program_is_recognised(tmp_path):
    from safetensors.numpy import save_file

    for metadata in (None, {"format": "pt"}):
        save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "other", metadata)
        with pytest.raises(ModelFileError, match="a safetensors file, but not one of scratchnet"):
            load_model(tmp_path / "other")


def test_a_checkpoint_is_a_model_file_with_too_much_in_it(tmp_path):
    model = tiny()
    model.fit(np.ones((4, 2)), np.zeros(4, int), callbacks=[sn.Checkpoint(tmp_path / "c")], verbose=False)
    with pytest.raises(ModelFileError, match=r"optimizer\.m\.0\.dense\.W is not part of the architecture"):
        load_model(tmp_path / "c")


# files with a right checksum and a wrong content


def rewritten(tmp_path, change):
    """The path of a tiny model's file after `change(arrays, meta)`, made with a right checksum."""
    tiny().save(tmp_path / "m")
    arrays, meta = saving.read_file(tmp_path / "m")
    change(arrays, meta)
    meta.pop("format")
    saving.write_file(tmp_path / "changed", arrays, meta)
    return tmp_path / "changed"


def layer(**description):
    return lambda arrays, meta: meta["model"].update(layers=[description])


def model_with(**entries):
    return lambda arrays, meta: meta["model"].update(entries)


@pytest.mark.parametrize(("change", "message"), [
    (layer(**{"class": "os.system", "command": "true"}), "layer 0 is a 'os.system', which is not one of Rescale"),
    (layer(**{"class": ["Dense"]}), "unhashable"),
    (layer(units=3), "layer 0 is a None"),
    (layer(**{"class": "Dense", "units": 2, "gain": 1}), r"layer 0 \(Dense\) has unknown arguments: gain"),
    (layer(**{"class": "Dense"}), "missing 1 required positional argument: 'units'"),
    (layer(**{"class": "Dense", "units": -1}), "Dense units must be an integer of at least 1, got -1"),
    (layer(**{"class": "Dense", "units": 2, "initializer": "zero"}), "initializer must be one of he, glorot, zeros"),
    (model_with(layers=[]), "a model needs at least one layer"),
    (model_with(layers=None), "not iterable"),
    (model_with(layers=["Dense"]), "changed: "),
    (model_with(input_shape=[2, 2]), r"layer 0 \(Dense\): expects flat input"),
    (model_with(input_shape=["2"]), "each size in input_shape must be an integer of at least 1, got '2'"),
    (model_with(seed=float("inf")), "seed must be an integer"),
    (model_with(dtype="object"), "dtype must be a floating type"),
    (model_with(dtype="no such type"), "changed: "),
    (model_with(dtype="float64"), "0.dense.W is float32 .*, expected float64"),
    (lambda arrays, meta: meta["model"].pop("layers"), "the header lacks 'layers'"),
    (lambda arrays, meta: meta.pop("model"), "the header lacks 'model'"),
    (lambda arrays, meta: meta.update(model=3), "changed: "),
])  # fmt: skip
def test_a_header_that_makes_no_sense_is_explained(tmp_path, change, message):
    with pytest.raises(ModelFileError, match=message) as error:
        load_model(rewritten(tmp_path, change), "numpy")
    assert str(error.value).startswith(str(tmp_path / "changed"))


def test_all_arrays_that_do_not_fit_are_listed_together(tmp_path):
    def change(arrays, meta):
        arrays["0.dense.W"] = arrays["0.dense.W"][:1]
        arrays["0.dense.bias"] = arrays.pop("0.dense.b")

    with pytest.raises(ModelFileError) as error:
        load_model(rewritten(tmp_path, change), "numpy")
    for part in (
        "the arrays do not fit the architecture",
        "0.dense.b is missing",
        "0.dense.bias is not part of the architecture",
        "0.dense.W is float32 (1, 2), expected float32 (2, 2)",
    ):  # fmt: skip
        assert part in str(error.value)


def test_a_mismatch_leaves_the_arrays_as_they_are():
    targets = {"a": np.zeros(2), "b": np.zeros(2)}
    with pytest.raises(ModelFileError, match="b is missing"):
        saving.fill(targets, {"a": np.ones(2)})
    assert not targets["a"].any()


def test_a_later_format_says_which_one_is_understood(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "FORMAT", 2)
    tiny().save(tmp_path / "m")
    monkeypatch.undo()
    with pytest.raises(ModelFileError, match="format 2; this version reads format 1"):
        load_model(tmp_path / "m")


def test_a_header_nested_without_end_is_refused(tmp_path):
    from safetensors.numpy import save_file

    text = "[" * 100_000
    save_file({"a": np.zeros(1)}, tmp_path / "deep", {"scratchnet": text, "sha256": ""})
    with pytest.raises(ModelFileError, match="deep: "):
        load_model(tmp_path / "deep")


def test_loading_starts_no_program_opens_no_socket_and_writes_no_file(tmp_path):
    tiny().save(tmp_path / "m")
    program = """
import sys
import safetensors
import scratchnet as sn
forbidden = ("subprocess", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket", "exec", "pickle", "os.remove")
seen = []
def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if writes or event.startswith(forbidden):
        seen.append((event, arguments))
sn.load_model("m", engine="numpy")  # what Python itself does at a first use is not what is asked about
sys.addaudithook(watch)
sn.load_model("m", engine="numpy")
assert not seen, seen
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=tmp_path, env=environment)
