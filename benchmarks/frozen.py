"""How long is a training step if the convolutions are frozen, as a share of the full step?

Of each network two models: in one everything is trained, in the other the convolutions and the BatchNorms behind them
are frozen. They take turns of a few steps each on the same batches; the table has the medians.

    python benchmarks/frozen.py --threads 2
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from command import load_data, parser_of, restart, save

STEPS = 10  # in a turn


def pair(name: str):
    """(trained, frozen): two models of a preset, with their optimizers and loss."""
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


def turns(pairs, x, y, batch: int, rounds: int) -> list[list[float]]:
    """Seconds of a step, of each model in each turn; one turn of each is not counted."""
    from scratchnet.losses import SoftmaxCrossEntropy
    from scratchnet.training import train_step

    loss, seconds = SoftmaxCrossEntropy(), [[] for _ in pairs]
    batches = [slice(i * batch, (i + 1) * batch) for i in range(min(STEPS, len(x) // batch))]
    for turn in range(rounds + 1):
        for (model, optimizer), found in zip(pairs, seconds, strict=True):
            start = time.perf_counter()
            for rows in batches:
                train_step(model, loss, optimizer, x[rows], y[rows])
            if turn:
                found.append((time.perf_counter() - start) / len(batches))
    return seconds


def rows_of(presets, x, y, batch: int, rounds: int) -> list[dict]:
    """A row of the table for each preset."""
    rows = []
    for name in presets:
        full, frozen = turns(pair(name), x, y, batch, rounds)
        ratio = statistics.median(frozen) / statistics.median(full)
        spread = "{:.2f} ({:.2f}–{:.2f})"
        full_ms, frozen_ms = (
            spread.format(1e3 * statistics.median(s), 1e3 * min(s), 1e3 * max(s)) for s in (full, frozen)
        )
        rows.append({"preset": name, "full": full_ms, "frozen": frozen_ms, "share": f"{ratio:.2f} ×"})
        print(f"{name}: {full_ms} and {frozen_ms} ms, {ratio:.2f} ×", flush=True)
    return rows


def main() -> None:
    args = parser_of(__doc__, presets=["two-conv"], batch=128, rounds=15).parse_args()
    restart(args)
    import scratchnet as sn

    sn.set_threads(args.threads)
    data = load_data(args)
    presets = args.presets if args.presets != ["two-conv"] else ["two-conv", "default", "chollet", "vgg-bn", "best"]
    rows = rows_of(presets, data["x"], data["y"], args.batch, args.rounds)
    columns = {"preset": "preset", "full": "ms, all trained", "frozen": "ms, convolutions frozen", "share": "share"}
    note = f"Batch {args.batch}; median of {args.rounds} alternating turns, smallest–largest in brackets."
    save("frozen", args, rows, {"scratchnet": sn.__version__, "numpy": np.__version__}, columns=columns, note=note)


if __name__ == "__main__":
    main()
