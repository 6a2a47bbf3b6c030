"""Run one command in several parallel processes that end together."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence


def run_workers(command: Sequence[str], processes: int) -> None:
    """Run the command in N processes and wait for all; a signal to this process stops all of them."""
    # Ctrl-C in a terminal reaches all its processes: workers ignore SIGINT from the start, and this process stops them.
    listening = signal.signal(signal.SIGINT, signal.SIG_IGN)
    workers = [subprocess.Popen(command) for _ in range(processes)]
    signal.signal(signal.SIGINT, listening)
    try:
        for worker in workers:
            worker.wait()
    except BaseException:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()
        raise
    for worker in workers:
        if worker.returncode:
            print(f"warning: a worker ended with exit code {worker.returncode}", file=sys.stderr)
