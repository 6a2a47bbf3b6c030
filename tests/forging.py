"""Model files as an enemy would write them, and what loading them does to the process that reads them.

    python -m tests.forging FOLDER BYTES STRUCTURED SEED

takes FOLDER/model apart, loads BYTES copies with random bytes changed and STRUCTURED copies that were forged with
understanding (the checksum is right again), and prints what came of them as JSON. Whatever a load imports, starts,
opens for writing or connects to is an audit event, and is reported.
"""

from __future__ import annotations

import copy
import json
import os
import sys
from pathlib import Path

import numpy as np

FORBIDDEN = ("subprocess", "os.", "socket", "exec", "compile", "import", "pickle", "shutil", "ctypes", "urllib")

NUMBERS = [
    -1, 0, 1, 2, 3, 7, 255, 2**16, 2**20, 2**20 + 1, 2**31 - 1, 2**31, 2**32, 2**48, 2**62, 2**63, 2**64, 10**30,
    0.5, -0.5, 1e308, float("nan"), float("inf"), True, None, "3", "1e9",
    [], [3], [3, 3], [2**20, 2**20], [3, 3, 3], {}, {"a": 1},
]  # fmt: skip
TEXTS = [
    "", "os.system", "__reduce__", "__class__", "builtins.eval", "Layer", "Sequential", "Dense\0",
    "../../../etc/passwd", "/dev/zero", "http://127.0.0.1/", "\x1b[2J", "\ud800", "é" * 300,
    "cos\nsystem\n(S'true'\ntR.", "float32,float32", "O", "V9",
]  # fmt: skip


def take_apart(content: bytes):
    """A model file's header, description and data; the two JSON texts parsed."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__")
    return header, json.loads(metadata["scratchnet"]), content[8 + length :]


def put_together(header, meta, data: bytes, metadata=None) -> bytes:
    """The file again, with the checksum that it must have; `header` may also be a finished text."""
    from scratchnet.saving import checksum

    text = meta if isinstance(meta, str) else json.dumps(meta)
    if not isinstance(header, str):
        try:
            arrays = {name: array_at(about, data) for name, about in header.items()}
            digest = checksum(text, arrays)
        except Exception:  # no such arrays: no digest could be right
            digest = "0" * 64
        metadata = {"scratchnet": text, "sha256": digest} if metadata is None else metadata
        header = json.dumps({"__metadata__": metadata, **header})
    encoded = header.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(8, "little") + encoded + data


def array_at(about, data):
    begin, end = about["data_offsets"]
    kind = {"F16": "f2", "F32": "f4", "F64": "f8", "U8": "u1", "I64": "i8"}[about["dtype"]]
    return np.frombuffer(data[begin:end], kind).reshape(about["shape"])


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """One to eight random bytes changed, removed or added."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        place, kind = int(rng.integers(len(changed))), rng.integers(4)
        if kind == 0:
            del changed[place]
        elif kind == 1:
            changed.insert(place, int(rng.integers(256)))
        else:
            changed[place] = int(rng.integers(256))
    return bytes(changed)


def forged(content: bytes, rng: np.random.Generator) -> bytes:
    """A copy in which one to three things were changed on purpose."""
    header, meta, data = take_apart(content)
    for _ in range(rng.integers(1, 4)):
        kind = rng.choice(["entry", "name", "description", "layer", "many", "text", "length"], p=PROBABILITIES)
        if kind == "entry":
            header = forge_entry(header, rng)
        elif kind == "name":
            name = pick(rng, sorted(header))
            header[pick(rng, [*TEXTS, *header, name.upper(), "model.0", "__metadata__"])] = header.pop(name)
        elif kind == "description":
            meta["model"] = replaced(meta["model"], rng)
        elif kind == "layer":
            layers = meta["model"].get("layers")
            if isinstance(layers, list) and layers:
                place = int(rng.integers(len(layers)))
                layers[place] = replaced(layers[place], rng) if isinstance(layers[place], dict) else {}
        elif kind == "many":
            forge_many(header, meta, rng)
        elif kind == "length":
            whole = put_together(header, meta, data)
            return (
                int(pick(rng, [0, 1, 7, len(whole), len(whole) - 8, 2**31, 2**63, 2**64 - 1])).to_bytes(8, "little")
                + whole[8:]
            )
        else:
            return forge_text(header, meta, data, rng)
    return put_together(header, meta, data)


PROBABILITIES = [0.3, 0.1, 0.15, 0.3, 0.05, 0.05, 0.05]


def forge_entry(header, rng):
    """Another type, shape or place for one array."""
    header = copy.deepcopy(header)
    about = header[pick(rng, sorted(header))]
    if not isinstance(about, dict):
        return header
    key = pick(rng, ["dtype", "shape", "data_offsets", "extra"])
    value = about.get(key)
    if isinstance(value, list) and value and rng.random() < 0.7:
        value[int(rng.integers(len(value)))] = pick(rng, NUMBERS)
    elif key == "dtype":
        about[key] = pick(rng, ["F64", "F16", "U8", "I64", "BF16", "C64", *TEXTS])
    else:
        about[key] = pick(rng, [*NUMBERS, [2**40, 0], [2**32, 2**32], [1] * 100, [0, 2**62], [-8, 0]])
    return header


def replaced(description, rng):
    """A dict in which one value is another, one key is gone, or one is new."""
    description = dict(description)
    if description and rng.random() < 0.1:
        description.pop(pick(rng, sorted(description)), None)
    else:
        description[pick(rng, [*sorted(description), "kernel", "__init__"])] = pick(rng, [*NUMBERS, *TEXTS])
    return description


def forge_many(header, meta, rng):
    """Counts that are bounded nowhere but in the reader."""
    kind = rng.integers(4)
    if kind == 0:
        meta["model"]["layers"] = [{"class": "ReLU"}] * 5000
    elif kind == 1:
        meta["model"]["class_names"] = ["x" * 1000] * 500
    elif kind == 2:
        meta["model"]["input_shape"] = [2**20] * int(rng.integers(1, 9))
    else:
        header.update({f"a{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(5000)})


def forge_text(header, meta, data, rng) -> bytes:
    """JSON that parsers disagree about, or choke on."""
    text = json.dumps({"__metadata__": {"scratchnet": json.dumps(meta), "sha256": "0" * 64}, **header})
    deep = "[" * 100_000
    return put_together(pick(rng, [
        text[:-1] + ', "0.dense.W": {}}', text[:-1] + ', "__metadata__": {}}', text[:-1] + ', "a": NaN}', deep,
        "{}", "[]", "1", '{"a":' * 50_000, text[:-1] + ',"a":' + deep, text.replace("F32", "F32\0"),
        "\ufeff" + text, text + text, "1" * 5000,
        '{"' + "a" * 900_000 + '": 1}', '{"a": [' + "[]," * 300_000 + "0]}", text.replace("0", "0.0"),
        text.replace("[", "[-"),
    ]), meta, data)  # fmt: skip


def pick(rng, values):
    """One of the values; a copy, for it may be forged in its turn."""
    return copy.deepcopy(values[int(rng.integers(len(values)))])


def main(folder: str, damages: int, forgeries: int, seed: int) -> None:
    """Load them all under watch; print how many were refused, and everything that should not have happened."""
    import resource

    import scratchnet as sn

    content, rng = (Path(folder) / "model").read_bytes(), np.random.default_rng(seed)
    original, target = sn.load_model(Path(folder) / "model", "numpy"), Path(folder) / "changed"
    events, wrong, refused, watching = [], [], 0, False

    def watch(event, arguments):
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if watching and (writes or event.startswith(FORBIDDEN)) and not harmless(event, arguments):
            events.append(f"{event} {arguments}")

    target.write_bytes(forged(content, rng))
    attempt(sn, target)  # what Python imports at a first use it imports now
    for _ in range(300):  # and the memory that it takes to make the largest files is taken now
        forged(content, rng)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.addaudithook(watch)
    for i in range(damages + forgeries):
        changed = damaged(content, rng) if i < damages else forged(content, rng)
        target.write_bytes(changed)
        watching = True
        outcome = attempt(sn, target)
        watching = False
        refused += outcome is None
        if isinstance(outcome, BaseException) or (
            outcome is not None and not faithful(outcome, original, changed, i < damages)
        ):
            kept = target.with_name(f"wrong-{i}")
            os.replace(target, kept)
            wrong.append(f"{kept.name}: {outcome!r}")
    unit = 1 if sys.platform == "darwin" else 1024
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
    print(json.dumps({"refused": refused, "wrong": wrong[:10], "events": events[:10], "grown": grown}))


def harmless(event, arguments) -> bool:
    """inspect.signature parses a constant of Python's own for a class without a constructor."""
    return event == "compile" and arguments[0] == b"def foo(): pass"


def attempt(sn, path):
    """The model, None if it was refused as it should be, or the error that should not have come."""
    try:
        return sn.load_model(path, "numpy")
    except sn.ModelFileError as error:
        return None if str(error).startswith(f"{path}: ") and len(str(error)) < 5000 else error
    except BaseException as error:
        return error


def faithful(model, original, content: bytes, must_be_equal: bool) -> bool:
    """Whether a file that was accepted gave what stands in it: the original's arrays, and a description in range."""
    same = [a.tobytes() for a in model.network.arrays("params").values()] == [
        a.tobytes() for a in original.network.arrays("params").values()
    ]
    if must_be_equal:
        return same and model.config() == original.config()
    said, mine = take_apart(content)[1]["model"], json.loads(json.dumps(model.config()))
    said_layers, made_layers = said.pop("layers"), mine.pop("layers")
    return said == mine and same_layers(said_layers, made_layers)


def same_layers(said, made) -> bool:
    """Whether these are descriptions of the same layers."""
    return len(said) == len(made) and all(
        means(value, mine.get(name, DEFAULTS.get(name)))
        for given, mine in zip(said, made, strict=True)
        for name, value in given.items()
    )


DEFAULTS = {"padding": "valid"}  # of arguments that a description need not contain


def means(said, made) -> bool:
    """A layer keeps an argument as it was given, or 3 as [3, 3] or as [[3, 3], [3, 3]]; its own layers likewise."""
    if isinstance(made, list) and made and isinstance(made[0], dict):
        return same_layers(said, made)
    pairs = [[one, one] for one in said] if isinstance(said, list) else None
    return made in (said, [said, said], [[said, said]] * 2, pairs)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
