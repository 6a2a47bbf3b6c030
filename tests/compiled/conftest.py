"""Tests on other instruction sets run beside all other tests: begun with the first of them, asked at the very end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scratchnet.compiled.simd import target

# An instruction set is chosen by name and by features: with the name alone, Numba keeps the features of this machine.
INSTRUCTION_SETS = {
    "avx2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""},
    "sse4": {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": ""},
    "sse2": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
}
HERE = Path(__file__).parent
POLITE = "import os, sys, pytest; hasattr(os, 'nice') and os.nice(10); sys.exit(pytest.main(sys.argv[1:]))"


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: "on_instruction_set" in item.fixturenames)


@pytest.fixture(scope="session", autouse=True)
def begun(request):
    """Instruction set -> a process that runs its tests, of all that will be asked for."""
    asked = (item.callspec.params for item in request.session.items if "on_instruction_set" in item.fixturenames)
    processes = {name: begin(name) for name in (params["on_instruction_set"] for params in asked) if can_run(name)}
    yield processes
    for process in processes.values():
        process.kill()
        process.communicate()


@pytest.fixture(params=INSTRUCTION_SETS)
def on_instruction_set(request, begun):
    """Exit code and output of the tests on an instruction set, when they have come to their end."""
    if request.param not in begun:
        pytest.skip("this machine cannot run that instruction set")
    output = begun[request.param].communicate(timeout=600)[0]
    return begun[request.param].returncode, output


def can_run(name):
    """Whether this machine knows that instruction set."""
    return "x86_64" in target.TRIPLE and (name != "avx2" or target.LANES >= 8)


def begin(name):
    """pytest in a process whose kernels are compiled for this instruction set."""
    options = ["-q", "-p", "no:cacheprovider", "-k", "on_this_instruction_set", HERE]
    return subprocess.Popen(
        [sys.executable, "-c", POLITE, *options],
        cwd=HERE.parents[1],
        env=os.environ | INSTRUCTION_SETS[name],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
