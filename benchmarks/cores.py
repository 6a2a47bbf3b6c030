"""What would 4 to 64 cores do for a training step? Computed from times measured on one.

A step is a program (`scratchnet.compiled.execution.program`): tasks in phases, which threads take in a fixed order, and
some Python before and after it. Here one thread executes the tasks one by one, each with a stopwatch. From these times
follows what p cores would need, for the schedule is known: a free core takes the next task, and begins it when all
tasks of earlier phases are finished.

    step(p) = Python + end of the last task, where each phase costs the time to hand over to another core

What limits a step, then: the serial part (Python, and phases of one task), the largest task of each phase, and the
hand-overs. And the chunks: a batch of 128 is cut into eight, whatever the number of threads, because the cuts decide
the order of the sums, and with it the bits of the result. In the chunks' phases a ninth core has nothing to do.

Not in the computation: cores share the memory's bandwidth and a cache, and lower their clock together. It is the most
that p cores could give. Beside it stands what was measured, for as many threads as this machine has processors.

    python benchmarks/cores.py --preset two-conv
"""

import heapq
import os
import statistics
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from command import load_data, parser_of, restart, row, save
from machine import processors
from quiet import clock_of, undisturbed
from stopwatch import median_seconds
from table import median_and_spread

import scratchnet as sn
from scratchnet.compiled.execution.calls import Call
from scratchnet.compiled.execution.native import NativeCode, replay
from scratchnet.compiled.execution.program import NativeSegment
from scratchnet.compiled.execution.scheduler import TaskSchedule
from scratchnet.compiled.layers.rescale import scale
from scratchnet.team import shared_team
from scratchnet.training import train_step
from scratchnet.zoo import PRESETS

CORES = (1, 2, 4, 8, 16, 32, 64)
PHASES, SMALL = 200, 8192  # of the schedule that measures a hand-over; numbers that a task of it converts
COLUMNS = {
    "batch": "batch",
    "chunks": "chunks",
    "cores": "cores",
    "computed": "computed: ms",
    "speedup": "computed: speed-up",
    "measured": "measured: ms",
    "python": "Python: ms",
    "handovers": "hand-overs: ms",
    "critical": "largest tasks: ms",
    "bound": "limit",
}
NOTE = (
    "Computed from the times of single tasks on one thread, not measured, unless a column says so. Not in it: memory "
    "bandwidth and caches that cores share, and their clock. Largest tasks: of each phase the longest one, in sum. "
    "† Other programs used the processors during a turn."
)


@dataclass(frozen=True)
class Task:
    """A task of a step."""

    seconds: float
    after: int  # how many tasks must be finished before it begins: all of the earlier phases


class TimedTasks:
    """Stands for a segment of a program: one thread executes the tasks, each with a stopwatch."""

    def __init__(self, segment: NativeSegment):
        self.needs_finite_loss, self.schedule = segment.needs_finite_loss, segment.schedule
        self.seconds: list[list[float]] = [[] for _ in self.schedule.dependencies]

    def run(self, team) -> None:
        ranges, _, calls, *_ = self.schedule.work[0]
        for (start, stop), seconds in zip(ranges.tolist(), self.seconds, strict=True):
            before = time.perf_counter()
            replay(calls, start, stop)
            seconds.append(time.perf_counter() - before)

    def tasks(self, empty: float) -> list[Task]:
        """The tasks with their median times, less those of an empty one."""
        medians = [max(0.0, statistics.median(seconds) - empty) for seconds in self.seconds]
        return [Task(*pair) for pair in zip(medians, self.schedule.dependencies, strict=True)]


def finished(tasks: list[Task], cores: int, handover: float = 0.0) -> float:
    """When the last task ends, if each free core takes the next one.

    handover: what it costs to learn that the earlier phases are over, if another core finished them.

    >>> two_phases = [Task(3.0, 0), Task(3.0, 0), Task(3.0, 0), Task(1.0, 3)]
    >>> [finished(two_phases, cores) for cores in (1, 2, 3, 64)]
    [10.0, 7.0, 4.0, 4.0]
    """
    free, ends = [0.0] * cores, []
    for task in tasks:
        barrier = max(ends[: task.after], default=0.0) + (handover if cores > 1 else 0.0)
        ends.append(max(heapq.heappop(free), barrier) + task.seconds)
        heapq.heappush(free, ends[-1])
    return max(ends)


def critical(tasks: list[Task]) -> float:
    """The sum of the largest tasks of all phases: no number of cores is faster."""
    return sum(max(t.seconds for t in tasks if t.after == phase) for phase in {task.after for task in tasks})


def handover_seconds() -> float:
    """What it costs to learn that a phase is over which another core has finished; 0 on one processor.

    Phases of two equal tasks of some microseconds, so that two threads take one each: their time, less that of one
    task, which is half of what one thread needs for a phase.
    """
    if len(processors()) < 2:
        return 0.0
    phase = {}
    for threads in (1, 2):
        sn.set_threads(threads)
        code = NativeCode()
        schedule = TaskSchedule(threads, code)
        for _ in range(PHASES):
            schedule.add([[code.append([small_task()])] for _ in range(2)])
        schedule.finish(np.zeros(1), len(schedule))
        phase[threads] = median_seconds(lambda s=schedule: s.run(shared_team())) / PHASES
    return max(0.0, phase[2] - phase[1] / 2)


def small_task() -> Call:
    """A kernel call of some microseconds, on arrays of its own."""
    x, y = np.zeros(SMALL, np.uint8), np.empty(SMALL, np.float32)
    return Call(scale, (x, np.float32(1), np.float32(0), y))


class Training:
    """A preset's training on batches of one size."""

    def __init__(self, preset: str, batch: int, data: dict[str, np.ndarray]):
        recipe = PRESETS[preset](10)
        self.model = sn.Sequential(recipe.layers, data["x"].shape[1:] + (1,))
        self.loss, self.optimizer = sn.SoftmaxCrossEntropy(), recipe.optimizer
        self.data, self.batch, self.at = data, batch, 0

    def step(self) -> float:
        """Seconds of the next step, its batch gathered."""
        before = time.perf_counter()
        rows = self.data["order"][np.arange(self.at, self.at + self.batch) % len(self.data["order"])]
        self.at += self.batch
        train_step(self.model, self.loss, self.optimizer, self.data["x"][rows], self.data["y"][rows])
        return time.perf_counter() - before

    def steps(self, threads: int, count: int) -> list[float]:
        """Seconds of `count` steps on this number of threads, after half as many that are not counted."""
        sn.set_threads(threads)
        return [self.step() for _ in range(count + count // 2)][count // 2 :]

    def median(self, threads: int, count: int) -> dict[str, float]:
        """The median of `steps`, as an answer for `command.row`."""
        return {"seconds": statistics.median(self.steps(threads, count))}

    def tasks(self, count: int) -> tuple[int, list[Task], float]:
        """(chunks, the tasks in order, seconds in Python), the medians of `count` steps on one thread."""
        self.steps(1, 2)
        (step,) = self.model.backend.training_programs.values()
        kept = step.program.segments
        if not all(isinstance(segment, NativeSegment) for segment in kept) or len(kept) != 1:
            raise ValueError("expected a step of kernel calls only: this preset has Python functions between them")
        timed = step.program.segments = [TimedTasks(segment) for segment in kept]
        whole = self.steps(1, count)
        executed = [sum(seconds) for seconds in zip(*timed[0].seconds, strict=True)][-count:]
        python = statistics.median(w - e for w, e in zip(whole, executed, strict=True))
        step.program.segments = kept
        empty = empty_seconds()
        tasks = timed[0].tasks(empty)
        return len(step.parts), tasks, max(0.0, python - empty * len(tasks))


def empty_seconds() -> float:
    """What the stopwatch and the call of a task without kernels take."""
    calls, seconds = np.zeros(0, np.int64), []
    for _ in range(1000):
        before = time.perf_counter()
        replay(calls, 0, 0)
        seconds.append(time.perf_counter() - before)
    return statistics.median(seconds)


def table(preset: str, data, args) -> list[dict]:
    """A row for each batch size and number of cores."""
    handover, rows = handover_seconds(), []
    for batch in args.batches:
        training = Training(preset, batch, data)
        chunks, tasks, python = training.tasks(args.steps)
        here = [cores for cores in CORES if cores <= len(processors())]
        turns: dict[int, list[dict]] = {cores: [] for cores in here}
        for _ in range(args.rounds):
            for cores in here:
                turn = partial(training.median, cores, args.steps)
                turns[cores].append(undisturbed(turn, clock_of(os.getpid()), args.patience))
        measured = {cores: row("", "scratchnet", turns[cores], per=1e-3) for cores in here}
        phases = len({task.after for task in tasks})
        for cores in CORES:
            seconds = python + finished(tasks, cores, handover)
            rows.append(
                {
                    "batch": batch,
                    "chunks": chunks,
                    "cores": cores,
                    "computed": seconds * 1e3,
                    "speedup": (python + finished(tasks, 1)) / seconds,
                    "measured": median_and_spread(measured[cores]) if cores in here else None,
                    "python": python * 1e3,
                    "handovers": phases * handover * 1e3 if cores > 1 else 0.0,
                    "critical": critical(tasks) * 1e3,
                    "bound": f"{chunks} chunks" if cores > chunks else "",
                }
            )
    return rows


def main() -> None:
    parser = parser_of(__doc__, batches=[128, 512, 2048], steps=60, rounds=5, patience=20.0)
    parser.add_argument("--preset", choices=PRESETS, default="two-conv", help="default: two-conv")
    args = parser.parse_args()
    restart(args)
    import numba

    rows = table(args.preset, load_data(args), args)
    versions = {"numba": numba.__version__, "numpy": np.__version__, "scratchnet": sn.__version__}
    save("cores", args, rows, versions, columns=COLUMNS, note=NOTE)


if __name__ == "__main__":
    main()
