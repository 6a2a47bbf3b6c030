"""How fast is each layer, forward and backward, and how fast could it be?

A model is trained for some steps, so that its gradients have a realistic share of zeros. Then every stage (a layer,
or several in one) gets a stopwatch, and training continues, so the caches have the same content as in training.
The stopwatch counts the processor time of its own thread, and stops while a BatchNorm waits for other chunks. With
several threads, their total is divided by their number. At the end the stopwatches are removed, and complete replayed
steps are timed.

FLOPs are those of the definition, two for each of the direct method's multiply-adds; forward once, backward twice (dW
and dx), once if dx is not needed. Bytes are the least that must move: x, W, y; backward x, W, dy, dx, dW. Both
give the least time that `roofline.py` allows, and the share is that time divided by the measured time. More than 100 %
is possible: Winograd's method and the backward pass of a max-pool do fewer multiply-adds than the definition, and
a layer may read the output of the previous layer from a cache, where the bandwidth of memory is no limit.

    python benchmarks/layers.py --preset chollet
    python benchmarks/layers.py --preset vgg-bn --threads 1
"""

import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from command import load_data, parser_of, restart, save
from roofline import Roofline, measure

import scratchnet as sn
from scratchnet.training import train_step
from scratchnet.zoo import PRESETS

DIRECTIONS = ("forward", "backward")
NOTE = (
    "FLOPs and bytes are the definition's, so Winograd's method, the backward that skips zeros, and data that are "
    "still in a cache may exceed 100 %."
)


@dataclass(frozen=True)
class Work:
    """What a step must do for a batch, by its definition."""

    flops: float
    bytes: float


class Timed:
    """A stage's operation, and the processor time of its chunks in seconds since the last query.

    In a program the stopwatch is a Python function between the kernels; it stops where a chunk waits for the others.
    """

    calls_python = True

    def __init__(self, op: Any):
        self.op, self.layers, self.parts = op, getattr(op, "layers", [op]), getattr(op, "parts", [])
        self.inner_stages, self.synchronizes = getattr(op, "inner_stages", []), getattr(op, "synchronizes", False)
        self.seconds: dict[str, list[float]] = {direction: [] for direction in DIRECTIONS}

    def forward(self, x, ctx):
        y, cache = self.timed("forward", ctx, x, ctx)
        return y, (cache, ctx)

    def backward(self, dy, cache):
        cache, ctx = cache
        return self.timed("backward", ctx, dy, cache)

    def timed(self, direction: str, ctx, *arguments):
        """The result of the operation; while a program is captured, the time is taken when it runs."""
        begun: list[float] = []

        def start(chunk=None):
            begun[:] = [time.thread_time()]

        def stop(chunk=None):
            self.seconds[direction].append(time.thread_time() - begun[0])

        if not hasattr(ctx, "barrier"):  # the textbook's context, which runs everything at once
            start()
            result = getattr(self.op, direction)(*arguments)
            stop()
            return result
        barrier = ctx.barrier
        ctx.barrier = lambda: (ctx.python(stop, "stop"), barrier(), ctx.python(start, "start"))
        ctx.python(start, "start")
        result = getattr(self.op, direction)(*arguments)
        ctx.python(stop, "stop")
        ctx.barrier = barrier
        return result

    def lap(self, direction: str) -> float:
        """The total seconds of all chunks; resets the stopwatch."""
        total = sum(self.seconds[direction])
        self.seconds[direction].clear()
        return total


def work(model: sn.Sequential, layers: list[int], batch: int) -> dict[str, Work]:
    """Forward's and backward's work of a run of layers, given by their numbers."""
    x, y = (batch * int(np.prod(model.shapes[i])) * 4 for i in (layers[0], layers[-1] + 1))
    W = sum(getattr(model.layers[i], name).nbytes for i in layers for name in model.layers[i].params)
    flops = 2 * batch * sum(model.layers[i].multiply_adds(model.shapes[i], model.shapes[i + 1]) for i in layers)
    images = layers[0] == 0 or not any(layer.params for layer in model.layers[: layers[0]])  # dx is not needed
    if layers[0] == 0:
        x //= 4  # as bytes
    back = Work(flops, x + y + W) if images else Work(2 * flops, 2 * x + y + 2 * W)
    return {"forward": Work(flops, x + W + y), "backward": back}


def runs_of_layers(model: sn.Sequential) -> list[list[int]]:
    """For each stage of the engine, the numbers of its layers."""
    return [[model.names.index(name) for name in stage.title.split()] for stage in model.backend.stages]


def profile(preset: str, engine: str, data, args) -> tuple[list[list[int]], list[dict[str, float]], float]:
    """(the layers of each step, their median seconds per batch in each direction, the seconds of a whole step)."""
    recipe = PRESETS[preset](10)
    model = sn.Sequential(recipe.layers, (28, 28, 1), engine=engine)
    engine_of_model, layers = model.backend, runs_of_layers(model)
    timed = [Timed(stage.op) for stage in engine_of_model.stages]
    plain, last = engine_of_model.stages, args.warm + args.steps
    engine_of_model.stages = [stage._replace(op=op) for stage, op in zip(plain, timed, strict=True)]
    laps: list[dict[str, list[float]]] = [{direction: [] for direction in DIRECTIONS} for _ in timed]
    whole = []
    for i in range(last + args.steps):
        if i == last:
            engine_of_model.stages = plain
            getattr(engine_of_model, "training_programs", {}).clear()
        rows = np.arange(i * args.batch, (i + 1) * args.batch) % len(data["x"])
        start = time.perf_counter()
        train_step(model, sn.SoftmaxCrossEntropy(), recipe.optimizer, data["x"][rows], data["y"][rows])
        whole.append(time.perf_counter() - start)
        for run, lap in zip(timed, laps, strict=True):
            for direction in DIRECTIONS:
                lap[direction].append(run.lap(direction))
    medians = [{name: statistics.median(seconds[args.warm : last]) for name, seconds in lap.items()} for lap in laps]
    return layers, medians, statistics.median(whole[last + args.steps // 4 :])


def table(preset: str, data, args) -> list[dict]:
    """A row for each step and direction, and one for all together."""
    teams = sorted({1, args.threads})
    roofs, found, whole = {}, {}, {}
    for threads in teams:
        sn.set_threads(threads)
        roofs[threads] = measure(threads)
        layers, found[threads], whole[threads] = profile(preset, "numba", data, args)
    textbook_steps, whole["textbook"] = (profile(preset, "numpy", data, args))[1:]
    model = sn.Sequential(PRESETS[preset](10).layers, (28, 28, 1), engine="numpy")
    rows = []
    for i, run in enumerate(layers):
        for direction in DIRECTIONS:
            if not found[1][i][direction] or all(isinstance(model.layers[k], sn.Flatten) for k in run):
                continue  # no backward pass before the first trained layer; a reshape is no work
            must = work(model, run, args.batch)[direction]
            row = {
                "layers": title(model, run),
                "direction": direction,
                "megaflops": must.flops / 1e6 or None,
                "intensity": must.flops / must.bytes or None,
            }
            for threads in teams:
                row |= attained(must, found[threads][i][direction] / threads, roofs[threads], threads)
            row["bound"] = roofs[teams[-1]].bound(must.flops, must.bytes)
            row["textbook"] = sum(textbook_steps[k][direction] for k in run) * 1e3
            rows.append(row)
    total = {"layers": "a whole training step", "direction": "", "textbook": whole["textbook"] * 1e3}
    return [*rows, total | {f"ms_{threads}": whole[threads] * 1e3 for threads in teams}]


def title(model: sn.Sequential, layers: list[int]) -> str:
    """4 conv2d relu maxpool2d: the number of the first, and their kinds."""
    return f"{layers[0]} " + " ".join(type(model.layers[i]).__name__.lower() for i in layers)


def attained(must: Work, seconds: float, roof: Roofline, threads: int) -> dict[str, Any]:
    """The columns for a team of this many threads."""
    share = roof.seconds(must.flops, must.bytes) / seconds
    return {
        f"ms_{threads}": seconds * 1e3,
        f"gflops_{threads}": must.flops / seconds / 1e9 or None,
        f"share_{threads}": f"{share:.0%}".replace("%", " %"),
    }


def main() -> None:
    parser = parser_of(__doc__, batch=128, steps=60, warm=60)
    parser.add_argument("--preset", choices=PRESETS, default="chollet", help="default: chollet")
    args = parser.parse_args()
    restart(args)
    import numba

    rows = table(args.preset, load_data(args), args)
    columns = {"layers": "layers", "direction": "", "megaflops": "MFLOP", "intensity": "FLOP/byte"}
    for threads in sorted({1, args.threads}):
        on = f"{threads} thread{'s' * (threads > 1)}"
        columns |= {f"ms_{threads}": f"{on}: ms", f"gflops_{threads}": "GFLOP/s", f"share_{threads}": "of the roofline"}
    columns |= {"bound": "bound by", "textbook": "textbook: ms"}
    save("layers", args, rows, {"numba": numba.__version__, "numpy": np.__version__}, columns=columns, note=NOTE)


if __name__ == "__main__":
    main()
