"""Searches: nothing is lost with a process, bad trials end early, and the best one can be had again to the last bit."""

import csv
import importlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.zoo import PRESETS
from tests.patterns import stripes_folder

pytest.importorskip("optuna")
from scratchnet import search
from scratchnet.commands.workers import run_workers
from tests import searching

ROOT = Path(__file__).parents[1]
SMALL = ["--preset", "mlp", "--engine", "numpy", "--batch-size", "32", "--epochs", "3", "--search", "lr", "dropout"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The folder of a data set of stripes."""
    return ["--data-dir", str(stripes_folder(tmp_path_factory.mktemp("data") / "stripes"))]


@pytest.fixture
def script(monkeypatch, tmp_path):
    """Calls a script's main in a folder of its own -> exit code."""
    monkeypatch.chdir(tmp_path)
    yield lambda name, *args: importlib.import_module(name).main([str(arg) for arg in args])
    for name in ("train", "tune"):
        sys.modules.pop(name, None)


def test_of_a_killed_process_no_trial_is_lost_and_another_process_does_what_it_left(tmp_path):
    command = [sys.executable, str(ROOT / "tests" / "searching.py"), str(tmp_path), "6"]
    options = {"stdout": subprocess.PIPE, "text": True, "cwd": ROOT, "env": os.environ | {"PYTHONPATH": str(ROOT)}}
    killed, other = (subprocess.Popen([*command, *more], **options) for more in (["2"], []))
    first, second = ([int(line) for line in process.communicate(timeout=120)[0].split()] for process in (killed, other))
    assert (killed.returncode, other.returncode) in ((-9, 0), (0, 0))  # it may have come too late for a second trial
    trials = search.records(searching.begun(tmp_path, halving=False))
    ended = [trial.number for trial in trials if trial.state == "finished"]
    assert sorted(first + second) == ended and len(set(ended)) == 6
    if killed.returncode:
        lost = next(trial for trial in trials if trial.state == "interrupted")
        assert [trial.drawn for trial in trials].count(lost.drawn) == 2
    assert not list((tmp_path / "workers").iterdir())


def test_a_search_that_was_interrupted_draws_what_another_one_draws(tmp_path):
    def drawn(name, interrupted_in):
        count = 0

        def train(options, callback):
            nonlocal count
            count += 1
            if count in interrupted_in:
                raise KeyboardInterrupt
            return searching.pretended(1)(options, callback)

        while True:
            try:
                ended = list(search.run_trials(searching.begun(tmp_path / name, halving=False), train, 14))
                break
            except KeyboardInterrupt:
                pass
        trials = search.records(searching.begun(tmp_path / name, halving=False))
        assert sum(trial.state == "interrupted" for trial in trials) == len(interrupted_in)
        return [trial.drawn for trial in trials if trial.state == "finished"], ended

    whole, _ = drawn("whole", ())
    assert whole == drawn("interrupted", (1, 4, 13))[0] and len({str(values) for values in whole}) == 14


def test_a_trial_that_is_not_among_the_best_third_is_stopped_at_its_first_comparison(tmp_path):
    falling = iter(range(100, 0, -1))  # every trial is worse than the one before

    def train(options, callback):
        level = next(falling) / 100
        return searching.pretended(9, lambda options, epoch: level + epoch / 1000)(options, callback)

    trials = list(search.run_trials(searching.begun(tmp_path), train, 6))
    assert [len(trial.epochs) for trial in trials] == [9, 1, 1, 1, 1, 1]
    assert [trial.state for trial in trials] == ["finished", *["stopped"] * 5]
    assert search.ranking(trials) == trials[:1]


def test_a_search_finds_what_is_good(tmp_path):
    found = searching.begun(tmp_path, searched=("lr", "widths"))
    trials = list(search.run_trials(found, searching.pretended(1), 20))
    assert search.ranking(trials)[0].accuracy > trials[0].accuracy + 0.008  # trial 0 is the recipe, 0.009 too slow


def test_what_decides_the_accuracy_is_what_matters(rng):
    space = {"lr": search.Range(1e-3, 1, log=True), "dropout": search.Range(0, 0.6), "n": search.Choice((32, 64))}
    trials = []
    for number in range(60):
        drawn = {"lr": 10 ** rng.uniform(-3, 0), "dropout": rng.uniform(0, 0.6), "n": int(rng.choice([32, 64]))}
        epoch = {"val_accuracy": 1 - abs(np.log10(drawn["lr"]) + 2) / 10, "val_loss": 0.1}
        trials.append(search.Record(number, "finished", drawn, epochs=[epoch]))
    shares = search.importances(trials, space)
    assert shares["lr"] > 0.8 and sum(shares.values()) == pytest.approx(1)
    assert search.importances(trials[:9], space) == {}


def test_a_training_that_diverges_is_a_bad_trial_and_the_search_goes_on(tmp_path):
    def train(options, callback):
        if options["lr"] > 2e-3:
            raise sn.TrainingDivergedError("the training has diverged at step 1")
        return searching.pretended(1)(options, callback)

    trials = list(search.run_trials(searching.begun(tmp_path), train, 12))
    assert {"finished", "diverged"} <= {trial.state for trial in trials} and len(trials) == 12
    assert all(trial.reason.startswith("the training has") for trial in trials if trial.state == "diverged")


@pytest.mark.parametrize("name", PRESETS)
def test_the_first_trial_is_the_preset_as_it_stands(name):
    recipe = PRESETS[name](10)
    own = search.own_values(recipe)
    for part, values in search.space(recipe).items():
        if isinstance(values, search.Choice):
            assert own[part] in values.options
        else:
            assert values.low <= own[part] <= values.high and (own[part] - values.low) % (values.step or 1e-9) < 1e-8
    options = search.train_options(own, recipe)
    assert options["lr"] == recipe.optimizer.lr or callable(recipe.optimizer.lr)


def test_the_best_trials_command_gives_its_accuracy_to_the_last_bit(script, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("scratchnet.report.write_run", lambda *run: {"test_accuracy": 0, "test_loss": 0})
    arguments = ("tune", *SMALL, *data, "--out", "found", "--quiet")
    with monkeypatch.context() as patched:
        patched.setattr("scratchnet.report.write_search", lambda *found: None)
        assert script(*arguments, "--trials", 2) == 0
    assert script(*arguments, "--trials", 3) == 0
    best = json.loads((tmp_path / "found/best.json").read_text())
    said = capsys.readouterr().out
    assert best["command"] in said and "2 trials" in said
    with open(tmp_path / "found/trials.csv", newline="") as file:
        assert [row["trial"] for row in csv.DictReader(file)] == ["0", "1", "2"]

    python, path, *options = shlex.split(best["command"])
    assert (python, path) == ("python", "scripts/train.py")
    assert script("train", *options, "--out", "again", "--quiet") == 0
    with open(tmp_path / "again/history.csv", newline="") as file:
        row = list(csv.DictReader(file))[best["kept_epoch"] - 1]
    assert (float(row["val_accuracy"]), float(row["val_loss"])) == (best["val_accuracy"], best["val_loss"])

    page = (tmp_path / "found/report.html").read_text()
    assert best["command"] in re.sub("</?span>", "", page) and page.count("<img") == 3 and "<script" not in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)

    assert script(*arguments, "--trials", 4, "--limit", 100) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: found was started with other settings: given was ") and err.count("\n") == 1


def test_what_is_said_is_not_searched(script, data, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        script("tune", *SMALL, "--lr", 0.1)
    assert "argument --search: lr cannot be searched, because --lr fixes it" in capsys.readouterr().err


def test_ctrl_c_before_the_first_trial_is_one_line(script, data, capsys, monkeypatch):
    monkeypatch.setattr("scratchnet.data.load_dataset", Mock(side_effect=KeyboardInterrupt))
    assert script("tune", *SMALL, *data) == 130
    assert capsys.readouterr().err == "stopped; the same command resumes\n"


def test_workers_are_born_deaf_to_ctrl_c(monkeypatch):
    """Python leaves a signal alone that is ignored when it starts: a terminal's Ctrl-C ends no worker half-way."""
    heard, before = [], signal.getsignal(signal.SIGINT)
    worker = lambda command: heard.append(signal.getsignal(signal.SIGINT)) or Mock(returncode=0)  # noqa: E731
    monkeypatch.setattr(subprocess, "Popen", worker)
    run_workers([], 2)
    assert heard == [signal.SIG_IGN] * 2 and signal.getsignal(signal.SIGINT) is before


def test_without_optuna_one_line_says_what_to_install(script, data, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert script("tune", *SMALL, *data) == 2
    err = capsys.readouterr().err
    assert "python -m pip install -e '.[tune]'" in err and err.count("\n") == 1
