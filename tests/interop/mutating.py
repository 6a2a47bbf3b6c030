"""Keras files as an enemy would write them, and what loading them does to the process that reads them.

    python -m tests.interop.mutating FOLDER NUMBER SEED

Every sample is changed in one of five ways: random bytes of the file; of the HDF5 file in it, with a right checksum of
the archive; words of the HDF5 file, replaced by numbers that matter to a reader; values of the configuration; whole
entries of it. What came of NUMBER loads is printed as JSON. Whatever a load imports, starts, opens for writing or
connects to is an audit event, and is reported.
"""

from __future__ import annotations

import io
import json
import math
import os
import struct
import sys
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np

from tests.forging import FORBIDDEN, NUMBERS, TEXTS, damaged, harmless
from tests.interop.samples import expected, sample

WORDS = [0, 1, 2, 8, 16, 24, 96, 255, 1 << 16, 1 << 20, 1 << 32, 1 << 48, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
KINDS = [
    "Lambda", "TFSMLayer", "Sequential", "Functional", "Conv2D", "Dense", "BatchNormalization", "Add", "InputLayer",
    "Reshape", "Flatten", "Softmax", "GlobalMaxPooling2D", "Normalization", "ZeroPadding2D", "os.system",
]  # fmt: skip
MODULES = ["os", "builtins", "keras.layers", "keras", "subprocess", "antigravity", "tests.interop.mutating"]


def split(name: str) -> tuple[dict, bytes]:
    """The members of an archive without its weights, and the weights; of an .h5 file nothing, and the file."""
    content = sample(name)
    if not name.endswith(".keras"):
        return {}, content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {member: archive.read(member) for member in archive.namelist()}
    return parts, parts.pop("model.weights.h5")


def joined(parts: dict, weights: bytes) -> bytes:
    """The file again."""
    if not parts:
        return weights
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in {**parts, "model.weights.h5": weights}.items():
            archive.writestr(name, content)
    return packed.getvalue()


def mutated(name: str, rng: np.random.Generator) -> bytes:
    """A changed copy of a sample."""
    parts, weights = split(name)
    kind = rng.integers(5 if parts else 3)
    if kind == 0:
        return damaged(joined(parts, weights), rng)
    if kind == 1:
        return joined(parts, damaged(weights, rng))
    if kind == 2:
        return joined(parts, with_other_words(weights, rng))
    config = json.loads(parts["config.json"])
    for _ in range(rng.integers(1, 4)):
        change_somewhere(config, rng, entries=kind == 4)
    return joined({**parts, "config.json": json.dumps(config)}, weights)


def with_other_words(weights: bytes, rng: np.random.Generator) -> bytes:
    """One to three numbers replaced: by one that matters, or by the address of another part."""
    changed, signatures = bytearray(weights), (b"TREE", b"SNOD", b"HEAP", b"GCOL")
    for _ in range(rng.integers(1, 4)):
        place = 4 * int(rng.integers(len(changed) // 4 - 2))
        if rng.random() < 0.5:  # near a part of the structure: most of a file is zeros and weights
            place = max(weights.find(signatures[rng.integers(4)], place), 0) + 4 * int(rng.integers(16))
        value = WORDS[rng.integers(len(WORDS))] if rng.random() < 0.7 else 8 * int(rng.integers(len(changed) // 8))
        size = int(rng.choice([1, 2, 4, 8]))
        changed[place : place + size] = struct.pack("<Q", value)[:size]
    return bytes(changed)


def change_somewhere(config, rng: np.random.Generator, entries: bool) -> None:
    """Change a value, or with `entries` a whole entry, somewhere in a configuration."""
    at = config
    while True:
        inner = [key for key, value in pairs(at) if isinstance(value, dict | list) and value]
        if not inner or rng.random() < 0.15:
            break
        at = at[inner[rng.integers(len(inner))]]
    keys = [key for key, _ in pairs(at)]
    key = keys[rng.integers(len(keys))]
    if not entries:
        at[key] = value_for(key, rng)
    elif isinstance(at, dict) and rng.random() < 0.5:
        at.pop(key)
    elif isinstance(at, dict):
        at[str(rng.choice(["module", "registered_name", "class_name", "config", "layers", "new"]))] = value_for("", rng)
    else:
        at[key:key] = [at[key]] * int(rng.choice([1, 2, 5000 if len(str(at[key])) < 500 else 3]))


def pairs(value):
    """(key, value) of a dict or a list."""
    return list(value.items()) if isinstance(value, dict) else list(enumerate(value))


def value_for(key, rng: np.random.Generator):
    """Another value: of the same kind as often as not."""
    if key == "class_name" and rng.random() < 0.7:
        return KINDS[rng.integers(len(KINDS))]
    if key == "module" and rng.random() < 0.7:
        return MODULES[rng.integers(len(MODULES))]
    choices = [*NUMBERS, *TEXTS]
    value = choices[rng.integers(len(choices))]
    return 0 if isinstance(value, float) and not math.isfinite(value) else value


def main(folder: str, number: int, seed: int) -> None:
    """Load them all under watch; print what came of them, and everything that should not have happened."""
    import resource

    import scratchnet as sn

    warnings.simplefilter("ignore")
    rng, names, target = np.random.default_rng(seed), sorted(expected()), Path(folder) / "changed.keras"
    events, wrong, refused, slowest, watching = [], [], 0, 0.0, False

    def watch(event, arguments):
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if watching and (writes or event.startswith(FORBIDDEN)) and not harmless(event, arguments):
            events.append(f"{event} {arguments}")

    for name in names:  # what Python imports at a first use it imports now
        target.write_bytes(sample(name))
        attempt(sn, target)
        target.write_bytes(damaged(sample(name), rng))
        attempt(sn, target)
    for _ in range(200):  # and the memory that it takes to make the largest files is taken now
        mutated(names[rng.integers(len(names))], rng)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.addaudithook(watch)
    for i in range(number):
        content = mutated(names[rng.integers(len(names))], rng)
        target.write_bytes(content)
        begin, watching = time.perf_counter(), True
        outcome = attempt(sn, target)
        watching = False
        slowest = max(slowest, time.perf_counter() - begin)
        refused += outcome is None
        if isinstance(outcome, BaseException) or (outcome is not None and not valid(outcome, content)):
            kept = target.with_name(f"wrong-{i}")
            os.replace(target, kept)
            wrong.append(f"{kept.name}: {outcome!r}")
    unit = 1 if sys.platform == "darwin" else 1024
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
    found = {"refused": refused, "wrong": wrong[:10], "events": events[:10], "grown": grown, "slowest": slowest}
    print(json.dumps(found))


def attempt(sn, path):
    """The model, None if it was refused as it should be, or the error that should not have come."""
    try:
        return sn.load_keras(path, engine="numpy")
    except sn.ModelFileError as error:
        return None if str(error).startswith(f"{path}: ") and len(str(error)) < 8000 else error
    except BaseException as error:
        return error


def valid(model, content: bytes) -> bool:
    """Whether a model has only layers of this package, and arrays whose bytes are in the file (or are constants)."""
    own = all(type(layer).__module__.startswith("scratchnet.layers.") for layer in model.layers)
    arrays = model.get_weights()
    constants = [array for array in arrays if (array == array.flat[0]).all()] if all(a.size for a in arrays) else []
    there = all(array.tobytes() in content or any(array is one for one in constants) for array in arrays)
    return own and there


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
