"""What would 2 to 256 machines do for a training step? Two ranks are measured here; the rest is computed.

Measured on this machine: the tasks of a step (as in `cores.py`), what messages of several sizes cost between two ranks
(a straight line: α seconds a message and β bytes a second), and the step itself on two ranks of one thread, in one
process on two threads, and in PyTorch's DistributedDataParallel on gloo. Computed for R machines on a network (α, β):

    step(R) = Python + tasks that every rank has + ⌈C / R⌉ chunks + Σ messages (R - 1) (α + bytes / (R β))

C is the number of chunks of a batch. An exchange is a ring: R - 1 times a rank passes on one rank's rows (Thakur,
Rabenseifner, Gropp 2005; α and β as Hockney has them). The bytes are the rows' own, as the program has them. α and β of
networks that are not here are assumptions, and the table says so. Strong scaling keeps the batch, weak scaling gives
each machine 128 images.

    python benchmarks/machines.py --torch-python ~/torch/bin/python
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from command import load_data, parser_of, save
from cores import Task, Training, finished
from driver import HERE

import scratchnet as sn

RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
NETWORKS = {"1 Gbit/s": (50e-6, 0.117e9), "10 Gbit/s": (20e-6, 1.17e9), "100 Gbit/s": (2e-6, 11.7e9)}  # assumed
PAYS = 1.1  # a doubling that gives less than this is not worth its machines
COLUMNS = {
    "net": "network", "scaling": "scaling", "over": "over", "ranks": "ranks", "kind": "", "ms": "ms a step",
    "images": "images/s", "speedup": "speed-up", "pays": "",
}  # fmt: skip
NOTE = (
    "Computed, not measured, unless a row says so: from the times of single tasks on one thread, and of messages. α "
    "and β of the networks are assumptions. Measured rows are of this machine, whose processors the ranks share."
)


@dataclass(frozen=True)
class Step:
    """What a step consists of. shared: whether the tasks of a phase are divided among the ranks."""

    python: float  # seconds
    phases: list[tuple[bool, list[float]]]  # (shared, seconds of the tasks), in order
    messages: list[int]  # bytes of each exchange, all ranks' together

    @classmethod
    def of(cls, python: float, tasks: list[Task], chunks: int, messages: list[int]) -> "Step":
        """From the tasks of a program: the phases with a task for each chunk, after the first, are shared."""
        starts = sorted({task.after for task in tasks})
        phases = [[task.seconds for task in tasks if task.after == start] for start in starts]
        last = len(phases) - 1
        return cls(python, [(0 < i < last and len(p) == chunks, p) for i, p in enumerate(phases)], messages)

    def compute(self, ranks: int, threads: int = 1) -> float:
        """Seconds without messages: a rank has the chunks of the one that has most.

        >>> Step(1.0, [(False, [2.0]), (True, [4.0] * 8)], []).compute(ranks=3)
        15.0
        """
        tasks = [Task(seconds, 0) for shared, phase in self.phases for seconds in phase[: share(phase, ranks, shared)]]
        if threads == 1:
            return self.python + sum(task.seconds for task in tasks)
        each = (phase[: share(phase, ranks, shared)] for shared, phase in self.phases)
        return self.python + sum(finished([Task(s, 0) for s in phase], threads) for phase in each)

    def communicate(self, ranks: int, alpha: float, beta: float) -> float:
        """Seconds of the messages.

        >>> Step(0.0, [], [800, 80]).communicate(2, alpha=1.0, beta=100.0)
        6.4
        """
        return sum((ranks - 1) * (alpha + size / (ranks * beta)) for size in self.messages)

    def seconds(self, ranks: int, alpha: float, beta: float) -> float:
        """A whole step."""
        return self.compute(ranks) + self.communicate(ranks, alpha, beta)


def share(phase: list[float], ranks: int, shared: bool) -> int:
    """How many tasks of a phase a rank has."""
    return -(-len(phase) // ranks) if shared else len(phase)


def straight_line(points: list[tuple[int, float]]) -> tuple[float, float]:
    """(α, β) of seconds = α + bytes / β, with the smallest sum of squared relative errors.

    >>> alpha, beta = straight_line([(0, 2.0), (100, 3.0), (200, 4.0)])
    >>> round(alpha, 6), round(beta, 6)
    (2.0, 100.0)
    """
    import numpy as np

    size, seconds = (np.array(values, float) for values in zip(*points, strict=True))
    a = np.stack([1 / seconds, size / seconds], axis=1)
    alpha, inverse = np.linalg.lstsq(a, np.ones(len(size)), rcond=None)[0]
    return max(float(alpha), 0.0), 1 / max(float(inverse), 1e-15)


def computed(net: str, batch: int, step_of, scaling: str) -> list[dict]:
    """Rows for each network and number of ranks. step_of(batch) -> Step."""
    rows = []
    alone = step_of(batch).compute(1)
    for over, (alpha, beta) in NETWORKS.items():
        before = None
        for ranks in RANKS:
            images = batch * (ranks if scaling == "weak" else 1)
            seconds = step_of(images).seconds(ranks, alpha, beta)
            rate = images / seconds
            pays = "" if before is None or rate >= PAYS * before else "no longer pays"
            rows.append({
                "net": f"{net}, batch {images}", "scaling": scaling, "over": over, "ranks": ranks, "kind": "computed",
                "ms": 1e3 * seconds, "images": rate, "speedup": rate * alone / batch, "pays": pays,
            })  # fmt: skip
            before = rate
    return rows


def launched(command: list[str], environments: list[dict[str, str]]) -> dict:
    """Start one process for each environment; the JSON that one of them prints."""
    processes = [
        subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}", **more},
            stdout=subprocess.PIPE,
            text=True,
        )
        for more in environments
    ]
    outputs = [process.communicate(timeout=600)[0] for process in processes]
    return json.loads(next(line for text in outputs for line in text.splitlines()[::-1] if line.startswith("{")))


def measured(net: str, batch: int, args: argparse.Namespace) -> tuple[list[dict], dict]:
    """Rows of what was measured, and the answer of the two ranks."""
    words, here = [net, str(batch), str(args.steps)], str(HERE / "ranks.py")
    one = {threads: launched([sys.executable, here, *words, str(threads), "alone"], [{}]) for threads in (1, 2)}
    two = launched([*args.mpirun.split(), "-n", "2", sys.executable, "-m", "mpi4py", here, *words, "1"], [{}])
    found = {"one process, 1 thread": one[1], "one process, 2 threads": one[2], "2 ranks of 1 thread": two}
    if args.torch_python:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        meet = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        ranks = [{**meet, "RANK": str(rank)} for rank in range(2)]
        found["PyTorch DDP, gloo, 2 ranks of 1 thread"] = launched(
            [args.torch_python, str(HERE / "ddp.py"), *words, "1"], ranks
        )
    rows = [
        {
            "net": f"{net}, batch {batch}", "scaling": "strong", "over": name, "ranks": 1 + ("2 ranks" in name),
            "kind": "measured", "ms": 1e3 * answer["seconds"], "images": batch / answer["seconds"],
            "speedup": one[1]["seconds"] / answer["seconds"], "pays": "",
        }
        for name, answer in found.items()
    ]  # fmt: skip
    return rows, two


def draw(rows: list[dict], path: Path) -> None:
    """Images a second over ranks: lines for what is computed, points for what was measured."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = list(dict.fromkeys((row["net"].split(",")[0], row["scaling"]) for row in rows))
    figure, axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 3.6), squeeze=False, layout="constrained")
    for panel, (net, scaling) in zip(axes[0], panels, strict=True):
        mine = [row for row in rows if row["net"].startswith(f"{net},") and row["scaling"] == scaling]
        for over in dict.fromkeys(row["over"] for row in mine):
            some = [row for row in mine if row["over"] == over]
            style = "o" if some[0]["kind"] == "measured" else "--"
            panel.plot([r["ranks"] for r in some], [r["images"] for r in some], style,
                       label=f"{over} ({some[0]['kind']})")  # fmt: skip
        panel.set(xscale="log", yscale="log", xlabel="ranks", ylabel="images/s", title=f"{net}, {scaling} scaling")
        panel.legend(fontsize=6)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = parser_of(__doc__, nets=["two-conv", "chollet", "vgg-bn"], batches=[128, 1024], steps=100)
    add = parser.add_argument
    add("--mpirun", default=shutil.which("mpirun"), help="and its options (default: the one on the path)")
    add("--torch-python", help="an interpreter that can import torch, for DDP on gloo")
    args = parser.parse_args()
    if not args.mpirun:
        parser.error("there is no mpirun on the path; --mpirun names it")
    data, rows, lines = load_data(args), [], {}
    for net in args.nets:
        found, two = measured(net, args.batches[0], args)
        rows += found
        lines[net] = alpha, beta = straight_line([(2 * size, s) for size, s in two["messages"]])
        sizes, per_image = two["sizes"], two["per_image"]  # of a row: factors of dense layers, by image; gradients
        fixed = sizes[0] / two["chunks"] - per_image * min(max(args.batches[0] // 8, 16), 64)
        cache: dict[int, Step] = {}

        def step_of(batch: int, net=net, sizes=sizes, fixed=fixed, per_image=per_image, cache=cache, two=two) -> Step:
            measurable = min(batch, 1024)  # of larger batches a step has more of the same tasks
            if measurable not in cache:
                chunks, tasks, python = Training(net, measurable, data).tasks(max(10, args.steps * 128 // measurable))
                cache[measurable] = Step.of(python, tasks, chunks, [])
            known = cache[measurable]
            factor = batch // measurable
            phases = [(shared, p * factor if shared else p) for shared, p in known.phases]
            images_in_chunk = min(max(batch // 8, 16), 64)
            chunks = -(-batch // images_in_chunk)
            row = fixed + per_image * images_in_chunk
            sums = [size * chunks // two["chunks"] for size in sizes[1:]]
            return Step(known.python, phases, [int(row * chunks), *sums])

        for batch in args.batches:
            rows += computed(net, batch, step_of, "strong")
        rows += computed(net, 128, step_of, "weak")
        print(f"{net}: α {1e6 * alpha:.1f} µs, β {beta / 1e9:.2f} GB/s between two ranks here", flush=True)
        predicted = step_of(args.batches[0]).compute(2) + sum(alpha + s / (2 * beta) for s in sizes)
        print(
            f"{net}: two ranks, computed {1e3 * predicted:.2f} ms, measured {1e3 * two['seconds']:.2f} ms", flush=True
        )
    import numba
    import numpy as np

    versions = {"numba": numba.__version__, "numpy": np.__version__, "scratchnet": sn.__version__}
    measured_lines = {net: {"alpha": alpha, "beta": beta} for net, (alpha, beta) in lines.items()}
    path = save("machines", args, rows, versions, columns=COLUMNS, note=NOTE, lines=measured_lines, networks=NETWORKS)
    draw(rows, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
