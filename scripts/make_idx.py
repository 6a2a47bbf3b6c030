"""Make a data set from your own pictures: four IDX files and the names of the classes.

    python scripts/make_idx.py --images fruit --out fruit-idx --colour --size 32
    python scripts/train.py --data-dir fruit-idx

`fruit` has one folder per class, fruit/apple/*.png and so on; sub-folders of a class are read too. Folders
fruit/train/apple/ and fruit/test/apple/ and so on define the split. Pictures that cannot be used are left out and
listed at the end, and the exit code is 1. train-files.txt and t10k-files.txt list the source file of each
image.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import scratchnet as sn
from scratchnet.data import atomic, folder, labelled
from scratchnet.process.pipes import run_script


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    channels, out = 3 if args.colour else 1, Path(args.out)

    def convert(path: Path) -> np.ndarray:
        if args.digits:
            return sn.digit_from_image(path, args.size, round(args.size * 20 / 28))
        return sn.whole_image(path, (args.size, args.size, channels), args.invert)

    try:
        if there := [name for name in folder.FILES if folder.find_file(out, name)]:
            raise ValueError(f"{out} already contains a data set ({there[0]}). Choose another folder.")
        made = labelled.load_labelled_images(args.images, convert, args.test_share, args.seed)
        folder.write_idx_dataset(out, made.dataset, made.class_names)
        for part, files in zip(("train", "t10k"), made.files, strict=True):
            with atomic.replacing(out / f"{part}-files.txt") as file:
                file.write("".join(f"{path.as_posix()}\n" for path in files).encode(errors="backslashreplace"))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2

    (x, _), (x_test, _) = made.dataset
    size = "×".join(map(str, x.shape[1:]))
    print(f"{out}: {len(x):,} images to train on and {len(x_test):,} to test with, {size}, of "
          f"{len(made.class_names)} classes: {', '.join(made.class_names)}")  # fmt: skip
    if made.unreadable:
        print(f"{len(made.unreadable)} pictures could not be used:", *made.unreadable, sep="\n  ", file=sys.stderr)
    return 1 if made.unreadable else 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make IDX files from a folder of labelled pictures.")
    add = parser.add_argument
    add("--images", required=True, metavar="DIR", help="a folder with a folder of pictures for each class")
    add("--out", required=True, metavar="DIR", help="folder for the IDX files")
    add("--size", type=at_least_8, default=28, help="width and height of the images in pixels (default: 28)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--grey", action="store_true", help="one channel, brightness (the default)")
    kind.add_argument("--colour", action="store_true", help="three channels: red, green and blue")
    kind.add_argument("--digits", action="store_true",
                      help="find the digit, make it white on black, scale and centre it as MNIST's")  # fmt: skip
    add("--invert", action="store_true", help="swap black and white")
    add("--test-share", type=float, default=0.2,
        help="share of each class for testing (default: 0.2), unless there are folders train and test")  # fmt: skip
    add("--seed", type=int, default=0, help="seed of the split and of the order")
    args = parser.parse_args(argv)
    if args.digits and args.invert:
        parser.error("--digits detects whether the ink is dark or light: leave out --invert")
    return args


def at_least_8(text: str) -> int:
    if (value := int(text)) < 8:
        raise argparse.ArgumentTypeError(f"must be at least 8, got {value}")
    return value


if __name__ == "__main__":
    sys.exit(run_script(main))
