"""The one decorator of the compiled engine, and a cache of machine code that can only help.

`@jit` compiles a plain Python function when it is first called, to code that runs without the interpreter's lock
(`nogil`), divides like NumPy, and is kept on disk for the next process. `@inline` is the same for a helper: its code
becomes part of every caller, so a tile of accumulators handed to it stays in registers.

Why not Numba's own `cache=True`: it notices a change in a kernel's own file, but not in a constant or a helper imported
from another file, and an unreadable or unwritable cache file raises out of an ordinary call. Here
 * the folder is named after a digest of every source file of this package and of the versions of Python, NumPy, Numba
   and llvmlite: change anything, and nothing old is found; folders that nobody has used for long are removed;
 * a file begins with the digest of its contents, checked before any of it is used: damage costs a recompilation;
 * whatever goes wrong with the files, the kernel is compiled as if there were no cache, and one warning is given.

The files hold pickled objects and machine code, in the user's own cache folder (or in NUMBA_CACHE_DIR): whoever can
write there can run code as this user. A folder that others can write is therefore not used.
"""

import functools
import gc
import hashlib
import os
import pickle
import re
import shutil
import stat
import sys
import tempfile
import threading
import time
import types
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import compiler, event, serialize
from numba.core import config as numba_config
from numba.core.registry import CPUDispatcher
from numba.core.types import unliteral

from scratchnet.compiled.target import BOUNDS_CHECKED

DAY = 86400.0
KEPT_DAYS, KEPT_EDITIONS = 30, 8                      # former versions of the kernels: how long, and how many

config: Any = numba_config                             # its names are made at run time, from the environment

# The compiler may fuse a*b + c into one instruction; it may not reorder sums, nor assume that no NaN comes.
# No code for what kernels do not do, which is a quarter of what there is to compile: they are not handed to C as
# callbacks, and allocate no memory, so that nobody need count who refers to an array.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": BOUNDS_CHECKED,
                           "fastmath": {"contract"}, "no_cfunc_wrapper": True, "_nrt": False}


def jit(function):
    """Compile `function` when it is first called, for the types of the arguments it is called with.

    >>> @jit
    ... def add(a, b):
    ...     return a + b
    >>> add(1, 2)
    3
    """
    kernel = cached(numba.njit(**OPTIONS)(function))
    kernel.__class__ = Kernel
    return kernel


def inline(function):
    """Like `jit`, for the helpers of kernels: their code becomes part of every kernel that calls them."""
    return cached(numba.njit(inline="always", **OPTIONS)(function))


listener = threading.local()                          # its `note`, if a tape is recording in this thread (see `tape`)


class Kernel(CPUDispatcher):
    """A compiled function. If a tape is recording, a call from Python is noted, and does nothing else."""

    def compile(self, signature):
        """As usual, but undisturbed by Python's garbage collector: it takes a tenth of the time, and finds little."""
        collects = gc.isenabled()
        gc.disable()
        try:
            return super().compile(signature)
        finally:
            if collects:
                gc.enable()

    def get_call_template(self, arguments, named):
        """For a call by another kernel: 16 is an integer like any other. Numba would compile `f(16)` once more."""
        return super().get_call_template(tuple(map(unliteral, arguments)), named)

    def __call__(self, *arguments, **named):
        note = getattr(listener, "note", None)
        if note is not None:
            assert not named, "a tape knows arguments by their places"
            return note(self, arguments)
        return super().__call__(*arguments, **named)


def readable(kernel):
    """The kernel as the plain Python it was written in, its helpers too: slow, and open to a debugger.

    >>> readable(jit(lambda a: a + 1))(2)
    3
    """
    function = getattr(kernel, "py_func", kernel)
    helpers = {name: readable(value) for name in function.__code__.co_names
               if hasattr(value := function.__globals__.get(name), "py_func")}
    return types.FunctionType(function.__code__, function.__globals__ | helpers, function.__name__,
                              function.__defaults__, function.__closure__)


class Stopwatch(event.Listener):
    """Seconds spent compiling kernels in this process, and how many; kernels found in the cache cost nothing here.

    `announce`, when set, is called once with no arguments as the first compilation begins.
    """

    def __init__(self):
        self.seconds, self.kernels, self.announce, self._depth = 0.0, 0, None, 0

    def on_start(self, event):
        if not isinstance(getattr(event.data["dispatcher"], "_cache", None), KernelCache):
            return                                    # somebody else's function
        if self._depth == 0:
            self._started = time.perf_counter()
            if self.announce and not self.kernels:
                self.announce()
        self._depth += 1                              # a kernel compiles its helpers on the way

    def on_end(self, event):
        if not isinstance(getattr(event.data["dispatcher"], "_cache", None), KernelCache):
            return
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._started
            self.kernels += 1


compiling = Stopwatch()
event.register("numba:compile", compiling)            # Numba's compiler lock keeps these events in order


def cached(kernel):
    """Put our cache where a Numba dispatcher keeps its own. Should a later Numba have no such place: no cache."""
    if hasattr(kernel, "_cache") and kernel.py_func.__closure__ is None:
        kernel._cache = KernelCache(kernel.py_func)
    return kernel


class KernelCache:
    """Compiled versions of one function on disk: a file each, named after function, argument types and target CPU."""

    def __init__(self, function):
        self._function = function
        self.cache_path = None                        # Numba shows it in kernel.stats

    def load_overload(self, signature, target):
        """The compiled function for these argument types, or None if there is none to be had."""
        target.refresh()                              # make our SIMD types known before they are read back
        path = self._path(signature, target.codegen())
        if path is None:
            return None
        try:
            contents = path.read_bytes()
            if hashlib.sha256(contents[32:]).digest() != contents[:32]:
                return None                           # damaged: it will be replaced
            return compiler.CompileResult._rebuild(target, *pickle.loads(contents[32:]))
        except FileNotFoundError:
            return None
        except Exception as problem:                  # whatever it is, compiling anew is the answer
            warn_once(f"could not be read ({problem!r})")
            return None

    def save_overload(self, signature, result):
        """Keep `result` for the next process. It appears under its name complete, or not at all."""
        path = self._path(signature, result.codegen)
        if path is None or result.library.has_dynamic_globals:
            return
        temporary = None
        try:
            payload = serialize.dumps(result._reduce())
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(payload).digest() + payload)
            os.replace(temporary, path)
            tidy(path.parent)
        except Exception as problem:
            warn_once(f"could not be written ({problem!r})")
            if temporary is not None and os.path.exists(temporary):
                os.unlink(temporary)

    def enable(self):
        """Nothing to do: part of the interface Numba expects."""

    disable = flush = enable

    def _path(self, signature, codegen):
        """Where the function compiled for these types on this CPU belongs, or None."""
        function, folder = self._function, cache_folder()
        source = file_digest(function.__code__.co_filename)
        if folder is None or source is None:
            return None
        name = f"{function.__module__}.{function.__qualname__}"
        key = (name, function.__code__.co_firstlineno, source, str(signature), codegen.magic_tuple(),
               config.OPT, config.LOOP_VECTORIZE, config.SLP_VECTORIZE, config.BOUNDSCHECK)
        self.cache_path = str(folder)
        return folder / f"{name.replace('<', '').replace('>', '')}-{digest(repr(key).encode())}.kernel"


def digest(contents):
    """The beginning of the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(contents).hexdigest()[:32]


@functools.cache
def file_digest(path):
    """The digest of a source file as it is when first asked for; None for functions typed at a prompt."""
    try:
        return digest(Path(path).read_bytes())
    except OSError:
        return None


@functools.cache
def cache_folder():
    """Where this version of the kernels is kept, or None if there is no place for it."""
    try:
        sources = sorted(Path(__file__).parent.glob("*.py"))
        versions = (sys.version, np.__version__, numba.__version__, llvmlite.__version__, BOUNDS_CHECKED)
        edition = digest(repr((versions, [(p.name, digest(p.read_bytes())) for p in sources])).encode())
        folder = user_cache() / "kernels" / edition
        if folder.exists():
            check_private(folder)
            with suppress(OSError):
                os.utime(folder)                      # in use: see `tidy`
        return folder
    except (OSError, RuntimeError) as problem:
        warn_once(f"has no folder ({problem!r})")
        return None


def check_private(folder):
    """Raise PermissionError if another user could have put code into the folder."""
    if hasattr(os, "getuid"):
        about, me = folder.stat(), os.getuid()
        anothers = about.st_uid not in (me, 0) and me != 0
        if anothers or about.st_mode & stat.S_IWOTH:
            raise PermissionError(f"{folder} can be written by other users")


@functools.cache
def tidy(folder):
    """Remove what former versions of the kernels left beside this folder; once per process, when it has compiled.

    A process that starts marks the folder it uses. What nobody has marked for 30 days goes, and so does what is not
    among the 8 last used, unless somebody used it today. Should its owner still run, it compiles once more.
    """
    with suppress(OSError):
        used = {other: other.stat().st_mtime for other in folder.parent.iterdir()
                if other != folder and re.fullmatch("[0-9a-f]{32}", other.name) and not other.is_symlink()}
        for place, other in enumerate(sorted(used, key=used.__getitem__, reverse=True)):
            idle = (time.time() - used[other]) / DAY
            if idle > KEPT_DAYS or (idle > 1 and place >= KEPT_EDITIONS - 1):
                shutil.rmtree(other, ignore_errors=True)
        for file in folder.glob("*.kernel?*"):         # a process that was killed while it wrote
            if time.time() - file.stat().st_mtime > DAY:
                file.unlink(missing_ok=True)


def user_cache():
    """The folder for things that can be made again, by each system's custom."""
    if config.CACHE_DIR:
        return Path(config.CACHE_DIR) / "scratchnet"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "scratchnet"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "scratchnet"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scratchnet"


problems: list[str] = []


def warn_once(problem):
    """Say that the cache does not work; the first time only, since the next kernel will meet the same."""
    problems.append(problem)
    if len(problems) == 1:
        warnings.warn(f"the cache of compiled kernels {problem}; kernels are compiled anew in every process. "
                      "Set NUMBA_CACHE_DIR to a folder that can be written.", stacklevel=2)
