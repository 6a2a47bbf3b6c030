"""Print versions, threads, registers, caches and data: the information that a bug report needs.

python scripts/info.py
python scripts/info.py --data-dir my-data       look for data in this folder
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from scratchnet.commands.machine import facts
from scratchnet.commands.running import exit_code
from scratchnet.process.pipes import run_script


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    found = facts(args.data_dir)
    width = max(map(len, found))
    for name, fact in found.items():
        print(f"{name:<{width}}  {fact}")
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print versions, threads, and the locations of caches and data.")
    parser.add_argument("--data-dir", help="a folder of IDX files (default: $SCRATCHNET_DATA, then the user's cache)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(run_script(main))
