"""Train a digit classifier and write everything about it into one folder.

    python scripts/train.py                                 MNIST (or synthetic digits): most for half a minute
    python scripts/train.py --preset vgg-bn --epochs 3      another network from scratchnet/zoo
    python scripts/train.py --augment light                 every epoch sees the images shifted, turned, zoomed anew
    python scripts/train.py --resume runs/2026-11-21_101500-default       go on with a run, to the same bits

Ctrl-C and SIGTERM finish the batch, save, and say how to go on (exit codes 130 and 143).
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from options import at_least_one, training_options

import scratchnet as sn
from scratchnet import data, doctor, metrics, report, zoo
from scratchnet.checkpoint import newest
from scratchnet.data.augment import AUGMENTATIONS
from scratchnet.optimizers import OPTIMIZERS
from scratchnet.pipes import command_line, run_script
from scratchnet.schedules import SCHEDULES
from scratchnet.variants import with_dropout, with_widths


def main(argv=None) -> int:
    args = parse_args(argv)
    if args.list_presets:
        return list_presets()
    begun, anywhere = time.time(), not (args.out or args.resume)
    former = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        return train(args)
    except (KeyboardInterrupt, SystemExit) as stop:
        say_how_to_go_on(args.resume or args.out, since=0.0 if args.resume else begun)
        return 130 if isinstance(stop, KeyboardInterrupt) else 143
    finally:
        signal.signal(signal.SIGTERM, former)
        if anywhere and args.out:
            with suppress(OSError):  # a new folder in which nothing was written is of no use
                Path(args.out).rmdir()


def train(args) -> int:
    """Data, model, training, report; the exit code."""
    if args.threads:
        sn.set_threads(args.threads)
    try:
        if args.out and not args.resume:
            report.check_no_run(args.out, args.overwrite)  # before anyone has waited for a training
        ((x, y), test), dataset, model, recipe = prepare(args)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    x, y = x[: args.limit], y[: args.limit]
    train, val = split(args, recipe, y)
    optimizer = choose_optimizer(args, recipe)

    if args.doctor and not healthy(model, x[train], y[train]):
        return 1
    settings = {
        **vars(args), **{name: getattr(recipe, name) for name in OF_THE_RECIPE}, "keep": recipe.keep,
        "augment": asdict(recipe.augment) if recipe.augment else "off",
        "optimizer": type(optimizer).__name__.lower(), "lr": optimizer.lr, "dataset": dataset, "arguments": vars(args),
        "data_dir": args.data_dir or data.only_place(dataset),
    }  # fmt: skip
    if not args.quiet:
        model.summary()
        counts = f"{len(train):,} images to train on, {len(val):,} to choose by, {len(test[0]):,} to test"
        print(f"{dataset}: {counts}")
        _, why = zoo.fitted(PRESETS[args.preset](model.shapes[-1][0]), dataset, model.class_names)
        if why and args.augment is None:
            print(why)

    try:
        options = fit_options(args, recipe, optimizer, len(train))
        out = folder_of(args)
        settings["out"] = str(out)
        options["callbacks"] += [
            # Not before: a resume that is refused leaves everything as it was.
            sn.LambdaCallback(on_train_begin=lambda run: report.write_json(out / "config.json", settings)),
            sn.ModelCheckpoint(out / "model.safetensors", save_best_only=recipe.keep == "best"),
            sn.Checkpoint(out / "checkpoint.safetensors"),
            sn.CSVLogger(out / "history.csv"),
            health := sn.Health(out / "health.csv"),
        ]
        history = model.fit(
            x[train], y[train], validation_data=(x[val], y[val]), verbose=not args.quiet,
            resume=out if args.resume else None, **options,
        )  # fmt: skip
        best = sn.load_model(out / "model.safetensors", args.engine)
    except sn.TrainingDivergedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2

    confusion = metrics.confusion_matrix(y[val], best.predict(x[val]).argmax(axis=1), best.shapes[-1][0])
    findings = doctor.findings(history, health.rows, y[train], confusion, model.class_names)
    report.write_json(out / "findings.json", findings)
    splits = {"training": (x[train], y[train]), "validation": (x[val], y[val]), "test": test}
    result = report.write_run(out, best, history, splits, settings)
    if not args.quiet:
        print(*map(doctor.line, findings), sep="\n")
    print(f"test accuracy {result['test_accuracy']:.2%}, test loss {result['test_loss']:.4f}: {out}")
    return 0


PRESETS = {**zoo.PRESETS}  # a recipe of your own belongs here: a function from the number of classes to a zoo.Recipe
OF_THE_RECIPE = ("epochs", "batch_size", "schedule", "warm_up", "augment", "label_smoothing", "weight_average")
RESUMED = (*OF_THE_RECIPE, "preset", "widths", "dropout", "data_dir", "dataset", "lr", "optimizer", "clip_norm", "seed",
           "engine", "limit")  # fmt: skip


def folder_of(args) -> Path:
    """The run's folder: the one to go on in, the one that was asked for, or a new one (then args.out says which)."""
    if args.resume:
        return Path(args.resume)
    if args.out:
        return report.run_folder(args.out, args.overwrite)
    args.out = str(report.new_folder(f"runs/{time.strftime('%Y-%m-%d_%H%M%S')}-{args.preset}"))
    return Path(args.out)


def say_how_to_go_on(out: str | None, since: float) -> None:
    """After a signal: what is saved (not by a former run, `since` a time), and the command that goes on from there.

    out: the run's folder; None if there is none yet.
    """
    try:
        if out is None:
            raise FileNotFoundError
        path = Path(out) / "checkpoint.safetensors"
        if path.stat().st_mtime < since:
            raise FileNotFoundError
        saved = newest(path).data
    except (OSError, ValueError):
        print("\nstopped before there was anything to save", file=sys.stderr)
        return
    where = f"epoch {saved['epoch'] + 1}, after {saved['batch']} batches"
    command = command_line(["python", "scripts/train.py", "--resume", out])
    print(f"\nstopped; saved in {where}. Go on with: {command}", file=sys.stderr)


def prepare(args):
    """The data and what they are called; the network that the preset names, built for them, and how it is trained."""
    datasets, name = data.load_dataset(args.dataset, args.data_dir)
    return datasets, name, *build(args, datasets, name, data.class_names(name, args.data_dir))


def build(args, datasets, dataset: str, class_names):
    """The network that the preset names, built for the data, and how it is trained."""
    recipe, _ = zoo.fitted(PRESETS[args.preset](data.count_classes(datasets, class_names)), dataset, class_names)
    recipe = overruled(recipe, args)
    x = datasets[0][0]
    input_shape = x.shape[1:] if x.ndim == 4 else (*x.shape[1:], 1)
    try:
        model = sn.Sequential(recipe.layers, input_shape, args.seed, args.engine, class_names=class_names)
    except ValueError as error:
        size = "×".join(map(str, input_shape))
        raise ValueError(f"the preset {args.preset} does not fit images of {size}: {error}") from None
    return model, recipe


def split(args, recipe, y):
    """Which images train and which are held out, as train_val_split gives them; of few images, a tenth."""
    held_out = recipe.validation if isinstance(recipe.validation, float) else min(recipe.validation, len(y) // 10)
    return sn.train_val_split(y, held_out or 1, args.seed)


def fit_options(args, recipe, optimizer, examples: int) -> dict[str, Any]:
    """How a model is trained on so many examples: arguments of fit."""
    steps = recipe.epochs * -(-examples // recipe.batch_size)
    optimizer.lr = choose_schedule(recipe, optimizer.lr, steps, args.warm_up)
    average = [sn.WeightAverage(recipe.weight_average)] if recipe.weight_average else []
    return {
        "epochs": recipe.epochs, "batch_size": recipe.batch_size, "optimizer": optimizer, "augment": recipe.augment,
        "loss": sn.SoftmaxCrossEntropy(recipe.label_smoothing), "callbacks": [*recipe.callbacks, *average],
    }  # fmt: skip


def overruled(recipe: zoo.Recipe, args) -> zoo.Recipe:
    """The recipe, but what the command line says in the place of its own."""
    said = {name: value for name in OF_THE_RECIPE if (value := getattr(args, name, None)) is not None}
    if "augment" in said:
        said["augment"] = AUGMENTATIONS[said["augment"]]
    if "schedule" in said:  # the recipe's warm-up belongs to the recipe's schedule
        said.setdefault("warm_up", 0)
    if (widths := getattr(args, "widths", None)) is not None:
        said["layers"] = with_widths(recipe.layers, widths)
    if (rate := getattr(args, "dropout", None)) is not None:
        said["layers"] = with_dropout(said.get("layers", recipe.layers), rate)
    return replace(recipe, **said)


def list_presets() -> int:
    """Every preset's name, what it is, its number of parameters for MNIST, and how it is trained."""
    for name, make in PRESETS.items():
        recipe = make(10)
        model = sn.Sequential(recipe.layers, (28, 28, 1), engine="numpy")
        trained, kept = (sum(a.size for a in arrays.values()) for arrays in (model.parameters(), model.state()))
        size = f"{trained + kept:,} parameters" + (f" ({trained:,} trained)" if kept else "")
        print(f"{name:<14} {(make.__doc__ or '').splitlines()[0]}")
        print(f"{'':<14} {size}; {recipe}")
    return 0


def healthy(model, x, y) -> bool:
    """Print what the doctor says before the training; whether all checks passed."""
    checks = []
    for check in doctor.examine(model, x, y):
        print(check, flush=True)
        checks.append(check.passed)
    if not all(checks):
        print(f"error: {checks.count(False)} of {len(checks)} checks failed; not trained", file=sys.stderr)
    return all(checks)


def choose_optimizer(args, recipe):
    """The recipe's optimizer, unless --optimizer or --lr ask for another; with --clip-norm, if that is said."""
    optimizer = recipe.optimizer
    if args.optimizer or args.lr:
        kind: Any = OPTIMIZERS[args.optimizer] if args.optimizer else type(recipe.optimizer)
        optimizer = kind(lr=args.lr) if args.lr else kind()
    optimizer.clip_norm = getattr(args, "clip_norm", None) or optimizer.clip_norm
    return optimizer


def choose_schedule(recipe, lr: float, steps: int, asked: int | None):
    """The learning rate of each of the run's steps, the largest of which is lr. asked: --warm-up."""
    warm_up = asked or min(recipe.warm_up, steps // 4)
    if recipe.schedule == "constant" and not warm_up:
        return lr
    if callable(lr):
        raise ValueError(f"the preset has a schedule of its own, {lr}: for another one give --lr too")
    if warm_up >= steps:
        raise ValueError(f"--warm-up {warm_up}: this training has only {steps} steps")
    schedule = SCHEDULES[recipe.schedule](lr, steps - warm_up)
    return sn.WarmUp(schedule, warm_up) if warm_up else schedule


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description="Train a digit classifier.", epilog="Data: see README.md.", parents=[training_options(PRESETS)]
    )
    add = parser.add_argument
    add("--list-presets", action="store_true", help="say what each preset is, and stop")
    add("--threads", type=at_least_one, help="default: all processors this process may use")
    add("--doctor", action="store_true",
        help="check model and data first; train only if all is well, else exit with code 1")
    add("--out", help="folder of the run (default: a new one, runs/<time>-<preset>)")
    add("--overwrite", action="store_true", help="replace the run that is in the folder --out")
    add("--resume", metavar="RUN", help="go on with the run in this folder")
    add("--quiet", action="store_true", help="print only the result")
    args = parser.parse_args(argv)
    if args.resume and (args.overwrite or (args.out and Path(args.out).resolve() != Path(args.resume).resolve())):
        parser.error("argument --resume: the run goes on in its own folder; leave out --out and --overwrite")
    if args.resume:  # what the run was told, unless told otherwise now
        config = Path(args.resume) / "config.json"
        if not Path(args.resume).is_dir():
            parser.error(f"argument --resume: {args.resume} is not the folder of a run")
        former = json.loads(config.read_text()).get("arguments", {}) if config.exists() else {}
        parser.set_defaults(**{name: former[name] for name in RESUMED if name in former})
        args = parser.parse_args(argv)
    if args.schedule == "one-cycle" and args.warm_up:
        parser.error("argument --warm-up: one-cycle has a warm-up of its own")
    return args


def in_one_line(message, *where, **more) -> None:
    """A warning as a user of a script wants it."""
    print(f"warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    warnings.showwarning = in_one_line
    sys.exit(run_script(main))
