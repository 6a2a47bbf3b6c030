"""Options of scripts/train.py that change how a network is trained, each by what must then be true of the run."""

import csv
import math
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.zoo import PRESETS
from tests.patterns import stripes_folder

TRAIN = Path(__file__).parents[1] / "scripts" / "train.py"
BATCHES = 7  # of 32 in an epoch: 240 images, of which 24 are held out


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The folder of a data set of stripes."""
    return stripes_folder(tmp_path_factory.mktemp("data") / "stripes")


@pytest.fixture
def script():
    """The names in the script."""
    return runpy.run_path(str(TRAIN))


@pytest.fixture
def train(script, data, tmp_path, monkeypatch):
    """Runs the script on the stripes, writing into tmp_path/out -> exit code. The report's pictures are left out."""
    monkeypatch.setattr("scratchnet.report.write_run", lambda *run: {"test_accuracy": 0, "test_loss": 0})
    main = script["main"]
    fixed = ["--preset", "mlp", "--engine", "numpy", "--batch-size", 32, "--data-dir", data, "--quiet"]
    return lambda out, *options: main([str(a) for a in (*fixed, "--out", tmp_path / out, *options)])


def column(run, name):
    with open(run / "history.csv", newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


@pytest.mark.parametrize(("options", "schedule"), [
    (["--schedule", "cosine"], sn.Cosine(0.02, 3 * BATCHES)),
    (["--schedule", "one-cycle"], sn.OneCycle(0.02, 3 * BATCHES)),
    (["--schedule", "cosine", "--warm-up", 10], sn.WarmUp(sn.Cosine(0.02, 3 * BATCHES - 10), 10)),
    (["--warm-up", 10], sn.WarmUp(sn.Constant(0.02), 10)),
    ([], sn.Constant(0.02)),
])  # fmt: skip
def test_a_schedule_has_the_steps_of_the_run(train, tmp_path, options, schedule):
    assert train("out", "--epochs", 3, "--lr", 0.02, *options) == 0
    last_steps = [BATCHES - 1, 2 * BATCHES - 1, 3 * BATCHES - 1]
    assert column(tmp_path / "out", "lr") == [schedule(step) for step in last_steps]


def test_no_loss_is_below_the_entropy_of_smoothed_labels(train, tmp_path):
    assert train("out", "--epochs", 3, "--label-smoothing", 0.4) == 0
    classes = 4
    t = np.array([0.6 + 0.4 / classes, *[0.4 / classes] * (classes - 1)])
    entropy = -(t * np.log(t)).sum()
    assert all(entropy < loss < 1.2 * math.log(classes) for loss in column(tmp_path / "out", "loss"))


def test_clipped_gradients_bound_the_way_that_the_parameters_go(train, tmp_path):
    assert train("out", "--epochs", 1, "--optimizer", "sgd", "--lr", 0.5, "--clip-norm", 1e-3) == 0
    trained = sn.load_model(tmp_path / "out" / "model.safetensors", engine="numpy")
    ways = [trained.parameters()[name] - p for name, p in trained.untrained_copy().parameters().items()]
    length = math.sqrt(sum((way.astype(np.float64) ** 2).sum() for way in ways))
    assert 0 < length <= BATCHES * 0.5 * 1e-3 * (1 + 1e-3)


def test_a_weight_average_changes_what_is_evaluated_and_not_what_is_trained(train, tmp_path):
    assert train("plain", "--epochs", 2) == train("averaged", "--epochs", 2, "--weight-average", 0.9) == 0
    plain, averaged = tmp_path / "plain", tmp_path / "averaged"
    assert column(plain, "training_loss") == column(averaged, "training_loss")
    assert all(a != b for a, b in zip(column(plain, "loss"), column(averaged, "loss"), strict=True))


def test_a_resumed_run_knows_its_options(train, tmp_path, capsys):
    options = ["--schedule", "cosine", "--label-smoothing", 0.1, "--clip-norm", 1, "--weight-average", 0.9]
    assert train("out", "--epochs", 2, *options) == 0
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert train("out", "--resume", tmp_path / "out") == 0
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before
    capsys.readouterr()
    assert train("out", "--resume", tmp_path / "out", "--clip-norm", 2, "--epochs", 4) == 2
    said = capsys.readouterr().err
    assert "optimizer.lr.steps was 14 and is 28" in said and "optimizer.clip_norm was 1.0 and is 2.0" in said


def test_a_warm_up_that_never_ends_is_refused_before_anything_is_written(train, tmp_path, capsys):
    assert train("out", "--epochs", 1, "--warm-up", 7) == 2
    assert capsys.readouterr().err == "error: --warm-up 7: this run has only 7 steps\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("options", "message"), [
    (["--schedule", "one-cycle", "--warm-up", 3], "argument --warm-up: one-cycle has its own warm-up"),
    (["--label-smoothing", 1], "argument --label-smoothing: must be from 0 to below 1, got 1"),
    (["--weight-average", -0.5], "argument --weight-average: must be from 0 to below 1, got -0.5"),
    (["--clip-norm", 0], "argument --clip-norm: must be positive, got 0"),
    (["--schedule", "linear"], "argument --schedule: invalid choice: 'linear'"),
])  # fmt: skip
def test_impossible_options_are_refused_by_name(train, capsys, options, message):
    with pytest.raises(SystemExit, match="2"):
        train("out", *options)
    assert message in capsys.readouterr().err


def test_a_recipe_is_followed_where_the_command_line_says_nothing(monkeypatch, train, tmp_path):
    plain, options = PRESETS["mlp"], ("--augment", "light", "--warm-up", 3, "--label-smoothing", 0.1)
    options = (*options, "--schedule", "cosine", "--weight-average", 0.9, "--epochs", 2)
    asked = {"augment": sn.Augment.light(), "warm_up": 3, "label_smoothing": 0.1}
    asked |= {"schedule": "cosine", "weight_average": 0.9, "epochs": 2}
    assert train("said", *options) == train("plain", "--epochs", 1) == 0
    monkeypatch.setitem(PRESETS, "mlp", lambda classes: replace(plain(classes), **asked))
    undone = ("--augment", "off", "--label-smoothing", 0, "--schedule", "constant", "--weight-average", 0)
    assert train("asked") == train("undone", *undone, "--epochs", 1) == 0
    said, asked, undone, plain = (
        [W.tolist() for W in sn.load_model(tmp_path / run / "model.safetensors", "numpy").parameters().values()]
        for run in ("said", "asked", "undone", "plain")
    )
    assert said == asked != plain == undone


def test_a_recipe_keeps_the_best_weights_or_the_last(monkeypatch, train, tmp_path):
    """The best of four epochs is an early one, and what is kept of it is what a shorter training ends with."""
    plain = PRESETS["mlp"]
    monkeypatch.setitem(PRESETS, "mlp", lambda classes: replace(plain(classes), keep="last"))
    monkeypatch.setitem(PRESETS, "best", plain)
    assert train("best", "--preset", "best", "--epochs", 4) == train("last", "--epochs", 4) == 0
    accuracy = column(tmp_path / "best", "val_accuracy")
    first = accuracy.index(max(accuracy)) + 1
    assert first < 4 and train("short", "--epochs", first) == 0
    best, last, short = (
        [W.tolist() for W in sn.load_model(tmp_path / run / "model.safetensors", "numpy").parameters().values()]
        for run in ("best", "last", "short")
    )
    assert best == short != last


def test_what_is_not_known_to_be_digits_is_augmented_only_if_that_is_said(monkeypatch, script, tmp_path, capsys):
    plain = PRESETS["mlp"]
    monkeypatch.setitem(PRESETS, "mlp", lambda classes: replace(plain(classes), augment=sn.Augment.digits()))
    main, fixed = script["main"], ["--preset", "mlp", "--engine", "numpy", "--epochs", "1", "--out"]
    data = ["--data-dir", str(stripes_folder(tmp_path / "stripes"))]
    for out, options in {"plain": [], "off": ["--augment", "off"], "asked": ["--augment", "digits"]}.items():
        assert main([*fixed, str(tmp_path / out), *data, *options]) == 0
        said = "augmentation: off, the recipe has one for digits and stripes may be something else (--augment digits"
        assert (said in capsys.readouterr().out) == (out == "plain")
    plain, off, asked = (column(tmp_path / out, "training_loss") for out in ("plain", "off", "asked"))
    assert plain == off != asked
