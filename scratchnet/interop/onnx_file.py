"""From the bytes of an ONNX file to a graph of plain data.

    ModelProto     ir_version 1, graph 7, opset_import 8, metadata_props 14, functions 25
    GraphProto     node 1, initializer 5, input 11, output 12, sparse_initializer 15
    NodeProto      input 1, output 2, name 3, op_type 4, attribute 5, domain 7
    AttributeProto name 1, f 2, i 3, s 4, t 5, floats 7, ints 8, type 20
    TensorProto    dims 1, data_type 2, float_data 4, int32_data 5, int64_data 7, name 8, raw_data 9, double_data 10,
                   external_data 13, data_location 14

The numbers are those of onnx.proto (github.com/onnx/onnx). The format can do more than hold a model: a tensor may name
another file that holds its numbers, and a node may hold a graph of its own. Both are refused. A tensor's bytes are
compared with its shape before an array is made, and nothing is imported, opened or run.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scratchnet.interop.protobuf import Message, as_text
from scratchnet.saving import ModelFileError, as_model_file_error
from scratchnet.saving.container import shown
from scratchnet.saving.file_kinds import HEAD, kind_of

FILE_LIMIT = 1 << 31  # what protobuf allows
NODE_LIMIT = 4096
SIZE_LIMIT = 1 << 48
OPSETS = (6, 28)  # the oldest and the newest version of the operators that is understood
DOMAINS = ("", "ai.onnx")

# data_type -> the type of raw_data, and the field that may hold the numbers instead
TENSORS = {
    1: ("<f4", 4), 2: ("u1", 5), 3: ("i1", 5), 6: ("<i4", 5), 7: ("<i8", 7), 9: ("?", 5),
    10: ("<f2", 5), 11: ("<f8", 10),
}  # fmt: skip
FLOAT, INT, STRING, TENSOR, FLOATS, INTS = 1, 2, 3, 4, 6, 7  # types of an attribute


class Node(NamedTuple):
    """One operation: what it is called, what it reads and writes."""

    number: int
    operator: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    @property
    def place(self) -> str:
        """How errors call it."""
        return f"node {self.number} ({shown(self.operator)[1:-1]}{f' {shown(self.name)}' if self.name else ''})"


class Input(NamedTuple):
    """A tensor that the caller passes. shape: None for a size that is not fixed."""

    name: str
    dtype: int
    shape: tuple[int | None, ...]


class Graph(NamedTuple):
    """A model as it stands in the file. problems: what makes it impossible to read as a chain of layers."""

    opset: int
    nodes: list[Node]
    constants: dict[str, np.ndarray]
    inputs: list[Input]
    outputs: list[str]
    metadata: dict[str, str]
    problems: list[str]


def read_graph(path: str | os.PathLike[str]) -> Graph:
    """The graph in an ONNX file, or ModelFileError (FileNotFoundError if there is no file)."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such ONNX file")
    with as_model_file_error(path), open(path, "rb") as file:
        kind = kind_of(file.read(HEAD))
        size = os.fstat(file.fileno()).st_size
        if size > FILE_LIMIT:
            raise ModelFileError(f"{size:,} bytes are more than an ONNX file may have, {FILE_LIMIT:,}")
        if kind and "ONNX" not in kind:
            raise ModelFileError(f"not an ONNX file, but {kind}")
        file.seek(0)
        return parse_model(file.read())


def parse_model(data: memoryview | bytes) -> Graph:
    """The graph in the bytes of a ModelProto."""
    model = Message(memoryview(data))
    if 7 not in model or 8 not in model:
        raise ModelFileError("not an ONNX file, or cut off: it has no graph, or no version of its operators")
    opset = version([(entry.text(1), entry.integer(2)) for entry in model.messages(8)])
    graph = model.message(7)
    if (count := len(graph.slices(1))) > NODE_LIMIT:
        raise ModelFileError(f"{count:,} nodes, where {NODE_LIMIT:,} are allowed")
    problems = ["it defines functions of its own"] if 25 in model else []
    problems += ["it has sparse initializers"] if 15 in graph else []
    constants = {}
    for message in graph.messages(5):
        name = message.text(8)
        if name in constants:
            raise ModelFileError(f"two initializers have the name {shown(name)}")
        constants[name] = tensor(message, f"initializer {shown(name)}")
    inputs = [value_info(message) for message in graph.messages(11)]
    return Graph(
        opset, [node(message, index) for index, message in enumerate(graph.messages(1))], constants,
        [given for given in inputs if given.name not in constants],  # older files list initializers as inputs too
        [message.text(1) for message in graph.messages(12)],
        {entry.text(1): entry.text(2) for entry in model.messages(14)}, problems,
    )  # fmt: skip


def version(opsets: Sequence[tuple[str, int]]) -> int:
    """The version of ONNX's own operators; those of other domains may be named and are refused where a node has one."""
    own = [number for domain, number in opsets if domain in DOMAINS]
    oldest, newest = OPSETS
    if len(own) != 1 or not oldest <= own[0] <= newest:
        raise ModelFileError(
            f"operators of version {shown(own)[1:-1] or 'none'}; versions {oldest} to {newest} are read"
        )
    return own[0]


def node(message: Message, index: int) -> Node:
    """One NodeProto. An operator of another domain keeps its domain in its name, and so is in no table."""
    domain, operator = message.text(7), message.text(4)
    attributes = {}
    for entry in message.messages(5):
        name = entry.text(1)
        if name in attributes:
            raise ModelFileError(f"node {index}: attribute {shown(name)} stands twice")
        attributes[name] = attribute(entry, f"node {index}, attribute {shown(name)}")
    operator = operator if domain in DOMAINS else f"{domain}.{operator}"
    return Node(index, operator, message.text(3), message.texts(1), message.texts(2), attributes)


def attribute(message: Message, where: str) -> Any:
    """One AttributeProto's value: a number, a text, numbers, a tensor; None for what no operator here has."""
    kind = message.integer(20)
    if kind == FLOAT:
        numbers = message.floats(2)
        return float(numbers[-1]) if len(numbers) else 0.0
    if kind == INT:
        return message.integer(3)
    if kind == STRING:
        return as_text(message.slice(4))
    if kind == TENSOR:
        return tensor(message.message(5), where)
    if kind == FLOATS:
        return message.floats(7).tolist()
    if kind == INTS:
        return message.integers(8).tolist()
    return None


def tensor(message: Message, where: str) -> np.ndarray:
    """One TensorProto as an array of its own dtype, read-only where it can stay in the file's bytes."""
    if 13 in message or message.integer(14):
        raise ModelFileError(
            f"{where}: its numbers are in another file, and no other file is read. Save the model with its data inside."
        )
    shape, kind = message.integers(1).tolist(), message.integer(2)
    if kind not in TENSORS:
        raise ModelFileError(f"{where}: its data type {kind} is not one of {', '.join(map(str, TENSORS))}")
    if len(shape) > 8 or not all(0 <= size < SIZE_LIMIT for size in shape):
        raise ModelFileError(f"{where}: an impossible shape, {shown(shape)}")
    dtype, field = np.dtype(TENSORS[kind][0]), TENSORS[kind][1]
    if 9 in message:
        flat = raw(message.slice(9), dtype, math.prod(shape), where)
    elif field in (4, 10):
        flat = message.floats(field, dtype.str)
    else:
        numbers = message.integers(field)
        flat = numbers.astype(np.uint16).view(dtype) if dtype == np.float16 else numbers.astype(dtype)
    if len(flat) != math.prod(shape):
        raise ModelFileError(f"{where}: {len(flat):,} numbers for the shape {shape}")
    return flat.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def raw(data: memoryview, dtype: np.dtype, count: int, where: str) -> np.ndarray:
    """raw_data as an array, if it has the bytes that the shape needs."""
    if len(data) != count * dtype.itemsize:
        raise ModelFileError(f"{where}: {len(data):,} bytes for {count:,} numbers of {dtype.itemsize} bytes")
    return np.frombuffer(data, dtype) if count else np.empty(0, dtype)


def value_info(message: Message) -> Input:
    """A ValueInfoProto: name 1, type 2 -> tensor_type 1 -> elem_type 1, shape 2 -> dim 1 -> dim_value 1."""
    about = message.message(2).message(1)
    sizes = [dim.integer(1, -1) if 1 in dim else None for dim in about.message(2).messages(1)]
    return Input(message.text(1), about.integer(1), tuple(size if size is None or size > 0 else None for size in sizes))
