"""A rank of `machines.py`: training steps of a network on batches of one size, timed. Started by mpirun, or alone.

    export PYTHONPATH=.:benchmarks
    mpirun -n 2 python benchmarks/ranks.py two-conv 128 200 1

Rank 0 prints JSON: seconds of a step, those of its exchanges, the bytes of each exchange, and what messages cost here.
"""

import json
import statistics
import sys
import time

import numpy as np
from nets import NETS
from peers.ours import module

import scratchnet as sn
from scratchnet.training import train_step
from scratchnet.world import shared_world

SIZES = (2**10, 2**14, 2**17, 2**20, 2**22)  # bytes that a rank sends


def steps(net: str, batch: int, count: int) -> dict:
    """Times of `count` steps, after half as many that are not counted; every rank makes the same."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (4096, 28, 28), np.uint8), rng.integers(0, 10, 4096)
    model = sn.Sequential([sn.Rescale(), *map(module, NETS[net])], (28, 28, 1), seed=0)
    loss, optimizer, world = sn.SoftmaxCrossEntropy(), sn.Adam(1e-3), shared_world()
    seconds, exchanged, sizes, per_image = [], [], [], 0.0
    for _ in range(count + count // 2):
        rows = rng.integers(0, len(x), batch)
        if world.ranks > 1:
            world.times.seconds.clear()
        before = time.perf_counter()
        train_step(model, loss, optimizer, model.backend.batch(x, rows), y[rows])
        seconds.append(time.perf_counter() - before)
        exchanged.append(sum(world.times.seconds) if world.ranks > 1 else 0.0)
    if world.ranks > 1:
        (program,) = model.backend.training_programs.values()
        rows = program.rows.array
        sizes = [rows.nbytes, *(sums.nbytes for sums in program.contexts[0].exchanged)]
        places = sorted((first, key[1]) for key, first in program.rows.places.items())
        ends = [*(first for first, _ in places[1:]), rows.shape[1]]
        factors = sum(end - first for (first, what), end in zip(places, ends, strict=True) if what in ("x", "dz"))
        per_image = 4 * factors / (program.parts[0].stop - program.parts[0].start)
    kept = slice(count // 2, None)
    found = {"seconds": statistics.median(seconds[kept]), "exchange": statistics.median(exchanged[kept])}
    chunks = -(-batch // model.backend.chunk_size(batch))
    return {**found, "sizes": sizes, "per_image": per_image, "ranks": world.ranks, "chunks": chunks}


def messages() -> list[tuple[int, float]]:
    """(bytes that each rank sends, median seconds) of exchanges of several sizes."""
    return [(size, statistics.median(shared_world().probe(size, times=60))) for size in SIZES]


def main(net: str, batch: str, count: str, threads: str, how: str = "mpi") -> None:
    """Measure, and print on rank 0."""
    if how == "mpi":
        sn.distribute("mpi")
    sn.set_threads(int(threads))
    found = steps(net, int(batch), int(count))
    found["messages"] = messages() if found["ranks"] > 1 else []
    if sn.rank() == 0:
        print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
