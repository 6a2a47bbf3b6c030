"""Check a network and its data before training; takes half a minute, mostly for compilation.

    python scripts/doctor.py                                    the network and the data of scripts/train.py
    python scripts/doctor.py --preset vgg-bn --data-dir my-data

The checks are those of scripts/train.py --doctor, each explained in scratchnet/doctor/before.py: labels, the scale of
the input, the first loss, compiled layers against the textbook, gradients, and whether the network can overfit one
batch. Exit code: 0, 1 if a check failed, 2 if the data could not be loaded or the network could not be built.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import scratchnet as sn
from scratchnet import doctor
from scratchnet.commands.images import build, choose_recipe, load_images
from scratchnet.commands.options import at_least_one, network_options
from scratchnet.commands.running import exit_code
from scratchnet.process.pipes import run_script


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.threads:
        sn.set_threads(args.threads)
    images = load_images(args)
    recipe, _ = choose_recipe(args, images)
    rows, _ = recipe.split(images.y, args.seed)
    print(f"{args.preset} on {images.dataset}", flush=True)
    failed = doctor.print_checks(build(args, images, recipe), images.x[rows], images.y[rows])
    if failed:
        print(f"error: {failed}", file=sys.stderr)
    return 1 if failed else 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Check a network and its data before training.", parents=[network_options()]
    )
    parser.add_argument("--threads", type=at_least_one, help="default: all processors this process may use")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(run_script(main))
