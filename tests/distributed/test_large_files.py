"""Files that are larger than what a process may hold: 4 GiB of digits to train on, and a million to predict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.commands import predicting, shards
from tests.distributed.services import predicted_with_a_worker_killed

ROOT = Path(__file__).parents[2]
GIB, MILLION = 2**30, 1_000_000

pytestmark = pytest.mark.long

TWO_HUNDRED_STEPS = """
import hashlib, json, sys, numpy as np, scratchnet as sn
from scratchnet.data.mapped import MappedImages
rank = sn.distribute("mpi") if sys.argv[1] == "mpi" else 0
sn.set_threads(1)
images, labels = MappedImages.of(sys.argv[2]), np.tile(np.arange(10), 2560)
rows = np.random.default_rng(0).choice(len(images), len(labels), replace=False)
images = images.subset(rows) if sys.argv[1] == "mpi" else images.subset(rows)[:]
model = sn.zoo.default().build((28, 28, 1))
model.fit(images, labels, epochs=1, batch_size=128, verbose=False)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
weights = hashlib.sha256(b"".join(array.tobytes() for array in model.get_weights())).hexdigest()
print(json.dumps({"rank": rank, "peak": 1024 * peak, "weights": weights}))
"""


def write_repeated(path: Path, x: np.ndarray, count: int) -> None:
    """An IDX file of `count` images: these again and again, written piece by piece."""
    with open(path, "wb") as file:
        file.write(b"\0\0\x08\x03" + np.array([count, *x.shape[1:]], ">i4").tobytes())
        for start in range(0, count, len(x)):
            file.write(x[: count - start].tobytes())


def digits(count: int) -> np.ndarray:
    """Images that differ, of the size of MNIST's."""
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)


def test_ranks_train_on_four_gigabytes_in_less_than_one_to_the_bits_of_the_rows_in_memory(mpi, tmp_path):
    file, program = tmp_path / "images", tmp_path / "program.py"
    write_repeated(file, digits(20_000), -(-4 * GIB // 784))
    program.write_text(TWO_HUNDRED_STEPS)
    assert file.stat().st_size > 4 * GIB
    done = mpi.run(2, program, "mpi", file, timeout=600)
    assert done.returncode == 0, done.stderr
    ranks = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(rank["rank"] for rank in ranks) == [0, 1]
    assert max(rank["peak"] for rank in ranks) < GIB
    alone = subprocess.run(
        [sys.executable, program, "alone", file], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert {rank["weights"] for rank in ranks} == {json.loads(alone.stdout)["weights"]}


def test_a_cluster_predicts_a_million_images_with_a_worker_killed_to_the_bits_of_one_process(tmp_path):
    x, model = digits(30_000), sn.zoo.default().build((28, 28, 1))
    write_repeated(tmp_path / "images", x, MILLION)
    model.save(tmp_path / "model.safetensors")
    source = predicting.IdxStream(tmp_path / "images")
    job = shards.Shards(tmp_path / "p.npy", source, tmp_path / "model.safetensors", [*"0123456789"])
    found = predicted_with_a_worker_killed(job, tmp_path / "model.safetensors", after=20)
    assert len(found) == MILLION // shards.SIZE
    assert job.missing() == []
    job.join()
    predicted, expected = np.load(tmp_path / "p.npy", mmap_mode="r"), model.predict(x)
    assert predicted.shape == (MILLION, 10)
    for start in range(0, MILLION, len(x)):
        np.testing.assert_array_equal(predicted[start : start + len(x)], expected[: MILLION - start])
