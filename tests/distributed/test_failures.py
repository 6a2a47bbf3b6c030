"""A rank that dies, a signal, ranks that differ: the job ends with a word, and is resumed by any number of ranks."""

from __future__ import annotations

import os
import queue
import random
import re
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.distributed import agreement
from scratchnet.distributed.peers import Peers

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "scripts" / "train.py"
EPOCHS = {"mlp": 60, "vgg-bn": 5}  # of a preset: some seconds, long enough to be interrupted


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A data set of 3,000 images in which the class can be seen."""
    folder, rng = tmp_path_factory.mktemp("digits"), np.random.default_rng(0)
    x, y = rng.integers(0, 60, (3000, 28, 28), np.uint8), rng.integers(0, 10, 3000).astype(np.uint8)
    x[np.arange(3000), 2 * y, :] += 180
    sn.write_idx_dataset(folder, ((x, y), (x[:100], y[:100])))
    return folder


@pytest.fixture(scope="module")
def undisturbed(digits, tmp_path_factory):
    """undisturbed(preset): the weights of one process that trains it."""

    @cache
    def trained(preset="mlp"):
        out = tmp_path_factory.mktemp("undisturbed") / "run"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, TRAIN, *options(digits, out, preset)]
        subprocess.run(command, check=True, env=environment, capture_output=True, timeout=300)
        return weights(out)

    return trained


def options(digits, out, preset="mlp"):
    words = ["--preset", preset, "--epochs", EPOCHS[preset], "--lr", 0.001, "--threads", 1, "--quiet"]
    return [*map(str, words), "--data-dir", str(digits), "--out", str(out)]


def weights(out):
    return [array.tobytes() for array in sn.load_model(out / "model.safetensors").get_weights()]


def processes_of(out) -> dict[int, int]:
    """Rank -> process, of the job that writes into a folder."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            environment = dict(line.partition(b"=")[::2] for line in (entry / "environ").read_bytes().split(b"\0"))
        except (OSError, ValueError):
            continue
        rank = environment.get(b"PMI_RANK", environment.get(b"OMPI_COMM_WORLD_RANK"))
        if rank is not None and str(out).encode() in arguments and str(TRAIN).encode() in arguments:
            found[int(rank)] = int(entry.name)
    return found


def wait_for(path: Path, job) -> None:
    """Until a file is there."""
    deadline = time.monotonic() + 200
    while not path.exists():
        assert job.poll() is None, job.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kill_a_rank(job, out, rng):
    """SIGKILL one of the ranks; (seconds until the end of the job, its words)."""
    start, running = time.monotonic(), processes_of(out)
    if running:  # else it has ended already
        os.kill(running[rng.choice(sorted(running))], signal.SIGKILL)
    _, err = job.communicate(timeout=60)
    seconds = time.monotonic() - start
    assert not processes_of(out)
    return seconds, err


def resume(mpi, out, ranks):
    done = mpi.run(ranks, TRAIN, "--distributed", "mpi", "--resume", out, "--threads", 1, "--quiet")
    assert done.returncode == 0, done.stderr


def test_a_killed_rank_ends_the_job_and_another_number_of_ranks_resumes_it_to_the_same_bits(
    mpi, digits, undisturbed, tmp_path
):
    out, rng = tmp_path / "run", random.Random(1)
    job = mpi.start(3, TRAIN, "--distributed", "mpi", *options(digits, out))
    wait_for(out / "checkpoint.safetensors", job)
    time.sleep(rng.random() * 0.5)
    seconds, _ = kill_a_rank(job, out, rng)
    assert seconds < 10
    resume(mpi, out, 2)
    assert weights(out) == undisturbed()


@pytest.mark.long
@pytest.mark.parametrize("number", range(20))
def test_a_rank_killed_at_any_moment(mpi, digits, undisturbed, tmp_path, number):
    """From the start of the processes on: imports, compiling, any step, BatchNorm's exchanges, writing, the end."""
    rng, out = random.Random(number), tmp_path / "run"
    preset, (ranks, others) = ["mlp", "vgg-bn"][number % 2], rng.sample([1, 2, 3, 4], 2)
    job = mpi.start(ranks, TRAIN, "--distributed", "mpi", *options(digits, out, preset))
    time.sleep(rng.uniform(0.5, 12))
    seconds, _ = kill_a_rank(job, out, rng)
    assert seconds < 10
    if (out / "checkpoint.safetensors").exists():
        resume(mpi, out, others)
    else:  # killed before there was anything to keep
        again = mpi.run(others, TRAIN, "--distributed", "mpi", *options(digits, out, preset), "--overwrite")
        assert again.returncode == 0, again.stderr
    assert weights(out) == undisturbed(preset)


def test_the_end_of_another_process_is_seen_at_once():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        peers, seen = Peers([(3, other.pid), (4, os.getpid())]), queue.SimpleQueue()
        peers.watch(seen.put)
        assert peers.ended(wait=0) == []
        other.kill()
        assert seen.get(timeout=30) == [3]
    assert peers.ended(wait=0) == [3]


def test_after_the_end_of_a_run_other_processes_may_end():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        peers, seen = Peers([(3, other.pid)]), queue.SimpleQueue()
        peers.watch(seen.put)
        peers.close()
        other.kill()
        with pytest.raises(queue.Empty):
            seen.get(timeout=0.5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_mpirun_saves_and_says_how_to_resume(mpi, digits, undisturbed, tmp_path, number):
    out = tmp_path / "run"
    job = mpi.start(2, TRAIN, "--distributed", "mpi", *options(digits, out))
    wait_for(out / "checkpoint.safetensors", job)
    job.send_signal(number)
    _, err = job.communicate(timeout=60)
    assert job.returncode in (0, 128 + number), err  # the ranks' code; MPICH's mpirun sometimes does not wait for it
    assert err.count("stopped; saved in epoch") == 1
    done = subprocess.run(
        [sys.executable, TRAIN, "--resume", out, "--quiet"], env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=300
    )
    assert done.returncode == 0
    assert weights(out) == undisturbed()


# ranks that differ

DIFFER = """
import sys, numpy as np, scratchnet as sn
from scratchnet.commands.running import exit_code
rank, what = sn.distribute("mpi"), sys.argv[1]
x, y = np.zeros((64, 8, 8), np.uint8), np.arange(64) % 10
lr = 0.1
if rank == 1 and what == "data":
    x[5, 5, 5] = 1
if rank == 1 and what == "rate":
    lr = 0.2
if rank == 1 and what == "version":
    sn.__version__ = "9.9"
@exit_code
def main(argv=None):
    model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(10)], (8, 8, 1))
    if rank == 1 and what == "weights":
        model.layers[2].b[0] = 1
    if what == "alone" and rank == 1:
        raise ValueError("this rank has no data")
    if what == "all":
        raise ValueError("no rank has data")
    model.fit(x, y + 7 * (what == "labels"), optimizer=sn.SGD(np.inf if what == "nan" else lr), epochs=3, verbose=False)
    return 0
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("data", r"error: the ranks differ: data.x is 'uint8 .*' on rank 0 \(.*\) and 'uint8 .*' on rank 1 \("),
        ("rate", r"error: the ranks differ: optimizer.lr is 0.1 on rank 0 .* and 0.2 on rank 1"),
        ("version", r"error: the ranks differ: versions.scratchnet is '.*' on rank 0 .* and '9.9' on rank 1"),
        ("weights", r"error: the ranks differ: weights is '.*' on rank 0 .* and '.*' on rank 1"),
        ("labels", r"error: .*(label|class)"),
        ("nan", r"error: the training has diverged"),
        ("alone", r"error: rank 1 \(.*\): this rank has no data"),
        ("all", r"error: no rank has data"),
    ],
)
def test_an_error_ends_all_ranks_and_is_said_once(mpi, tmp_path, what, said):
    program = tmp_path / "program.py"
    program.write_text(DIFFER)
    done = mpi.run(2, program, what, timeout=120)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert re.search(said, lines[0]), done.stderr
    if what != "alone":
        assert len(lines) == 1


def test_processors_that_compile_different_kernels_are_refused(mpi, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("""
import os, sys
if "1" in (os.environ.get("PMI_RANK"), os.environ.get("OMPI_COMM_WORLD_RANK")):
    from llvmlite import binding
    features = binding.get_host_cpu_features().flatten().replace("+avx512f", "-avx512f")
    os.environ["NUMBA_CPU_NAME"], os.environ["NUMBA_CPU_FEATURES"] = "haswell", features
import scratchnet as sn
from scratchnet.commands.running import exit_code
@exit_code
def main(argv=None):
    sn.distribute("mpi", common_target=sys.argv[1] == "common")
    from scratchnet.compiled.simd import target
    print(sn.rank(), target.CPU, "+avx512f" in target.FEATURES)
    return 0
sys.exit(main())
""")
    done = mpi.run(2, program, "refuse", timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("error:") == 1
    assert "rank 1" in done.stderr and "haswell" in done.stderr and "--common-target" in done.stderr
    done = mpi.run(2, program, "common", timeout=120)
    assert done.returncode == 0, done.stderr
    assert sorted(line.split()[1:] for line in done.stdout.splitlines()) == [["generic", "False"]] * 2


def test_the_common_target_has_what_both_have():
    assert agreement.common([("a", "+x,+y,-z"), ("a", "+y,+z,-x")]) == ("a", "-x,+y,-z")
    with pytest.raises(ValueError, match=r"rank 0 \(one\) compiles for a and rank 1 \(two\).*other features \(x, z\)"):
        agreement.agree_on_target([("a", "+x,+y"), ("a", "+y,+z")], ["one", "two"], common_target=False)


def test_without_mpi4py_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match=r"\[mpi\]"):
        sn.distribute("mpi")
