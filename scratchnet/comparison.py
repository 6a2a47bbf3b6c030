"""Runs side by side: which is better, and is the difference more than chance?

All models classify the same test images, so they are compared image by image. Images that both classify correctly, or
both wrongly, carry no information; the others decide (`metrics.mcnemar`). Accuracies alone are too coarse: the
interval of 99 % on 10,000 images is 0.4 points wide, and two runs that differ only in their seed differ by about 0.1.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.data import CHOICES, folder_then, load_dataset
from scratchnet.data.atomic import replacing
from scratchnet.metrics import McNemar, losses, mcnemar, wilson_interval
from scratchnet.model import load_model

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito 2008
# They change nothing about the model; "arguments" are what was asked for, and what was used stands beside them.
NO_SETTINGS = ("arguments", "out", "overwrite", "resume", "quiet", "doctor", "list_presets")


FILES = ("compare.png", "compare.csv", "curves.csv", "changed.csv")  # that write_comparison writes


@dataclass(frozen=True)
class FinishedRun:
    """The contents of a run's folder, and its model's answers to the test set."""

    name: str
    config: dict[str, Any]
    metrics: dict[str, Any]
    epochs: list[dict[str, float]]
    labels: np.ndarray  # of the test set, (n,)
    probabilities: np.ndarray  # (n, classes)

    @property
    def answers(self) -> np.ndarray:
        """The model's class for each test image, (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def right(self) -> np.ndarray:
        """Which test images it has right, (n,) booleans."""
        return self.answers == self.labels

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return wilson_interval(int(self.right.sum()), len(self.labels))

    @property
    def loss(self) -> float:
        return float(losses(self.probabilities, self.labels).mean())


@dataclass(frozen=True)
class Change:
    """Indices of the test images that only one of two runs classifies correctly."""

    gained: np.ndarray
    lost: np.ndarray
    test: McNemar

    def __str__(self) -> str:
        verdict = "chance alone would hardly do that" if self.test.p_value < 0.05 else "that may be chance"
        return (
            f"{len(self.gained)} images are right now that were wrong, {len(self.lost)} are wrong that were right: "
            f"p = {self.test.p_value:.2g}, {verdict}"
        )


def read_runs(folders: Iterable[Any], data_dir: Any = None, engine: str = "numba") -> list[FinishedRun]:
    """Read finished runs and classify the test set with their models. ValueError if the test sets differ.

    data_dir: where the data is, if not where the runs found it.
    """
    folders = [Path(folder) for folder in folders]
    short = [folder.resolve().name for folder in folders]
    names = short if len(set(short)) == len(short) else [str(folder) for folder in folders]
    configs = [read_json(folder / "config.json") for folder in folders]
    for name, config in zip(names, configs, strict=True):
        if config["dataset"] != configs[0]["dataset"]:
            raise ValueError(
                f"{names[0]} was trained on {configs[0]['dataset']} and {name} on {config['dataset']}: "
                "accuracies on different data sets cannot be compared"
            )
    tests = [test_set(name, config, data_dir) for name, config in zip(names, configs, strict=True)]
    for name, (x, y) in zip(names, tests, strict=True):
        if not (np.array_equal(x, tests[0][0]) and np.array_equal(y, tests[0][1])):
            raise ValueError(f"{name} and {names[0]} have other test images, though the data sets' names agree")
    runs = []
    for folder, name, config in zip(folders, names, configs, strict=True):
        probabilities = load_model(folder / "model.safetensors", engine).predict(tests[0][0])
        metrics, epochs = read_json(folder / "metrics.json"), read_history(folder / "history.csv")
        runs.append(FinishedRun(name, config, metrics, epochs, tests[0][1], probabilities))
    return runs


def read_json(path: Path) -> dict[str, Any]:
    """A file of a run, or an error that says what is missing."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{path.parent}: no {path.name}. Name folders of runs that came to their end.") from None
    except ValueError as error:
        raise ValueError(f"{path}: damaged ({error})") from None


def read_history(path: Path) -> list[dict[str, float]]:
    """The epochs of history.csv."""
    with open(path, newline="") as file:
        return [{name: float(text) for name, text in row.items() if text} for row in csv.DictReader(file)]


def test_set(name: str, config: dict[str, Any], data_dir: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """The test images and labels of the data set a run was trained on."""
    wanted = config["dataset"]
    folder = data_dir or folder_then(config.get("data_dir"), name)
    (_, test), found = load_dataset(wanted if wanted in CHOICES else "auto", folder)
    if found != wanted:
        raise ValueError(f"{name} was trained on {wanted}, but the data found is {found}. Say where it is: --data-dir")
    return test


def different_settings(runs: list[FinishedRun]) -> dict[str, list[Any]]:
    """Name -> the value of each run, for the settings that differ; None where a run lacks the setting."""
    names = dict.fromkeys(name for run in runs for name in run.config if name not in NO_SETTINGS)
    settings = {name: [run.config.get(name) for run in runs] for name in names}
    return {name: values for name, values in settings.items() if any(value != values[0] for value in values)}


def change(first: FinishedRun, other: FinishedRun) -> Change:
    """Which test images changed from the first run to another one, and McNemar's test of it."""
    gained, lost = np.flatnonzero(other.right & ~first.right), np.flatnonzero(first.right & ~other.right)
    return Change(gained, lost, mcnemar(first.right, other.right))


def write_comparison(out: str | os.PathLike, runs: list[FinishedRun]) -> None:
    """Write compare.png and what it shows: compare.csv, a row per run, and curves.csv, a row per epoch.

    changed.csv has the answers to every test image that some have right and some wrong.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for run in runs:
        to = change(runs[0], run)
        rows.append([run.name, run.accuracy, *run.interval, run.loss, len(to.gained), len(to.lost), to.test.p_value])
    columns = ["run", "accuracy", "low", "high", "loss", "gained", "lost", "p_value"]
    write_csv(out / "compare.csv", columns, rows)
    columns = list(dict.fromkeys(name for run in runs for epoch in run.epochs for name in epoch))
    rows = [[run.name, *(epoch.get(name, "") for name in columns)] for run in runs for epoch in run.epochs]
    write_csv(out / "curves.csv", ["run", *columns], rows)
    right = np.array([run.right for run in runs])
    differ = np.flatnonzero(right.any(axis=0) & ~right.all(axis=0))
    rows = [[i, runs[0].labels[i], *(run.answers[i] for run in runs)] for i in differ]
    write_csv(out / "changed.csv", ["index", "label", *(run.name for run in runs)], rows)
    plot_comparison(runs, out / "compare.png")


def write_csv(path: str | os.PathLike, columns: Iterable[str], rows: Iterable[Any]) -> None:
    """A table, written atomically."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    with replacing(path) as file:
        file.write(text.getvalue().encode(errors="backslashreplace"))


def plot_comparison(runs: list[FinishedRun], path: str | os.PathLike) -> None:
    """The runs' validation curves in one picture, and their test accuracies with intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=[3, 3, 2])
    for i, run in enumerate(runs):
        colour = COLOURS[i % len(COLOURS)]
        for panel, name in zip(axes, ("val_loss", "val_accuracy"), strict=False):
            shown = [epoch for epoch in run.epochs if name in epoch]
            panel.plot([e["epoch"] for e in shown], [e[name] for e in shown], marker=".", color=colour, label=run.name)
        low, high = run.interval
        axes[2].errorbar(100 * run.accuracy, i, xerr=[[100 * (run.accuracy - low)], [100 * (high - run.accuracy)]],
                         fmt="o", color=colour, capsize=4)  # fmt: skip
    axes[0].set(title="validation loss", xlabel="epoch")
    axes[1].set(title="validation accuracy", xlabel="epoch")
    axes[2].set(title="test accuracy", xlabel="% (95 % interval)", yticks=[], ylim=(len(runs) - 0.5, -0.5))
    for panel in axes:
        panel.grid(alpha=0.3)
    for panel in axes[:2]:
        panel.xaxis.get_major_locator().set_params(integer=True)
    best = max(runs, key=lambda run: run.accuracy)
    figure.suptitle(f"{best.name} has the most test images right: {best.accuracy:.2%}")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(len(runs), 3))
    figure.savefig(path, dpi=120)
