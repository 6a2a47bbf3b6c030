"""Measure a saved model, or several and their ensemble, on the test set.

python scripts/evaluate.py latest                              the best model of the last run
python scripts/evaluate.py runs/2026-11-21_101500-default      of any run
python scripts/evaluate.py digits.safetensors --data-dir my_idx_files
python scripts/evaluate.py digits.safetensors --json           for another program
python scripts/evaluate.py runs/first runs/second runs/third   each one, and all together as an ensemble
python scripts/evaluate.py runs/first --tta                    the mean over nine shifts of each image
python scripts/evaluate.py digits.keras --rescale 1/255        a model that Keras saved, .keras or .h5; or .onnx
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import scratchnet as sn
from scratchnet import data, report
from scratchnet.commands.models import compared_scales, factor, open_model
from scratchnet.commands.running import exit_code
from scratchnet.metrics import losses, measure
from scratchnet.process.pipes import console, printable, run_script


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    paths = [report.find_model(name) for name in args.models]
    ensemble = sn.Ensemble(open_model(path, args.engine, args.rescale) for path in paths)
    dataset, data_dir = data_of(paths, args)
    (_, (x, y)), dataset = data.load_dataset(dataset, data_dir)
    answers = [sn.predict_augmented(model, x) if args.tta else model.predict(x) for model in ensemble.models]
    each = [{"model": str(path), **score(p, y)} for path, p in zip(paths, answers, strict=True)]
    found = score(np.mean(answers, axis=0), y)  # equal to ensemble.predict, without predicting again
    alone = len(paths) == 1
    if args.json:
        models = {"model": str(paths[0])} if alone else {"models": each}
        print(json.dumps({**models, "dataset": dataset, "tta": args.tta, **found}))
        return 0
    if not alone:
        print(*(f"{one['model']}: {in_words(one)}" for one in each), sep="\n")
    who = str(paths[0]) if alone else f"ensemble of {len(paths)}"
    views = ", nine places of each" if args.tta else ""
    print(f"{who} on {len(x):,} test images ({dataset}{views}): {in_words(found)}\n")
    names = ensemble.class_names or [str(k) for k in range(len(found["classes"]))]
    print_classes(found, names)
    print_mistakes(found, names)
    for said in filter(None, (compared_scales(path, args.engine, x, y) for path in paths)):
        print(said)
    return 0


def data_of(paths: Sequence[Path], args: argparse.Namespace) -> tuple[str, Any]:
    """dataset and data_dir from the options, else the data that all runs were trained on."""
    if args.dataset == "synthetic":
        return "synthetic", None
    unknown = ("auto", None)
    known = {told for path in paths if (told := report.trained_on(path.parent)) != unknown}
    if len(known) > 1 and not (args.dataset or args.data_dir):
        raise ValueError("the models were trained on different data. Choose with --dataset, --data-dir")
    dataset, data_dir = known.pop() if len(known) == 1 else unknown
    return args.dataset or dataset, args.data_dir or data.folder_then(data_dir, paths[0].parent)


def score(p: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """All measures of probabilities (n, classes) and the true classes (n,)."""
    return {**measure(p, y), "loss": float(losses(p, y).mean())}


def in_words(found: dict[str, Any]) -> str:
    """Accuracy with its interval, and loss."""
    low, high = found["accuracy_interval"]
    return f"accuracy {found['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}), loss {found['loss']:.4f}"


def print_classes(found: dict[str, Any], names: Sequence[str]) -> None:
    """Print the classification report: one row per class, and the averages."""
    from rich.table import Table

    table = Table("class", box=None, header_style="bold", pad_edge=False)
    for title in ("precision", "recall", "F1", "images"):
        table.add_column(title, justify="right")
    rows = [*zip(names, found["classes"], strict=False)]
    rows += [(f"{kind} average", {**found[kind], "support": found["examples"]}) for kind in ("macro", "weighted")]
    for name, row in rows:
        scores = (f"{100 * row[what]:.2f} %" for what in ("precision", "recall", "f1"))
        table.add_row(printable(name), *scores, f"{row['support']:,}")
    console().print(table)


def print_mistakes(found: dict[str, Any], names: Sequence[str]) -> None:
    """Print the most frequent mistakes, the confidence, and missing classes."""
    pairs = [f"{names[p['true']]} for {names[p['predicted']]} ({p['count']}×)" for p in found["most_confused"][:5]]
    print("\nmost often mistaken: " + (", ".join(pairs) if pairs else "nothing"))
    for word in ("right", "wrong"):
        if (sure := found[f"confidence_when_{word}"]) is not None:
            print(f"mean confidence when {word}: {sure:.2%}")
    print(f"expected calibration error: {100 * found['calibration_error']:.2f} points")
    for what, said in (("never_predicted", "never predicted"), ("without_examples", "without test images")):
        if found[what]:
            print(f"{said}: {', '.join(names[k] for k in found[what])}")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure saved models on the test set.")
    add = parser.add_argument
    add("models", metavar="RUN_OR_MODEL", nargs="+", help="a run's folder, `latest`, a model file; several: ensemble")
    add("--data-dir", help="folder of the four IDX files (default: the run's, $SCRATCHNET_DATA, the user's cache)")
    add("--dataset", choices=data.CHOICES, help="default: the data set of the run, or auto")
    add("--engine", choices=["numba", "numpy"], default="numba", help="compiled, or the textbook in NumPy")
    add("--tta", action="store_true", help="test-time augmentation: the mean over shifts of each image by a pixel")
    add(
        "--rescale",
        type=factor,
        help="of a file of Keras or ONNX: what pixels are multiplied by, 1/255 (default), 1",
    )
    add("--json", action="store_true", help="print all measures as JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(run_script(main))
