"""Teach a trained model other images or other classes: its layers are the start, some of them frozen.

    python scripts/finetune.py latest --data-dir my-letters                   the convolutions frozen (--freeze conv)
    python scripts/finetune.py digits.safetensors --images photos --digits    a folder of pictures for each class
    python scripts/finetune.py latest --data-dir my-digits --freeze ..3.maxpool2d
    python scripts/finetune.py latest --dataset fashion-mnist --freeze none --lr 3e-4

If the classes or their names are other ones, the model gets a new last layer. The accuracy on the new test images, and
on those of the run that MODEL comes from, is printed before and after. The result is the folder of a run, which
evaluate.py, predict.py and finetune.py read. A BatchNorm behind a frozen convolution is frozen with it.

    python scripts/finetune.py --resume latest          what was stopped continues, to the same bits
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import scratchnet as sn
from scratchnet import data, report, zoo
from scratchnet.commands import options
from scratchnet.commands.fine_tuning import (
    accuracies,
    adapted,
    former_images,
    keep_pictures,
    new_images,
    print_before_and_after,
)
from scratchnet.commands.run_folder import RunFolder
from scratchnet.commands.running import exit_code, stoppable
from scratchnet.data.augment import AUGMENTATIONS
from scratchnet.optimizers import OPTIMIZERS
from scratchnet.process.pipes import run_script

# Options that a resumed run keeps, as in `options.RESUMED`.
RESUMED = (
    "model", "data_dir", "images", "dataset", "freeze", "new_head", "digits", "invert", "test_share", "old_data_dir",
    "epochs", "lr", "schedule", "optimizer", "batch_size", "augment", "validation", "seed", "limit", "engine",
)  # fmt: skip


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    with RunFolder("finetune", args.out, args.resume, args.overwrite, program="finetune") as folder:
        return stoppable(lambda: finetune(args, folder), folder.print_how_to_resume)


def finetune(args: argparse.Namespace, folder: RunFolder) -> int:
    """Model, data, training, report; the exit code."""
    if args.threads:
        sn.set_threads(args.threads)
    path = report.find_model(args.model)
    args.model = str(path.resolve())  # for --resume: `latest` will be another run then
    old = sn.load_model(path, args.engine)
    images, pictures = new_images(args, old.input_shape)
    former = former_images(args, path)
    tests = {f"{images.dataset}, new": images} | ({f"{former.dataset}, old": former} if former else {})

    model = adapted(old, images, args)
    before = {**accuracies(old, tests), **accuracies(model, {name: i for name, i in tests.items() if i is images})}
    recipe = zoo.Recipe(list(model.layers), OPTIMIZERS[args.optimizer](args.lr), args.epochs, args.batch_size,
                        validation=args.validation, keep="last", schedule=args.schedule,
                        augment=AUGMENTATIONS[args.augment])  # fmt: skip
    rows, held_out = recipe.split(images.y, args.seed)
    x, y, validation = images.x[rows], images.y[rows], (images.x[held_out], images.y[held_out])
    if not args.quiet:
        model.summary()
        print(f"{images.dataset}: {len(y):,} images to train on, {len(held_out):,} to validate, "
              f"{len(images.test[1]):,} to test; {replace(recipe, layers=[])}")  # fmt: skip

    out = folder.begin()
    keep_pictures(args, pictures, out / "data")
    config = {**vars(args), **recipe.settings(), **images.settings(args), "preset": "finetune", "out": str(out),
              "arguments": vars(args)}  # fmt: skip
    how = recipe.fit_options(len(rows))
    how["callbacks"] += [
        sn.LambdaCallback(on_train_begin=lambda run: folder.write_config(config)),
        sn.Checkpoint(out / "checkpoint.safetensors"),
        sn.CSVLogger(out / "history.csv"),
        sn.Health(out / "health.csv"),
    ]
    history = model.fit(x, y, validation_data=validation, verbose=not args.quiet, resume=out if args.resume else None,
                        **how)  # fmt: skip
    model.save(out / "model.safetensors")
    splits = {"training": (x, y), "validation": validation, "test": images.test}
    report.write_run(out, model, history, splits, config)
    print_before_and_after(tests, before, accuracies(model, tests))
    print(f"fine-tuned: {out}")
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Teach a trained model other images or other classes.")
    add = parser.add_argument
    add("model", metavar="MODEL", nargs="?", help="the folder of a run, `latest`, or a model file")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data-dir", type=options.absolute, help="folder of the four IDX files of the new images")
    source.add_argument("--images", metavar="DIR", help="or a folder with a folder of pictures for each class")
    add("--dataset", choices=data.CHOICES, default="auto", help="or a data set by its name")
    add("--freeze", nargs="+", default=["conv"], metavar="LAYERS", help="names of layers, ranges (..3.maxpool2d), "
        "beginnings of the names of classes (conv, dense), or none (default: conv)")  # fmt: skip
    add("--new-head", action="store_true", help="a new last layer, also for the same classes")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--digits", action="store_true", help="of --images: find the digit in each picture")
    kind.add_argument("--invert", action="store_true", help="of --images: swap black and white")
    add("--test-share", type=float, default=0.2, help="of --images: share of each class for testing (default: 0.2)")
    add("--old-data-dir", type=options.absolute, help="the images that MODEL knows (default: those of its run)")
    add("--epochs", type=options.at_least_one, default=10, help="default: %(default)s")
    add("--lr", type=options.positive, default=1e-3, help="the largest learning rate (default: %(default)s)")
    add("--schedule", choices=list(sn.schedules.SCHEDULES), default="one-cycle", help="default: %(default)s")
    add("--optimizer", choices=list(OPTIMIZERS), default="adam", help="default: %(default)s")
    add("--batch-size", type=options.at_least_one, default=32, help="default: %(default)s")
    add("--augment", nargs="?", choices=list(AUGMENTATIONS), const="digits", default="off", help="default: off")
    add("--validation", type=options.below_one, default=0.1, help="share that is held out (default: %(default)s)")
    add("--seed", type=int, default=0, help="seed of the new layer, of the order and of the splits")
    add("--limit", type=options.at_least_one, help="use only the first LIMIT training images")
    add("--engine", choices=["numba", "numpy"], default="numba", help="compiled, or the textbook in NumPy")
    add("--threads", type=options.at_least_one, help="default: all processors this process may use")
    add("--out", help="folder of the result (default: a new one, runs/<time>-finetune)")
    add("--overwrite", action="store_true", help="replace the run in the folder --out")
    add(
        "--resume", metavar="RUN", type=options.run_to_resume, help="resume the fine-tuning in this folder, or `latest`"
    )
    add("--quiet", action="store_true", help="print only the result")
    args = options.resumed(parser, argv, parser.parse_args(argv), RESUMED)
    if not args.model:
        parser.error("name the model to start from: MODEL")
    if not (args.data_dir or args.images or args.dataset != "auto"):
        parser.error("name the new images: --data-dir, --images or --dataset")
    if (args.digits or args.invert) and not args.images:
        parser.error("--digits and --invert are for --images: other files are taken as they are")
    return args


if __name__ == "__main__":
    sys.exit(run_script(main))
