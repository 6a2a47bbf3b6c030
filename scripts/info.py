"""What does scratchnet run on here? Versions, threads, registers, caches, data: what a report of a problem should say.

    python scripts/info.py
    python scripts/info.py --data-dir my-data       also what data are there
"""

from __future__ import annotations

import argparse
import sys

from scratchnet.commands.machine import facts
from scratchnet.commands.running import exit_code
from scratchnet.pipes import run_script


@exit_code
def main(argv=None) -> int:
    args = parse_args(argv)
    found = facts(args.data_dir)
    width = max(map(len, found))
    for name, fact in found.items():
        print(f"{name:<{width}}  {fact}")
    return 0


def parse_args(argv):
    parser = argparse.ArgumentParser(description="Say versions, threads, and where caches and data are.")
    parser.add_argument("--data-dir", help="a folder of IDX files (default: $SCRATCHNET_DATA, then the user's cache)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(run_script(main))
