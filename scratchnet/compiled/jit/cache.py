"""A disk cache of compiled kernels: it can save compile time and never change a result.

Numba's own `cache=True` notices a change in a kernel's own file, but not in a constant or helper imported from another
file, and an unreadable or unwritable cache file raises out of an ordinary call. This cache differs in three points:

 * the folder is named after a digest of every source file that kernels are made from and of the versions of Python,
   NumPy, Numba and llvmlite; any change leads to a new folder, and folders unused for a month are removed;
 * each file begins with the digest of its contents, verified before any of it is used; a damaged file is recompiled;
 * on any error with the files, the kernel is compiled without a cache, after one warning.

The files hold pickled objects and machine code, in the user's cache folder or in NUMBA_CACHE_DIR. Anyone who can write
there can run code as this user, so a folder writable by others is not used.
"""

import functools
import hashlib
import operator
import os
import pickle
import re
import shutil
import stat
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import compiler, serialize
from numba.core import config as numba_config

DAY = 86400.0
KEPT_DAYS, KEPT_EDITIONS = 30, 8  # former versions of the kernels: for how long, and how many
CONSTANTS_FROM = ("data/augment.py",)  # files outside of compiled/ whose constants kernels contain

config: Any = numba_config  # its names are made at run time, from the environment
BOUNDS_CHECKED = bool(config.BOUNDSCHECK)  # NUMBA_BOUNDSCHECK=1: every array access is checked; slow, for tests


class KernelCache:
    """Compiled versions of one function on disk: a file each, named after function, argument types and target CPU."""

    def __init__(self, function, options):
        self._function, self._options = function, options
        self.cache_path = None  # Numba shows it in kernel.stats

    def load_overload(self, signature, target):
        """The compiled function for these argument types, or None if there is none to be had."""
        path = self._path(signature, target.codegen())
        if path is None:
            return None
        try:
            contents = path.read_bytes()
            if hashlib.sha256(contents[32:]).digest() != contents[:32]:
                return None  # damaged: it will be replaced
            return compiler.CompileResult._rebuild(target, *pickle.loads(contents[32:]))
        except FileNotFoundError:
            return None
        except Exception as problem:  # whatever it is, compiling anew is the answer
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
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(payload).digest() + payload)
            os.replace(temporary, path)
            tidy(path.parent)
        except Exception as problem:
            warn_once(f"could not be written ({problem!r})")
            if temporary is not None and os.path.exists(temporary):
                os.unlink(temporary)

    def holds(self, signature, target) -> bool:
        """Whether there is a file for these argument types."""
        path = self._path(signature, target.codegen())
        return path is None or path.exists()  # without a place for files, no other process could pass one on

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
        key = (
            name,
            function.__code__.co_firstlineno,
            source,
            str(signature),
            self._options,
            codegen.magic_tuple(),
            config.OPT,
            config.LOOP_VECTORIZE,
            config.SLP_VECTORIZE,
            config.BOUNDSCHECK,
        )
        self.cache_path = str(folder)
        return folder / f"{name.replace('<', '').replace('>', '')}-{digest(repr(key).encode())}.kernel"


class ByName(pickle.Pickler):
    """Kernels as the names that they have in their modules."""

    def reducer_override(self, found):
        if hasattr(found, "kernel"):  # an internal one
            return operator.attrgetter("internal"), (found.kernel,)
        return found.py_func.__name__ if hasattr(found, "py_func") else NotImplemented


def write_versions(path: Path, versions) -> None:
    """Kernels, each with the types of its arguments, for another process of this user."""
    with path.open("xb") as file:
        ByName(file).dump(versions)


def read_versions(path: Path):
    """What `write_versions` wrote; imports the modules of the kernels."""
    return pickle.loads(path.read_bytes())


def digest(contents):
    """The beginning of the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(contents).hexdigest()[:32]


@functools.cache
def file_digest(path):
    """The digest of a source file, read once; None for functions typed at a prompt."""
    try:
        return digest(Path(path).read_bytes())
    except OSError:
        return None


@functools.cache
def cache_folder():
    """Where this version of the kernels is kept, or None if there is no place for it."""
    try:
        package = Path(__file__).parents[2]
        sources = [*sorted(package.glob("compiled/**/*.py")), *(package / name for name in CONSTANTS_FROM)]
        versions = (sys.version, np.__version__, numba.__version__, llvmlite.__version__, BOUNDS_CHECKED)
        contents = [(path.relative_to(package).as_posix(), digest(path.read_bytes())) for path in sources]
        edition = digest(repr((versions, contents)).encode())
        folder = user_cache() / "kernels" / edition
        if folder.exists():
            check_private(folder)
            with suppress(OSError):
                os.utime(folder)  # in use: see `tidy`
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
    """Remove the folders of former versions of the kernels; once per process, after it has compiled.

    Every process updates the time stamp of the folder it uses. Folders unused for 30 days are removed, and those that
    are not among the 8 last used, unless they were used today. A process that still needs one compiles again.
    """
    with suppress(OSError):
        used = {
            other: other.stat().st_mtime
            for other in folder.parent.iterdir()
            if other != folder and re.fullmatch("[0-9a-f]{32}", other.name) and not other.is_symlink()
        }
        for place, other in enumerate(sorted(used, key=used.__getitem__, reverse=True)):
            idle = (time.time() - used[other]) / DAY
            if idle > KEPT_DAYS or (idle > 1 and place >= KEPT_EDITIONS - 1):
                shutil.rmtree(other, ignore_errors=True)
        for file in folder.glob("*.kernel.*"):  # a process that was killed while it wrote
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
    """Warn that the cache does not work, for the first kernel only."""
    problems.append(problem)
    if len(problems) == 1:
        warnings.warn(
            f"the cache of compiled kernels {problem}; kernels are compiled anew in every process. "
            "Set NUMBA_CACHE_DIR to a folder that can be written.",
            stacklevel=2,
        )
