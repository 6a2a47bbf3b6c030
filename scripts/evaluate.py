"""Measure a saved model on the test set.

    python scripts/evaluate.py runs/2026-11-21_101500-default      the best model of a run
    python scripts/evaluate.py digits.safetensors --data-dir my_idx_files
    python scripts/evaluate.py digits.safetensors --json           for another program
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import scratchnet as sn
from scratchnet import data, report
from scratchnet.metrics import measure


def main(argv=None) -> int:
    args = parse_args(argv)
    path = Path(args.model)
    if path.is_dir():
        path = path / "model.safetensors"
    try:
        model = sn.load_model(path, args.engine)
        dataset, data_dir = report.trained_on(path.parent)
        (_, (x, y)), dataset = data.load_dataset(args.dataset or dataset, args.data_dir or data_dir)
        found = {**model.evaluate(x, y), **measure(model.predict(x), y)}
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps({"model": str(path), "dataset": dataset, **found}))
        return 0
    low, high = found["accuracy_interval"]
    numbers = f"accuracy {found['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}), loss {found['loss']:.4f}"
    print(f"{path} on {len(x):,} test images ({dataset}): {numbers}\n")
    names = model.class_names or [str(k) for k in range(len(found["classes"]))]
    print_classes(found, names)
    print_mistakes(found, names)
    return 0


def print_classes(found, names) -> None:
    """The classification report: a row for each class, and the averages."""
    from rich.console import Console
    from rich.table import Table

    table = Table("class", box=None, header_style="bold", pad_edge=False)
    for title in ("precision", "recall", "F1", "images"):
        table.add_column(title, justify="right")
    rows = [*zip(names, found["classes"], strict=False)]
    rows += [(f"{kind} average", {**found[kind], "support": found["examples"]}) for kind in ("macro", "weighted")]
    for name, row in rows:
        scores = (f"{100 * row[what]:.2f} %" for what in ("precision", "recall", "f1"))
        table.add_row(name, *scores, f"{row['support']:,}")
    Console(markup=False).print(table)


def print_mistakes(found, names) -> None:
    """What is confused, how sure the model is, and whether a class is missing."""
    pairs = [f"{names[p['true']]} for {names[p['predicted']]} ({p['count']}×)" for p in found["most_confused"][:5]]
    print("\nmost often mistaken: " + (", ".join(pairs) if pairs else "nothing"))
    for word in ("right", "wrong"):
        if (sure := found[f"confidence_when_{word}"]) is not None:
            print(f"mean confidence when {word}: {sure:.2%}")
    print(f"expected calibration error: {100 * found['calibration_error']:.2f} points")
    for what, said in (("never_predicted", "never predicted"), ("without_examples", "without test images")):
        if found[what]:
            print(f"{said}: {', '.join(names[k] for k in found[what])}")


def parse_args(argv):
    parser = argparse.ArgumentParser(description="Measure a saved model on the test set.")
    add = parser.add_argument
    add("model", metavar="RUN_OR_MODEL", help="folder of a run, or a model file")
    add("--data-dir", help="folder of the four IDX files (default: the run's, $SCRATCHNET_DATA, the user's cache)")
    add("--dataset", choices=data.CHOICES, help="default: what the run was trained on, or auto")
    add("--engine", choices=["numba", "numpy"], default="numba", help="compiled, or the textbook in NumPy")
    add("--json", action="store_true", help="print everything that was measured as JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
