"""Train a digit classifier and write all results into one folder.

    python scripts/train.py                                 MNIST (or synthetic digits): at most half a minute
    python scripts/train.py --preset vgg-bn --epochs 3      another network from scratchnet/zoo
    python scripts/train.py --augment light                 new random shifts, rotations and zooms in every epoch
    python scripts/train.py --resume latest                 resume the last run, with bit-identical results
    python scripts/train.py --watch                         watch and steer it on a page of this machine
    mpirun -n 4 python -m mpi4py scripts/train.py --distributed mpi       on several machines: docs/machines.md

Ctrl-C and SIGTERM finish the batch, save, and print how to resume (exit codes 130 and 143).
`scratchnet train` is this file. It calls the package scratchnet/; its options are defined in commands/options.py.
"""

import argparse
import sys
from collections.abc import Sequence

import scratchnet as sn
from scratchnet import data, doctor, metrics, report, zoo
from scratchnet.commands import options, ranks
from scratchnet.commands.images import build, choose_recipe, load_images
from scratchnet.commands.run_folder import RunFolder
from scratchnet.commands.running import exit_code, stoppable
from scratchnet.commands.watching import Watch
from scratchnet.page.snapshots import Snapshots
from scratchnet.process.pipes import run_script
from scratchnet.world import shared_world


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.list_presets:
        print(*map(zoo.described, zoo.PRESETS), sep="\n")
        return 0
    writes = ranks.begin(args)
    with (
        RunFolder(args.preset, *(args.out, args.resume, args.overwrite) if writes else ()) as folder,
        Watch(args) as watch,
    ):
        return stoppable(lambda: train(args, folder, watch), folder.print_how_to_resume)


def train(args: argparse.Namespace, folder: RunFolder, watch: Watch) -> int:
    """Data, model, training, report; the exit code."""
    if args.threads:
        sn.set_threads(args.threads)
    images = load_images(args)
    recipe, why = choose_recipe(args, images)
    model = build(args, images, recipe)
    rows, held_out = recipe.split(images.y, args.seed)
    x, y, validation = data.take(images.x, rows), images.y[rows], (images.x[held_out], images.y[held_out])

    if args.doctor and (failed := doctor.print_checks(model, x, y)):
        print(f"error: {failed}; not trained", file=sys.stderr)
        return 1
    if not args.quiet:
        model.summary()
        print(f"{images.dataset}: {len(rows):,} images to train on, {len(held_out):,} to validate, "
              f"{len(images.test[1]):,} to test", *filter(None, [why]), sep="\n")  # fmt: skip

    how = recipe.fit_options(len(rows), args.warm_up)
    out = shared_world().first(folder.begin)
    config = {**vars(args), **recipe.settings(), **images.settings(args), "out": str(out), "arguments": vars(args)}
    if not sn.rank():  # not before the training begins: a refused resume changes nothing
        how["callbacks"].append(sn.LambdaCallback(on_train_begin=lambda run: folder.write_config(config)))
    how["callbacks"] += [
        sn.ModelCheckpoint(out / "model.safetensors", save_best_only=recipe.keep == "best"),
        sn.Checkpoint(out / "checkpoint.safetensors"),
        sn.CSVLogger(out / "history.csv"),
        health := sn.Health(out / "health.csv"),
        Snapshots(out / "snapshots.json"),
        *watch.begin(model, images, validation, folder, config),
    ]
    resume = out if args.resume else None
    history = model.fit(x, y, validation_data=validation, verbose=not args.quiet, resume=resume, **how)
    if sn.rank():
        return 0  # rank 0 writes the files

    best = sn.load_model(out / "model.safetensors", args.engine)
    confusion = metrics.confusion_matrix(validation[1], best.predict(validation[0]).argmax(axis=1), images.classes)
    findings = doctor.findings(history, health.rows, y, confusion, model.class_names)
    report.write_json(out / "findings.json", findings)
    splits = {"training": (x, y), "validation": validation, "test": images.test}
    result = report.write_run(out, best, history, splits, config)
    if not args.quiet:
        print(*map(doctor.line, findings), sep="\n")
    print(f"test accuracy {result['test_accuracy']:.2%}, test loss {result['test_loss']:.4f}: {out}")
    watch.stay(best)
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train a digit classifier.",
        epilog="Data: see README.md.",
        parents=[options.training_options(), options.page_options()],
    )
    add = parser.add_argument
    add("--list-presets", action="store_true", help="describe the presets, and exit")
    add("--threads", type=options.at_least_one, help="default: all processors this process may use")
    ranks.add_options(parser)
    add("--doctor", action="store_true", help="check model and data first; exit with code 1 if a check fails")
    add("--out", help="folder of the run (default: a new one, runs/<time>-<preset>)")
    add("--overwrite", action="store_true", help="replace the run in the folder --out")
    add("--resume", metavar="RUN", type=options.run_to_resume, help="resume the run in this folder, or `latest`")
    add("--watch", action="store_true", help="show and steer the training on a page, which stays until Ctrl-C")
    add("--quiet", action="store_true", help="print only the result")
    args = options.resumed(parser, argv, parser.parse_args(argv))
    options.check_schedule(parser, args)
    if args.watch and args.distributed:
        parser.error("argument --watch: not with --distributed; watch a run of one process")
    return args


if __name__ == "__main__":
    sys.exit(run_script(main))
