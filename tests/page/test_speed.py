"""Times of the layers for the page: what is measured, not how long it takes."""

import json

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.page.speed import loops, measured, peers
from tests.patterns import network


def test_every_layer_is_in_one_row_and_every_time_is_a_time(engine):
    model = network(engine)
    found = measured(model, batch=3)
    names = [name for row in found["layers"] for name in row["names"]]
    assert names == model.names and found["engine"] == engine and found["batch"] == 3
    assert all(row["engine"] > 0 and row["textbook"] > 0 for row in found["layers"])
    cost = {name: row["multiplyAdds"] for row in found["layers"] for name in row["names"] if "conv2d" in name}
    assert cost["1.conv2d"] == 8 * 8 * 9 * 4
    assert [rung["name"].split(":")[0].split()[0] for rung in found["ladder"]] == ["1.conv2d"] * 3
    assert json.loads(json.dumps(found)) == found


def test_the_loops_compute_the_share_they_claim(monkeypatch):
    model = network()
    layer, image = model.layers[1], np.ones((10, 10, 1), np.float32)
    assert loops(layer, image)[0] == 1.0
    monkeypatch.setattr("scratchnet.page.speed.LOOPS_SECONDS", 0.0)
    assert loops(layer, image)[0] == 1 / 64


def test_a_model_without_convolutions_has_no_ladder():
    model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(3)], (6, 6, 1), engine="numpy")
    assert measured(model, batch=2)["ladder"] == []


def test_results_of_the_benchmark_are_shown_where_they_are(tmp_path):
    row = {"case": "two-conv", "framework": "PyTorch", "batch": 64, "images": 1000, "median": 0.5}
    path = tmp_path / "inference.json"
    path.write_text(json.dumps({"machine": {"cpu": "a CPU"}, "rows": [row, {**row, "batch": 256}, {"case": "x"}]}))
    assert peers(path) == [{"case": "two-conv", "framework": "PyTorch", "batch": 64, "ms": 0.5, "cpu": "a CPU"}]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"rows": [1]}', '{"rows": [{"batch": 64}], "machine": {}}'])
def test_other_files_are_no_results(tmp_path, content):
    path = tmp_path / "inference.json"
    path.write_text(content)
    assert peers(path) == []
