"""Nothing that is called from Python ends the process, computes on wrong memory, or is answered by one engine only."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS, FEWER, PROCESSES = 2000, 600, 4


def begin(first, count, **environment):
    """A process that runs so many random programs of calls."""
    command = [sys.executable, ROOT / "tests" / "misuse.py", str(first), str(count)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    )


def run_programs(first=0, programs=PROGRAMS, **environment):
    """Run them all, two processes at a time; every line they print that is not the number of a program."""
    each, found = programs // PROCESSES, []
    for pair in range(0, PROCESSES, 2):
        running = [begin(first + (pair + i) * each, each, **environment) for i in range(2)]
        for process in running:
            lines = process.communicate(timeout=3000)[0].splitlines()
            numbers = [line for line in lines if line.isdecimal()]
            found += [line for line in lines if not line.isdecimal()]
            if process.returncode:
                found.append(f"ended with {process.returncode} in program {numbers[-1] if numbers else first}")
            else:
                assert len(numbers) == each
    return found


@pytest.mark.parametrize("programs", [FEWER, pytest.param(PROGRAMS, marks=pytest.mark.long)])
def test_random_programs_end_the_same_way_on_both_engines(programs):
    pytest.importorskip("numba")
    assert run_programs(programs=programs) == []


@pytest.mark.long
@pytest.mark.parametrize("environment", [{"MALLOC_PERTURB_": "165"}, {"NUMBA_BOUNDSCHECK": "1"}], ids=str)
def test_no_program_reads_or_writes_beyond_an_array(environment):
    pytest.importorskip("numba")
    assert run_programs(PROGRAMS, **environment) == []


BEYOND = """
import numpy as np
from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.simd.intrinsics import load, store

@jit
def copy(x, y, i):
    store(y, 0, load(x, i))

x, y = np.ones(64, np.float32), np.ones(64, np.float32)
copy(x, y, 0)
print("inside", flush=True)
copy(x, y, 60)
print("outside")
"""


def test_a_kernel_compiled_with_bounds_checks_ends_the_process_rather_than_read_beyond_an_array():
    pytest.importorskip("numba")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_BOUNDSCHECK": "1"}
    done = subprocess.run([sys.executable, "-c", BEYOND], env=environment, capture_output=True, text=True)
    assert done.returncode != 0 and done.stdout.split() == ["inside"]
