"""What would 2 to 256 machines do for a training step? Two ranks are measured here; the rest is computed.

Measured on this machine: the tasks of a step (as in `cores.py`), what messages of several sizes cost between two ranks
(a straight line: α seconds a message and β bytes a second), and the step itself on two ranks of one thread, in one
process on two threads, and in PyTorch's DistributedDataParallel on gloo. Computed for R machines on a network (α, β):

    step(R) = Python + tasks that every rank has + ⌈C / R⌉ chunks + Σ messages (R - 1) (α + bytes / (R β))

C is the number of chunks of a batch. Products of dense layers, which ranks on a fast network divide, are computed as if
every rank had them. An exchange is a ring: R - 1 times a rank passes on one rank's rows (Thakur, Rabenseifner, Gropp
2005; α and β as Hockney has them). The bytes are the rows' own, as the program has them. α and β of networks that are
not here are assumptions, and the table says so. Strong scaling keeps the batch, weak scaling gives each machine 128
images. `overlapped` is the speed-up if all messages but those of a rank's last chunk were under way while the others
are computed: the best that overlapping could bring.

    python benchmarks/machines.py --torch-python ~/torch/bin/python
"""

import argparse
import json
import os
import shutil
import socket
import statistics
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
    "net": "network", "over": "", "ms": "ms a step", "images": "images/s", "speedup": "speed-up",
}  # fmt: skip
LINE = "{net}, {scaling} scaling, {over}: {ranks} ranks {ms:.2f} ms, {images:,.0f} images/s, {speedup:.2f} times {pays}"


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

    def overlapped(self, ranks: int, alpha: float, beta: float) -> float:
        """A whole step, if only the message of a rank's last chunk had to be waited for.

        >>> Step(0.0, [(True, [4.0] * 4)], [800]).overlapped(2, alpha=0.0, beta=100.0)
        10.0
        """
        chunks = max((share(phase, ranks, shared) for shared, phase in self.phases if shared), default=1)
        message = self.communicate(ranks, alpha, beta)
        return max(self.compute(ranks), message * (chunks - 1) / chunks) + message / chunks


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
            step = step_of(images)
            seconds, overlapped = step.seconds(ranks, alpha, beta), step.overlapped(ranks, alpha, beta)
            rate = images / seconds
            pays = "" if before is None or rate >= PAYS * before else "no longer pays"
            rows.append({
                "net": f"{net}, batch {images}", "scaling": scaling, "over": over, "ranks": ranks, "kind": "computed",
                "ms": 1e3 * seconds, "images": rate, "speedup": rate * alone / batch,
                "overlapped": images / overlapped * alone / batch, "pays": pays,
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
    """Rows of what was measured, in alternating turns, and the last answer of the two ranks."""
    words, here = [net, str(batch), str(args.steps)], str(HERE / "ranks.py")
    alone = [sys.executable, here, *words]
    ranks = [*args.mpirun.split(), "-n", "2", sys.executable, "-m", "mpi4py", here, *words, "1"]
    ways = {
        "one process, 1 thread": lambda: launched([*alone, "1", "alone"], [{}]),
        "one process, 2 threads": lambda: launched([*alone, "2", "alone"], [{}]),
        "2 ranks of 1 thread": lambda: launched(ranks, [{}]),
    }
    if args.torch_python:
        ddp = [args.torch_python, str(HERE / "ddp.py"), *words, "1"]
        ways["PyTorch DDP, gloo, 2 ranks of 1 thread"] = lambda: launched(ddp, meeting())
    found: dict[str, list[dict]] = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name, way in ways.items():
            found[name].append(way())
    middle = {name: statistics.median(turn["seconds"] for turn in turns) for name, turns in found.items()}
    rows = [
        {
            "net": f"{net}, batch {batch}", "scaling": "strong", "over": name, "ranks": 1 + ("2 ranks" in name),
            "kind": "measured", "ms": 1e3 * middle[name], "images": batch / middle[name],
            "speedup": middle["one process, 1 thread"] / middle[name],
            "turns": [1e3 * turn["seconds"] for turn in turns],
        }
        for name, turns in found.items()
    ]  # fmt: skip
    return rows, found["2 ranks of 1 thread"][-1]


def meeting() -> list[dict[str, str]]:
    """The environments in which two processes of PyTorch find each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    meet = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [{**meet, "RANK": str(rank)} for rank in range(2)]


def draw(rows: list[dict], path: Path) -> None:
    """Images a second over ranks: lines for what is computed, points for what was measured."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    nets = list(dict.fromkeys(row["net"].split(",")[0] for row in rows))
    strong = list(dict.fromkeys(row["net"].split()[-1] for row in rows if row["scaling"] == "strong"))
    panels = [*(("strong", size) for size in strong), ("weak", None)]
    colours = {over: f"C{i}" for i, over in enumerate(dict.fromkeys(row["over"] for row in rows))}
    size = (4.2 * len(panels), 3.2 * len(nets))
    figure, axes = plt.subplots(len(nets), len(panels), figsize=size, squeeze=False, layout="constrained")
    for line, net in zip(axes, nets, strict=True):
        for panel, (scaling, batch) in zip(line, panels, strict=True):
            mine = [row for row in rows if row["net"].startswith(f"{net},") and row["scaling"] == scaling]
            mine = [row for row in mine if batch in (None, row["net"].split()[-1])]
            for over in dict.fromkeys(row["over"] for row in mine):
                some = [row for row in mine if row["over"] == over]
                style = "o" if some[0]["kind"] == "measured" else "--"
                panel.plot([r["ranks"] for r in some], [r["images"] for r in some], style, color=colours[over],
                           label=f"{over} ({some[0]['kind']})")  # fmt: skip
            title = f"{net}, batch {batch}" if batch else f"{net}, 128 images a rank"
            panel.set(xscale="log", yscale="log", xlabel="ranks", ylabel="images/s", title=title)
            panel.set_xticks(RANKS, RANKS)
            panel.minorticks_off()
    handles = {
        label: handle for panel in axes.flat for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = parser_of(__doc__, nets=["two-conv", "chollet", "vgg-bn"], batches=[128, 1024], steps=100, rounds=5)
    add = parser.add_argument
    add("--mpirun", default=shutil.which("mpirun"), help="and its options (default: the one on the path)")
    add("--torch-python", help="an interpreter that can import torch, for DDP on gloo")
    args = parser.parse_args()
    if not args.mpirun:
        parser.error("there is no mpirun on the path; --mpirun names it")
    data, rows, curves, lines = load_data(args), [], [], {}
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
            curves += computed(net, batch, step_of, "strong")
        curves += computed(net, 128, step_of, "weak")
        print(f"{net}: α {1e6 * alpha:.1f} µs, β {beta / 1e9:.2f} GB/s between two ranks here", flush=True)
        predicted = step_of(args.batches[0]).compute(2) + sum(alpha + s / (2 * beta) for s in sizes)
        print(
            f"{net}: two ranks, computed {1e3 * predicted:.2f} ms, measured {1e3 * two['seconds']:.2f} ms", flush=True
        )
    import numba
    import numpy as np

    versions = {"numba": numba.__version__, "numpy": np.__version__, "scratchnet": sn.__version__}
    print("\ncomputed:", *(LINE.format(**row) for row in curves), sep="\n")
    more = {"lines": {net: {"alpha": a, "beta": b} for net, (a, b) in lines.items()}, "networks": NETWORKS}
    note = f"The two processors are shared by the ranks. Median of {args.rounds} alternating turns."
    path = save("machines", args, rows, versions, columns=COLUMNS, note=note, computed=curves, **more)
    draw([*rows, *curves], path.with_suffix(".png"))


if __name__ == "__main__":
    main()
