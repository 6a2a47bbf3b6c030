"""`scratchnet NAME ...`: the programs of scripts/, on the command line of any folder.

`scratchnet lr-find` is `python scripts/lr_find.py`: the same file, with the same options. In the repository it is in
scripts/, where it is easy to find. A wheel has no such folder: there the files of scripts/ are in this package
(`tool.hatch.build.targets.wheel.sources` in pyproject.toml). Both places are searched, so `scratchnet.commands.train`
is scripts/train.py in both cases. No program imports another one; the shared code is in these files:

    options      options common to several programs            images       from options to images and a recipe
    run_folder   the folder of a run                           workers      one command in several processes
    models       MODEL: a file of ours or of Keras
    running      exit codes and signals                        machine      the output of `scratchnet info`
    fine_tuning  the old and the new images of a fine-tuning
    exporting    the formats of an export, and its check
    serving      the page of a model, and of a training
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import scratchnet
from scratchnet.process.pipes import run_script

__path__.append(str(Path(__file__).parents[2] / "scripts"))

PROGRAMS = {
    "train": "train a network, and write all results into one folder",
    "evaluate": "measure a saved model, or several and their ensemble, on the test set",
    "predict": "classify pictures",
    "finetune": "teach a trained model other images or other classes",
    "compare": "compare runs: which is better, and by more than chance?",
    "tune": "search for good settings with many short training runs",
    "lr-find": "find a learning rate",
    "export": "write a model for another program: ONNX, PyTorch, Keras, NumPy, C, a page",
    "serve": "show a model on a page: draw a digit, and walk through the network",
    "report": "draw a run's pictures and its report again",
    "make-idx": "make a data set from pictures, .npz, CSV or other IDX files",
    "doctor": "check network and data before training",
    "learn": "exercises that check themselves",
    "info": "print versions, threads, and the locations of caches and data",
}
USAGE = "usage: scratchnet NAME ...        scratchnet NAME --help        scratchnet --version"


def main(argv: Sequence[str] | None = None, call: str = "scratchnet") -> int:
    """Run the program named by the first argument with the others; return its exit code. call: the name to print."""
    name, *arguments = (sys.argv[1:] if argv is None else list(argv)) or ["--help"]
    if name in ("--help", "-h", "help"):
        lines = [USAGE, "", *(f"  {name:<9} {what}" for name, what in PROGRAMS.items())]
        return run_script(lambda: print(*lines, sep="\n") or 0)
    if name == "--version":
        return run_script(lambda: print(f"scratchnet {scratchnet.__version__}") or 0)
    if name not in PROGRAMS:
        near = difflib.get_close_matches(name, PROGRAMS, 1)
        cure = f"Did you mean {near[0]}?" if near else f"There are {', '.join(PROGRAMS)}."
        print(f"error: no program is called {name!r}. {cure}", file=sys.stderr)
        return 2
    program = importlib.import_module(f"scratchnet.commands.{name.replace('-', '_')}")
    typed, sys.argv = sys.argv, [f"{call} {name}", *arguments]  # argparse and `as_typed` print the command as typed
    try:
        return run_script(program.main)
    finally:
        sys.argv = typed
