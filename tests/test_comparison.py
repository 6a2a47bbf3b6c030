"""Runs side by side: what differs, what changed, and whether they may be compared at all."""

import csv
import json

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import comparison
from scratchnet.data import write_idx_dataset
from tests.patterns import network, stripes, stripes_folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The folder of a data set of stripes."""
    return stripes_folder(tmp_path_factory.mktemp("data") / "stripes")


def finished(folder, data, seed=0, epochs=2, **settings):
    """The folder of a run, as scripts/train.py leaves it."""
    folder.mkdir()
    x, y = stripes()
    model = network(seed=seed)
    model.fit(x[:240], y[:240], epochs=epochs, batch_size=16, optimizer=sn.Adam(0.01), verbose=False,
              validation_data=(x[:80], y[:80]), callbacks=[sn.CSVLogger(folder / "history.csv")])  # fmt: skip
    model.save(folder / "model.safetensors")
    config = {"dataset": data.name, "data_dir": str(data), "seed": seed, "epochs": epochs, "out": str(folder),
              "arguments": {"seed": seed}}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config | settings))
    (folder / "metrics.json").write_text(json.dumps({"train_seconds": 1.0, "parameters": 1}))
    return model


@pytest.fixture
def two(tmp_path, data):
    """The folders of two runs that differ in seed and epochs, and their models."""
    models = [finished(tmp_path / "a", data), finished(tmp_path / "b", data, seed=1, epochs=3, note="new")]
    return [tmp_path / "a", tmp_path / "b"], models


def read(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_each_model_answers_the_test_set(two):
    folders, models = two
    x, y = (array[240:] for array in stripes())
    for run, model in zip(comparison.read_runs(folders, engine="numpy"), models, strict=True):
        measured = model.evaluate(x, y)
        assert run.accuracy == measured["accuracy"] and run.loss == pytest.approx(measured["loss"], rel=1e-5)
        assert run.interval[0] <= run.accuracy <= run.interval[1]


def test_the_settings_that_differ_are_named_and_no_others(two):
    runs = comparison.read_runs(two[0], engine="numpy")
    assert comparison.different_settings(runs) == {"seed": [0, 1], "epochs": [2, 3], "note": [None, "new"]}


def test_changed_images_are_those_that_only_one_has_right(two):
    first, other = comparison.read_runs(two[0], engine="numpy")
    change = comparison.change(first, other)
    for i in range(80):
        was, now = first.answers[i] == first.labels[i], other.answers[i] == first.labels[i]
        assert (i in change.gained) == (now and not was) and (i in change.lost) == (was and not now)
    assert (change.test.only_b, change.test.only_a) == (len(change.gained), len(change.lost))
    back = comparison.change(other, first)
    np.testing.assert_array_equal(back.gained, change.lost)


def test_a_run_is_not_different_from_itself(two):
    first = comparison.read_runs(two[0], engine="numpy")[0]
    change = comparison.change(first, first)
    assert change.test.p_value == 1 and str(change).endswith("that may be chance")


def test_the_files_hold_what_was_compared(two, tmp_path):
    runs = comparison.read_runs(two[0], engine="numpy")
    comparison.write_comparison(tmp_path / "out", runs)
    table = read(tmp_path / "out/compare.csv")
    assert table[0][:4] == ["run", "accuracy", "low", "high"]
    assert [(row[0], float(row[1])) for row in table[1:]] == [(run.name, run.accuracy) for run in runs]
    assert [row[0] for row in read(tmp_path / "out/curves.csv")[1:]] == ["a"] * 2 + ["b"] * 3
    change = comparison.change(*runs)
    assert [int(row[0]) for row in read(tmp_path / "out/changed.csv")[1:]] == sorted([*change.gained, *change.lost])
    assert (tmp_path / "out/compare.png").read_bytes().startswith(b"\x89PNG")


def test_runs_on_different_data_sets_are_refused(two, data, tmp_path):
    finished(tmp_path / "c", data, dataset="mnist")
    with pytest.raises(ValueError, match="a was trained on stripes and c on mnist: accuracies on different data sets"):
        comparison.read_runs([two[0][0], tmp_path / "c"])


def test_another_test_set_under_the_same_name_is_refused(two, tmp_path):
    x, y = stripes(seed=4)
    other = tmp_path / "other" / "stripes"
    write_idx_dataset(other, ((x[:240], y[:240].astype(np.uint8)), (x[240:], y[240:].astype(np.uint8))))
    finished(tmp_path / "c", other)
    with pytest.raises(ValueError, match="c and a have other test images, though the data sets' names agree"):
        comparison.read_runs([two[0][0], tmp_path / "c"])


def test_data_that_is_somewhere_else_now_is_asked_for(two, data, tmp_path):
    moved = tmp_path / "moved"
    data.rename(moved)
    try:
        with pytest.raises(ValueError, match=r"a was trained on stripes, but the data found is moved. .* --data-dir"):
            comparison.read_runs(two[0], data_dir=moved)
    finally:
        moved.rename(data)


def test_a_folder_that_is_no_finished_run_is_named(two, tmp_path):
    with pytest.raises(ValueError, match=r"nowhere: no config.json"):
        comparison.read_runs([two[0][0], tmp_path / "nowhere"])
    (two[0][1] / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json: damaged"):
        comparison.read_runs(two[0])


def test_runs_of_the_same_name_go_by_their_paths(two, data, tmp_path):
    (tmp_path / "deeper").mkdir()
    finished(tmp_path / "deeper" / "a", data)
    names = [run.name for run in comparison.read_runs([two[0][0], tmp_path / "deeper" / "a"], engine="numpy")]
    assert names == [str(two[0][0]), str(tmp_path / "deeper" / "a")]
