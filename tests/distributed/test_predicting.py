"""Predictions of large sets: every row once, the bits of one process, whatever was stopped on the way."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import scratchnet as sn
from scratchnet.commands import predicting, shards
from tests.distributed.services import predicted_with_a_worker_killed

ROOT = Path(__file__).parents[2]
PREDICT = ROOT / "scripts" / "predict.py"
N = 43_210  # five shards, the last of 3,210 images


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model file, its images in a raw and in a packed file, and their probabilities."""
    pytest.importorskip("numba")
    folder, rng = tmp_path_factory.mktemp("trained"), np.random.default_rng(5)
    names = [*"abcd", 'the "fifth", class']
    model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(5)], (6, 5, 1), seed=3, class_names=names)
    x = rng.integers(0, 256, (N, 6, 5), np.uint8)
    model.save(folder / "model.safetensors")
    for name in ("images", "images.gz"):
        sn.write_idx(folder / name, x)
    return folder, model.predict(x), names


def predict(*words, **options):
    """scripts/predict.py in another process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, PREDICT, *map(str, words)], env=environment, capture_output=True, text=True, timeout=300,
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("file", ["images", "images.gz"])
def test_a_file_is_predicted_to_the_bits_of_the_array(trained, tmp_path, file):
    folder, expected, _ = trained
    done = predict(folder / "model.safetensors", "--idx", folder / file, "--out", tmp_path / "p.npy")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["p.npy"]
    assert "43,210 rows" in done.stdout


def test_a_csv_has_a_line_for_each_image(trained, tmp_path):
    folder, expected, names = trained
    done = predict(folder / "model.safetensors", "--idx", folder / "images", "--out", tmp_path / "p.csv")
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "p.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["image"]) for row in rows] == list(range(N))
    assert [row["class"] for row in rows] == [names[k] for k in expected.argmax(axis=1)]
    np.testing.assert_allclose([float(row["probability"]) for row in rows], expected.max(axis=1), atol=1e-6)


def test_finished_shards_are_not_computed_again(trained, tmp_path, monkeypatch):
    folder, expected, names = trained
    model = sn.load_model(folder / "model.safetensors")
    source = predicting.IdxStream(folder / "images.gz")
    job = shards.Shards(tmp_path / "p.npy", source, folder / "model.safetensors", names)
    done = predicting.predict_here(job, model)
    assert [next(done), next(done)] == [10_000, 10_000]
    done.close()
    again = shards.Shards(tmp_path / "p.npy", source, folder / "model.safetensors", names)
    assert again.missing() == [2, 3, 4]
    assert list(predicting.predict_here(again, model)) == [10_000, 10_000, 3210]
    again.join()
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), expected)


def test_shards_of_another_model_or_file_are_refused(trained, tmp_path):
    folder, _, names = trained
    source = predicting.IdxStream(folder / "images")
    shards.Shards(tmp_path / "p.npy", source, folder / "model.safetensors", names)
    (tmp_path / "other").write_bytes(b"another model")
    with pytest.raises(ValueError, match="shards of another model"):
        shards.Shards(tmp_path / "p.npy", source, tmp_path / "other", names)
    with pytest.raises(ValueError, match=r"a \.csv .* or a \.npy"):
        shards.Shards(tmp_path / "p.txt", source, tmp_path / "other", names)
    (tmp_path / "there.csv").touch()
    with pytest.raises(FileExistsError, match="there already"):
        shards.Shards(tmp_path / "there.csv", source, tmp_path / "other", names)


def test_a_few_images_have_the_bits_of_many(trained, tmp_path):
    folder, expected, _ = trained
    sn.write_idx(tmp_path / "three", sn.read_idx(folder / "images")[:3])
    done = predict(folder / "model.safetensors", "--idx", tmp_path / "three", "--out", tmp_path / "p.npy")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), expected[:3])


def test_a_folder_of_pictures_is_a_stream_and_unusable_ones_have_empty_lines(trained, tmp_path):
    folder, _, names = trained
    pictures = tmp_path / "scans"
    (pictures / "b").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a.png", "b/c, d.png"):
        Image.fromarray(rng.integers(0, 256, (12, 10), np.uint8)).save(pictures / name)
    (pictures / "broken.png").write_bytes(b"no picture")
    done = predict(folder / "model.safetensors", "--images", pictures, "--out", tmp_path / "p.csv")
    assert done.returncode == 1, done.stderr
    with open(tmp_path / "p.csv", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert sorted(rows) == ["a.png", "b/c, d.png", "broken.png"]
    assert rows["broken.png"]["class"] == ""
    assert rows["a.png"]["class"] in names
    assert "pictures that could not be used: 1" in done.stdout


def test_a_signal_leaves_shards_from_which_the_same_command_resumes(trained, tmp_path):
    folder, expected, _ = trained
    command = [folder / "model.safetensors", "--idx", folder / "images.gz", "--out", tmp_path / "p.npy"]
    job = subprocess.Popen(
        [sys.executable, PREDICT, *map(str, command)], env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while job.poll() is None and not (tmp_path / "p.npy.shards" / "shard-00000.npy").exists():
        time.sleep(0.001)
    job.send_signal(signal.SIGTERM)
    _, err = job.communicate(timeout=60)
    if job.returncode:  # else it was faster
        assert job.returncode == 143
        assert "the same command resumes" in err
        assert predict(*command).returncode == 0
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), expected)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give image files, or --idx"),
        (["--idx", "x"], "--out belongs to"),
        (["x.png", "--dask", "tcp://a:1"], "only with --out"),
        (["--idx", "nowhere", "--out", "p.npy"], "there is no such file"),
    ],
)
def test_wrong_options_are_explained(trained, words, said):
    done = predict(trained[0] / "model.safetensors", *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_worker_of_a_cluster_is_killed_and_every_row_is_there_once(trained, tmp_path):
    folder, expected, names = trained
    source = predicting.IdxStream(folder / "images")
    job = shards.Shards(tmp_path / "p.npy", source, folder / "model.safetensors", names)
    found = predicted_with_a_worker_killed(job, folder / "model.safetensors", after=1)
    assert sum(found) >= N - 10_000  # a shard may be run twice, but is written once
    assert job.missing() == []
    job.join()
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), expected)


@pytest.mark.parametrize("losses", [1, 3])
def test_a_model_that_is_lost_with_its_worker_is_sent_again(trained, tmp_path, monkeypatch, losses):
    distributed = pytest.importorskip("distributed")
    folder, expected, names = trained
    source = predicting.IdxStream(folder / "images")
    job = shards.Shards(tmp_path / "p.npy", source, folder / "model.safetensors", names)
    scatter, sent = distributed.Client.scatter, []

    def scattered(client, *data, **how):
        futures = scatter(client, *data, **how)
        if len(sent) < losses:
            client.cancel(futures)
        sent.append(futures)
        return futures

    monkeypatch.setattr(distributed.Client, "scatter", scattered)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        options = {"engine": "numba", "rescale": None, "threads": 1}
        done = predicting.predict_on_workers(job, folder / "model.safetensors", cluster.scheduler_address, options)
        if losses == 3:
            with pytest.raises(ConnectionError, match="shards were lost 3 times"):
                list(done)
            return
        assert sum(done) == N
    assert len(sent) == 2
    job.join()
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), expected)


def test_a_packed_file_is_not_for_a_cluster_and_a_missing_scheduler_is_said(trained, tmp_path):
    pytest.importorskip("distributed")
    folder, _, names = trained
    for file, said in (("images.gz", "Unpack it for --dask"), ("images", "no scheduler answers")):
        job = shards.Shards(tmp_path / f"{file}.npy", predicting.IdxStream(folder / file), folder / "model.safetensors",
                            names)  # fmt: skip
        with pytest.raises(ValueError, match=said):
            list(predicting.predict_on_workers(job, folder / "model.safetensors", "tcp://127.0.0.1:9", {}))
