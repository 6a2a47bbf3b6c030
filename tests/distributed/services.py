"""Services that a test starts for itself: a PostgreSQL, a Dask cluster, and two network namespaces as two machines."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from scratchnet.commands.predicting import predict_on_workers

NETWORK = "10.77.0"  # of the namespaces; .254 is the bridge between them


def missing(what: str) -> None:
    """Skip the test, with a reason; where services are required, fail."""
    if os.environ.get("SCRATCHNET_SERVICES") == "required":
        pytest.fail(what)
    pytest.skip(what)


def free_port() -> int:
    """A port that is free at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def database(address: str = "127.0.0.1"):
    """A PostgreSQL of its own, with the user tester; its port. address: on which it listens too."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [os.path.dirname(shutil.which("initdb") or "")]
    if not found[-1]:
        missing("PostgreSQL is not installed here (Debian: postgresql)")
    try:
        import psycopg  # noqa: F401
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        missing(f"the extra [postgresql] is not installed here ({error})")
    folder, port, user = Path(tempfile.mkdtemp(prefix="postgresql-")), free_port(), None
    if os.getuid() == 0:  # it refuses to run as root
        user = pwd.getpwnam("postgres").pw_name
        shutil.chown(folder, user)
    how = {"user": user, "cwd": folder, "text": True, "timeout": 120, "stdout": subprocess.DEVNULL}
    control = [f"{found[-1]}/pg_ctl", "-D", folder / "data", "-w"]
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1,{address} -c fsync=off"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        subprocess.run([f"{found[-1]}/initdb", "-D", folder / "data", "-U", "tester", "-A", "trust"], check=True, **how)
        with open(folder / "data" / "pg_hba.conf", "a") as file:
            file.write(f"host all tester {NETWORK}.0/24 trust\n")
        started = subprocess.run([*control, "-l", folder / "log", "-o", options, "start"], **how)
        assert started.returncode == 0, (folder / "log").read_text()
        stack.callback(subprocess.run, [*control, "-m", "immediate", "stop"], **how)
        yield port


LAUNCHER = """#!/bin/bash
# What mpirun takes for ssh: HOST COMMAND ... in the namespace of that name.
while [[ $1 == -* ]]; do shift; done
host=$1; shift
exec ip netns exec "$host" unshare -u bash -c "hostname $host; exec $*"
"""


@contextlib.contextmanager
def two_machines(folder: Path):
    """Two namespaces and a bridge; (their names, the bridge, the path of a launcher for mpirun)."""
    if os.name != "posix" or os.getuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("network namespaces need root and ip")
    names, bridge = [f"sn{os.getpid() % 10000}{end}" for end in "ab"], f"sn{os.getpid() % 10000}"

    def ip(*words: object, check: bool = True) -> None:
        done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)
        if check and done.returncode:
            pytest.skip(f"network namespaces do not work here: {done.stderr.strip()}")

    with contextlib.ExitStack() as stack:
        ip("link", "add", bridge, "type", "bridge")
        stack.callback(ip, "link", "del", bridge, check=False)
        ip("addr", "add", f"{NETWORK}.254/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number, name in enumerate(names, 1):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name, check=False)
            ip("link", "add", f"{name}v", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"{name}v", "master", bridge, "up")
            ip("-n", name, "addr", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        launcher = folder / "launcher"
        launcher.write_text(LAUNCHER)
        launcher.chmod(0o755)
        yield names, bridge, launcher


def bytes_sent(namespace: str) -> int:
    """How many bytes a namespace has sent over its interface."""
    path = "/sys/class/net/eth0/statistics/tx_bytes"
    return int(subprocess.run(["ip", "netns", "exec", namespace, "cat", path], capture_output=True, check=True).stdout)


def predicted_with_a_worker_killed(job, model_file: Path, after: int) -> list[int]:
    """Predict on a Dask cluster of three workers, of which one is killed after some shards; the images of each."""
    distributed = pytest.importorskip("distributed")
    options = {"engine": "numba", "rescale": None, "threads": 1}
    with distributed.LocalCluster(
        n_workers=3, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        workers = [worker.process.pid for worker in cluster.workers.values()]
        done = predict_on_workers(job, model_file, cluster.scheduler_address, options)
        found = [next(done) for _ in range(after)]
        os.kill(workers[0], signal.SIGKILL)
        return [*found, *done]
