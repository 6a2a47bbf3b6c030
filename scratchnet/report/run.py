"""Write the files of a run for a trained model.

The test set is used only here, once, after all choices: the validation set has already selected the epoch.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet import figures
from scratchnet.data import CHOICES
from scratchnet.data.atomic import replacing
from scratchnet.data.augment import AUGMENTATIONS, Augment
from scratchnet.figures.curves import kept_epoch
from scratchnet.figures.picture import Picture, draw_all
from scratchnet.metrics import confusion_matrix, measure
from scratchnet.out_of_distribution import FALSE_ALARMS, energy_threshold
from scratchnet.report.page import page
from scratchnet.robustness import measure_robustness
from scratchnet.team import shared_team
from scratchnet.training import History
from scratchnet.transfer import frozen

ROWS = 65536  # that are hashed together
Splits = dict[str, tuple[np.ndarray, np.ndarray]]  # "training", "validation" and "test" -> images, labels


def write_run(
    out: str | os.PathLike[str], model: Any, history: History, splits: Splits, settings: dict[str, Any]
) -> dict[str, Any]:
    """Measure the model on the test set; write metrics.json, config.json, figures and report.html into `out`.

    splits: "training", "validation" and "test" -> (images, class numbers). settings: the options of the run, at least
    preset, dataset, engine and seed, and keep="last" if the last epoch was kept instead of the best. Returns the
    content of metrics.json.
    """
    out = Path(out)
    probabilities = model.predict(splits["test"][0])
    result = model.evaluate(*splits["test"])
    tested = measure(probabilities, splits["test"][1])
    robust = measure_robustness(model, *splits["test"]) if is_drawable(splits["test"][0]) else None
    keep = settings.get("keep", "best")
    seconds, kept = sum(history["seconds"]), history.epochs[kept_epoch(history, keep)]
    metrics = {
        **{name: settings[name] for name in ("preset", "dataset", "engine", "seed")},
        "threads": shared_team().threads,
        "epochs": len(history.epochs),
        "kept_epoch": int(kept["epoch"]),
        "kept": keep,
        "test_accuracy": result["accuracy"],
        "test_accuracy_interval": tested["accuracy_interval"],
        "test_loss": result["loss"],
        "val_accuracy": kept.get("val_accuracy"),
        "as_drawn_accuracy": robust["as_drawn"] if robust else None,
        "train_seconds": seconds,
        "compile_seconds": history.compile_seconds,
        "images_per_second": sum(history["images"]) / seconds,
        "parameters": sum(p.size for p in model.parameters().values()),
        "trained_parameters": sum(p.size for p in model.trainable_parameters().values()),
        "frozen": frozen(model),
        "images": {part: len(labels) for part, (_, labels) in splits.items()},
        "test": tested,
        "robustness": robust,
        "out_of_distribution": {
            "score": "energy",
            "false_alarms": FALSE_ALARMS,
            "threshold": energy_threshold(model, splits["validation"][0]) if "validation" in splits else None,
        },
        "environment": environment(),
        "sha256": {part: digest(*arrays) for part, arrays in splits.items()} | {"model": digest(*saved(model))},
    }
    write_json(out / "metrics.json", metrics)
    write_json(out / "config.json", settings)
    write_report(out, model, history, splits, probabilities, metrics, settings)
    return metrics


def redraw(out: str | os.PathLike[str], model: Any, history: History, splits: Splits) -> None:
    """Write figures and report.html again, from metrics.json and config.json in the folder.

    Raises ValueError if the data differ from those in metrics.json.
    """
    out = Path(out)
    metrics, settings = (json.loads((out / name).read_text()) for name in ("metrics.json", "config.json"))
    for part, arrays in splits.items():
        if digest(*arrays) != metrics["sha256"][part]:
            raise ValueError(f"{out}: the {part} images differ from those of the run. Give the folder: --data-dir")
    write_report(out, model, history, splits, model.predict(splits["test"][0]), metrics, settings)


def write_report(
    out: Path, model: Any, history: History, splits: Splits, probabilities: np.ndarray, metrics: dict[str, Any],
    settings: dict[str, Any],
) -> None:  # fmt: skip
    """Write the pictures and the page."""
    drawn = draw_all(pictures(out, model, history, splits, probabilities, metrics, settings), out / "figures")
    findings = read_findings(out / "findings.json")
    with replacing(out / "report.html") as file:
        file.write(page(model, history, drawn, findings, metrics, settings).encode(errors="backslashreplace"))


def pictures(
    out: Path, model: Any, history: History, splits: Splits, probabilities: np.ndarray, metrics: dict[str, Any],
    settings: dict[str, Any],
) -> dict[str, Callable[[], Picture | None]]:  # fmt: skip
    """Name -> a function that draws the picture, or returns None if it does not apply to this run."""
    (x, y), names = splits["test"], model.class_names
    augment, robust = augmentation(settings.get("augment")), metrics.get("robustness")
    confusion = confusion_matrix(y, probabilities.argmax(axis=1), probabilities.shape[1])
    return {
        "samples": lambda: figures.samples(splits, probabilities.shape[1], names),
        "augmented": lambda: figures.augmented(splits["training"][0], augment, model.seed) if augment else None,
        "curves": lambda: figures.learning_curves(history, settings.get("keep", "best")),
        "confusion": lambda: figures.confusion_picture(confusion, names),
        "top_losses": lambda: figures.top_losses(x, y, probabilities, names),
        "predictions": lambda: figures.predictions(x, y, probabilities, names),
        "calibration": lambda: figures.calibration_diagram(probabilities, y),
        "robustness": lambda: figures.robustness(robust) if robust else None,
        "filters": lambda: figures.filters(model),
        "feature_maps": lambda: figures.feature_maps(model, x[0], int(y[0]), probabilities[0], names),
        "health": lambda: figures.health(figures.read_health(path)) if (path := out / "health.csv").exists() else None,
    }


def augmentation(setting: dict[str, float] | str | None) -> Augment | None:
    """The augmentation in config.json: the arguments of an Augment, or a name ("off" for none)."""
    return Augment(**setting) if isinstance(setting, dict) else AUGMENTATIONS.get(setting or "off")


def is_drawable(x: np.ndarray) -> bool:
    """Whether these are images, as bytes."""
    return x.dtype == np.uint8 and x.ndim in (3, 4)


def read_findings(path: Path) -> list[dict[str, str]]:
    """The findings about the run: [{"level": "good", "note" or "warning", "text": ...}]; empty without a file."""
    try:
        found = json.loads(path.read_text())
        return [{"level": str(f["level"]), "text": str(f["text"])} for f in found]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def read_history(path: str | os.PathLike[str]) -> History:
    """history.csv -> History. Raises ValueError if it has no epochs or other columns."""
    with open(Path(path), newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"epoch", "loss", "accuracy", "seconds", "images", "lr"} <= set(rows[0]):
        raise ValueError(f"{path}: expected a history.csv, as written by a training run, with at least one epoch")
    return History([{name: float(value) for name, value in row.items() if value} for row in rows])


def trained_on(run: str | os.PathLike[str]) -> tuple[str, str | None]:
    """Arguments of load_dataset for the data of this run: dataset and data_dir (see `folder_then`).

    ("auto", None) if the folder does not record them.
    """
    try:
        settings = json.loads((Path(run) / "config.json").read_text())
        dataset, data_dir = settings["dataset"], settings.get("data_dir")
    except (OSError, ValueError, KeyError, TypeError):
        return "auto", None
    return dataset if dataset in CHOICES else "auto", data_dir


def environment() -> dict[str, Any]:
    """Versions and machine, as far as they affect results and speed."""
    import sys

    import scratchnet

    numba = sys.modules.get("numba")  # not imported here: the textbook engine does not need it
    return {
        "scratchnet": scratchnet.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": getattr(numba, "__version__", None),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
    }


def processor() -> str:
    """The processor's name, if the system provides it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def digest(*arrays: np.ndarray) -> str:
    """SHA-256 of the shapes, types and contents of arrays."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str} {array.shape}\n".encode())
        for start in range(0, len(array), ROWS):  # images may be in a file that is larger than the memory
            sha.update(np.ascontiguousarray(array[start : start + ROWS]).data)
    return sha.hexdigest()


def saved(model: Any) -> list[np.ndarray]:
    """The arrays in a model file, in order."""
    return [*model.parameters().values(), *model.state().values()]


def write_json(path: str | os.PathLike[str], data: Any) -> None:
    """Write indented JSON atomically."""
    with replacing(path) as file:
        file.write(json.dumps(data, indent=2, default=str).encode() + b"\n")
