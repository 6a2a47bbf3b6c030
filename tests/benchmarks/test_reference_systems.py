"""The table of accuracies: finished runs are not repeated, and nothing but the validation set chooses."""

import json

import numpy as np
import pytest
import reference_systems as systems

from scratchnet.zoo import PRESETS

RUN = {"test_accuracy": 0.99, "test_loss": 0.03, "val_accuracy": 0.98, "epochs": 5, "seconds": 12.0}
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
    (row,) = systems.table(runs)
    assert row["accuracy"] == "99.10 % (99.00 %–99.20 %)"
    assert (row["published"], row["published_loss"], row["loss"]) == ("99.02 %", "0.0388", "0.0300")


def test_every_reference_system_has_a_preset():
    assert set(systems.REFERENCE) <= set(PRESETS)


def test_the_test_set_chooses_nothing():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 28, 28), np.uint8), np.arange(60) % 10
    runs = [
        systems.train("basic", 0, ((x, y), (x[:30], labels)), epochs=2, engine="numpy")
        for labels in (y[:30], 9 - y[:30])
    ]
    for name in ("val_accuracy", "epochs"):
        assert runs[0][name] == runs[1][name]
    assert runs[0]["test_loss"] != runs[1]["test_loss"]
