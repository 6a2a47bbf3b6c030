"""Draw a run's pictures and its report.html again, from the files of its folder and the data.

    python scripts/report.py latest
    python scripts/report.py runs/2026-11-21_101500-default

scripts/train.py already does this. Use this program for runs with later health or findings, and for other versions.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import scratchnet as sn
from scratchnet import data, report
from scratchnet.commands.running import exit_code
from scratchnet.process.pipes import run_script

Pair = tuple[np.ndarray, np.ndarray]  # images and labels


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    run = report.find_run(args.run)
    if not (run / "metrics.json").exists():
        raise FileNotFoundError(f"{run}: there is no metrics.json: this is not a finished run of scripts/train.py")
    model = sn.load_model(run / "model.safetensors", args.engine)
    history = report.read_history(run / "history.csv")
    dataset, data_dir = report.trained_on(run)
    datasets, _ = data.load_dataset(dataset, args.data_dir or data.folder_then(data_dir, run))
    try:
        report.redraw(run, model, history, split_as_then(run, *datasets))
    except KeyError as error:
        raise ValueError(f"{run}: metrics.json lacks {error}; it was written by another version") from None
    print(run / "report.html")
    return 0


def split_as_then(run: Path, training: Pair, test: Pair) -> dict[str, Pair]:
    """The training, validation and test images of the run."""
    settings, metrics = (json.loads((run / name).read_text()) for name in ("config.json", "metrics.json"))
    x, y = (array[: settings.get("limit")] for array in training)
    train, val = sn.train_val_split(y, metrics["images"]["validation"], metrics["seed"])
    return {"training": (x[train], y[train]), "validation": (x[val], y[val]), "test": test}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw a run's pictures and its report.html again.")
    add = parser.add_argument
    add("run", metavar="RUN", help="folder of a run, or `latest`")
    add("--data-dir", help="folder of the four IDX files (default: the run's, $SCRATCHNET_DATA, the user's cache)")
    add("--engine", choices=["numba", "numpy"], default="numba", help="compiled, or the textbook in NumPy")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(run_script(main))
