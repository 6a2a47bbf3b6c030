"""Classify pictures.

    python scripts/predict.py digits.safetensors photo.png scan.jpg
    python scripts/predict.py latest photo.png --json
    python scripts/predict.py runs/2026-11-21_101500-default photo.png --tta      the mean over nine shifts of it
    python scripts/predict.py digits.keras photo.png             a model that Keras saved, .keras or .h5; or .onnx
    python scripts/predict.py latest --idx images.gz --out predictions.csv        an IDX file of any size
    python scripts/predict.py latest --images scans --out predictions.npy         a folder of pictures

The last two stop and resume, and run on a cluster with --dask tcp://HOST:PORT (docs/machines.md).

Any image file works. For a model of digits, the digit is located, converted to white on black, scaled and
centred like the images of MNIST; several digits are read row by row, from left to right. For other models
(colour, or classes with names) the whole picture is scaled to the model's size, as make_idx.py does. Give --digits
or --invert here if they were given there. If MODEL is the folder of a run, pictures unlike its training images are
marked: they may belong to none of the classes (scratchnet/out_of_distribution.py says how reliable that is).
Exit code: 0, 1 if some picture could not be used, 2 if the model could not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

import scratchnet as sn
from scratchnet import report
from scratchnet.commands.models import factor, open_model
from scratchnet.commands.options import at_least_one
from scratchnet.commands.predicting import RESUMES, finds_digits, predict_many
from scratchnet.commands.running import exit_code, stoppable
from scratchnet.data.images import reads_digits
from scratchnet.out_of_distribution import energies, kept_threshold
from scratchnet.process.pipes import run_script


@exit_code
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    path = report.find_model(args.model)
    try:
        model = open_model(path, args.engine, args.rescale)
        if len(model.input_shape) != 3 or model.input_shape[2] not in (1, 3):
            raise ValueError(f"{path}: takes input of shape {model.input_shape}, not grey or colour pictures")
        if args.digits and not reads_digits(model.input_shape, None):
            raise ValueError(f"{path}: takes input of shape {model.input_shape}, --digits needs grey squares")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    names = model.class_names or [str(k) for k in range(model.shapes[-1][0])]
    if args.out:
        return stoppable(lambda: predict_many(model, path, names, args), lambda: print(RESUMES, file=sys.stderr))
    run = report.find_run(args.model)
    threshold = kept_threshold(run) if run.is_dir() else None
    answers = [answer(image, model, names, threshold, args) for image in args.images]
    if args.json:
        print(json.dumps(answers, indent=2))
    return 1 if any("error" in found for found in answers) else 0


def answer(
    image: str, model: sn.Sequential, names: list[str], threshold: float | None, args: argparse.Namespace
) -> dict[str, Any]:
    """{"image":, "class":, "probability":, ...} as of `recognise`, or {"image":, "error":}; printed unless --json.

    Of several digits, "class" is the number they form and "probability" that of all being right; "digits" has each.
    """
    try:
        pixels = np.stack(prepare(image, model, names, args))
    except (ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error).removeprefix(f"{image}: ")
        print(f"{image}: {reason}", file=sys.stderr)
        return {"image": image, "error": reason}
    found = recognise(pixels, model, names, threshold, args.tta)
    if not args.json:
        print(f"{image}: {in_words(found)}")
    if len(found) == 1:
        return {"image": image, **found[0]}
    number, probability = "".join(one["class"] for one in found), np.prod([one["probability"] for one in found])
    return {"image": image, "class": number, "probability": float(probability), "digits": found}


def recognise(
    pixels: np.ndarray, model: sn.Sequential, names: list[str], threshold: float | None, tta: bool
) -> list[dict[str, Any]]:
    """For each image {"class":, "probability":, "probabilities":, "energy":, "unfamiliar": None without threshold}."""
    found = []
    for p, e in zip(sn.predict_augmented(model, pixels) if tta else model.predict(pixels), energies(model, pixels),
                    strict=True):  # fmt: skip
        found.append({
            "class": names[p.argmax()], "probability": float(p.max()),
            "probabilities": {name: float(value) for name, value in zip(names, p, strict=True)},
            "energy": float(e), "unfamiliar": None if threshold is None else bool(e > threshold),
        })  # fmt: skip
    return found


UNFAMILIAR = "unlike the training images"


def in_words(found: list[dict[str, Any]]) -> str:
    """4 (99.1%), then 9 (0.7%); of several digits 42 (4 99.1%, 2 98.0%)."""
    if len(found) > 1:
        each = [f"{one['class']} {one['probability']:.1%}{f' {UNFAMILIAR}' * bool(one['unfamiliar'])}" for one in found]
        return f"{''.join(one['class'] for one in found)} ({', '.join(each)})"
    (best, p), *others = sorted(found[0]["probabilities"].items(), key=lambda pair: -pair[1])
    then = "".join(f", then {name} ({q:.1%})" for name, q in others[:1])
    return f"{best} ({p:.1%}){then}" + f"; {UNFAMILIAR}, perhaps none of the classes" * bool(found[0]["unfamiliar"])


def prepare(image: str, model: sn.Sequential, names: list[str], args: argparse.Namespace) -> list[np.ndarray]:
    """The model's input images from a picture, prepared as in training: each digit, or the whole picture."""
    if finds_digits(model, names, args):
        size = model.input_shape[0]
        return sn.digits_from_image(image, size, round(size * 20 / 28))
    h, w, c = model.input_shape
    return [sn.whole_image(image, (h, w, c), args.invert)]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Classify image files.")
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model file, the folder of a run, or `latest`")
    add("images", metavar="IMAGE", nargs="*", help="image files")
    add("--idx", metavar="FILE", help="instead: an IDX file of images, raw or packed, of any size; needs --out")
    add("--images", dest="folder", metavar="DIR", help="instead: all pictures of a folder; needs --out")
    add("--out", metavar="FILE", help="of --idx or --images: a .csv or, with all probabilities, a .npy")
    add("--dask", metavar="ADDRESS", help="with --out: predict on the workers of this Dask scheduler, tcp://HOST:PORT")
    add("--threads", type=at_least_one, help="with --out: default: all processors; with --dask of each worker")
    add("--quiet", action="store_true", help="with --out: print only the result")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--digits", action="store_true", help="find the digits in each picture and centre them")
    kind.add_argument("--whole", action="store_true", help="scale the whole picture, also for a model of digits")
    add("--invert", action="store_true", help="swap black and white in whole pictures")
    add("--tta", action="store_true", help="test-time augmentation: the mean over shifts of each image by a pixel")
    scale = "of a file of Keras or ONNX: what pixels are multiplied by, 1/255 (default), 1"
    add("--rescale", type=factor, help=scale)
    add("--json", action="store_true", help="print the predictions with all probabilities as JSON")
    add("--engine", choices=["numba", "numpy"], default="numba", help="compiled, or the textbook in NumPy")
    args = parser.parse_intermixed_args(argv)  # options may stand between the pictures
    sources = [bool(args.images), bool(args.idx), bool(args.folder)]
    if sum(sources) != 1:
        parser.error("give image files, or --idx FILE, or --images DIR")
    if bool(args.out) == bool(args.images):
        parser.error("--out belongs to --idx and --images, which need it")
    if args.dask and not args.out:
        parser.error("argument --dask: only with --out")
    if args.out and (args.tta or args.json):
        parser.error("--tta and --json are for single image files")
    return args


if __name__ == "__main__":
    sys.exit(run_script(main))
