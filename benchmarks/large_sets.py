"""How many images a second are predicted from a file that is larger than one would load, and at what price?

The same images are predicted once in memory (`model.predict`), and once as `scripts/predict.py --idx` does it: from a
raw or a packed IDX file, shard by shard, to a .npy with all probabilities or to a .csv with a line for each image. The
ways take turns. The digits are those of MNIST, repeated. The default is a file of 4 GiB.

    python benchmarks/large_sets.py --threads 2
    python benchmarks/large_sets.py --images 1000000 --rounds 3
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from command import load_data, parser_of, restart, save
from quiet import clock_of, others_during

FOUR_GIB = -(-(2**32) // 784)
COLUMNS = {"preset": "preset", "way": "", "rate": "images/s", "share": "of memory's", "million": "s for a million"}


def ways(model, model_file: Path, x: np.ndarray, folder: Path) -> dict:
    """Name -> what is timed."""
    from scratchnet import write_idx
    from scratchnet.commands.predicting import predict_here
    from scratchnet.commands.shards import Shards
    from scratchnet.data.stream import IdxStream

    def in_memory() -> None:
        model.predict(x)

    def from_file(images: Path, out: str) -> None:
        shards = Shards(folder / out, IdxStream(images), model_file, [*"0123456789"])
        for _ in predict_here(shards, model):
            pass
        shards.join()
        (folder / out).unlink()

    raw, small = folder / "images", folder / "images.gz"
    for path in (raw, small):
        write_idx(path, x)
    return {
        "array in memory": in_memory,
        "IDX file to .npy": lambda: from_file(raw, "p.npy"),
        "IDX file to .csv": lambda: from_file(raw, "p.csv"),
        "packed IDX file to .csv": lambda: from_file(small, "p.csv"),
    }


def main() -> None:
    args = parser_of(__doc__, presets=["default"], images=FOUR_GIB, rounds=3).parse_args()
    restart(args)
    import scratchnet as sn
    from scratchnet.zoo import PRESETS

    sn.set_threads(args.threads)
    digits, rows, own = load_data(args)["x"], [], clock_of(os.getpid())
    x = np.resize(digits, (args.images, *digits.shape[1:]))
    for name in args.presets:
        model = PRESETS[name](10).build((28, 28, 1), seed=0)
        with tempfile.TemporaryDirectory() as work:
            file = Path(work) / "model.safetensors"
            model.save(file)
            seconds: dict[str, list[float]] = {}
            compared = ways(model, file, x, Path(work))
            for _ in range(args.rounds):
                for way, work_of in compared.items():
                    start = time.perf_counter()
                    _, others = others_during(work_of, own)
                    seconds.setdefault(way, []).append(time.perf_counter() - start)
                    print(
                        f"{name}, {way}: {seconds[way][-1]:.1f} s ({others:.2f} processors used by others)", flush=True
                    )
        middle = {way: statistics.median(times) for way, times in seconds.items()}
        for way, times in seconds.items():
            low, high = (1e6 * edge(times) / args.images for edge in (min, max))
            million = f"{1e6 * middle[way] / args.images:.1f} ({low:.1f}–{high:.1f})"
            share = f"{middle['array in memory'] / middle[way]:.0%}".replace("%", " %")
            rate = f"{args.images / middle[way]:,.0f}"
            rows.append({"preset": name, "way": way, "rate": rate, "share": share, "million": million})
    note = f"{args.images:,} images; median of {args.rounds} alternating turns, smallest–largest in brackets."
    save("large-sets", args, rows, {"scratchnet": sn.__version__, "numpy": np.__version__}, columns=COLUMNS, note=note)


if __name__ == "__main__":
    main()
