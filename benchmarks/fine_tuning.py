"""What is a trained network worth as the start for other digits? scikit-learn's, of other writers, 1,000 to train on.

    python benchmarks/fine_tuning.py

The preset `default` is trained on MNIST for one epoch. From there and from scratch the same network is trained on
scikit-learn's digits, scaled to 20×20 in 28×28, in equally many steps of 32 images under one cycle of the learning
rate. The accuracy is on the other 797 images, which are by other writers; the mean of 5 seeds, which decide the new
head or the initial weights, and the order. The rates were chosen on the last 200 of the 1,000, trained on the others,
of 1e-3, 3e-3, 6e-3 and 1e-2: at 96 and 320 steps 6e-3 from scratch and 3e-3 from the trained network are best or
within chance of it.
"""

from __future__ import annotations

import time

import numpy as np
from command import load_data, parser_of, restart, save

RATES = {"from scratch": 6e-3, "fine-tuned": 3e-3, "head and hidden layer only": 3e-3}
BATCH, TRAIN = 32, 1000


def other_digits():
    """scikit-learn's digits as MNIST's: images (1797, 28, 28) of bytes, and labels."""
    from sklearn.datasets import load_digits

    import scratchnet as sn

    digits = load_digits()
    x = [sn.whole_image(np.uint8(image * (255 / 16)), (20, 20, 1)) for image in digits.images]
    return np.pad(np.array(x), ((0, 0), (4, 4), (4, 4))), digits.target.astype(np.uint8)


def pretrained(x, y, epochs: int = 1):
    """The preset `default` after some epochs on MNIST."""
    from scratchnet.zoo import PRESETS

    recipe = PRESETS["default"](10).overridden(epochs=epochs)
    model = recipe.build((28, 28, 1), seed=0)
    model.fit(x, y, verbose=False, **recipe.fit_options(len(x)))
    return model


def accuracy(start: str, base, digits, epochs: int, seed: int) -> float:
    """Of one training run on the first TRAIN digits, on the rest."""
    import scratchnet as sn
    from scratchnet.zoo import PRESETS

    x, y = digits
    scratch = start == "from scratch"
    model = PRESETS["default"](10).build((28, 28, 1), seed=seed) if scratch else base.with_head(10, seed=seed)
    if start == "head and hidden layer only":
        model.freeze("conv")
    optimizer = sn.Adam(sn.OneCycle(RATES[start], steps_in(epochs)))
    model.fit(x[:TRAIN], y[:TRAIN], epochs=epochs, batch_size=BATCH, optimizer=optimizer, verbose=False)
    return model.evaluate(x[TRAIN:], y[TRAIN:])["accuracy"]


def steps_in(epochs: int) -> int:
    return epochs * -(-TRAIN // BATCH)


def rows_of(base, digits, epochs: list[int], seeds: int) -> list[dict]:
    """A row of the table for each number of epochs."""
    rows = []
    for number in epochs:
        row = {"steps": steps_in(number)}
        for start in RATES:
            found = 100 * np.array([accuracy(start, base, digits, number, seed) for seed in range(seeds)])
            row[start] = f"{found.mean():.1f} % ({found.min():.1f}–{found.max():.1f})"
        rows.append(row)
        print(row, flush=True)
    return rows


def main() -> None:
    args = parser_of(__doc__, epochs=[1, 5], seeds=5).parse_args()
    restart(args)
    import sklearn

    import scratchnet as sn

    sn.set_threads(args.threads)
    data, digits = load_data(args), other_digits()
    start = time.perf_counter()
    base = pretrained(data["x"], data["y"])
    before = base.evaluate(digits[0][TRAIN:], digits[1][TRAIN:])["accuracy"]
    rows = rows_of(base, digits, args.epochs, args.seeds)
    seconds = time.perf_counter() - start
    note = (
        f"Mean of {args.seeds} seeds, smallest–largest in brackets; before any of these steps the network of MNIST "
        f"names {100 * before:.1f} % rightly. {seconds:.1f} s in all."
    )
    columns = {"steps": "steps", **{name: name for name in RATES}}
    versions = {"scratchnet": sn.__version__, "numpy": np.__version__, "scikit-learn": sklearn.__version__}
    save("fine-tuning", args, rows, versions, columns=columns, note=note)


if __name__ == "__main__":
    main()
