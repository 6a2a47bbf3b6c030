"""Options common to several programs, and the types of their values.

    network_options    the network and the data                           train, tune, lr_find, doctor
    training_options   also the training: all that affects the weights    train, tune

They are parent parsers of the programs' parsers. Conditions on several options are checked after parsing:

    resumed            with --resume, the options of the run are the defaults
    check_schedule     --schedule and --warm-up
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from scratchnet import data, report
from scratchnet.data.augment import AUGMENTATIONS
from scratchnet.optimizers import OPTIMIZERS
from scratchnet.page import PORT
from scratchnet.schedules import SCHEDULES
from scratchnet.zoo import PRESETS

# Options that a resumed run keeps. Those of its folder, its machine and its output may change.
RESUMED = (
    "epochs", "batch_size", "schedule", "warm_up", "augment", "label_smoothing", "weight_average", "preset", "widths",
    "dropout", "data_dir", "dataset", "lr", "optimizer", "clip_norm", "seed", "engine", "limit",
)  # fmt: skip


def network_options() -> argparse.ArgumentParser:
    """The network and the data: a parent for a program's parser.

    >>> network_options().parse_args(["--preset", "mlp", "--widths", "64,32"]).widths
    [64, 32]
    """
    parser = argparse.ArgumentParser(add_help=False)
    add = parser.add_argument
    add(
        "--preset",
        choices=list(PRESETS),
        default="default",
        help="the network and its training recipe: see train.py --list-presets",
    )
    add(
        "--data-dir",
        type=absolute,
        help="folder of the four IDX files (default: $SCRATCHNET_DATA, then the user's cache)",
    )
    add(
        "--dataset",
        choices=data.CHOICES,
        default="auto",
        help="auto: the data in the folder, or MNIST, or synthetic digits if both are missing",
    )
    add(
        "--widths",
        type=several,
        metavar="N,N,...",
        help="filters and units of the hidden layers, in order: 16,32,64 (default: the preset's)",
    )
    add(
        "--dropout",
        type=below_one,
        metavar="RATE",
        help="rate of every Dropout layer; without one, a layer is added before the last (default: the preset's)",
    )
    add("--batch-size", type=at_least_one, help="examples per step (default: the recipe's)")
    add("--optimizer", choices=list(OPTIMIZERS), help="default: the recipe's")
    add("--seed", type=int, default=0, help="seed of weights, order, dropout and the validation split")
    add("--engine", choices=["numba", "numpy"], default="numba", help="compiled, or the textbook in NumPy")
    add("--limit", type=at_least_one, help="use only the first LIMIT training images")
    return parser


def training_options() -> argparse.ArgumentParser:
    """The network, the data and the training: all options that affect the weights, and that a search may fix."""
    parser = argparse.ArgumentParser(add_help=False, parents=[network_options()])
    add = parser.add_argument
    add("--epochs", type=at_least_one, help="passes over the training set (default: the recipe's)")
    add("--lr", type=positive, help="learning rate (default: the recipe's)")
    add(
        "--schedule",
        choices=list(SCHEDULES),
        help="schedule of the learning rate over the run; --lr is its largest value (default: the recipe's)",
    )
    add("--warm-up", type=at_least_one, metavar="STEPS", help="first raise the learning rate to --lr in STEPS steps")
    add("--clip-norm", type=positive, metavar="LENGTH", help="scale longer gradients down to this length")
    add(
        "--label-smoothing",
        type=below_one,
        metavar="SHARE",
        help="share of each label that is spread over all classes; applies to every loss of the history",
    )
    add(
        "--weight-average",
        type=below_one,
        metavar="DECAY",
        help="evaluate and save a moving average of the weights; 0.99 averages about 100 steps, 0 is off",
    )
    add(
        "--augment",
        metavar="HOW",
        nargs="?",
        choices=list(AUGMENTATIONS),
        const="digits",
        help="change the images in every epoch: off, light, digits (--augment alone) (default: the recipe's)",
    )
    return parser


def resumed(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, args: argparse.Namespace,
    names: Sequence[str] = RESUMED,
) -> argparse.Namespace:  # fmt: skip
    """The parsed arguments; with --resume they are parsed again, with the run's options as defaults of `names`."""
    if not args.resume:
        return args
    if args.overwrite or (args.out and Path(args.out).resolve() != Path(args.resume).resolve()):
        parser.error("argument --resume: the run continues in its own folder; leave out --out and --overwrite")
    config = Path(args.resume) / "config.json"
    try:
        former = json.loads(config.read_text()).get("arguments", {}) if config.exists() else {}
        parser.set_defaults(**{name: former[name] for name in names if name in former})
    except (OSError, ValueError, AttributeError, TypeError) as error:
        parser.error(f"argument --resume: {config} is damaged ({error})")
    return parser.parse_args(argv)


def check_schedule(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Exit with code 2 if --warm-up is combined with a schedule that has its own."""
    if args.schedule == "one-cycle" and args.warm_up:
        parser.error("argument --warm-up: one-cycle has its own warm-up")


def run_to_resume(text: str) -> str:
    """The folder of a run, by its name or as `latest`."""
    try:
        path = report.find_run(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not the folder of a run")
    return str(path)


def at_least_one(text: str) -> int:
    """A whole number from 1."""
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def absolute(text: str) -> str:
    """An absolute path, independent of the working folder."""
    if not text:
        raise argparse.ArgumentTypeError("the name of the folder is empty")
    return str(Path(text).expanduser().resolve())


def several(text: str) -> list[int]:
    """Whole numbers from 1, with commas between them."""
    return [at_least_one(number) for number in text.split(",")]


def positive(text: str) -> float:
    """A number above 0."""
    if not (value := float(text)) > 0:
        raise argparse.ArgumentTypeError(f"must be positive, got {text}")
    return value


def below_one(text: str) -> float:
    """A share: a number from 0, below 1."""
    if not 0 <= (value := float(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to below 1, got {text}")
    return value


def page_options() -> argparse.ArgumentParser:
    """The options of the server: a parent for a program's parser.

    >>> page_options().parse_args(["--port", "0"]).port
    0
    """
    parser = argparse.ArgumentParser(add_help=False)
    add = parser.add_argument
    add("--port", type=port, default=PORT, help="of the page; 0 is any free one (default: %(default)s)")
    add("--host", default="127.0.0.1", help="where to listen; 0.0.0.0 is every network of this machine")
    add("--no-open", dest="open", action="store_false", help="print the address, and open no browser")
    return parser


def port(text: str) -> int:
    """A port: 0 to 65535."""
    if not 0 <= (value := int(text)) <= 65535:
        raise argparse.ArgumentTypeError(f"must be from 0 to 65535, got {value}")
    return value
