"""mpirun, if it is here: the tests start it with more ranks than processors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.distributed.services import missing

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
DEBIAN = (Path("/usr/lib/x86_64-linux-gnu/libmpich.so.12"), Path("/usr/lib/aarch64-linux-gnu/libmpich.so.12"))


class Mpi:
    """Starts programs as ranks of one job."""

    def __init__(self, command: list[str], environment: dict[str, str]):
        self.command, self.environment = command, environment

    def start(self, ranks: int, *arguments: object, module: bool = True, **options) -> subprocess.Popen:
        """python -m mpi4py arguments, `ranks` times."""
        python = [sys.executable, *(["-m", "mpi4py"] if module else [])]
        environment = self.environment | {str(k): str(v) for k, v in options.pop("env", {}).items()}
        return subprocess.Popen(
            [*self.command, "-n", str(ranks), *python, *map(str, arguments)], env=environment, text=True, cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
        )  # fmt: skip

    def run(self, ranks: int, *arguments: object, timeout: float = 300, **options) -> subprocess.CompletedProcess:
        """The same, waited for. A job that hangs is ended after `timeout` seconds, and is an error."""
        job = self.start(ranks, *arguments, **options)
        try:
            out, err = job.communicate(timeout=timeout)
        finally:
            job.kill()
        return subprocess.CompletedProcess(job.args, job.returncode, out, err)


@pytest.fixture(scope="session")
def mpi(tmp_path_factory):
    """Starts ranks. Debian's MPICH has another file name than mpi4py's wheels ask for: a link helps."""
    command = shutil.which("mpirun") or shutil.which("mpiexec")
    if command is None:
        missing("mpirun is not installed here (Debian: mpich; or python -m pip install mpich)")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    version = subprocess.run([command, "--version"], capture_output=True, text=True).stdout
    options = ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"] if "Open MPI" in version else []
    for library in DEBIAN:
        if library.exists() and "Open MPI" not in version:
            links = tmp_path_factory.mktemp("mpi")
            (links / "libmpi.so.12").symlink_to(library)
            former = os.environ.get("LD_LIBRARY_PATH")
            environment["LD_LIBRARY_PATH"] = os.pathsep.join([str(links), *([former] if former else [])])
    here = Mpi([command, *options], environment)
    hello = here.run(1, "-c", "from mpi4py import MPI; print(MPI.COMM_WORLD.size)", module=False, timeout=60)
    if hello.returncode or hello.stdout.strip() != "1":
        missing(f"mpi4py does not run here: {(hello.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return here
