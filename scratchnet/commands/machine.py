"""The environment of a program: versions, threads, vector registers, and the locations of caches and data."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path

import scratchnet
from scratchnet.data.folder import read_class_names
from scratchnet.data.idx import DataFileError
from scratchnet.data.locate import locate
from scratchnet.data.mnist import data_folder
from scratchnet.report.run import processor
from scratchnet.team import available_threads, shared_team

LIBRARIES = ("numpy", "numba", "llvmlite", "matplotlib", "pillow", "safetensors", "optuna")


def facts(data_dir: str | None = None) -> dict[str, str]:
    """Name -> a description of this part of the environment.

    >>> list(facts())
    ['scratchnet', 'python', 'libraries', 'machine', 'threads', 'vectors', 'kernels', 'data']
    """
    return {
        "scratchnet": f"{scratchnet.__version__}, in {Path(scratchnet.__file__).parent}",
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "libraries": ", ".join(map(version, LIBRARIES)),
        "machine": f"{platform.system()} {platform.machine()}, {processor()}",
        "threads": f"{shared_team().threads} of {available_threads()} processors that this process may use",
        "vectors": vectors(),
        "kernels": kernels(),
        "data": data(data_dir),
    }


def version(library: str) -> str:
    """numpy 2.3.1, or "no optuna"."""
    try:
        return f"{library} {importlib.metadata.version(library)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {library}"


def vectors() -> str:
    """The instruction set that kernels are compiled for."""
    try:
        from scratchnet.compiled.simd import target
    except ImportError as error:
        return f'none: {error}. engine="numpy" works without'
    name = {16: "AVX-512", 8: "AVX2"}.get(target.LANES, "NEON" if target.REGISTERS == 32 else "128-bit vectors")
    fused = "" if target.FUSED else ", no fused multiply-add"
    return f"{name}: {target.REGISTERS} registers of {target.LANES} floats{fused} ({target.CPU})"


def kernels() -> str:
    """The location, number and size of the cached kernels."""
    try:
        from scratchnet.compiled.jit.cache import cache_folder
    except ImportError:
        return "none"
    folder = cache_folder()
    if folder is None:
        return "not kept: no folder for them can be written"
    sizes = [file.stat().st_size for file in folder.glob("*.kernel")]
    of_all = sum(file.stat().st_size for file in folder.parent.glob("*/*.kernel"))
    return f"{len(sizes)} compiled, {sum(sizes) / 1e6:.1f} MB, in {folder} (all versions: {of_all / 1e6:.1f} MB)"


def data(data_dir: str | None = None) -> str:
    """The folder that is searched for data, and its content."""
    folder = data_folder(data_dir)
    try:
        found = locate(folder)
    except DataFileError as error:
        return str(error)
    if not found.complete:
        return f"none in {folder}; a training downloads MNIST, or draws digits"
    names = read_class_names(folder)
    return f"four files in {found.place}" + (f", classes {', '.join(names)}" if names else "")
