"""What is no model file, or one that was damaged or forged, is never taken for one; and nothing in it is run."""

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import ModelFileError, load_model, saving
from tests.test_saving import everything, network, tiny

ROOT = Path(__file__).parents[1]


def test_a_missing_file_is_a_missing_file(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(FileNotFoundError, match="no such model file"):
            load_model(path)


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


def test_a_checkpoint_is_no_model_and_the_error_says_what_it_is_good_for(tmp_path):
    model = tiny()
    model.fit(np.ones((4, 2)), np.zeros(4, int), callbacks=[sn.Checkpoint(tmp_path / "c")], verbose=False)
    with pytest.raises(ModelFileError, match=r"c: no model. If it is a checkpoint, resume .*: fit\(resume="):
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
    (layer(**{"class": ["Dense"]}), r"layer 0 is a \['Dense'\], which is not one of"),
    (layer(units=3), "layer 0 is a None"),
    (layer(**{"class": "Dense", "units": 2, "gain": 1}), r"layer 0 \(Dense\) has an unknown entry: 'gain'"),
    (layer(**{"class": "Dense"}), r"layer 0 \(Dense\) lacks units"),
    (layer(**{"class": "Dense", "units": -1}), "units must be an integer from 1 to 1,048,576; got -1"),
    (layer(**{"class": "Dense", "units": 2, "initializer": "zero"}), "initializer must be he, glorot, zeros"),
    (model_with(layers=[]), "layers must be 1 to 1,000 times a description of a layer; got "),
    (model_with(layers=None), "layers must be .* got None"),
    (model_with(layers=["Dense"]), "layers must be "),
    (model_with(input_shape=[2, 2]), r"layer 0 \(Dense\): expects flat input"),
    (model_with(input_shape=["2"]), r"input_shape must be 1 to 8 times an integer from 1 to 1,048,576; got \['2'\]"),
    (model_with(seed=float("inf")), "seed must be an integer"),
    (model_with(dtype="object"), "dtype must be float32, float64; got 'object'"),
    (model_with(dtype="float32," * 9), "dtype must be "),
    (model_with(dtype="float64"), "0.dense.W is float32 .*, expected float64"),
    (lambda arrays, meta: meta["model"].pop("layers"), "the description of the model lacks layers"),
    (lambda arrays, meta: meta.pop("model"), "changed: no model"),
    (lambda arrays, meta: meta.update(model=3), "the description of the model lacks "),
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
    monkeypatch.setattr(saving.model_file, "FORMAT", 2)
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


@pytest.mark.parametrize("profile", [(10_000, 2000, 0), pytest.param((20_000, 100_000, 1), marks=pytest.mark.long)])
def test_M1_a_changed_file_is_refused_or_the_same_and_loading_it_does_nothing_else(tmp_path, profile):
    """Random damage, and forgeries with a right checksum: see tests/forging.py."""
    pytest.importorskip("resource")
    network().save(tmp_path / "model")
    command = [sys.executable, "-m", "tests.forging", str(tmp_path), *map(str, profile)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["wrong"] == [] and found["events"] == []
    assert found["refused"] > 0.9 * sum(profile[:2])
    assert found["grown"] < 64 << 20


def test_M2_every_prefix_of_a_file_of_20_kb_is_refused(tmp_path):
    path = tmp_path / "cut"
    sn.Sequential([sn.Dense(10)], (500,), engine="numpy").save(path)
    size = os.path.getsize(path)
    assert 20_000 < size < 21_000
    for length in reversed(range(size)):
        os.truncate(path, length)
        with pytest.raises(ModelFileError, match="cut off"):
            load_model(path, "numpy")


def test_M2_every_single_byte_of_the_arrays_is_under_the_checksum(tmp_path):
    tiny().save(tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    for place in range(begin, len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        (tmp_path / "m").write_bytes(changed)
        with pytest.raises(ModelFileError, match="damaged: the content does not have the checksum"):
            load_model(tmp_path / "m", "numpy")


# sizes that ask for gigabytes


CONV = {"class": "Conv2D", "filters": 9, "kernel_size": 9}
POOL = {"class": "AvgPool2D", "stride": 1}
DENSE = {"class": "Dense", "units": 2}


def huge(**changes):
    return lambda arrays, meta: meta["model"]["layers"][0].update(changes)


@pytest.mark.parametrize(("change", "message"), [
    (huge(units=2**20), r"0.dense.W is float32 \(2, 2\), expected float32 \(2, 1048576\); 0.dense.b is"),
    (model_with(input_shape=[2**20]), r"expected float32 \(1048576, 2\)"),
    (model_with(input_shape=[2**20] * 8), "layer 0 .Dense.: .* numbers per example, where 67,108,864 are allowed"),
    (model_with(input_shape=[2**20, 64], layers=[{"class": "BatchNorm"}]), "0.batchnorm.running_var is missing"),
    (model_with(input_shape=[9, 9, 2], layers=[CONV | {"filters": 2**20}]), "0.conv2d.W is missing"),
    (model_with(input_shape=[9, 9, 2], layers=[CONV | {"padding": 2**20}, {"class": "Flatten"}]), "layer 1 .F.* nu"),
    (model_with(input_shape=[8192, 8192, 1], layers=[POOL | {"pool_size": 64}, DENSE]), "layer 1 .Dense"),
    (model_with(input_shape=[1, 1, 1], layers=[POOL | {"pool_size": 2**20, "padding": 2**20 - 1}, DENSE]), "1 .Dense"),
])  # fmt: skip
def test_forged_sizes_are_refused_before_memory_is_asked_for(tmp_path, change, message):
    path = rewritten(tmp_path, change)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=message):
            load_model(path, "numpy")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20  # NumPy reports its arrays here
    finally:
        tracemalloc.stop()


def test_a_large_file_costs_little_more_than_its_size(tmp_path):
    """Its arrays are read once, and copied once into the model."""
    model = sn.Sequential([sn.Dense(256)], (4096,), engine="numpy")
    model.save(tmp_path / "m")
    tracemalloc.start()
    try:
        load_model(tmp_path / "m", "numpy")
        assert tracemalloc.get_traced_memory()[1] < 2.5 * os.path.getsize(tmp_path / "m")
    finally:
        tracemalloc.stop()


def test_a_checkpoint_may_hold_nan_and_a_model_may_not(tmp_path):
    saving.write_file(tmp_path / "c", {"a": np.zeros(1)}, {"history": [float("nan"), float("-inf")]})
    assert np.isnan(saving.read_file(tmp_path / "c")[1]["history"][0])
    path = rewritten(tmp_path, model_with(layers=[{"class": "Rescale", "scale": float("nan")}]))
    with pytest.raises(ModelFileError, match=r"layer 0 \(Rescale\): scale must be a finite number; got nan"):
        load_model(path, "numpy")


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    for arrays, meta, message in [
        ({"a name": np.zeros(1)}, {}, "'a name' is not an array's name"),
        ({"a": np.zeros(1)}, {"history": [[0.25] * 100] * 10_000}, "a header of .* bytes, where 1,048,576 are allowed"),
    ]:
        with pytest.raises(ModelFileError, match=message):
            saving.write_file(tmp_path / "m", arrays, meta)
    assert not (tmp_path / "m").exists()
