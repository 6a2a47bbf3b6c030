"""ONNX files that were damaged or forged, and what loading them does to the process that reads them.

    python -m tests.interop.damaged_onnx FOLDER COUNT SEED

reads FOLDER/*.onnx, loads COUNT copies in which bytes, sizes, names or attributes were changed, and prints what came of
them as JSON. Whatever a load imports, starts, opens for writing or connects to is an audit event, and is reported.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np

import scratchnet as sn
from tests.forging import FORBIDDEN, damaged, harmless

NUMBERS = [-1, 0, 1, 2, 3, 7, 255, 2**16, 2**20, 2**31 - 1, 2**31, 2**40, 2**62, -(2**63)]
NAMES = ["", "images", "logits", "no such tensor", "../../etc/passwd", "\x1b[2J", "é" * 100]
OPERATORS = [
    "Conv", "Gemm", "Loop", "If", "Reshape", "Add", "Mul", "Softmax", "Flatten", "Transpose", "MaxPool", "AveragePool",
    "BatchNormalization", "Pad", "Slice", "Relu", "Erf", "Squeeze", "Concat", "Shape",
]  # fmt: skip


def forged(content: bytes, rng: np.random.Generator) -> bytes:
    """A copy in which one to three things were changed with understanding, written by the onnx package."""
    import onnx

    model = onnx.ModelProto.FromString(content)
    graph = model.graph
    for _ in range(rng.integers(1, 4)):
        node, tensor = pick(rng, graph.node), pick(rng, graph.initializer)
        kind = rng.integers(12)
        if kind == 0:
            tensor.dims[:] = [int(pick(rng, NUMBERS)) for _ in range(rng.integers(0, 6))]
        elif kind == 1:
            tensor.data_type = int(rng.integers(0, 30))
        elif kind == 2:
            tensor.data_location = 1
            tensor.external_data.add(key="location", value="secret.bin")
        elif kind == 3:
            node.op_type = pick(rng, OPERATORS)
        elif kind == 4 and node.input:
            node.input[int(rng.integers(len(node.input)))] = pick(rng, [*NAMES, *(t.name for t in graph.initializer)])
        elif kind == 5 and node.attribute:
            change_attribute(pick(rng, node.attribute), rng)
        elif kind == 6:
            sizes = graph.input[0].type.tensor_type.shape.dim
            pick(rng, sizes).dim_value = int(pick(rng, NUMBERS))
        elif kind == 7:
            graph.node.extend([node] * int(rng.integers(1, 5000)))
        elif kind == 8:
            model.opset_import[0].version = int(pick(rng, [*NUMBERS, 6, 9, 11, 13, 18, 21]))
        elif kind == 9:
            graph.node.remove(node)
        elif kind == 10:
            node.domain = pick(rng, ["evil", "ai.onnx", "com.microsoft"])
        else:
            node.attribute.add(
                name=pick(rng, ["auto_pad", "perm", "axis", "then_branch"]), i=1, type=int(rng.integers(9))
            )
    return model.SerializeToString()


def change_attribute(attribute, rng):
    """Another number, or one more, or none."""
    number = int(pick(rng, NUMBERS))
    if attribute.ints and rng.random() < 0.7:
        attribute.ints[int(rng.integers(len(attribute.ints)))] = number
    elif rng.random() < 0.5:
        attribute.ints.append(number)
    else:
        attribute.i, attribute.f = number, float(number)


def pick(rng, values):
    return values[int(rng.integers(len(values)))]


def main(folder: str, count: int, seed: int) -> None:
    """Load them all under watch; print how many were refused, and everything that should not have happened."""
    import resource

    random.seed(seed)
    rng = np.random.default_rng(seed)
    contents = [path.read_bytes() for path in sorted(Path(folder).glob("*.onnx"))]
    target, opened = Path(folder) / "changed", []
    events, wrong, refused, watching = [], [], 0, False

    def watch(event, arguments):
        if not watching:
            return
        if event == "open" and str(arguments[0]) != str(target):
            opened.append(str(arguments[0]))
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if writes or (event.startswith(FORBIDDEN) and not harmless(event, arguments)):
            events.append(f"{event} {arguments}")

    for content in contents:
        target.write_bytes(content)
        attempt(target)  # what Python imports at a first use it imports now
        for _ in range(30):  # and the memory that it takes to forge is taken now
            forged(content, rng)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.addaudithook(watch)
    for i in range(count):
        content = pick(rng, contents)
        target.write_bytes(damaged(content, rng) if i % 2 else forged(content, rng))
        watching = True
        outcome = attempt(target)
        watching = False
        refused += outcome == "refused"
        if outcome not in ("refused", "read"):
            target.rename(target.with_name(f"wrong-{i}"))
            wrong.append(f"wrong-{i}: {outcome}")
    unit = 1 if sys.platform == "darwin" else 1024
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
    print(json.dumps({"refused": refused, "wrong": wrong[:10], "events": events[:10], "opened": opened[:10],
                      "grown": grown}))  # fmt: skip


def attempt(path):
    """What came of a file: refused by our error, read as a model of finite shape, or what should not have happened."""
    try:
        model = sn.load_onnx(path, "numpy")
    except sn.ModelFileError as error:
        return "refused" if str(error).startswith(f"{path}: ") and len(str(error)) < 8000 else repr(error)
    except BaseException as error:
        return repr(error)
    held = sum(array.nbytes for array in model.get_weights())
    return "read" if held <= 4 * path.stat().st_size + 1000 else f"{held:,} bytes of a file of {path.stat().st_size:,}"


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]))
