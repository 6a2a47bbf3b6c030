"""Search for the best settings with many trials; bad trials are stopped early.

    python scripts/tune.py --preset two-conv --trials 40           all searchable settings
    python scripts/tune.py --preset two-conv --search lr widths --epochs 3 --schedule one-cycle
    python scripts/tune.py --preset two-conv --processes 4 --time-limit 3600
    python scripts/tune.py --preset two-conv --storage postgresql://HOST/NAME     the same command on several machines

Training options given here (--optimizer adam) are fixed for all trials; the others are searched. The first trial
is the unchanged preset. The same command resumes an interrupted search. Only the validation set is
used; the command printed at the end trains the best trial again, and measures it on the test set.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import scratchnet as sn
from scratchnet import report, search
from scratchnet.commands.images import build, choose_recipe, load_images
from scratchnet.commands.options import at_least_one, check_schedule, positive, training_options
from scratchnet.commands.ranking import line, print_ranking
from scratchnet.commands.running import as_typed, exit_code, stoppable
from scratchnet.commands.workers import run_workers
from scratchnet.process.pipes import command_line, run_script
from scratchnet.report.run import digest
from scratchnet.team import available_threads


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else list(argv)
    args = parse_args(argv)
    # For signals before the first trial, or during the writing of the report; `tune` handles the others.
    return stoppable(lambda: tune(args, argv), lambda: print("stopped; the same command resumes", file=sys.stderr))


def tune(args: argparse.Namespace, argv: list[str]) -> int:
    """Run trials, in this process or in several, and print the results. The exit code."""
    sn.set_threads(args.threads or max(1, available_threads() // args.processes))
    deadline, stopped = time.monotonic() + (args.time_limit or float("inf")), 0
    found, trainer, images = prepare(args)
    parent = os.getppid()
    try:
        if args.processes == 1 or args.worker:
            go_on = lambda: time.monotonic() < deadline and not (args.worker and os.getppid() != parent)  # noqa: E731
            for trial in search.run_trials(found, trainer, args.trials, go_on):
                if not args.quiet:
                    print(line(trial), flush=True)
        else:
            run_workers([sys.executable, __file__, *argv, "--worker"], args.processes)
    except (KeyboardInterrupt, SystemExit) as stop:
        stopped = 130 if isinstance(stop, KeyboardInterrupt) else 143
    return stopped if args.worker else conclude(args, found, images, stopped)


def prepare(args: argparse.Namespace) -> tuple[search.Search, Callable[..., dict[str, Any]], dict[str, int]]:
    """The study, a function that trains one trial, and the numbers of training and validation images."""
    if not (search.is_begun(args.out) or (args.storage and (Path(args.out) / "trials.csv").exists())):
        report.check_no_run(args.out, cure="Choose another --out")
    told = as_options(args.fixed)
    images = load_images(told)
    recipe, _ = choose_recipe(told, images)
    rows, held_out = recipe.split(images.y, told.seed)
    x, y, validation = images.x[rows], images.y[rows], (images.x[held_out], images.y[held_out])

    def trainer(options: dict[str, Any], callback: sn.Callback) -> dict[str, Any]:
        told = as_options(args.fixed | options)
        recipe, _ = choose_recipe(told, images)
        model = build(told, images, recipe)
        how = recipe.fit_options(len(y), told.warm_up)
        how["callbacks"].append(callback)
        model.fit(x, y, validation_data=validation, verbose=False, **how)
        return {"parameters": sum(p.size for p in model.parameters().values())}

    given = {name: value for name, value in args.fixed.items() if name != "data_dir"}
    settings = {
        "preset": args.preset, "dataset": images.dataset, "given": given,
        "sha256 of the images": digest(images.x, images.y),
    }  # fmt: skip
    where = {"storage": args.storage, "name": args.study}
    found = search.Search(args.out, settings, recipe, args.search, args.seed, not args.no_halving, **where)
    return found, trainer, {"training": len(rows), "validation": len(held_out)}


def as_options(settings: dict[str, Any]) -> argparse.Namespace:
    """Settings parsed as options of scripts/train.py: a trial is a command line."""
    return training_options().parse_args(search.as_arguments(settings))


def conclude(args: argparse.Namespace, found: search.Search, images: dict[str, int], stopped: int) -> int:
    """Print the ranking and the best trial's command, write the report; the exit code."""
    trials = search.records(found)
    counts = {state: sum(trial.state == state for trial in trials) for state in dict.fromkeys(t.state for t in trials)}
    print(f"{args.out}:", ", ".join(f"{n} trial{'s' * (n != 1)} {state}" for state, n in counts.items()))
    ranked = search.ranking(trials)
    if not ranked:
        print("no trial has finished; the same command resumes", file=sys.stderr)
        return stopped or 1
    equals = search.as_good(trials, images["validation"])
    arguments = search.as_arguments(args.fixed | ranked[0].options)
    best = {
        "trial": ranked[0].number, "val_accuracy": ranked[0].accuracy, "val_loss": ranked[0].kept["val_loss"],
        "kept_epoch": ranked[0].kept_epoch, "parameters": ranked[0].parameters,
        "command": command_line([*as_typed("train"), *arguments]), "options": ranked[0].options,
        "as_good": [trial.number for trial in equals], "images": images, "scratchnet": sn.__version__,
    }  # fmt: skip
    search.write_results(args.out, trials, best)
    shares = search.importances(trials, found.space)
    report.write_search(args.out, trials, equals, best, found.space, shares, found.settings)
    print_ranking(ranked[: args.show])
    print(f"\n{report.luck(equals)}\nwritten to {args.out}: report.html, trials.csv, best.json. The best trial again:")
    print(best["command"])
    if stopped:
        print("stopped; the same command resumes", file=sys.stderr)
    return stopped


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Search good settings for a preset.", parents=[training_options()],
        epilog="Training options given here are fixed for all trials; the others are searched.",
    )  # fmt: skip
    add = parser.add_argument
    searched = f"the settings to search: {', '.join(search.SEARCHED)} (default: all that are not given as options)"
    add("--search", nargs="+", choices=search.SEARCHED, metavar="SETTING", help=searched)
    add("--trials", type=at_least_one, default=50, help="total number of trials (default: %(default)s)")
    add("--time-limit", type=positive, metavar="SECONDS", help="start no trial after this time")
    add("--processes", type=at_least_one, default=1, help="number of parallel processes (default: %(default)s)")
    add("--threads", type=at_least_one, help="threads of each process (default: the processors, divided equally)")
    add("--no-halving", action="store_true", help="train every trial to its end")
    add("--out", help="folder of the search (default: runs/search-<preset>)")
    add("--storage", metavar="URL", help="keep the trials where several machines reach them: a database such as "
        "postgresql://HOST/NAME, grpc://HOST:PORT, or a journal on a shared folder, DIR/study.log")  # fmt: skip
    add("--study", metavar="NAME", default="search", help="name of the search in --storage (default: %(default)s)")
    add("--show", type=at_least_one, default=10, help="number of trials to list at the end (default: %(default)s)")
    add("--quiet", action="store_true", help="do not print a line for every trial")
    add("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    check_schedule(parser, args)
    defaults = vars(training_options().parse_args([]))
    args.fixed = {name: value for name in defaults if (value := getattr(args, name)) != defaults[name]}
    said = [name for name in search.SEARCHED if name.replace("-", "_") in args.fixed]
    if both := [name for name in args.search or () if name in said]:
        parser.error(f"argument --search: {both[0]} cannot be searched, because --{both[0]} fixes it")
    args.search = args.search or [name for name in search.SEARCHED if name not in said]
    args.out = args.out or f"runs/search-{args.preset}"
    return args


if __name__ == "__main__":
    sys.exit(run_script(main))
