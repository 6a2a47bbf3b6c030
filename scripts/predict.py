"""Which digit is in this picture?

    python scripts/predict.py digits.safetensors photo.png scan.jpg

Any image file will do: the digit is found, turned into white on black, cropped, scaled and centred the way
the images of MNIST were, and then shown to the model.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import scratchnet as sn


def main(argv=None) -> int:
    args = parse_args(argv)
    path = Path(args.model)
    try:
        model = sn.load_model(path / "model.safetensors" if path.is_dir() else path, args.engine)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    failed = 0
    for image in args.images:
        try:
            digit = sn.digit_from_image(image, size=model.input_shape[0])
            probabilities = model.predict(digit[None])[0]
        except (ValueError, OSError) as error:
            print(f"{image}: {error}", file=sys.stderr)
            failed += 1
            continue
        print(f"{image}: {describe(probabilities, model.class_names)}")
    return 1 if failed else 0


def describe(probabilities, class_names) -> str:
    """7 (99.8 %), then 1 (0.1 %)"""
    names = class_names or [str(k) for k in range(len(probabilities))]
    first, second = probabilities.argsort()[::-1][:2]
    return f"{names[first]} ({probabilities[first]:.1%}), then {names[second]} ({probabilities[second]:.1%})"


def parse_args(argv):
    parser = argparse.ArgumentParser(description="Recognise digits in image files.")
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model file, or the folder of a run")
    add("images", metavar="IMAGE", nargs="+", help="image files, one digit each")
    add("--engine", choices=["numba", "numpy"], default="numba", help="compiled, or the textbook in NumPy")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
