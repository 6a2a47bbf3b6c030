"""Options that several scripts have, and the kinds of their values.

    network_options    what is trained, and on what                       train.py, tune.py, lr_find.py
    training_options   these, and how: all that decides the weights       train.py, tune.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scratchnet import data
from scratchnet.data.augment import AUGMENTATIONS
from scratchnet.optimizers import OPTIMIZERS
from scratchnet.schedules import SCHEDULES


def network_options(presets) -> argparse.ArgumentParser:
    """What is trained, and on what: a parent for a script's parser. presets: the names that --preset may say."""
    parser = argparse.ArgumentParser(add_help=False)
    add = parser.add_argument
    add("--preset", choices=list(presets), default="default",
        help="the network and how it is trained: see train.py --list-presets")
    add("--data-dir", type=absolute,
        help="folder of the four IDX files (default: $SCRATCHNET_DATA, then the user's cache)")
    add("--dataset", choices=data.CHOICES, default="auto",
        help="auto: what is in the folder, or MNIST, or synthetic digits without it")
    add("--widths", type=several, metavar="N,N,...",
        help="filters and units of the hidden layers, in order: 16,32,64 (default: the preset's)")
    add("--dropout", type=below_one, metavar="RATE",
        help="in every Dropout layer; a network without one gets one before its last layer (default: the preset's)")
    add("--batch-size", type=at_least_one, help="examples per step (default: the recipe's)")
    add("--optimizer", choices=list(OPTIMIZERS), help="default: the recipe's")
    add("--seed", type=int, default=0, help="decides weights, order, dropout and the validation split")
    add("--engine", choices=["numba", "numpy"], default="numba", help="compiled, or the textbook in NumPy")
    add("--limit", type=at_least_one, help="use only the first so many training images")
    return parser


def training_options(presets) -> argparse.ArgumentParser:
    """What is trained, on what, and how: all that decides a training's weights, and that a search may hold fast."""
    parser = argparse.ArgumentParser(add_help=False, parents=[network_options(presets)])
    add = parser.add_argument
    add("--epochs", type=at_least_one, help="passes over the training set (default: the recipe's)")
    add("--lr", type=positive, help="learning rate (default: the recipe's)")
    add("--schedule", choices=list(SCHEDULES),
        help="how the learning rate moves in the course of the run; --lr is its largest value (default: the recipe's)")
    add("--warm-up", type=at_least_one, metavar="STEPS", help="first rise to it in so many steps")
    add("--clip-norm", type=positive, metavar="LENGTH", help="shorten longer gradients to this length")
    add("--label-smoothing", type=below_one, metavar="SHARE",
        help="share of each label that is spread over all classes; every loss of the history is measured with it")
    add("--weight-average", type=below_one, metavar="DECAY",
        help="evaluate and save a moving average of the weights; 0.99 remembers about 100 steps, 0 is off")
    add("--augment", metavar="HOW", nargs="?", choices=list(AUGMENTATIONS), const="digits",
        help="change the images in every epoch: off, light, digits (--augment alone) (default: the recipe's)")
    return parser


def at_least_one(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def absolute(text: str) -> str:
    """A path that means the same when the program is in another folder."""
    if not text:
        raise argparse.ArgumentTypeError("the name of the folder is empty")
    return str(Path(text).expanduser().resolve())


def several(text: str) -> list[int]:
    return [at_least_one(number) for number in text.split(",")]


def positive(text: str) -> float:
    if not (value := float(text)) > 0:
        raise argparse.ArgumentTypeError(f"must be positive, got {text}")
    return value


def below_one(text: str) -> float:
    if not 0 <= (value := float(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to below 1, got {text}")
    return value
