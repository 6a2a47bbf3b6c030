"""A model in one file that holds only data.

The container is safetensors (see `container`): arrays by name, and nothing that can be executed (a pickle
can). Our own part of its metadata is one JSON text: the architecture, as a list of layer classes with their
arguments, from a closed list (see `architecture`). Beside it stands the SHA-256 of that text and all arrays.
A file that was cut off, damaged, forged or made for something else is a `ModelFileError` that says what is
wrong with it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.data.atomic import replacing
from scratchnet.saving.container import ModelFileError, header_length, parse_header, parse_json, read_container, shown
from scratchnet.saving.file_kinds import HEAD, kind_of

FORMAT = 1  # raised whenever an older reader could misunderstand a newer file


def write_file(
    path: str | os.PathLike, arrays: dict[str, np.ndarray], meta: dict[str, Any], previous: Any = None
) -> None:
    """Write named arrays and JSON data; the file is replaced atomically. previous: see `replacing`.

    A missing folder is made, and ~ is the home directory.
    What could not be read back (a name with blanks, a header without end) is a ModelFileError now, not later.
    """
    import safetensors.numpy

    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Give the name of a file in it: {path / 'model.safetensors'}")
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    text = json.dumps({"format": FORMAT, **meta})
    content = safetensors.numpy.save(arrays, {"scratchnet": text, "sha256": checksum(text, arrays)})
    with as_model_file_error(path):
        parse_header(content[8 : 8 + header_length(content[:8], len(content))])
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, previous) as file:
        file.write(content)


def read_file(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what write_file wrote, or raise ModelFileError (FileNotFoundError if there is no file)."""
    path = Path(path).expanduser()
    if path.is_dir():
        raise FileNotFoundError(f"{path} is a folder: no such model file.{within(path)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such model file")
    with as_model_file_error(path):
        with open(path, "rb") as file:
            if kind := kind_of(file.read(HEAD)):
                raise ModelFileError(f"not a model file of scratchnet, but {kind}")
        arrays, metadata = read_container(path)
        if "scratchnet" not in metadata:
            raise ModelFileError(
                "a safetensors file, but not one of scratchnet: it has no architecture. "
                "If PyTorch wrote it: scratchnet.load_torch(model, path)"
            )
        text = metadata["scratchnet"]
        meta = parse_json(text, constants=float)  # a history may hold NaN; an architecture is checked on its own
        found = meta.get("format") if isinstance(meta, dict) else None
        if found != FORMAT:
            raise ModelFileError(f"format {shown(found)}; this version reads format {FORMAT}")
        if metadata.get("sha256") != checksum(text, arrays):
            raise ModelFileError("damaged: the content does not have the checksum it was written with")
    return arrays, meta


def within(folder: Path) -> str:
    """Which model file a folder holds, as a question."""
    if (folder / "saved_model.pb").exists():
        return " It is a SavedModel of TensorFlow, which reads it: tf.saved_model.load(path)"
    found = sorted(folder.glob("*.safetensors"), key=lambda path: (path.name != "model.safetensors", path.name))
    return f" Did you mean {found[0]}?" if found else ""


def checksum(text: str, arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over the text, and each array's name, type, shape and bytes, in the order of the names."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


@contextmanager
def as_model_file_error(path: str | os.PathLike) -> Iterator[None]:
    """Turn every error that a malformed file causes into a ModelFileError that begins with the file's name."""
    try:
        yield
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        reason = f"the header lacks {error}" if isinstance(error, KeyError) else error
        raise ModelFileError(f"{path}: {reason}") from error


def compare(expected: dict[str, tuple[np.dtype | None, tuple[int, ...]]], arrays: dict[str, np.ndarray]) -> None:
    """Every array that is missing, unknown, or not of the expected type and shape, in one ModelFileError."""
    problems = [f"{name} is missing" for name in expected if name not in arrays]
    problems += [f"{name} is not part of the architecture" for name in arrays if name not in expected]
    for name, (dtype, shape) in expected.items():
        array = arrays.get(name)
        if array is not None and (array.dtype, array.shape) != (dtype or array.dtype, shape):
            problems.append(f"{name} is {array.dtype} {array.shape}, expected {dtype or array.dtype} {shape}")
    if problems:
        listed = "; ".join(problems[:20]) + (f"; and {len(problems) - 20} more" if problems[20:] else "")
        raise ModelFileError(f"the arrays do not fit the architecture: {listed}")


def fill(targets: dict[str, np.ndarray], arrays: dict[str, np.ndarray]) -> None:
    """Copy arrays into the model's own, in place; list everything that does not fit before changing any."""
    compare({name: (target.dtype, target.shape) for name, target in targets.items()}, arrays)
    for name, target in targets.items():
        target[...] = arrays[name]
