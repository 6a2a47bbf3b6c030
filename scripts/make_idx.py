"""Make a data set, four IDX files and the names of the classes, from pictures or from files of other formats.

    python scripts/make_idx.py --images fruit --out fruit-idx --colour --size 32
    python scripts/make_idx.py --npz mnist.npz --out mnist               Keras' archive: x_train, y_train, ...
    python scripts/make_idx.py --csv train.csv --out kaggle              label,pixel0,pixel1,...; also TRAIN TEST
    python scripts/make_idx.py --idx gzip/emnist-letters --transpose --out letters
    python scripts/train.py --data-dir fruit-idx

`fruit` has one folder per class, fruit/apple/*.png and so on; sub-folders of a class are read too. Folders
fruit/train/apple/ and fruit/test/apple/ and so on define the split. Pictures that cannot be used are left out and
listed at the end, and the exit code is 1. train-files.txt and t10k-files.txt list the source file of each
image. Labels that count from 1 are numbered from 0, with a message.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import scratchnet as sn
from scratchnet import data
from scratchnet.commands.running import exit_code
from scratchnet.data import atomic, folder
from scratchnet.process.pipes import run_script

Written = tuple[folder.Dataset, list[str] | None, list[str]]  # data set, class names, a line for each unusable picture


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    out = Path(args.out)
    if there := [name for name in folder.FILES if folder.find_file(out, name)]:
        raise ValueError(f"{out} already contains a data set ({there[0]}). Choose another folder.")
    dataset, names, unreadable = from_pictures(args, out) if args.images else from_files(args, out)
    (x, y), (x_test, _) = dataset
    classes = f"{len(names)} classes: {', '.join(names)}" if names else f"{int(y.max()) + 1} classes"
    print(f"{out}: {len(x):,} images to train on and {len(x_test):,} to test with, {'×'.join(map(str, x.shape[1:]))}, "
          f"of {classes}")  # fmt: skip
    if unreadable:
        print(f"{len(unreadable)} pictures could not be used:", *unreadable, sep="\n  ", file=sys.stderr)
    return 1 if unreadable else 0


def from_pictures(args: argparse.Namespace, out: Path) -> Written:
    """Write the pictures of a folder."""

    def convert(path: Path) -> np.ndarray:
        if args.digits:
            return sn.digit_from_image(path, args.size, round(args.size * 20 / 28))
        return sn.whole_image(path, (args.size, args.size, 3 if args.colour else 1), args.invert)

    made = data.load_labelled_images(args.images, convert, args.test_share, args.seed)
    sn.write_idx_dataset(out, made.dataset, made.class_names)
    for part, files in zip(("train", "t10k"), made.files, strict=True):
        with atomic.replacing(out / f"{part}-files.txt") as file:
            file.write("".join(f"{path.as_posix()}\n" for path in files).encode(errors="backslashreplace"))
    return made.dataset, made.class_names, made.unreadable


def from_files(args: argparse.Namespace, out: Path) -> Written:
    """Write the images of an archive, of tables, or of other IDX files, numbered from 0; the same values."""
    names = args.idx and data.read_class_names(args.idx)
    if args.npz:
        dataset = data.load_npz_dataset(args.npz)
    elif args.csv:
        dataset = data.load_csv_dataset(args.csv, args.test_share, args.seed)
    else:
        dataset = data.read_folder(args.idx)
    from_1 = data.counts_from_1(dataset[0][1], dataset[1][1], names)
    if from_1:
        print("the labels count from 1; class 1 is output 0, and so on", file=sys.stderr)
        names = names or [str(k) for k in range(1, int(dataset[0][1].max()) + 1)]
    dataset = data.upright(dataset, args.transpose, int(from_1))
    data.count_classes(dataset, names, args.npz or args.idx or args.csv[0])
    sn.write_idx_dataset(out, dataset, names)
    return dataset, names, []


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make IDX files from labelled pictures, .npz, CSV or other IDX files.")
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", metavar="DIR", help="a folder with a folder of pictures for each class")
    source.add_argument("--npz", metavar="FILE", help="an archive of NumPy arrays, such as Keras' mnist.npz")
    source.add_argument("--csv", metavar="FILE", nargs="+", help="a table with the columns label, pixel0, pixel1, ...; "
                        "a second one is the test set")  # fmt: skip
    source.add_argument("--idx", metavar="DIR", help="a folder of four IDX files, to be corrected")
    add("--out", required=True, metavar="DIR", help="folder for the IDX files")
    add("--size", type=at_least_8, help="width and height of pictures in pixels (default: 28)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--grey", action="store_true", help="one channel, brightness (the default)")
    kind.add_argument("--colour", action="store_true", help="three channels: red, green and blue")
    kind.add_argument("--digits", action="store_true",
                      help="find the digit, make it white on black, scale and centre it as MNIST's")  # fmt: skip
    add("--invert", action="store_true", help="swap black and white")
    add("--transpose", action="store_true", help="exchange rows and columns of each image, as EMNIST's files need it")
    add("--test-share", type=float, default=0.2,
        help="share of each class for testing (default: 0.2), unless the source has a test set")  # fmt: skip
    add("--seed", type=int, default=0, help="seed of the split and of the order")
    args = parser.parse_args(argv)
    if args.digits and args.invert:
        parser.error("--digits detects whether the ink is dark or light: leave out --invert")
    of_pictures = ["--" + name for name in ("size", "grey", "colour", "digits", "invert") if getattr(args, name)]
    if of_pictures and not args.images:
        parser.error(f"{of_pictures[0]} is for --images: other files are converted as they are")
    if args.images and args.transpose:
        parser.error("--transpose is for --npz, --csv and --idx: pictures are upright")
    if args.csv and len(args.csv) > 2:
        parser.error("--csv takes one table, or two: TRAIN TEST")
    args.size = args.size or 28
    return args


def at_least_8(text: str) -> int:
    if (value := int(text)) < 8:
        raise argparse.ArgumentTypeError(f"must be at least 8, got {value}")
    return value


if __name__ == "__main__":
    sys.exit(run_script(main))
