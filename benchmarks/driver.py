"""Persistent workers that are timed in turn: A B C A B C ...

The speed of a machine varies with other processes, its temperature and its turbo clock. Timing all of A and then all
of B would measure this variation as well. Here every framework waits in its own process, already compiled, and gets a
short turn in every round. A slow minute then affects all frameworks, and the median over the rounds ignores it.

A worker is slow after a pause: its threads sleep, its processor runs at its lowest clock, and the caches have
another framework's data. Our steps take nearly twice their time for the first tenth of a second after a pause, which
is a third of a short turn of ours and a twentieth of a slower framework's. Every turn therefore begins with untimed
work of the same kind (`warm`).

    with Lineup(["scratchnet", "torch-nchw"], threads=2, data=data) as lineup:
        lineup.start(NETS["chollet"], batch=128)
        lineup.in_turn(7, "train", steps=80, warm=40)           # {"scratchnet": [{"seconds": 0.4}, ...], ...}
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from nets import Net, weights
from quiet import clock_of, undisturbed

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Variant:
    """One way to run one framework. Where a framework has several of one precision, the fastest counts."""

    framework: str
    worker: str  # run as `python -m`, in this folder
    imports: str  # the module that a user imports
    module: str  # the module that its interpreter must have
    options: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()  # further modules that its interpreter must have
    precision: str = "float32"
    instruction: str = ""  # that the processor must have, as Linux calls it
    trains: bool = True  # else it only predicts
    has_limit: bool = True  # whether AVX2_ONLY limits it

    @property
    def title(self) -> str:
        """The framework, with its precision if that is not float32: such times are compared with no others."""
        return self.framework if self.precision == "float32" else f"{self.framework} {self.precision}"

    def environment(self, threads: int, more: dict[str, str] | None = None) -> dict[str, str]:
        """The environment variables of its process.

        Python may write byte code: our sources are then parsed once, as the peers' were when they were installed.
        """
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        paths = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        return {**inherited, "PYTHONPATH": paths, **thread_limits(threads), **self.env, **(more or {})}


def thread_limits(threads: int) -> dict[str, str]:
    """The number of threads for the libraries below the frameworks; they read it once, when they are loaded."""
    return {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}


def ours(framework: str, module: str, **options: str) -> Variant:
    return Variant(framework, "peers.ours", "scratchnet", module, options)


def torch(precision: str = "float32", **options: str) -> Variant:
    title, options = "torch.compile" if "compile" in options else "PyTorch", {**options, "precision": precision}
    return Variant(title, "peers.pytorch", "torch", "torch", options, precision=precision)


def keras(framework: str, backend: str, **options: str) -> Variant:
    env = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"}
    return Variant(framework, "peers.keras", "keras", backend, options, env)


def onnxruntime(**options: str) -> Variant:
    return Variant(
        "ONNX Runtime",
        "peers.onnxruntime",
        "onnxruntime",
        "onnxruntime",
        options,
        also=("onnx",),
        trains=False,
        has_limit=False,
    )


def openvino(precision: str = "float32", hint: str = "LATENCY") -> Variant:
    return Variant(
        "OpenVINO",
        "peers.openvino",
        "openvino",
        "openvino",
        {"precision": precision, "hint": hint},
        also=("onnx", "onnxruntime") if precision == "int8" else ("onnx",),
        precision=precision,
        instruction="avx512_bf16" if precision == "bfloat16" else "",
        trains=False,
        has_limit=False,
    )


VARIANTS: dict[str, Variant] = {
    "scratchnet": ours("scratchnet", "numba"),
    "textbook": ours("textbook", "numpy", engine="numpy"),
    "torch-nchw": torch(layout="nchw"),
    "torch-channels-last": torch(layout="channels_last"),
    "torch-compiled": torch(layout="channels_last", compile="yes"),
    "torch-bf16": torch("bfloat16", layout="channels_last"),
    "torch-compiled-bf16": torch("bfloat16", layout="channels_last", compile="yes"),
    "tf-fit": keras("Keras/TensorFlow", "tensorflow", loop="fit"),
    "tf-batch": keras("Keras/TensorFlow", "tensorflow", loop="batch"),
    "jax-fit": keras("Keras/JAX", "jax", loop="fit"),
    "jax-batch": keras("Keras/JAX", "jax", loop="batch"),
    "onnxruntime": onnxruntime(pool="all"),
    "onnxruntime-1": onnxruntime(pool="one"),
    "openvino": openvino(),
    "openvino-streams": openvino(hint="THROUGHPUT"),
    "openvino-bf16": openvino("bfloat16"),
    "openvino-int8": openvino("int8"),
}

AVX2_ONLY = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
}
"""The settings that limit each framework to 256-bit vectors on a machine with wider ones; `has_limit` says which."""


class Worker:
    """One framework in its own process: `ask` sends a job and waits for the answer.

    Raises RuntimeError with the worker's error message if it fails or ends.
    """

    def __init__(self, name: str, python: str, threads: int, env: dict[str, str] | None = None):
        self.name, self.variant = name, VARIANTS[name]
        self.log = tempfile.TemporaryFile("w+")
        self.process: subprocess.Popen = subprocess.Popen(
            [python, "-m", self.variant.worker],
            cwd=HERE,
            text=True,
            stderr=self.log,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=lambda: use_processors(threads),
            env=self.variant.environment(threads, env),
        )

    def ask(self, do: str, **job) -> dict:
        jobs, answers = self.pipes()
        try:
            print(json.dumps({"do": do, **job}), file=jobs, flush=True)
            line = answers.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"error": self.last_words()}
        if "error" in answer:
            raise RuntimeError(f"{self.name} could not {do}:\n{answer['error']}")
        return answer

    def pipes(self) -> tuple[IO[str], IO[str]]:
        """Where jobs go in and answers come out."""
        assert self.process.stdin and self.process.stdout
        return self.process.stdin, self.process.stdout

    def last_words(self) -> str:
        """The last output of a worker that ended."""
        self.process.wait()
        self.log.seek(0)
        return f"its process ended with code {self.process.returncode}. " + self.log.read()[-2000:]

    def close(self) -> None:
        """Tell the worker to end, and wait for it."""
        jobs, answers = self.pipes()
        with contextlib.suppress(BrokenPipeError):
            jobs.close()
        self.process.wait()
        answers.close()
        self.log.close()


class Lineup:
    """Several workers with the same data and the same weights, timed in turn.

    names: keys of VARIANTS. data: {"x": uint8 (n, 28, 28), "y": (n,), "order": indices of the batches, in a row}.
    pythons: module -> the interpreter that has it (this one, if not named). env: for every worker.
    patience: seconds that a timed turn may wait for an idle machine.
    """

    def __init__(
        self,
        names,
        threads: int,
        data: dict[str, np.ndarray],
        pythons: dict[str, str] | None = None,
        env: dict[str, str] | None = None,
        patience: float = 20,
    ):
        self.folder = tempfile.TemporaryDirectory()
        np.savez(self.path("data"), x=data["x"], y=data["y"], order=data["order"])
        self.threads, self.patience, pythons = threads, patience, pythons or {}
        self.workers = [
            Worker(name, pythons.get(VARIANTS[name].module, sys.executable), threads, env) for name in names
        ]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for worker in self.workers:
            worker.close()
        self.folder.cleanup()

    def path(self, name: str) -> str:
        return str(Path(self.folder.name) / f"{name}.npz")

    def start(self, net: Net, batch: int, seed: int = 0, initial: list[np.ndarray] | None = None, **more) -> None:
        """Every worker builds this network, with the same initial weights, and goes to the first batch.

        initial: the weights, if not those that `nets.weights` draws. more: dtype="float32", lr=1e-3 ...
        """
        np.savez(self.path("weights"), *(weights(net, seed) if initial is None else initial))
        for worker in self.workers:
            worker.ask(
                "start",
                net=net,
                batch=batch,
                threads=self.threads,
                data=self.path("data"),
                weights=self.path("weights"),
                **worker.variant.options,
                **more,
            )

    def all(self, do: str, **job) -> dict[str, dict]:
        """Name -> its answer to an untimed job."""
        return {worker.name: worker.ask(do, **job) for worker in self.workers}

    def in_turn(self, rounds: int, do: str, **job) -> dict[str, list[dict]]:
        """Name -> its answers to the same timed job, `rounds` times A B C ..., on an idle machine if possible."""
        answers: dict[str, list[dict]] = {worker.name: [] for worker in self.workers}
        for _ in range(rounds):
            for worker in self.workers:
                turn = partial(worker.ask, do, **job)
                answers[worker.name].append(undisturbed(turn, clock_of(worker.process.pid), self.patience))
        return answers

    def versions(self) -> dict[str, str]:
        """Package -> version, of all the workers."""
        answers = self.all("versions").values()
        return {module: number for answer in answers for module, number in answer.items()}


def use_processors(count: int) -> None:
    """Keep this process on `count` processors, one per core before a core's second one (Linux only).

    JAX uses one thread per visible processor; no other way to limit it is known.
    """
    if hasattr(os, "sched_setaffinity"):
        mine = sorted(os.sched_getaffinity(0), key=lambda cpu: (place_in_core(cpu), cpu))
        os.sched_setaffinity(0, mine[:count])


def place_in_core(cpu: int) -> int:
    """0 for the first processor of a core, 1 for its hyper-thread."""
    try:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return 0
    numbers = [int(number) for number in siblings.replace("-", ",").split(",")]
    return 0 if cpu == numbers[0] else 1
