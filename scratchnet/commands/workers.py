"""One command in several processes, side by side, that end together."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence


def run_workers(command: Sequence[str], processes: int) -> None:
    """Run the command so many times, and wait for all; a signal to this process ends all of them in order."""
    # Ctrl-C in a terminal reaches every process of it: workers start with SIGINT ignored, and this process ends them.
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
