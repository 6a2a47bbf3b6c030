"""The cache of machine code can only help: whatever happens to its files, kernels give the right numbers."""

import ast
import hashlib
import importlib
import inspect
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core import config

from scratchnet.compiled.jit import cache, parallel
from scratchnet.compiled.jit.decorators import compiling, inline, jit, readable

ROOT = Path(__file__).parents[2]


def triple(x):
    return 3 * x


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache of its own for each test."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "problems", [])
    cache.cache_folder.cache_clear()
    cache.tidy.cache_clear()
    yield tmp_path / "cache"
    cache.cache_folder.cache_clear()
    cache.tidy.cache_clear()


@pytest.fixture
def one_file(folder):
    """The only file of the cache, after `triple` was compiled once."""
    assert jit(triple)(2.0) == 6.0
    (file,) = folder.rglob("*.kernel")
    return file


def compilations(function=triple, argument=2.0, expected=6.0):
    """Call a new dispatcher; how often did it have to compile, and which warnings came?"""
    kernel = jit(function)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert kernel(argument) == expected
    return sum(kernel.stats.cache_misses.values()), [str(w.message) for w in caught]


def test_a_kernel_is_compiled_once_and_found_again(one_file):
    assert compilations() == (0, [])
    assert compilations(argument=2, expected=6) == (1, [])  # other argument types: another compilation
    assert len(list(one_file.parent.iterdir())) == 2


def test_a_truncated_file_costs_a_compilation_and_is_repaired(one_file):
    intact = one_file.read_bytes()
    for length in [0, 1, 31, 32, 33, *range(100, len(intact), len(intact) // 12), len(intact) - 1]:
        one_file.write_bytes(intact[:length])
        misses, messages = compilations()
        assert misses == 1 and len(messages) <= 1
        assert compilations() == (0, [])


def test_a_flipped_bit_is_noticed_before_anything_is_used(one_file, monkeypatch):
    intact = one_file.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(intact), 20):
        damaged = bytearray(intact)
        damaged[place] ^= 1 << (place % 8)
        one_file.write_bytes(damaged)
        with monkeypatch.context() as patch:
            patch.setattr(cache.pickle, "loads", lambda contents: pytest.fail("damaged contents were unpickled"))
            misses, messages = compilations()
        assert misses == 1 and messages == []


def test_E5_no_damaged_file_is_ever_used(one_file, monkeypatch):
    """200 lengths and 1,000 flipped bits: not a byte behind the checksum is looked at."""
    intact, rng = one_file.read_bytes(), np.random.default_rng(1)
    ((kernel_cache, signature, target),) = loads_of(triple, monkeypatch)
    assert kernel_cache.load_overload(signature, target) is not None
    monkeypatch.setattr(cache.pickle, "loads", lambda contents: pytest.fail("damaged contents were unpickled"))
    for length in [*range(34), *rng.integers(34, len(intact), 166)]:
        one_file.write_bytes(intact[:length])
        assert kernel_cache.load_overload(signature, target) is None
    for bit in rng.choice(8 * len(intact), 1000, replace=False):
        damaged = bytearray(intact)
        damaged[bit // 8] ^= 1 << (bit % 8)
        one_file.write_bytes(damaged)
        assert kernel_cache.load_overload(signature, target) is None
    assert cache.problems == []


def loads_of(function, monkeypatch):
    """The cache of a new dispatcher for `function`, with what Numba asks it for when it is called."""
    asked, load = [], cache.KernelCache.load_overload
    with monkeypatch.context() as patch:
        patch.setattr(
            cache.KernelCache, "load_overload", lambda cache, *what: asked.append((cache, *what)) or load(cache, *what)
        )
        jit(function)(2.0)
    return asked


@pytest.mark.parametrize("contents", [b"", b"not a pickle", b"\x80\x04N.", b"\x80\x04]."])
def test_contents_that_are_no_kernel_are_replaced(one_file, contents):
    one_file.write_bytes(hashlib.sha256(contents).digest() + contents)
    misses, messages = compilations()
    assert misses == 1 and len(messages) == 1 and "could not be read" in messages[0]
    assert compilations() == (0, [])


def test_a_cache_that_is_a_file_gives_one_warning(folder):
    folder.write_text("in the way")
    misses, messages = compilations()
    assert misses == 1 and len(messages) == 1 and "NUMBA_CACHE_DIR" in messages[0]
    assert compilations() == (1, [])  # the second kernel is quiet


def test_a_read_only_cache_gives_one_warning(folder, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache.tempfile, "mkstemp", refuse)
    misses, messages = compilations()
    assert misses == 1 and len(messages) == 1 and "could not be written" in messages[0]


def test_a_full_disk_leaves_no_file_behind(folder, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "replace", fail)
    misses, messages = compilations()
    assert misses == 1 and len(messages) == 1
    assert not [file for file in folder.rglob("*") if file.is_file()]


def test_E5_a_disk_that_is_full_costs_one_warning_and_no_result(tmp_path):
    """The real thing: the system refuses to make any file longer than a kilobyte."""
    resource = pytest.importorskip("resource")
    code = f"""
import signal, resource, warnings
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY}))
from scratchnet.compiled.kernels.gemm import padded_width
from scratchnet.compiled.jit.decorators import jit
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(padded_width(1) > 0, jit(lambda x: x + 1)(1), len(caught), "File too large" in str(caught[0].message))
"""
    assert in_new_process(code, NUMBA_CACHE_DIR=str(tmp_path)) == ["True", "2", "1", "True"]
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_E5_without_any_home_in_a_new_process(tmp_path):
    code = """
import os, pathlib, sys, warnings
for name in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "USERPROFILE", "LOCALAPPDATA"):
    os.environ.pop(name, None)
def nobody(*arguments): raise KeyError("getpwuid(): uid not found")
if sys.platform != "win32":
    import pwd
    pwd.getpwuid = nobody
from scratchnet.compiled.kernels.gemm import padded_width
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(padded_width(1) > 0, len(caught))
"""
    assert in_new_process(code) == ["True", "1"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners and modes here")
def test_a_folder_that_others_can_write_is_not_used(one_file, monkeypatch):
    for doing in (
        lambda: one_file.parent.chmod(0o777),
        lambda: (
            one_file.parent.chmod(0o700),
            monkeypatch.setattr(os, "getuid", lambda: 12345),
            os.chown(one_file.parent, 54321, -1),
        ),
    ):
        try:
            doing()
        except PermissionError:
            pytest.skip("only root can give a folder away")
        cache.cache_folder.cache_clear()
        cache.problems.clear()
        misses, messages = compilations()
        assert misses == 1 and len(messages) == 1 and "can be written by other users" in messages[0]


# what former versions left


def former(folder, number, days):
    """The folder of a former version of the sources, last used so many days ago."""
    old = folder / f"{number:032x}"
    old.mkdir()
    (old / "a.kernel").write_bytes(b"x")
    os.utime(old, 2 * (time.time() - days * 86400,))
    return old


def test_what_nobody_used_for_a_month_is_removed_and_nothing_else(one_file):
    kernels = one_file.parent.parent
    old, recent = former(kernels, 1, days=31), former(kernels, 2, days=29)
    foreign = kernels / "my notes"
    foreign.mkdir()
    os.utime(foreign, (0, 0))
    (kernels / f"{3:032x}").symlink_to(foreign)
    cache.tidy.cache_clear()
    jit(triple)(np.float32(2))  # compiles, and tidies up
    assert not old.exists() and recent.exists() and foreign.exists() and one_file.exists()


def test_of_many_versions_the_last_used_are_kept_and_all_of_today(one_file):
    kernels = one_file.parent.parent
    today = [former(kernels, 100 + i, days=0.5) for i in range(10)]
    days = [former(kernels, i, days=2 + i) for i in range(10)]
    cache.tidy.cache_clear()
    jit(triple)(np.float32(2))
    assert all(folder.exists() for folder in today) and not any(folder.exists() for folder in days)
    for folder in today[3:]:
        shutil.rmtree(folder)
    days = [former(kernels, i, days=2 + i) for i in range(10)]
    cache.tidy.cache_clear()
    jit(triple)(np.int32(2))
    assert [folder.exists() for folder in days] == [True] * 4 + [False] * 6  # with three of today and ours: eight


def test_a_process_marks_the_folder_it_uses(one_file):
    os.utime(one_file.parent, (0, 0))
    cache.cache_folder.cache_clear()
    assert compilations() == (0, [])
    assert one_file.parent.stat().st_mtime > time.time() - 60


def test_what_a_killed_process_was_writing_is_removed_the_next_day(one_file):
    part, fresh = (one_file.with_name(f"{one_file.name}.{suffix}") for suffix in ("abc", "def"))
    for file in (part, fresh):
        file.write_bytes(b"half a ker")
    os.utime(part, (0, 0))
    cache.tidy.cache_clear()
    jit(triple)(np.float32(2))
    assert not part.exists() and fresh.exists() and one_file.exists()


def test_a_deleted_cache_is_made_again(one_file, folder):
    shutil.rmtree(folder)
    assert compilations() == (1, [])
    assert one_file.exists()


def test_without_a_home_kernels_are_compiled(folder, monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(cache.Path, "home", nobody)
    misses, messages = compilations()
    assert misses == 1 and len(messages) == 1 and "has no folder" in messages[0]


def test_a_numba_without_the_parts_we_use_has_no_cache(folder, monkeypatch):
    monkeypatch.delattr(cache.compiler.CompileResult, "_reduce")
    misses, messages = compilations()
    assert misses == 1 and len(messages) == 1


def test_a_function_with_a_closure_is_not_cached(folder):
    def times(factor):
        return jit(lambda x: factor * x)

    assert times(3)(2.0) == 6.0 and times(5)(2.0) == 10.0
    assert not folder.exists()


def in_new_process(code, tree=ROOT, **environment):
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(tree), **environment},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


PLACES = ["compiled/factor.py", "compiled/kernels/conv/factor.py", *cache.CONSTANTS_FROM]


@pytest.mark.parametrize("place", PLACES)
def test_a_change_in_any_file_that_kernels_are_made_from_is_noticed(tmp_path, place):
    """Numba's own cache would continue to multiply by 3: it looks at the file of the function only."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "scratchnet", tree / "scratchnet", ignore=shutil.ignore_patterns("__pycache__"))
    package, file = tree / "scratchnet", tree / "scratchnet" / place
    original = file.read_text() if file.exists() else ""
    module = place.removesuffix(".py").replace("/", ".")
    file.write_text(f"{original}\nFACTOR = 3\n")
    (package / "compiled" / "times.py").write_text(
        f"from scratchnet.{module} import FACTOR\nfrom scratchnet.compiled.jit.decorators import jit\n\n\n"
        "@jit\ndef times(x):\n    return FACTOR * x\n"
    )
    code = (
        "from scratchnet.compiled.times import times; from scratchnet.compiled.jit.decorators import compiling; "
        "print(times(2), compiling.kernels)"
    )
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    assert in_new_process(code, tree, **environment) == ["6", "1"]
    assert in_new_process(code, tree, **environment) == ["6", "0"]
    file.write_text(f"{original}\nFACTOR = 4\n")
    assert in_new_process(code, tree, **environment) == ["8", "1"]


def test_the_digest_covers_every_outside_file_whose_constants_kernels_may_contain():
    """Read from the import statements: any name of another folder that is neither a class nor a plain function."""
    found = set()
    for path in (ROOT / "scratchnet" / "compiled").glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("scratchnet"):
                module = importlib.import_module(node.module)
                file = Path(module.__file__).relative_to(ROOT / "scratchnet").as_posix()
                values = [getattr(module, alias.name, None) for alias in node.names]
                values = [v for v in values if v is not None and not inspect.ismodule(v)]
                if not file.startswith("compiled/") and any(is_compiled_in(value) for value in values):
                    found.add(file)
    assert found == set(cache.CONSTANTS_FROM)


def is_compiled_in(value):
    """Whether a kernel that uses this global contains its value: numbers, tuples, arrays, and compiled functions."""
    return isinstance(value, int | float | tuple | np.ndarray | np.generic | numba.core.dispatcher.Dispatcher)


def test_another_instruction_set_has_files_of_its_own(tmp_path):
    code = (
        "from scratchnet.compiled.kernels.gemm import padded_width; "
        "from scratchnet.compiled.jit.decorators import compiling; print(padded_width(1), compiling.kernels)"
    )
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    here = in_new_process(code, **cache)
    assert in_new_process(code, NUMBA_CPU_NAME="generic", **cache) == ["4", "1"]
    assert in_new_process(code, **cache) == [here[0], "0"]


@pytest.mark.parametrize("times", [1, pytest.param(25, marks=pytest.mark.long)])
def test_E5_processes_that_start_together_get_along(tmp_path, times):
    code = "from scratchnet.compiled.kernels.gemm import padded_width; print(padded_width(1) > 0)"
    for time_ in range(times):
        cache = tmp_path / str(time_)
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
        runs = [
            subprocess.Popen(
                [sys.executable, "-W", "error::UserWarning", "-c", code],
                env=environment,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(8)
        ]
        for run in runs:
            out, err = run.communicate(timeout=300)
            assert run.returncode == 0 and out.strip() == "True", err
        assert len(list(cache.rglob("*.kernel"))) == 1 and not list(cache.rglob("*.kernel.*"))


def test_threads_that_call_a_new_kernel_together_compile_it_once(folder):
    kernel, results = jit(triple), []
    together = threading.Barrier(8)

    def call():
        together.wait()
        results.append(kernel(2.0))

    threads = [threading.Thread(target=call) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert results == [6.0] * 8
    assert sum(kernel.stats.cache_misses.values()) == 1


def test_compile_time_is_counted_for_our_kernels_only(folder, monkeypatch):
    calls = []
    monkeypatch.setattr(compiling, "announce", lambda: calls.append("compiling"))
    monkeypatch.setattr(compiling, "kernels", 0)
    before = compiling.seconds
    numba.njit(triple)(2.0)
    assert (compiling.kernels, compiling.seconds, calls) == (0, before, [])
    jit(triple)(2.0)
    spent = compiling.seconds - before
    assert compiling.kernels == 1 and spent > 0 and calls == ["compiling"]
    jit(triple)(2.0)  # from the cache
    jit(triple)(2)
    assert compiling.kernels == 2 and calls == ["compiling"]


def test_a_kernel_that_cannot_be_compiled_says_so_and_stops_the_watch(folder):
    with pytest.raises(numba.TypingError):
        jit(lambda x: x.no_such_attribute)(2.0)
    assert compiling._depth == 0


@inline
def helper(x):
    return 2 * x


@jit
def with_helper(x):
    return helper(x) + 1


def test_readable_is_plain_python_down_to_the_helpers():
    plain = readable(with_helper)
    assert plain(3) == with_helper(3) == 7
    assert not hasattr(plain, "py_func") and not hasattr(plain.__globals__["helper"], "py_func")
    assert readable(triple)(2) == 6
    assert hasattr(with_helper, "py_func")  # the kernel itself is as it was


def test_a_kernel_called_by_a_kernel_has_only_an_internal_version(folder):
    @jit
    def increment(x):
        return x + 1

    @jit
    def twice(x):
        return increment(increment(x))

    assert twice(2.0) == 4.0 and twice(2) == 4
    assert len(increment.internal.overloads) == 2 and not increment.overloads
    with pytest.raises(TypeError, match=r"increment.*call the kernel itself"):
        increment.internal(2.0)
    assert increment(2.0) == 3.0 and len(increment.overloads) == 1


def test_internal_versions_have_files_of_their_own(folder):
    kernel = jit(triple)
    kernel.internal.compile((numba.float64,))
    assert len(list(folder.rglob("*.kernel"))) == 1
    assert kernel(2.0) == 6.0
    assert len(list(folder.rglob("*.kernel"))) == 2
    again = jit(triple)
    again.internal.compile((numba.float64,))
    assert again(2.0) == 6.0
    assert [sum(found.stats.cache_hits.values()) for found in (again, again.internal)] == [1, 1]


def test_kernels_keep_nan_and_divide_like_numpy(folder):
    kernel = jit(lambda x: (np.isnan(x), 1.0 / (x - x)))
    isnan, quotient = kernel(np.float32(np.nan))
    assert isnan and np.isnan(quotient)
    assert kernel(1.0)[1] == np.inf


# compiling with help

MANY_KERNELS = """
from scratchnet.compiled.jit.decorators import jit
{}
""".format("\n".join(f"@jit\ndef add_{i}(x):\n    return x + {i}\n" for i in range(12)))


@pytest.fixture
def many_kernels(folder, tmp_path, monkeypatch):
    """A module of twelve kernels."""
    (tmp_path / "many_kernels.py").write_text(MANY_KERNELS)
    monkeypatch.syspath_prepend(tmp_path)
    yield [getattr(importlib.import_module("many_kernels"), f"add_{i}") for i in range(12)]
    del sys.modules["many_kernels"]


def test_processes_share_the_kernels_among_them(many_kernels, folder, monkeypatch):
    monkeypatch.setattr(parallel, "available_threads", lambda: 2)
    claim, claimed = parallel.claim, []

    def claim_and_wait(path):
        """Claim the first kernel, and go on when the other process has claimed one."""
        if claim(path):
            claimed.append(path)
            deadline = time.monotonic() + 120
            while len(list(path.parent.glob("[0-9]*"))) == 1 and time.monotonic() < deadline:
                time.sleep(0.01)
        return path in claimed

    monkeypatch.setattr(parallel, "claim", claim_and_wait)
    kernels = [kernel.internal if i % 2 else kernel for i, kernel in enumerate(many_kernels)]
    parallel.compile_versions([(kernel, (numba.float64,)) for kernel in kernels])
    assert 0 < len(claimed) < 12
    assert len(list(folder.rglob("*.kernel"))) == 12
    for kernel in kernels:
        kernel.compile((numba.float64,))
    assert sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels) == 12 - len(claimed)
    assert [kernel(1.0) for kernel in many_kernels] == [1.0 + i for i in range(12)]


@pytest.mark.parametrize("command", [["no-such-program"], [sys.executable, "-c", "raise SystemExit(1)"]])
def test_without_help_all_kernels_are_compiled_here(many_kernels, monkeypatch, command):
    monkeypatch.setattr(parallel, "available_threads", lambda: 4)
    popen = subprocess.Popen
    monkeypatch.setattr(parallel.subprocess, "Popen", lambda _, **named: popen(command, **named))
    parallel.compile_versions([(kernel, (numba.float64,)) for kernel in many_kernels])
    assert all(len(kernel.overloads) == 1 for kernel in many_kernels)


def test_an_interrupted_compilation_ends_its_helpers(many_kernels, monkeypatch):
    monkeypatch.setattr(parallel, "available_threads", lambda: 2)
    started, start = [], parallel.start_helpers
    monkeypatch.setattr(parallel, "start_helpers", lambda *given: started.extend(start(*given)) or started)

    def interrupt(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "claim", interrupt)
    with pytest.raises(KeyboardInterrupt):
        parallel.compile_versions([(kernel, (numba.float64,)) for kernel in many_kernels])
    assert len(started) == 1 and started[0].returncode is not None
