"""Is the library as accurate as published systems?

Five public MNIST projects published the accuracy of their networks. Here each network is trained with its published
recipe (`scratchnet.zoo`), and so are recipes of this project. Each is trained once per seed (other initial weights,
another order, another validation split) with the command of a user, `scripts/train.py --preset NAME`. The test
set is used once per seed, at the end, on the weights that the recipe keeps: those that do best on images held out from
the training set, or the last. `as drawn` is the accuracy on test images that are moved, turned and smudged
(`scratchnet.robustness`).

A run takes minutes, so each writes a file, and existing files are not repeated: stop with Ctrl-C and continue later.
The table has every preset with such files, of this call or an earlier one. Runs on another processor or with another
number of threads are repeated, for their seconds are others.

    python benchmarks/reference_systems.py                              all of them, three seeds each
    python benchmarks/reference_systems.py --only chollet vgg-bn --seeds 0 1 2 3 4
    python benchmarks/reference_systems.py --limit 2000 --epochs 1      does it work?
    python benchmarks/table.py --into README.md                         the table between its markers
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from command import parser_of, restart, save
from driver import HERE
from machine import commit, cpu_model

from scratchnet.data import load_dataset

TRAIN = HERE.parent / "scripts" / "train.py"


class Published(NamedTuple):
    """What a project says that its network reaches on the test set, unless it says otherwise."""

    accuracy: str
    loss: str | None = None


OURS = "(a recipe of ours)"
REFERENCE = {
    "best": Published(OURS),
    "default": Published(OURS),
    "resnet": Published(OURS),
    "deep": Published("99.7 to 99.8 % after 150 epochs; ten here"),
    "vgg-bn": Published("99.49 %, chosen on the test set; README: about 98.5 %"),
    "basic": Published("above 98 %"),
    "pyramid": Published("about 98 % (validation)"),
    "pyramid-one-cycle": Published(OURS),
    "chollet": Published("99.00 %"),
    "two-conv": Published("99.02 %", "0.0388"),
    "two-conv-adam": Published("99.02 %", "0.0388"),
}
"""Preset -> what was published. The two recipes of two-conv are those of one project's README and notebook."""

COLUMNS = {
    "preset": "preset",
    "published": "published",
    "published_loss": "test loss",
    "accuracy": "ours",
    "loss": "test loss",
    "validation": "validation",
    "drawn": "as drawn",
    "seeds": "seeds",
    "epochs": "epochs",
    "seconds": "s of training",
}


def train(preset: str, seed: int, args) -> dict:
    """One run of the script -> its numbers. args: threads, data_dir, epochs and limit, 0 for all there are."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        options = {
            "preset": preset,
            "seed": seed,
            "out": out,
            "threads": args.threads,
            "data-dir": args.data_dir,
            "dataset": args.choice,
            "epochs": args.epochs,
            "limit": args.limit,
        }
        words = [f"--{name}={value}" for name, value in options.items() if value not in (None, 0) or name == "seed"]
        begun = time.perf_counter()
        beside = {**os.environ, "PYTHONPATH": str(HERE.parent)}  # the library there, installed or not
        done = subprocess.run([sys.executable, TRAIN, "--quiet", *words], stdout=subprocess.DEVNULL, env=beside)
        if done.returncode:
            raise ValueError(f"{preset}, seed {seed}: train.py ended with exit code {done.returncode}, see above")
        found = json.loads((out / "metrics.json").read_text())
    return {
        "test_accuracy": found["test_accuracy"],
        "test_loss": found["test_loss"],
        "epochs": found["epochs"],
        "val_accuracy": found["val_accuracy"],
        "as_drawn": found.get("as_drawn_accuracy"),
        "seconds": found["train_seconds"],
        "process_seconds": time.perf_counter() - begun,
    }


def finished(path: Path, settings: dict) -> dict | None:
    """The run in this file, if there is one and it was made with these settings."""
    try:
        run = json.loads(path.read_text())
    except (OSError, ValueError):  # none, or not written to its end
        return None
    return run if run.get("settings") == settings else None


def run_all(presets: Iterable[str], seeds: list[int], folder: Path, settings: dict, one_run) -> dict[str, list[dict]]:
    """Preset -> the runs of all seeds. one_run(preset, seed) is called for those that have no file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    runs: dict[str, list[dict]] = {}
    for preset in presets:
        for seed in seeds:
            path = folder / f"{preset}-seed{seed}.json"
            if (run := finished(path, settings)) is None:
                print(f"{preset}, seed {seed}:", flush=True)
                run = {
                    "preset": preset,
                    "seed": seed,
                    "commit": commit(),
                    "settings": settings,
                    **one_run(preset, seed),
                }
                path.write_text(json.dumps(run, indent=1) + "\n")
            print(
                "{preset}, seed {seed}: test accuracy {test_accuracy:.2%}, test loss {test_loss:.4f}, "
                "{epochs} epochs, {seconds:.0f} s".format(**run),
                flush=True,
            )
            runs.setdefault(preset, []).append(run)
    return runs


def runs_in(folder: Path, presets: Iterable[str], settings: dict) -> dict[str, list[dict]]:
    """Preset -> its finished runs in this folder, by seed; those with other settings are left out."""
    found = {}
    for preset in presets:
        runs = [run for path in folder.glob(f"{preset}-seed*.json") if (run := finished(path, settings))]
        if runs:
            found[preset] = sorted(runs, key=lambda run: run["seed"])
    return found


def table(runs: dict[str, list[dict]], reference: dict[str, Published]) -> list[dict]:
    """A row for each preset: what was published, and the mean of ours with the smallest and the largest."""

    def spread(runs: list[dict], key: str, form) -> str | None:
        values = [run[key] for run in runs]
        if None in values:
            return None
        mean = form(statistics.mean(values))
        return mean if len(set(values)) == 1 else f"{mean} ({form(min(values))}–{form(max(values))})"

    def percent(value: float) -> str:
        return f"{value:.2%}".replace("%", " %")

    return [
        {
            "preset": preset,
            "published": reference[preset].accuracy,
            "published_loss": reference[preset].loss,
            "accuracy": spread(of, "test_accuracy", percent),
            "loss": spread(of, "test_loss", "{:.4f}".format),
            "validation": spread(of, "val_accuracy", percent),
            "drawn": spread(of, "as_drawn", percent),
            "seeds": len(of),
            "epochs": spread(of, "epochs", "{:.0f}".format),
            "seconds": spread(of, "seconds", "{:.0f}".format),
            "test_accuracies": [run["test_accuracy"] for run in of],
        }
        for preset, of in runs.items()
    ]


class Question(NamedTuple):
    """What a program of this kind measures."""

    name: str  # of its file of results
    text: str  # for --help
    reference: dict[str, Published]
    columns: dict[str, str]
    dataset: str  # as train.py's --dataset


def main() -> int:
    return answer(Question("reference-systems", __doc__, REFERENCE, COLUMNS, "auto"))


def answer(question: Question) -> int:
    """Parse the flags, train, write the results; the exit code."""
    reference = question.reference
    parser = parser_of(question.text, seeds=[0, 1, 2], epochs=0, limit=0)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=reference,
        default=list(reference),
        metavar="PRESET",
        help=f"default: {' '.join(reference)}",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=HERE / "results" / question.name,
        help=f"folder of the runs' files (default: results/{question.name})",
    )
    args = parser.parse_args()
    restart(args)
    import numba

    try:
        args.choice = question.dataset
        _, args.dataset = load_dataset(args.choice, args.data_dir)
        if args.limit and args.limit < 100:
            raise ValueError(f"--limit {args.limit}: too few images to hold some out; expected at least 100")
        settings = {"dataset": args.dataset, "epochs": args.epochs, "limit": args.limit, "cpu": cpu_model(),
                    "threads": args.threads}  # fmt: skip
        run_all(args.only, args.seeds, args.runs, settings, lambda preset, seed: train(preset, seed, args))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped. Finished runs are kept and will not be repeated.", file=sys.stderr)
        return 130
    runs = runs_in(args.runs, reference, settings)
    args.runs = args.choice = None  # a path of this machine does not belong to the record
    note = "Ours: mean over the seeds, smallest–largest in brackets, the test set used once per seed."
    if args.limit or args.epochs:
        note += f" A trial, and no result: --limit {args.limit} --epochs {args.epochs}."
    save(
        question.name,
        args,
        table(runs, reference),
        {"numba": numba.__version__, "numpy": np.__version__},
        columns=question.columns,
        note=note,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
