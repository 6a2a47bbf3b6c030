"""The limits of the machine: multiply-adds per second, and bytes per second.

A computation needs arithmetic and memory transfers, and the slower of the two sets the limit:

    time >= max(FLOPs / peak, bytes / bandwidth)

In the usual picture, FLOP/s over arithmetic intensity (FLOPs per byte), that is a slope that meets a flat roof; left of
the corner memory is the limit, right of it arithmetic. Both numbers are measured here, because data sheets
do not give them: the clock depends on the vectors in use and on other processes.

    peak         multiply-adds between registers and nothing else: a tile of accumulators, each waiting only for itself
    bandwidth    the triad a = b + s * c over arrays that no cache holds, 12 bytes a number (what a store reads before
                 it writes is not counted, as is the custom)

    python benchmarks/roofline.py                        on one thread and on all

Source: Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", 2009.
"""

from dataclasses import dataclass

import numpy as np
from command import parser_of, restart, save
from stopwatch import median_seconds

from scratchnet.compiled.jit.aligned import aligned_zeros
from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.simd.intrinsics import LANES, broadcast, fma, load, load_tile, offsets, store, store_tile
from scratchnet.compiled.simd.target import PAIR, ROWS
from scratchnet.team import Team

TILE = len(ROWS) * len(PAIR) * LANES  # numbers in a tile of accumulators
ROUNDS = 1_000_000  # multiply-adds with each of them: some 10 ms
MEGABYTES = 64  # of each of the triad's arrays, three a thread


@dataclass(frozen=True)
class Roofline:
    """FLOP/s and bytes/s of `threads` threads together."""

    threads: int
    peak: float
    bandwidth: float

    def seconds(self, flops: float, bytes_: float) -> float:
        """The least time for this number of FLOPs and bytes.

        >>> Roofline(1, peak=100.0, bandwidth=10.0).seconds(flops=200, bytes_=50)
        5.0
        """
        return max(flops / self.peak, bytes_ / self.bandwidth)

    def bound(self, flops: float, bytes_: float) -> str:
        """Which of the two is the limit."""
        return "arithmetic" if flops / self.peak > bytes_ / self.bandwidth else "memory"


@jit
def multiply_adds(tile_of_numbers, rounds):
    """tile = tile * 0.5 + 1, `rounds` times, in registers."""
    rows = offsets(ROWS, 0, len(ROWS), len(PAIR) * LANES)
    tile = load_tile(tile_of_numbers, rows, 0, PAIR)
    half, one = broadcast(np.float32(0.5)), broadcast(np.float32(1))
    for _ in range(rounds):
        tile = fma(tile, half, one)
    store_tile(tile_of_numbers, rows, 0, PAIR, tile)


@jit
def triad(a, b, c, s):
    """a = b + s * c"""
    factor = broadcast(np.float32(s))
    for i in range(0, a.size, LANES):
        store(a, i, fma(factor, load(c, i), load(b, i)))


def measure(threads: int) -> Roofline:
    """Peak and bandwidth of a team of this many threads."""
    team = Team(threads)
    # Different numbers in every accumulator, or the compiler sees that all sums are one and the same.
    tiles = [np.arange(TILE, dtype=np.float32) for _ in range(threads)]
    arrays = [[aligned_zeros(MEGABYTES * 2**18) for _ in range(3)] for _ in range(threads)]
    arithmetic = median_seconds(lambda: team.map(lambda chunk: multiply_adds(tiles[chunk.index], ROUNDS), threads))
    copying = median_seconds(lambda: team.map(lambda chunk: triad(*arrays[chunk.index], 0.5), threads))
    bytes_ = sum(array.nbytes for three in arrays for array in three)
    return Roofline(threads, 2 * TILE * ROUNDS * threads / arithmetic, bytes_ / copying)


def main() -> None:
    args = parser_of(__doc__).parse_args()
    restart(args)
    import numba

    rows = []
    for threads in sorted({1, args.threads}):
        roof = measure(threads)
        rows.append(
            {
                "threads": threads,
                "peak": roof.peak / 1e9,
                "bandwidth": roof.bandwidth / 1e9,
                "corner": roof.peak / roof.bandwidth,
            }
        )
    columns = {"threads": "threads", "peak": "GFLOP/s", "bandwidth": "GB/s", "corner": "corner, FLOPs per byte"}
    save("roofline", args, rows, {"numba": numba.__version__, "numpy": np.__version__}, columns=columns)


if __name__ == "__main__":
    main()
