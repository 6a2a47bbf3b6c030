"""A search that several machines share: its trials are in a database, and survive every worker."""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.search import places
from tests.distributed.services import database, free_port

ROOT = Path(__file__).parents[2]
pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def postgresql():
    """The address of a database of its own, for as long as the tests of this file run."""
    with database() as port:
        yield f"postgresql://tester@127.0.0.1:{port}/postgres"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("digits"), np.random.default_rng(0)
    x, y = rng.integers(0, 60, (1200, 28, 28), np.uint8), np.arange(1200, dtype=np.uint8) % 10
    x[np.arange(1200), 2 * y, :] += 180
    sn.write_idx_dataset(folder, ((x, y), (x[:100], y[:100])))
    return folder


def worker(digits, out, storage, trials, *words):
    """scripts/tune.py, begun."""
    command = [
        sys.executable, ROOT / "scripts" / "tune.py", "--preset", "mlp", "--search", "lr", "--data-dir", digits,
        "--epochs", "2", "--threads", "1", "--trials", trials, "--storage", storage, "--out", out, *words,
    ]  # fmt: skip
    return subprocess.Popen(
        list(map(str, command)), env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def trials_of(storage, study):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with contextlib.suppress(KeyError):
        return optuna.load_study(study_name=study, storage=places.open_storage(storage)).get_trials(deepcopy=False)
    return []


def states(trials):
    return [trial.state.name for trial in trials]


def test_a_killed_worker_loses_one_trial_and_no_finished_one(postgresql, digits, tmp_path):
    first, second = (worker(digits, tmp_path / name, postgresql, 8, "--study", "killed") for name in ("a", "b"))
    deadline = time.monotonic() + 200
    while states(trials_of(postgresql, "killed")).count("COMPLETE") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    first.send_signal(signal.SIGKILL)
    before = {trial.number: trial.value for trial in trials_of(postgresql, "killed") if trial.state.is_finished()}
    out, err = second.communicate(timeout=250)
    first.communicate()
    assert second.returncode == 0, err
    after = trials_of(postgresql, "killed")
    assert states(after).count("FAIL") <= 1
    assert "RUNNING" not in states(after)  # what the killed worker had begun was given back
    assert 8 <= sum(state in ("COMPLETE", "PRUNED") for state in states(after)) <= 9
    assert {number: after[number].value for number in before} == before
    with open(tmp_path / "b" / "trials.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(after)
    assert "trials finished" in out


def test_workers_on_other_settings_are_refused(postgresql, digits, tmp_path):
    one = worker(digits, tmp_path / "a", postgresql, 1, "--study", "settings")
    assert one.wait(200) == 0
    other = worker(digits, tmp_path / "b", postgresql, 1, "--study", "settings", "--batch-size", 64)
    _, err = other.communicate(timeout=200)
    assert other.returncode == 2
    assert "the study settings was started with other settings" in err
    assert "--study" in err


def test_a_journal_on_a_shared_folder_is_a_storage_too(digits, tmp_path):
    shared = tmp_path / "shared" / "study.log"
    both = [worker(digits, tmp_path / name, shared, 4) for name in ("a", "b")]
    for one in both:
        _, err = one.communicate(timeout=250)
        assert one.returncode == 0, err
    found = states(trials_of(str(shared), "search"))
    assert 4 <= sum(state in ("COMPLETE", "PRUNED") for state in found) <= 5


def test_a_storage_that_does_not_answer_is_one_error(digits, tmp_path):
    pytest.importorskip("psycopg")
    one = worker(digits, tmp_path / "a", f"postgresql://nobody@127.0.0.1:{free_port()}/none", 1)
    _, err = one.communicate(timeout=200)
    assert one.returncode == 2
    assert len(err.strip().splitlines()) == 1
    assert "cannot be opened" in err


def test_a_trial_without_a_beat_is_that_of_an_ended_worker():
    place, trial = places.Elsewhere("x"), SimpleNamespace(number=3, user_attrs={"beat": 1})
    now = [0.0]
    look = lambda seconds: (now.__setitem__(0, now[0] + seconds), place.has_ended(trial, lambda: now[0]))[1]  # noqa: E731
    assert not look(0)
    assert place.is_unsure([trial])
    assert not look(places.DEAD - 1)
    trial.user_attrs["beat"] = 2
    assert not look(places.DEAD - 1)
    assert not place.is_unsure([trial])
    assert not look(places.DEAD)
    assert look(1)
