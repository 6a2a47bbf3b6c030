"""Write a model for another program, and check that it gives the same answers there.

python scripts/export.py latest --to onnx --out digits.onnx         ONNX Runtime, browsers, phones, many others
python scripts/export.py latest --to keras --out digits.keras       Keras
python scripts/export.py latest --to torch --out digits.py          PyTorch: a program, and digits.safetensors
python scripts/export.py latest --to numpy --out digits.py          one Python file that needs NumPy alone
python scripts/export.py latest --to c --out digits.c               one file of C99
python scripts/export.py latest --to html --out digits.html         a page: draw a digit, and walk through the model

All of them take the pixels as they are in the files, 0 to 255. A page holds the weights, and 128 test images of the
data set that is found on this machine; with --no-digits it holds none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scratchnet import report
from scratchnet.commands.exporting import TARGETS, Check, check, export, page_settings
from scratchnet.commands.models import open_model
from scratchnet.commands.running import exit_code
from scratchnet.process.pipes import run_script


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    model = open_model(report.find_model(args.model), args.engine)
    page = {}
    if args.to == "html":
        page = page_settings(model, report.find_run(args.model), args.data_dir, not args.no_digits)
    for path in export(model, args.to, Path(args.out), **page):
        print(f"wrote {path}, {path.stat().st_size / 1024:,.1f} KiB")
    if args.no_check:
        return 0
    found = check(model, args.to, Path(args.out))
    print(found)
    return int(isinstance(found, Check) and not found.passed)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Write a model for another program, and check it there.")
    add = parser.add_argument
    add("model", metavar="MODEL", help="folder of a run, `latest`, or a model file")
    add("--to", choices=list(TARGETS), required=True, help="the other program")
    add("--out", metavar="FILE", required=True, help="the file to write: .onnx, .keras, .py (torch, numpy), .c, .html")
    add("--engine", choices=["numba", "numpy"], default="numba", help="what the export is compared with")
    add("--data-dir", metavar="DIR", help="html: the folder of the test images in the page")
    add("--no-digits", action="store_true", help="html: no test images in the page")
    add("--no-check", action="store_true", help="do not run what was written")
    args = parser.parse_args(argv)
    if args.to != "html" and (args.data_dir or args.no_digits):
        parser.error("--data-dir and --no-digits are for --to html")
    return args


if __name__ == "__main__":
    sys.exit(run_script(main))
