"""Ranks and threads do not change a bit of what is trained: the digests are those of one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
PROGRAM = HERE / "fingerprints.py"
SHORT = [(1, 1), (2, 1), (3, 2), (8, 1)]
LONG = [(ranks, threads) for ranks in (1, 2, 3, 4, 8) for threads in (1, 2) if (ranks, threads) not in SHORT]


@pytest.fixture(scope="module")
def of_one_process():
    """The digests without MPI, on two threads."""
    pytest.importorskip("numba")
    done = subprocess.run(
        [sys.executable, PROGRAM, "none", "2"], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("ranks", "threads"), [*SHORT, *(pytest.param(*n, marks=pytest.mark.long) for n in LONG)])
def test_ranks_and_threads_change_no_bit(mpi, of_one_process, ranks, threads):
    done = mpi.run(ranks, PROGRAM, "mpi", threads, timeout=600)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == of_one_process


@pytest.mark.parametrize("ranks", [2, pytest.param(3, marks=pytest.mark.long), pytest.param(8, marks=pytest.mark.long)])
def test_products_that_are_divided_change_no_bit(mpi, of_one_process, ranks):
    done = mpi.run(ranks, PROGRAM, "divided", 1, timeout=600)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == of_one_process


def test_the_digests_are_of_different_networks_that_have_learned(of_one_process):
    assert len(set(of_one_process.values())) == len(of_one_process) == 8
