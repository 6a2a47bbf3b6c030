"""The table of accuracies: finished runs are not repeated, and each is one of the script."""

import json
import runpy
import subprocess
from argparse import Namespace
from pathlib import Path

import fashion_mnist as fashion
import pytest
import reference_systems as systems

from scratchnet.zoo import PRESETS

RUN = {"test_accuracy": 0.99, "test_loss": 0.03, "val_accuracy": 0.98, "as_drawn": 0.9, "epochs": 5, "seconds": 12.0}
SETTINGS = {"dataset": "mnist", "epochs": 0, "limit": 0}


class Trainer:
    """Counts the runs that it is asked for; gives seed s an accuracy of 99 % and s tenths."""

    def __init__(self):
        self.asked = []

    def __call__(self, preset, seed):
        self.asked.append((preset, seed))
        return {**RUN, "test_accuracy": 0.99 + seed / 1000}


def test_runs_that_have_a_file_are_not_repeated(tmp_path):
    first, second = Trainer(), Trainer()
    systems.run_all(["chollet"], [0, 1], tmp_path, SETTINGS, first)
    runs = systems.run_all(["chollet", "basic"], [0, 1, 2], tmp_path, SETTINGS, second)
    assert first.asked == [("chollet", 0), ("chollet", 1)]
    assert second.asked == [("chollet", 2), ("basic", 0), ("basic", 1), ("basic", 2)]
    assert [run["seed"] for run in runs["chollet"]] == [0, 1, 2]


@pytest.mark.parametrize("other", [{"limit": 2000}, {"epochs": 1}, {"dataset": "synthetic"}])
def test_a_trial_run_never_stands_for_a_real_one(tmp_path, other):
    trial, real = Trainer(), Trainer()
    systems.run_all(["chollet"], [0], tmp_path, SETTINGS | other, trial)
    systems.run_all(["chollet"], [0], tmp_path, SETTINGS, real)
    assert real.asked == [("chollet", 0)]


def test_a_file_that_was_not_written_to_its_end_is_no_run(tmp_path):
    (tmp_path / "chollet-seed0.json").write_text(json.dumps({"settings": SETTINGS, **RUN})[:-9])
    trainer = Trainer()
    systems.run_all(["chollet"], [0], tmp_path, SETTINGS, trainer)
    assert trainer.asked == [("chollet", 0)]


def test_the_table_shows_mean_and_range_over_the_seeds(tmp_path):
    runs = systems.run_all(["two-conv"], [0, 1, 2], tmp_path, SETTINGS, Trainer())
    (row,) = systems.table(runs, systems.REFERENCE)
    assert row["accuracy"] == "99.10 % (99.00 %–99.20 %)"
    assert (row["published"], row["published_loss"], row["loss"]) == ("99.02 %", "0.0388", "0.0300")


def test_the_table_has_the_runs_of_earlier_calls_but_no_trial(tmp_path):
    systems.run_all(["two-conv"], [2, 10, 0], tmp_path, SETTINGS, Trainer())
    systems.run_all(["basic"], [1], tmp_path, SETTINGS, Trainer())
    systems.run_all(["basic"], [2], tmp_path, SETTINGS | {"limit": 100}, Trainer())
    runs = systems.runs_in(tmp_path, systems.REFERENCE, SETTINGS)
    assert {preset: [run["seed"] for run in of] for preset, of in runs.items()} == {
        "basic": [1],
        "two-conv": [0, 2, 10],
    }
    assert [row["seeds"] for row in systems.table(runs, systems.REFERENCE)] == [1, 3]


def test_every_reference_system_has_a_preset():
    assert set(systems.REFERENCE) | set(fashion.REFERENCE) <= set(PRESETS)


def test_a_run_is_that_of_the_script(monkeypatch):
    """The script understands the command; what it would write then is what is reported."""
    metrics = {"test_accuracy": 0.99, "test_loss": 0.03, "epochs": 1, "val_accuracy": 0.98, "as_drawn_accuracy": 0.9,
               "train_seconds": 12.0}  # fmt: skip
    asked = []

    def run(command, **_):
        _, script, *words = command
        asked.append(runpy.run_path(str(script))["parse_args"](words))
        Path(asked[-1].out).mkdir()
        (Path(asked[-1].out) / "metrics.json").write_text(json.dumps(metrics))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    found = systems.train("basic", 0, Namespace(threads=1, data_dir=None, epochs=0, limit=100, choice="mnist"))
    assert (asked[0].preset, asked[0].seed, asked[0].threads, asked[0].limit) == ("basic", 0, 1, 100)
    assert asked[0].epochs is asked[0].data_dir is None
    assert (found["as_drawn"], found["seconds"]) == (0.9, 12.0)


def test_a_run_that_fails_is_an_error_that_names_it(tmp_path):
    args = Namespace(threads=1, data_dir=str(tmp_path / "none"), epochs=1, limit=100, choice="mnist")
    with pytest.raises(ValueError, match=r"basic, seed 3: train\.py ended with exit code 2"):
        systems.train("basic", 3, args)
