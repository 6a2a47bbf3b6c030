"""Which run is better, and is the difference more than chance?

    python scripts/compare.py runs/first runs/second runs/third
    python scripts/compare.py runs/first latest --out both         a picture, and tables as CSV

Every run is compared with the first one, on the same test images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scratchnet import comparison, report
from scratchnet.commands.running import exit_code
from scratchnet.process.pipes import console, run_script


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.out and not args.overwrite:
        report.check_absent(Path(args.out) / name for name in comparison.FILES)
    runs = comparison.read_runs(map(report.find_run, args.runs), args.data_dir, args.engine)
    if args.out:
        comparison.write_comparison(args.out, runs)
    print_tables(runs)
    for run in runs[1:]:
        change = comparison.change(runs[0], run)
        print(f"\n{run.name} against {runs[0].name}: {change}")
        for what, images in (("right now", change.gained), ("wrong now", change.lost)):
            print(f"  {what}: {first_of(images, args.show)}")
    if args.out:
        print(f"\nwritten to {args.out}: compare.png, compare.csv, curves.csv, and all changed images in changed.csv")
    return 0


def print_tables(runs: list[comparison.FinishedRun]) -> None:
    """Print the results, and the settings in which the runs differ."""
    from rich.table import Table

    table = Table("run", box=None, header_style="bold", pad_edge=False)
    for title in ("accuracy", "95 % interval", "loss", "epochs", "seconds", "parameters"):
        table.add_column(title, justify="right")
    for run in runs:
        low, high = run.interval
        table.add_row(
            run.name, f"{run.accuracy:.2%}", f"{low:.2%} to {high:.2%}", f"{run.loss:.4f}", str(len(run.epochs)),
            f"{run.metrics['train_seconds']:.1f}", f"{run.metrics['parameters']:,}",
        )  # fmt: skip
    print(f"{len(runs[0].labels):,} test images ({runs[0].config['dataset']})")
    console().print(table)
    different = Table("setting", *(run.name for run in runs), box=None, header_style="bold", pad_edge=False)
    for name, values in comparison.different_settings(runs).items():
        different.add_row(name, *("-" if value is None else str(value) for value in values))
    if different.row_count:
        print()
        console().print(different)


def first_of(images: np.ndarray, show: int) -> str:
    """3, 18, 40 ... (12)"""
    shown = ", ".join(map(str, images[:show]))
    return f"{shown} ... ({len(images)} in all)" if len(images) > show else shown or "none"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare finished runs on the same test images.")
    add = parser.add_argument
    add("runs", metavar="RUN", nargs="+", help="two or more folders of runs (or `latest`); the first is the reference")
    add("--out", metavar="FOLDER", help="write compare.png, compare.csv, curves.csv and changed.csv into this folder")
    add("--overwrite", action="store_true", help="replace these files if they exist")
    add("--show", type=int, default=12, help="how many changed images to name (default: %(default)s)")
    add("--data-dir", help="folder of the four IDX files (default: that of the runs)")
    add("--engine", choices=["numba", "numpy"], default="numba", help="compiled, or the textbook in NumPy")
    args = parser.parse_args(argv)
    if len(args.runs) < 2:
        parser.error("name at least two runs")
    return args


if __name__ == "__main__":
    sys.exit(run_script(main))
