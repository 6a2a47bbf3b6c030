"""A model in one file that holds only data.

The container is safetensors: a JSON header that names each array with its type, shape and place,
followed by the raw bytes. Other programs can read it, and nothing in it can be executed (a pickle can).
Our own part of the header is one JSON text: the architecture as a list of layer classes with their
arguments, from a closed list. Beside it stands the SHA-256 of that text and all arrays. A file that was
cut off, damaged or made for something else is a `ModelFileError` that says what is wrong with it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from contextlib import contextmanager
from typing import Any

import numpy as np

from scratchnet.data.atomic import replacing

FORMAT = 1  # raised whenever an older reader could misunderstand a newer file


class ModelFileError(ValueError):
    """A model file is damaged, or is not a model file."""


def write_file(path, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Write named arrays and JSON data; the file appears whole or not at all."""
    import safetensors.numpy

    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    text = json.dumps({"format": FORMAT, **meta})
    with replacing(path) as file:
        file.write(safetensors.numpy.save(arrays, {"scratchnet": text, "sha256": checksum(text, arrays)}))


def read_file(path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what write_file wrote, or raise ModelFileError (FileNotFoundError if there is no file)."""
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no such model file")
    with explaining(path):
        try:
            with safe_open(path, framework="numpy") as file:
                meta = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}
        except SafetensorError as error:
            raise ModelFileError(f"not a safetensors file, or cut off ({error})") from None
        if "scratchnet" not in meta:
            raise ModelFileError("a safetensors file, but not one of scratchnet: it has no architecture")
        header = json.loads(meta["scratchnet"])
        if header.get("format") != FORMAT:
            raise ModelFileError(f"format {header.get('format')!r}; this version reads format {FORMAT}")
        if meta.get("sha256") != checksum(meta["scratchnet"], arrays):
            raise ModelFileError("damaged: the content does not have the checksum it was written with")
    return arrays, header


def checksum(text: str, arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over the text, and each array's name, type, shape and bytes, in the order of the names."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@contextmanager
def explaining(path):
    """Whatever a malformed file makes go wrong is one kind of error, with the file's name in front."""
    try:
        yield
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        reason = f"the header lacks {error}" if isinstance(error, KeyError) else error
        raise ModelFileError(f"{path}: {reason}") from error


def make_layer(known: dict[str, type], description: dict[str, Any], index: int) -> Any:
    """{"class": "Conv2D", "filters": 32, ...} -> an unbuilt layer, if the class is one of `known`."""
    arguments = dict(description)
    kind = arguments.pop("class", None)
    if kind not in known:
        raise ModelFileError(
            f"layer {index} is a {kind!r}, which is not one of {', '.join(known)}. "
            "If it is a layer of your own, pass its class: load_model(path, layers=[...])."
        )
    unknown = set(arguments) - set(inspect.signature(known[kind]).parameters)
    if unknown:
        raise ModelFileError(f"layer {index} ({kind}) has unknown arguments: {', '.join(sorted(unknown))}")
    return known[kind](**arguments)


def fill(targets: dict[str, np.ndarray], arrays: dict[str, np.ndarray]) -> None:
    """Copy arrays into the model's own, in place; list everything that does not fit before changing any."""
    problems = [f"{name} is missing" for name in targets if name not in arrays]
    problems += [f"{name} is not part of the architecture" for name in arrays if name not in targets]
    problems += [
        f"{name} is {arrays[name].dtype} {arrays[name].shape}, expected {target.dtype} {target.shape}"
        for name, target in targets.items()
        if name in arrays and (arrays[name].shape, arrays[name].dtype) != (target.shape, target.dtype)
    ]
    if problems:
        raise ModelFileError("the arrays do not fit the architecture: " + "; ".join(problems))
    for name, target in targets.items():
        target[...] = arrays[name]
