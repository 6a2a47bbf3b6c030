"""Can a model tell what it has never seen? Scores that could say so, on MNIST's digits and on things that are none.

    python benchmarks/out_of_distribution.py runs/2026-11-21_101500-default --data-dir mnist --fashion fashion-mnist

For each score and each kind of thing: the AUROC against the digits of the test set, and the share that is caught by
the threshold that 1 % of held-out digits exceed. A score is the higher, the less familiar an image is:

    energy          -log Σ exp z of the logits z (Liu et al. 2020)
    probability     minus the largest probability's logarithm (Hendrycks and Gimpel 2017)
    mahalanobis     distance to the nearest class mean in the last layer's input (Lee et al. 2018)

The last needs the training images; the validation images of a run are not known here, so the threshold is taken from
the last 5,000 of the training set, of which the run has held out its share.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import scratchnet as sn
from scratchnet.data.synthetic import _distorted, _draw_glyphs
from scratchnet.out_of_distribution import energies

N = 1000  # images of each kind


def letters(characters: str) -> np.ndarray:
    """Distorted printed letters, as MNIST's digits are placed."""
    images, _ = _distorted(_draw_glyphs(characters), N, (28, 28), np.random.default_rng(1))
    return np.stack([sn.digits_from_image(np.where(image < 30, 0, image))[0] for image in images])


def drawings(draw) -> np.ndarray:
    """N drawings of a pen 8 to 16 pixels wide on a sheet of 200 × 200, as MNIST's digits are placed."""
    images = []
    for i in range(N):
        rng = np.random.default_rng([2, i])
        image = Image.new("L", (200, 200), 255)
        for line in draw(rng, i):
            ImageDraw.Draw(image).line([tuple(p) for p in line], fill=0, width=int(rng.integers(8, 17)), joint="curve")
        images.append(sn.digits_from_image(image)[0])
    return np.stack(images)


def scribble(rng, i):
    """A smooth line through 5 to 13 random points."""
    points = rng.uniform(20, 180, (rng.integers(5, 14), 2))
    t = np.linspace(0, len(points) - 1, 80)
    line = np.stack([np.interp(t, range(len(points)), points[:, k]) for k in (0, 1)], axis=1)
    smooth = np.apply_along_axis(lambda v: np.convolve(np.pad(v, 4, "edge"), np.ones(9) / 9, "valid"), 0, line)
    return [smooth]


def shape(rng, i):
    """A triangle, a box, a cross or a plus."""
    triangle, box = [(40, 160), (100, 40), (160, 160)], [(40, 40), (160, 40), (160, 160), (40, 160)]
    plus = [[(100, 30), (100, 170)], [(30, 100), (170, 100)]]
    kinds = [triangle + triangle[:2]], [box + box[:2]], [box[::2], box[1::2]], plus
    move = rng.uniform(0.8, 1.2, 2)
    return [np.array(line) * move for line in kinds[i % 4]]


def ruling() -> np.ndarray:
    """Lines across the whole image, level, upright, or both."""
    images = np.zeros((N, 28, 28), np.uint8)
    for i, image in enumerate(images):
        rng = np.random.default_rng([4, i])
        step, ink = int(rng.integers(3, 9)), rng.integers(90, 256)
        if i % 3 != 1:
            image[rng.integers(step) :: step] = ink
        if i % 3 != 0:
            image[:, rng.integers(step) :: step] = ink
    return images


def pairs(x: np.ndarray) -> np.ndarray:
    """Two digits squeezed into one image."""
    rng = np.random.default_rng(5)
    both = np.concatenate([x[rng.integers(0, len(x), N)], x[rng.integers(0, len(x), N)]], axis=2)  # (n, 28, 56)
    halved = both.reshape(N, 14, 2, 28, 2).mean(axis=(2, 4))
    return np.pad(halved, ((0, 0), (7, 7), (0, 0))).astype(np.uint8)


def scores(model, x, y):
    """Name -> function of images; x, y: training images."""

    def features(images):
        ctx, out = model.context(), model.check_input(images)
        for layer in model.layers[:-1]:
            out, _ = layer.forward(out, ctx)
        return out.reshape(len(out), -1).astype(np.float64)

    f, classes = features(x), range(model.shapes[-1][0])
    means = np.stack([f[y == k].mean(axis=0) for k in classes])
    spread = np.cov((f - means[y]).T) + 1e-3 * f.var() * np.eye(f.shape[1])
    inverse = np.linalg.inv(spread)

    def mahalanobis(images):
        d = features(images)[:, None] - means
        return np.sqrt(np.einsum("nki,ij,nkj->nk", d, inverse, d, optimize=True)).min(axis=1)

    return {
        "energy": lambda images: energies(model, images),
        "probability": lambda images: -np.log(model.predict(images).max(axis=1) + 1e-30),
        "mahalanobis": mahalanobis,
    }


def auroc(unknown: np.ndarray, known: np.ndarray) -> float:
    """The probability that something unknown scores higher than something known."""
    return float((np.searchsorted(np.sort(known), unknown) / len(known)).mean())


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description="Which score tells digits from what is none?")
    parser.add_argument("model", help="the folder of a run")
    parser.add_argument("--data-dir", help="MNIST's files")
    parser.add_argument("--fashion", help="Fashion-MNIST's files; left out if not given")
    args = parser.parse_args(argv)
    (x, y), (x_test, _) = sn.load_mnist(args.data_dir)
    model = sn.load_model(Path(args.model, "model.safetensors"), engine="numpy")
    kinds = {
        "capitals": letters("ABCDEFGHJKLMNPQRTUVWXY"),  # without those that look like digits
        "small letters": letters("abcdefhkmnprtuvwxy"),
        "scribbles": drawings(scribble),
        "shapes": drawings(shape),
        "ruled paper": ruling(),
        "two digits": pairs(x_test),
    }
    if args.fashion:
        kinds["fashion"] = sn.load_idx_dataset(args.fashion)[1][0][:N]
    print(f"{'':14}{'digits':>12}" + "".join(f"{kind:>15}" for kind in kinds))
    for name, score in scores(model, x[:5000], y[:5000]).items():
        threshold, known = np.quantile(score(x[-5000:]), 0.99), score(x_test)
        row = [f"{(known > threshold).mean():>12.1%}"]
        for images in kinds.values():
            found = score(images)
            row.append(f"{auroc(found, known):>8.3f} {(found > threshold).mean():>6.0%}")
        print(f"{name:14}" + "".join(row), flush=True)


if __name__ == "__main__":
    main()
