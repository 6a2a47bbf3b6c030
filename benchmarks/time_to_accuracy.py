"""How long until a network is 98, 99, 99.4 % accurate?

An epoch's time is half the answer: the other half is how many epochs, of which network, at which learning rate. So here
whole trainings are timed, each in a process of its own, for several recipes and two frameworks, both with the same
network, initial weights, batches and learning rates. Two times are taken:

    training    from the first step to the last, images in memory
    process     from the start of Python to its end: import, images read from a file, compiled kernels read from their
                cache, training, 10,000 test images classified

The frameworks take turns, and so do the recipes. The test set is used once per run, at its end; the recipes were chosen
on images held out from the training set (`scratchnet.zoo` says how for `fast`).

    python benchmarks/time_to_accuracy.py --threads 2
    python benchmarks/time_to_accuracy.py --only fast --seeds 5

Whitening (see `scratchnet.callbacks.whitening`) is made here and handed to both; its time is part of both times.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from command import environment, lineup, parse, row, save
from driver import VARIANTS, Lineup
from nets import NETS, Net, conv_pool, dense_relu, weights
from parity import check
from quiet import clock_of_ended_children, undisturbed
from table import COLOURS, median_and_spread

from scratchnet import Cosine, OneCycle, WarmUp
from scratchnet.callbacks.whitening import IMAGES, whiten
from scratchnet.data import load_dataset

PEERS = ["scratchnet", "torch-channels-last"]
MEAN, DEVIATION = 33.3, 78.6  # of MNIST's pixels
COLUMNS = {
    "target": "aim",
    "recipe": "recipe",
    "framework": "framework",
    "test": "test accuracy",
    "training": "s of training",
    "process": "s of the process",
    "training_share": "training, of the peer's",
    "process_share": "process, of the peer's",
}


@dataclass(frozen=True)
class Course:
    """A network and how it is trained, as plain data: what `zoo.Recipe` is for us alone."""

    target: float  # the accuracy that it is meant to reach, in percent
    net: Net
    batch: int
    schedule: Callable[[int], Callable[[int], float]]  # number of steps -> step -> learning rate
    images: int = 60_000  # of the training set
    epochs: int = 1
    betas: tuple[float, float] = (0.9, 0.999)
    label_smoothing: float = 0.0
    epsilon: float = 0.0  # of the whitening; 0: without

    def rates(self) -> list[float]:
        """The learning rate of each step; what is left of the last epoch after full batches is not used."""
        steps = self.images * self.epochs // self.batch
        return [self.schedule(steps)(step) for step in range(steps)]

    def order(self, examples: int, seed: int) -> np.ndarray:
        """The indices of all batches in a row: the same `images` in every epoch, each time in another order."""
        rng = np.random.default_rng([seed, 1])
        chosen = rng.permutation(examples)[: self.images]
        return np.concatenate([rng.permutation(chosen) for _ in range(self.epochs)])

    def initial(self, x: np.ndarray, seed: int) -> list[np.ndarray]:
        """The weights at the start; x: training images, (n, h, w) of bytes."""
        arrays = weights(self.net, seed)
        if self.epsilon:
            border = self.net[0][1]  # ("crop", border), then a convolution
            middle = (x[:IMAGES, border:-border, border:-border, None] - np.float32(MEAN)) / np.float32(DEVIATION)
            whiten(arrays[0], middle, self.epsilon)
        return arrays


def warm_cosine(peak: float, warm_up: int) -> Callable[[int], Callable[[int], float]]:
    return lambda steps: WarmUp(Cosine(peak, steps - warm_up), warm_up)


FAST: Net = [("crop", 3), *conv_pool(16), *conv_pool(32), ("flatten",), *dense_relu(128), ("dense", 10)]
LONG: Net = [
    ("crop", 2),
    *conv_pool(32),
    *conv_pool(64),
    ("flatten",),
    ("dropout", 0.3),
    *dense_relu(128),
    ("dense", 10),
]
SHORT = {"betas": (0.8, 0.95), "label_smoothing": 0.1, "epsilon": 1.0}

COURSES = {
    "glance": Course(98, FAST, 128, warm_cosine(0.03, 35), images=18_000, **SHORT),
    "fast": Course(99, FAST, 256, warm_cosine(0.03, 58), images=59_000, **SHORT),
    "record": Course(99, NETS["record"], 256, partial(OneCycle, 0.01)),
    "long": Course(
        99.4, LONG, 128, warm_cosine(0.006, 280), epochs=5, betas=(0.9, 0.99), label_smoothing=0.1, epsilon=1.0
    ),
}
"""`fast` is the zoo's preset, `glance` the same on fewer images. `record` is the recipe that a GTX 1660 Ti trains in
0.76 s to 99.04 % (github.com/tuomaso/train_mnist_fast)."""


def run(name: str, course: Course, seed: int, args, train, test) -> dict[str, float]:
    """One training, in a process of its own -> seconds and accuracy."""
    data = {"x": train[0], "y": train[1], "order": course.order(len(train[1]), seed)}
    begun = time.perf_counter()
    initial = course.initial(train[0], seed)
    prepared = time.perf_counter() - begun
    with Lineup([name], args.threads, data, args.pythons, environment(args)) as worker:
        np.savez(worker.path("test"), x=test[0], y=test[1])
        begun = time.perf_counter()
        worker.start(
            course.net,
            course.batch,
            initial=initial,
            betas=course.betas,
            scale=1 / DEVIATION,
            offset=-MEAN / DEVIATION,
            label_smoothing=course.label_smoothing,
        )
        learned = worker.all("learn", rates=course.rates())[name]
        found = worker.all("accuracy", test=worker.path("test"))[name]
    process = prepared + time.perf_counter() - begun
    return {"accuracy": found["accuracy"], "training": prepared + learned["seconds"], "process": process}


def seeds_of(name: str, course: Course, seeds: int) -> int:
    """How many runs: the longer they take, the fewer."""
    return max(2, seeds // (1 if name == PEERS[0] else 4) // (1 if course.epochs == 1 else 4))


def summary(recipe: str, name: str, runs: list[dict]) -> dict:
    """A row: mean accuracy with its standard deviation, median seconds with smallest and largest.

    Times of runs that were disturbed are left out as in every benchmark, their accuracies are not.
    """
    percent = [100 * run["accuracy"] for run in runs]
    times = {key: row(recipe, name, runs, key) for key in ("training", "process")}
    return {
        "recipe": recipe,
        "variant": name,
        "framework": VARIANTS[name].framework,
        **{key: median_and_spread(time) for key, time in times.items()},
        "medians": {key: time["median"] for key, time in times.items()},
        "test": f"{statistics.mean(percent):.2f} % ± {statistics.pstdev(percent):.2f} ({len(runs)} seeds)",
        "target": f"{COURSES[recipe].target:g} %",
        "runs_of_seeds": runs,
    }


def with_ratios(rows: list[dict]) -> list[dict]:
    """Our rows with our share of the fastest peer's median time on the same recipe, and on the published one."""
    peers = [row for row in rows if row["variant"] != PEERS[0]]

    def shares(mine: dict, key: str) -> str:
        theirs = {
            recipe: min((peer["medians"][key] for peer in peers if peer["recipe"] == recipe), default=None)
            for recipe in (mine["recipe"], "record")
        }
        return ", ".join(f"{mine['medians'][key] / time:.2f}× {recipe}" for recipe, time in theirs.items() if time)

    return [
        one | {f"{key}_share": shares(one, key) for key in one["medians"]} if one["variant"] == PEERS[0] else one
        for one in rows
    ]


def main() -> None:
    args = parse(__doc__, peers=PEERS, only=list(COURSES), seeds=20)
    (train, test), args.dataset = load_dataset("auto", args.data_dir)
    data = {"x": train[0][:2560], "y": train[1][:2560], "order": np.arange(2560)}
    with lineup(args, data) as workers:
        for recipe in args.only:
            check(workers, args, data, COURSES[recipe].net)
        versions = workers.versions()
    runs: dict[tuple[str, str], list[dict]] = {(recipe, name): [] for recipe in args.only for name in args.peers}
    for seed in range(args.seeds):
        for (recipe, name), done in runs.items():
            if seed < seeds_of(name, COURSES[recipe], args.seeds):
                turn = partial(run, name, COURSES[recipe], seed, args, train, test)
                done.append({"seed": seed, **undisturbed(turn, clock_of_ended_children, args.patience)})
                print(f"{recipe}, {name}, seed {seed}: {done[-1]}", flush=True)
    rows = with_ratios([summary(recipe, name, done) for (recipe, name), done in runs.items()])
    note = (
        "Accuracy: mean and standard deviation over the seeds; seconds: median, smallest–largest in brackets; "
        f"× so much of the fastest peer's time on this recipe. {len(test[1]):,} test images, used once a run."
    )
    plot(rows, save("time-to-accuracy", args, rows, versions, columns=COLUMNS, note=note).with_suffix(".png"))


def plot(rows: list[dict], path: Path) -> None:
    """Every run as two points, accuracy over seconds: training full, the whole process hollow."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import matplotlib.ticker

    figure, panel = plt.subplots(figsize=(8, 5), layout="constrained")
    for one in rows:
        wrong = [100 * (1 - run["accuracy"]) for run in one["runs_of_seeds"]]
        colour = COLOURS.get(one["framework"])
        for key, face in (("training", colour), ("process", "none")):
            seconds = [run[key] for run in one["runs_of_seeds"]]
            panel.scatter(seconds, wrong, s=22, facecolors=face, edgecolors=colour, linewidths=0.8, zorder=3)
        panel.annotate(
            one["recipe"],
            (one["medians"]["training"], max(wrong)),
            xytext=(0, -14),
            color=colour,
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    for target in sorted({course.target for course in COURSES.values()}):
        panel.axhline(100 - target, color="#bbbbbb", linewidth=0.8, zorder=1)
    panel.set(xscale="log", yscale="log", xlabel="seconds: training ●, whole process ○", ylabel="test accuracy")
    ticks = [97, 98, 99, 99.4, 99.6]
    panel.set_yticks([100 - tick for tick in ticks], [f"{tick:g} %" for tick in ticks])
    panel.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.minorticks_off()
    panel.invert_yaxis()
    panel.spines[["top", "right"]].set_visible(False)
    for name in dict.fromkeys(one["framework"] for one in rows):
        panel.scatter([], [], color=COLOURS.get(name), label=name)
    panel.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()
