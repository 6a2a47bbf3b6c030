"""Measure a saved model on the test set.

    python scripts/evaluate.py runs/2026-11-21_101500-default      the best model of a run
    python scripts/evaluate.py digits.safetensors --data-dir my_idx_files
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import scratchnet as sn
from scratchnet import data


def main(argv=None) -> int:
    args = parse_args(argv)
    path = Path(args.model)
    if path.is_dir():
        path = path / "model.safetensors"
    try:
        model = sn.load_model(path, args.engine)
        (_, (x, y)), dataset = data.load_dataset(args.dataset or trained_on(path), args.data_dir)
        result = model.evaluate(x, y)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    numbers = f"accuracy {result['accuracy']:.2%}, loss {result['loss']:.4f}"
    print(f"{path} on {len(x):,} test images ({dataset}): {numbers}")
    return 0


def trained_on(path: Path) -> str:
    """The kind of data set the run was trained on, if the model lies in the folder of a run."""
    try:
        dataset = json.loads((path.parent / "config.json").read_text())["dataset"]
    except (OSError, ValueError, KeyError):
        return "auto"
    return dataset if dataset in data.CHOICES else "auto"  # a folder's own name


def parse_args(argv):
    parser = argparse.ArgumentParser(description="Measure a saved model on the test set.")
    add = parser.add_argument
    add("model", metavar="RUN_OR_MODEL", help="folder of a run, or a model file")
    add("--data-dir", help="folder of the four IDX files (default: $SCRATCHNET_DATA, then the user's cache)")
    add("--dataset", choices=data.CHOICES, help="default: what the run was trained on, or auto")
    add("--engine", choices=["numba", "numpy"], default="numba", help="compiled, or the textbook in NumPy")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
