"""Two network namespaces stand for two machines: the same bits over TCP, and one study in a database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from tests.distributed.services import NETWORK, bytes_sent, database, two_machines
from tests.distributed.test_shared_search import states, trials_of

ROOT, HERE = Path(__file__).parents[2], Path(__file__).parent
CASES = ("default", "vgg-bn", "dropout")


@pytest.fixture(scope="module")  # once: the system may remove the links of a deleted namespace only later
def machines(tmp_path_factory):
    with two_machines(tmp_path_factory.mktemp("machines")) as found:
        yield found


def test_two_machines_train_the_bits_of_one_process(mpi, machines):
    names, bridge, launcher = machines
    if "Open MPI" in subprocess.run([mpi.command[0], "--version"], capture_output=True, text=True).stdout:
        pytest.skip("the launcher is written for MPICH")
    job = [mpi.command[0], "-launcher", "ssh", "-launcher-exec", launcher, "-iface", bridge, "-hosts", ",".join(names)]
    program = ["-n", "2", sys.executable, "-m", "mpi4py", HERE / "fingerprints.py", "mpi", "1", *CASES]
    # without these, MPICH would see that both are one machine, and use its memory
    tcp = {"UCX_TLS": "tcp,self", "UCX_NET_DEVICES": "eth0"}
    before = bytes_sent(names[0])
    done = subprocess.run(
        list(map(str, [*job, *program])), env=mpi.environment | tcp, capture_output=True, text=True, timeout=300,
        cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert bytes_sent(names[0]) - before > 1_000_000
    alone = subprocess.run(
        [sys.executable, HERE / "fingerprints.py", "none", "2", *CASES], env=mpi.environment, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1]) == json.loads(alone.stdout)


def test_two_machines_share_a_study_and_one_is_lost(machines, tmp_path):
    names, _, _ = machines
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 60, (1200, 28, 28), np.uint8), np.arange(1200, dtype=np.uint8) % 10
    x[np.arange(1200), 2 * y, :] += 180
    sn.write_idx_dataset(tmp_path / "digits", ((x, y), (x[:100], y[:100])))
    with database(f"{NETWORK}.254") as port:
        url = f"postgresql://tester@{NETWORK}.254:{port}/postgres"
        workers = [
            subprocess.Popen(
                ["ip", "netns", "exec", name, sys.executable, str(ROOT / "scripts" / "tune.py"), "--preset", "mlp",
                 "--search", "lr", "--epochs", "1", "--threads", "1", "--trials", "6", "--storage", url,
                 "--data-dir", str(tmp_path / "digits"), "--out", str(tmp_path / name)],
                env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )
            for name in names
        ]  # fmt: skip
        deadline = time.monotonic() + 200
        while len({t.user_attrs.get("worker") for t in trials_of(url, "search") if t.state.name == "COMPLETE"}) < 2:
            assert time.monotonic() < deadline
            assert workers[1].poll() is None, workers[1].communicate()
            time.sleep(0.1)
        workers[0].send_signal(signal.SIGKILL)
        before = {trial.number: trial.value for trial in trials_of(url, "search") if trial.state.name == "COMPLETE"}
        _, err = workers[1].communicate(timeout=250)
        assert workers[1].returncode == 0, err
        after = trials_of(url, "search")
        assert {number: after[number].value for number in before} == before
        assert states(after).count("FAIL") <= 1
        assert states(after).count("COMPLETE") >= 6
