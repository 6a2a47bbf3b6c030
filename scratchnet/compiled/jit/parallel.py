"""Missing kernels, compiled by several processes.

Numba compiles one function at a time in a process: its compiler lock is held throughout. So where many kernels are
missing, as on the first start, other processes help. Each takes the next kernel that has no claim yet, the largest
first, and leaves it in the cache on disk, where this process finds it. A claim is a file that is created only once.

With an empty cache on two cores (AMD EPYC with AVX2): `default` 5.3 s instead of 8.2, vgg-bn 7.6 instead of 12.4. Of
one process's time LLVM takes half, building its input a fifth, typing a tenth.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

from scratchnet.compiled.jit.cache import KernelCache, config, read_versions, write_versions
from scratchnet.compiled.jit.decorators import compiling
from scratchnet.compiled.jit.kernel import Kernel
from scratchnet.team import available_threads

MANY = 8  # missing kernels take longer than it takes to start a process
HELPERS = 3  # processes, at most
VERSIONS = "versions"  # the file that names them
PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; from scratchnet.compiled.jit.parallel import help_in; help_in(sys.argv[1])"
)
Version = tuple[Kernel, tuple[Any, ...]]  # a kernel, and the types of its arguments


def compile_versions(versions: list[Version]) -> None:
    """Compile these kernels for these types of arguments, those that are missing; with help if there are many."""
    missing = [version for version in dict.fromkeys(versions) if is_missing(*version)]
    helpers = min(available_threads() - 1, HELPERS)
    if len(missing) < MANY or helpers < 1:
        return compile_unclaimed(missing, None)
    missing.sort(key=lambda version: size(version[0]), reverse=True)
    before, start = compiling.seconds, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        write_versions(Path(folder, VERSIONS), missing)
        processes = start_helpers(helpers, folder)
        try:
            compile_unclaimed(missing, folder)
            for process in processes:
                process.wait()
        finally:
            for process in processes:
                process.kill()
                process.wait()
    compiling.seconds = before + time.perf_counter() - start


def compile_unclaimed(versions: list[Version], folder: str | None) -> None:
    """Compile one after the other; in a folder of claims, those that no other process has claimed."""
    for number, (kernel, types) in enumerate(versions):
        if folder is None or claim(Path(folder, str(number))):
            kernel.compile(types)


def claim(path: Path) -> bool:
    """Create a file; False if it exists."""
    try:
        path.touch(exist_ok=False)
        return True
    except FileExistsError:
        return False


def start_helpers(count: int, folder: str) -> list[subprocess.Popen]:
    """Processes that run `help_in`; fewer, if the system allows no more."""
    command = [sys.executable, "-c", PROGRAM, folder, *sys.path]
    environment = os.environ | ({"NUMBA_CACHE_DIR": str(config.CACHE_DIR)} if config.CACHE_DIR else {})
    quiet: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = []
    for _ in range(count):
        try:
            processes.append(subprocess.Popen(command, env=environment, **quiet))
        except OSError:
            break
    return processes


def help_in(folder: str) -> None:
    """A helper's part. Ctrl-C reaches it too; the process that it helps then ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    compile_unclaimed(read_versions(Path(folder, VERSIONS)), folder)


def is_missing(kernel: Kernel, types: tuple[Any, ...]) -> bool:
    """Whether the kernel must be compiled for these types, and can be found by its name."""
    stored = getattr(kernel, "_cache", None)
    if types in kernel.overloads or not isinstance(stored, KernelCache) or stored.holds(types, kernel.targetctx):
        return False
    function = kernel.py_func
    named = getattr(sys.modules.get(function.__module__), function.__name__, None)
    return isinstance(named, Kernel) and kernel in (named, named.internal)


@cache
def size(kernel: Kernel) -> int:
    """Bytes of Python code in the kernel and its helpers, a helper as often as it is named: it grows with the time."""
    function = kernel.py_func
    helpers = [function.__globals__.get(name) for name in function.__code__.co_names]
    return len(function.__code__.co_code) + sum(size(helper) for helper in helpers if isinstance(helper, Kernel))
