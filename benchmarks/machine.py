"""The machine of a measurement: a time is meaningless without processor, threads and versions."""

import datetime
import os
import platform
import subprocess
from pathlib import Path


def machine(threads: int, versions: dict[str, str]) -> dict[str, object]:
    """The facts needed to interpret a time, without anything that identifies the machine's owner.

    load: the mean number of runnable processes in the last minute, including ours.
    """
    return {
        "cpu": cpu_model(),
        "processors": len(processors()),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": dict(sorted(versions.items())),
        "commit": commit(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def processors() -> list[int]:
    """The processors that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def cpu_model() -> str:
    """The processor's name: from /proc on Linux, from sysctl on macOS, else from Python."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    asked = (
        subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        if platform.system() == "Darwin"
        else None
    )
    return asked.stdout.strip() if asked and asked.returncode == 0 else platform.processor() or platform.machine()


def instructions() -> set[str]:
    """The processor's instruction sets, as Linux calls them: avx2, avx512_bf16 ...; none on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def commit() -> str:
    """The commit that was measured, with a + if files had been changed since."""

    def git(*words: str) -> str:
        try:
            here = Path(__file__).parent
            return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return ""

    head = git("rev-parse", "--short=12", "HEAD")
    return (head + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")) or "unknown"
