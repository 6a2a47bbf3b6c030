"""Show a model on a page of this machine: draw a digit, and walk through the network, number by number.

    python scripts/serve.py latest                       the last run
    python scripts/serve.py digits.safetensors --port 9000 --no-open
    python scripts/serve.py --train vgg-bn --epochs 3    train, and watch it: train.py --preset vgg-bn --watch

What you correct on the page is kept as IDX files in the folder of --corrections.
Only this machine reaches the page; --host 0.0.0.0 opens it to others, who need the token in the printed address.
Ctrl-C ends it. The same page as one file, without a server: python scripts/export.py MODEL --to html --out FILE
Exit codes: 130 after Ctrl-C, 143 after SIGTERM, 2 if the model, the port or a package is missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from scratchnet import commands, data
from scratchnet.commands import options, serving
from scratchnet.commands.running import exit_code, stoppable
from scratchnet.process.pipes import run_script
from scratchnet.zoo import PRESETS


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    if training := serving.as_training(sys.argv[1:] if argv is None else argv):
        return commands.main(training)
    args = parse_args(argv)
    return stoppable(lambda: serve(args), lambda: print("\nstopped", file=sys.stderr))


def serve(args: argparse.Namespace) -> int:
    """Read the model, and answer until a signal comes."""
    with serving.serve_model(args) as server:
        serving.show(server, args.open)
        server.wait()
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Show a model on a page.", parents=[options.page_options()])
    add = parser.add_argument
    add("model", metavar="RUN_OR_MODEL", nargs="?", default="latest", help="a run's folder, a model file, or `latest`")
    add(
        "--train",
        metavar="PRESET",
        choices=list(PRESETS),
        help="train and watch this preset; other options: see train.py",
    )
    add("--data-dir", type=options.absolute, help="folder of the IDX files of test images (default: the run's)")
    add("--dataset", choices=data.CHOICES, help="or a data set by its name")
    add("--corrections", metavar="DIR", help="where corrected images are kept (default: beside the data set)")
    add("--engine", choices=["numba", "numpy"], default="numba", help="compiled, or the textbook in NumPy")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(run_script(main))
