"""The pen of `digit_from_strokes`, measured against MNIST, and how well a model reads what it draws.

    python -m tests.page.pen                  pen width, grey edges and ink: of MNIST, and of 200 written digits
    python -m tests.page.pen MODEL            ... and which of them a model reads, for several pens
    python -m tests.page.pen MODEL --each     ... with a line for each digit that is misread

The width of a stroke is 2 · area / total variation: a bar of width w and length l has area w · l and variation 2 l.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import scratchnet as sn
from scratchnet.data import drawing
from tests.page.pen_digits import drawn_digits

ROW = "{:<34} {:>8} {:>8} {:>8} {:>10} {:>10} {:>8}"


def stroke_widths(images: np.ndarray) -> np.ndarray:
    """Pixels, of uint8 (n, h, w): 2 · area / total variation (the mean of both directions' root of squares)."""
    x = np.pad(images.astype(np.float64) / 255, ((0, 0), (1, 1), (1, 1)))
    down, right = np.diff(x, axis=1)[:, :, :-1], np.diff(x, axis=2)[:, :-1, :]
    return 2 * x.sum(axis=(1, 2)) / np.sqrt(down**2 + right**2).sum(axis=(1, 2))


def measured(name: str, images: np.ndarray) -> str:
    """A row of the table: the width's quantiles, the share of full and of grey pixels in the ink, the ink's area."""
    low, median, high = np.percentile(stroke_widths(images), (5, 50, 95))
    ink = images[images > 0]
    full, grey = (ink >= 250).mean(), (ink <= 200).mean()
    area = images.sum(axis=(1, 2)).mean() / 255
    return ROW.format(name, *(f"{v:.2f}" for v in (median, low, high)), f"{full:.0%}", f"{grey:.0%}", f"{area:.0f}")


def images_of(digits: list, pen: float = drawing.PEN) -> np.ndarray:
    """uint8 (n, 28, 28)."""
    return np.stack([drawing.digit_from_strokes(strokes, pen=pen) for _, strokes in digits])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the pen.")
    parser.add_argument("model", nargs="?", help="a model file or a run's folder")
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", action="store_true", help="list the digits that are misread")
    args = parser.parse_args()
    digits = drawn_digits(args.per_class, args.seed)
    labels = np.array([label for label, _ in digits])
    print(ROW.format("", "width", "5 %", "95 %", "full", "grey", "area"))
    _, (x, _) = sn.load_mnist(download=False)
    print(measured("MNIST, test images", x))
    model = (
        sn.load_model(Path(args.model, "model.safetensors") if Path(args.model).is_dir() else args.model)
        if args.model
        else None
    )
    for pen in (1.6, 1.9, drawing.PEN, 2.5, 2.8, 3.2):
        images = images_of(digits, pen)
        line = measured(f"{len(digits)} digits, pen {pen}, softness {drawing.SOFTNESS}", images)
        if model is not None:
            answers = model.predict(images).argmax(axis=1)
            line += f"   {(answers == labels).mean():.1%} read"
            if args.each and pen == drawing.PEN:
                line += "".join(
                    f"\n    number {k}: {labels[k]} read as {answers[k]}" for k in (answers != labels).nonzero()[0]
                )
        print(line)


if __name__ == "__main__":
    main()
