"""How long is a training step if the convolutions are frozen, as a share of the full step?

Of each network two models: in one everything is trained, in the other the convolutions and the BatchNorms behind them
are frozen. They take turns of a few steps each on the same batches; the third in turn is the frozen model again,
with the outputs of its frozen layers kept, as `fit` keeps them for all epochs but the first. A turn waits for a quiet
moment, and is repeated if others used the processors meanwhile (`quiet.py`); the table has the medians.

    python benchmarks/frozen.py --threads 2
"""

from __future__ import annotations

import os
import statistics
import time
from functools import partial

import numpy as np
from command import load_data, parser_of, restart, save
from quiet import clock_of, disturbed, undisturbed

STEPS = 10  # in a turn


def models(name: str):
    """(trained, frozen): two models of a preset, with their optimizers."""
    from scratchnet import transfer
    from scratchnet.zoo import PRESETS

    made = []
    for frozen in (False, True):
        recipe = PRESETS[name](10)
        model = recipe.build((28, 28, 1), seed=0)
        if frozen:
            model.freeze("conv")
            transfer.freeze_normalisation(model)
        made.append((model, recipe.optimizer))
    return made


def contenders(name: str, x, y, batch: int):
    """Three functions that make STEPS steps: all trained, frozen, frozen with kept outputs."""
    from scratchnet.losses import SoftmaxCrossEntropy
    from scratchnet.training import train_step

    (full, frozen), loss = models(name), SoftmaxCrossEntropy()
    below, above = frozen[0].backend.divided(len(x))
    outputs = below.logits(x)
    batches = [slice(i * batch, (i + 1) * batch) for i in range(min(STEPS, len(x) // batch))]

    def steps(model, optimizer, images, **options) -> dict:
        start = time.perf_counter()
        for rows in batches:
            train_step(model, loss, optimizer, images[rows], y[rows], **options)
        return {"seconds": (time.perf_counter() - start) / len(batches)}

    return partial(steps, *full, x), partial(steps, *frozen, x), partial(steps, *frozen, outputs, above=above)


def turns(functions, rounds: int, patience: float = 0) -> list[list[dict]]:
    """For each function the answers of its turns, with the "seconds" of a step; one turn of each is not counted.

    patience: seconds that a turn may wait for a quiet moment.
    """
    answers, own = [[] for _ in functions], clock_of(os.getpid())
    for turn in range(rounds + 1):
        for steps, found in zip(functions, answers, strict=True):
            if turn == 0:
                steps()
            else:
                found.append(undisturbed(steps, own, patience))
    return answers


def counted(answers: list[dict]) -> list[float]:
    """The seconds of the undisturbed turns, if there are three of them; else of all."""
    calm = [answer["seconds"] for answer in answers if not disturbed(answer)]
    return calm if len(calm) >= 3 else [answer["seconds"] for answer in answers]


def rows_of(presets, x, y, batch: int, rounds: int, patience: float) -> list[dict]:
    """A row of the table for each preset."""
    rows = []
    for name in presets:
        answers = turns(contenders(name, x[: STEPS * batch], y, batch), rounds, patience)
        calm = min(sum(not disturbed(answer) for answer in of_one) for of_one in answers)
        seconds = [counted(of_one) for of_one in answers]
        middle = [statistics.median(of_one) for of_one in seconds]
        texts = [f"{1e3 * m:.2f} ({1e3 * min(s):.2f}–{1e3 * max(s):.2f})" for m, s in zip(middle, seconds, strict=True)]
        row = dict(zip(("full", "frozen", "kept"), texts, strict=True))
        shares = {
            f"{what}_share": f"{m / middle[0]:.2f} ×" for what, m in zip(("frozen", "kept"), middle[1:], strict=True)
        }
        rows.append({"preset": name, **row, **shares, "undisturbed": calm})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    args = parser_of(__doc__, presets=["two-conv"], batch=128, rounds=15, patience=5.0).parse_args()
    restart(args)
    import scratchnet as sn

    sn.set_threads(args.threads)
    data = load_data(args)
    presets = args.presets if args.presets != ["two-conv"] else ["two-conv", "default", "chollet", "vgg-bn", "best"]
    rows = rows_of(presets, data["x"], data["y"], args.batch, args.rounds, args.patience)
    titles = (
        "preset", "ms, all trained", "ms, convolutions frozen", "ms, outputs kept", "share, frozen", "share, kept",
        "undisturbed turns",
    )  # fmt: skip
    columns = dict(zip(rows[0], titles, strict=True))
    note = (
        f"Batch {args.batch}; median of the undisturbed ones of {args.rounds} alternating turns (of all, if there are "
        "fewer than three), smallest–largest in brackets."
    )
    save("frozen", args, rows, {"scratchnet": sn.__version__, "numpy": np.__version__}, columns=columns, note=note)


if __name__ == "__main__":
    main()
