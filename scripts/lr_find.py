"""Find a learning rate: raise it at every step of one sweep, and record the loss.

    python scripts/lr_find.py                                   the network of scripts/train.py
    python scripts/lr_find.py --preset vgg-bn --out vgg.png     a picture, and its numbers in vgg.csv
    python scripts/lr_find.py --preset mlp --optimizer sgd --start 1e-4

Data, network and optimizer are those of scripts/train.py with the same arguments.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import scratchnet as sn
from scratchnet import report
from scratchnet.commands.images import build, choose_recipe, load_images
from scratchnet.commands.options import at_least_one, network_options, positive
from scratchnet.commands.running import exit_code
from scratchnet.process.pipes import run_script


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.threads:
        sn.set_threads(args.threads)
    picture = Path(args.out or f"lr_find-{args.preset}.png")
    if not args.overwrite:
        report.check_absent((picture, picture.with_suffix(".csv")))
    images = load_images(args)
    recipe, _ = choose_recipe(args, images)
    model = build(args, images, recipe)
    picture.parent.mkdir(parents=True, exist_ok=True)
    found = sn.lr_find(
        model, images.x, images.y, optimizer=recipe.optimizer, batch_size=recipe.batch_size,
        start=args.start, end=args.end, steps=args.steps,
    )  # fmt: skip
    found.plot(picture)
    found.save_csv(picture.with_suffix(".csv"))
    print(f"{args.preset} on {images.dataset}, {len(found.rates)} steps: {found.reason}")
    print(f"the curve is in {picture}, its numbers in {picture.with_suffix('.csv')}")
    return 0 if found.suggestion else 1


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Find a learning rate: one sweep from too small to too large.", parents=[network_options()]
    )
    add = parser.add_argument
    add("--start", type=positive, default=1e-6, help="the first learning rate (default: %(default)s)")
    add("--end", type=positive, default=10.0, help="the last one (default: %(default)s)")
    add("--steps", type=at_least_one, default=250, help="number of steps, at least 10 (default: %(default)s)")
    add("--threads", type=at_least_one, help="default: all processors this process may use")
    add("--out", metavar="PICTURE", help="image file, .png or .svg (default: lr_find-<preset>.png)")
    add("--overwrite", action="store_true", help="replace the picture and its CSV file if they exist")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(run_script(main))
