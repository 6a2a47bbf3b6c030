"""A program that runs as several ranks: `--distributed mpi`.

Rank 0 writes the files and prints; the other ranks compute. `running.exit_code` ends them together.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings

from scratchnet.distributed import distribute, rank


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a program that can be distributed."""
    parser.add_argument(
        "--distributed", choices=["mpi"], help="share each step with the other processes of mpirun or srun"
    )
    parser.add_argument(
        "--common-target", action="store_true",
        help="with --distributed, on different processors: compile for what all of them have",
    )  # fmt: skip


def begin(args: argparse.Namespace) -> bool:
    """Join the other ranks if --distributed says so. Whether this is the rank that writes and prints."""
    if not args.distributed:
        return True
    if distribute(args.distributed, args.common_target):
        sys.stdout = open(os.devnull, "w")
        warnings.simplefilter("ignore")  # rank 0 has the same ones
    return rank() == 0
