"""Exercises that check themselves: write a file with a hole, complete it, have it checked.

    python scripts/learn.py                                   the exercises, and which of them are solved
    python scripts/learn.py 4                                 write exercise_4_im2col.py
    python scripts/learn.py 4 --check exercise_4_im2col.py    run that file, and say whether and where it is wrong
    python scripts/learn.py 4 --solution                      the lines of the library

The lessons are in docs/lessons.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scratchnet.commands.running import as_typed, exit_code
from scratchnet.learn import EXERCISES, check, exercise, progress, solution
from scratchnet.process.pipes import command_line, run_script, say


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.number is None:
        return list_exercises()
    if args.number not in EXERCISES:
        raise ValueError(f"there is no exercise {args.number}; there are 1 to {max(EXERCISES)}")
    task = EXERCISES[args.number]
    if args.solution:
        say(solution.text(task))
        return 0
    if args.check is not None:
        verdict = check(task, Path(args.check or task.file_name), args.seconds)
        say(str(verdict))
        if verdict.passed:
            progress.mark_solved(task.number)
            say(f"The library's edition: scratchnet/{task.library}")
        return 0 if verdict.passed else 1
    path = exercise.write_stub(task, Path.cwd(), args.overwrite)
    again = command_line([*as_typed("learn"), task.number, "--check", path.name])
    say(f"{path.name}: {task.title}\nComplete the function {task.function}; then: {again}")
    return 0


def list_exercises() -> int:
    """Print a line for each exercise."""
    solved = progress.solved()
    for number, task in EXERCISES.items():
        say(f"{'✓' if number in solved else ' '} {number:>2}  {task.title:<42} lesson {task.lesson}")
    say(f"{len(solved & set(EXERCISES))} of {len(EXERCISES)} solved")
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Exercises that check themselves.")
    add = parser.add_argument
    add("number", nargs="?", type=int, help="of the exercise; without it, all are listed")
    add("--check", nargs="?", const="", metavar="FILE", help="check this file (default: the exercise's own name)")
    add("--solution", action="store_true", help="print the lines of the library")
    add("--seconds", type=float, default=30.0, help="time limit of a check (default: %(default)g)")
    add("--overwrite", action="store_true", help="write the stub although the file exists")
    args = parser.parse_args(argv)
    if args.number is None and (args.check is not None or args.solution):
        parser.error("which exercise? scratchnet learn 4 --check FILE")
    return args


if __name__ == "__main__":
    sys.exit(run_script(main))
