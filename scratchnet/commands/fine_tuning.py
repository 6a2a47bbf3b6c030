"""The two data sets of `scratchnet finetune`: the new one, and the one that the model comes from.

new_images       of --images, --data-dir or --dataset, in the model's size
former_images    of the run that the model comes from
adapted          the model with its old head if the classes are the same, else with a new one; frozen as asked
accuracies       of models on test images, and the table of them before and after
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet import data, report, transfer
from scratchnet.commands.images import Images, load_images
from scratchnet.process.pipes import console


def new_images(args: argparse.Namespace, shape: tuple[int, ...]) -> tuple[Images, data.LabelledImages | None]:
    """The images that the model is to learn; of --images also the pictures themselves, for `keep_pictures`.

    A resumed run reads the pictures that were kept.
    shape: of the model's input. Raises ValueError if the images have another one.
    """
    if args.images and args.resume:  # the pictures that the run began with
        kept = argparse.Namespace(dataset="auto", data_dir=args.data_dir, limit=args.limit, engine=args.engine)
        return load_images(kept)._replace(dataset=Path(args.images).name), None
    if args.images:
        made = data.load_labelled_images(
            args.images, lambda path: picture(path, shape, args), args.test_share, args.seed
        )
        if made.unreadable:
            print(f"{len(made.unreadable)} pictures could not be used:", *made.unreadable, sep="\n  ", file=sys.stderr)
        (x, y), test = made.dataset
        name, names = Path(args.images).resolve().name, made.class_names
        return Images(x[: args.limit], y[: args.limit], test, name, names, len(names)), made
    images = load_images(args)
    if images.shape != shape:
        ours, its = ("×".join(map(str, size)) for size in (images.shape, shape))
        raise ValueError(f"images of {ours}, and the model takes {its}. Pictures are scaled to its size: --images DIR")
    return images, None


def keep_pictures(args: argparse.Namespace, made: data.LabelledImages | None, folder: Path) -> None:
    """Write the pictures as a data set into the folder of the run, where evaluate.py finds them."""
    if made is not None:
        data.write_idx_dataset(folder, made.dataset, made.class_names)
        args.data_dir, args.images = str(folder.resolve()), str(Path(args.images).resolve())


def picture(path: Path, shape: tuple[int, ...], args: argparse.Namespace) -> np.ndarray:
    """A picture as the model's input: its digit with --digits, else the whole of it."""
    h, w, c = shape
    if args.digits:
        return data.digit_from_image(path, h, round(h * 20 / 28))
    return data.whole_image(path, (h, w, c), args.invert)


def former_images(args: argparse.Namespace, model_file: Path) -> Images | None:
    """The data of the run that the model comes from; None, with a line, if they are not there."""
    dataset, data_dir = ("auto", args.old_data_dir) if args.old_data_dir else report.trained_on(model_file.parent)
    if (dataset, data_dir) == ("auto", None):
        return None
    try:
        data.folder_then(data_dir, model_file.parent)
        return load_images(argparse.Namespace(dataset=dataset, data_dir=data_dir, limit=None, engine=args.engine))
    except (ValueError, OSError) as error:
        print(f"not compared on the old test images: {error}", file=sys.stderr)
    return None


def adapted(model: Any, images: Images, args: argparse.Namespace) -> Any:
    """The model for these classes, with the layers of --freeze frozen: the same one if they are its own classes."""
    model.unfreeze()
    own = (model.class_names, model.shapes[-1][-1]) == (images.class_names, images.classes)
    if args.new_head or not own:
        model = model.with_head(images.classes, images.class_names, args.seed)
    if args.freeze != ["none"]:
        model.freeze(*args.freeze)
        transfer.freeze_normalisation(model)
    return model


def accuracies(model: Any, tests: dict[str, Images]) -> dict[str, str]:
    """The accuracy on each of the test sets, in words."""
    same = {name: (model.class_names, model.shapes[-1][-1]) == (i.class_names, i.classes) for name, i in tests.items()}
    return {
        name: f"{model.evaluate(*images.test)['accuracy']:.2%}" if same[name] else "other classes"
        for name, images in tests.items()
    }


def print_before_and_after(tests: dict[str, Images], before: dict[str, str], after: dict[str, str]) -> None:
    """A table with a row for each test set."""
    from rich.table import Table

    table = Table("test images", box=None, header_style="bold", pad_edge=False)
    for title in ("before", "after"):
        table.add_column(title, justify="right")
    for name, images in tests.items():
        table.add_row(f"{name} ({len(images.test[1]):,})", before[name], after[name])
    console().print(table)
