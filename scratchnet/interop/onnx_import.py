"""load_onnx: from an ONNX file to a Sequential.

The nodes are walked in the order of the file, which is one in which every node follows what it reads. Each becomes a
value (see `onnx_values`); from the output the way back to the input is the list of layers. What cannot be expressed
does not end the walk: all problems are collected, and are one error with the place of each.

A file does not say whether its images have the channels first or last. Both are tried, and the reading with fewer
problems is taken: a convolution fits only one of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from scratchnet.interop.onnx_file import Graph, Node, read_graph
from scratchnet.interop.onnx_moves import Operation, Pending
from scratchnet.interop.onnx_operators import OPERATORS
from scratchnet.interop.onnx_values import CHANNELS_FIRST, Problem, Unknown, Value, common
from scratchnet.keywords import explained
from scratchnet.layers import Flatten
from scratchnet.layers.base import Shape
from scratchnet.layers.row import expect_size
from scratchnet.model import Sequential
from scratchnet.saving import ModelFileError, as_model_file_error
from scratchnet.saving.architecture import LAYER_LIMIT, TEXT, nothing_drawn
from scratchnet.saving.container import parse_json, shown

SHOWN = 20  # problems in an error


@explained
def load_onnx(path: str | os.PathLike[str], engine: str = "numba") -> Sequential:
    """Read an ONNX file as a Sequential, if it is a chain of layers with residual sums.

    The model gives logits: a Softmax at the end of the file is left out, because `predict` has it. Its input has the
    channels last, whatever the file's was. Raises ModelFileError for a file that is damaged, or lists everything in
    it that no layer expresses, with its place. No other file is read, and the package onnx is not needed.

    >>> save_onnx(model, "digits.onnx")
    >>> np.allclose(load_onnx("digits.onnx").predict(x), model.predict(x))
    True
    """
    graph = read_graph(path)
    with as_model_file_error(path):
        return build(graph, engine)


def build(graph: Graph, engine: str) -> Sequential:
    """A graph as a model."""
    readings = [read(graph, start) for start in starts(graph)]
    readings += [read(graph, start) for start in other_starts(readings)]
    output, problems = min(readings, key=Reading.rank)[:2]
    if problems or output is None:
        count = f"{len(problems)} part{'s' * (len(problems) > 1)}"
        listed = "".join(f"\n  {problem}" for problem in problems[:SHOWN])
        more = f"\n  and {len(problems) - SHOWN} more" if problems[SHOWN:] else ""
        raise ModelFileError(f"{count} of this model cannot be expressed as layers in a row:{listed}{more}")
    values = output.ancestors()[::-1][1:]  # without the input
    if not 1 <= len(values) <= LAYER_LIMIT:
        raise ModelFileError(f"it computes nothing, or more than {LAYER_LIMIT:,} layers can")
    layers = [value.layer for value in values if value.layer is not None]
    with nothing_drawn(layers):
        model = Sequential(
            layers, output.ancestors()[-1].shape, engine=engine, dtype=dtype_of(values),
            class_names=class_names(graph.metadata, output.shape[-1]),
        )  # fmt: skip
    fill(values)
    return model


def fill(values: Iterable[Value]) -> None:
    """Copy the arrays of the file into the layers, which are built now and have the shapes that were compared."""
    for value in values:
        fill(value.branches)
        for name, array in value.arrays.items():
            getattr(value.layer, name)[...] = array


def dtype_of(values: Iterable[Value]) -> str:
    """float64 if an array is, else float32 (float16 has fewer digits and fits into it)."""
    arrays = [array for value in values for array in value.arrays.values()]
    inner = [dtype_of(value.branches) for value in values if value.branches]
    return "float64" if "float64" in inner or any(array.dtype == np.float64 for array in arrays) else "float32"


def class_names(metadata: dict[str, str], classes: int) -> list[str] | None:
    """The names that save_onnx wrote, if they fit."""
    if "class_names" not in metadata:
        return None
    names = parse_json(metadata["class_names"])
    return names if isinstance(names, list) and len(names) == classes and all(map(TEXT.holds, names)) else None


# reading


def starts(graph: Graph) -> list[Value]:
    """The input as a value, with the channels last or first; images that come as rows of numbers too."""
    if len(graph.inputs) != 1:
        names = ", ".join(shown(given.name) for given in graph.inputs)
        raise ModelFileError(f"{len(graph.inputs)} inputs ({names:.200}); a Sequential has one")
    sizes = graph.inputs[0].shape[1:]
    if not 1 <= len(sizes) <= 7 or None in sizes:
        if not sizes:
            raise ModelFileError("an input of shape (n,): an example needs at least one axis")
        words = ", ".join("?" if size is None else str(size) for size in sizes)
        raise ModelFileError(f"an input of shape (n, {words}); every size but the first must be fixed")
    fixed = tuple(size for size in sizes if size is not None)
    expect_size(fixed)
    found = [shape_as_it_is(fixed)] + [Value(fixed)] * (len(fixed) == 2)
    if len(fixed) == 3:
        found.append(channels_first(fixed))
        if fixed[0] in (1, 3) and fixed[2] > 4:
            found.reverse()
    return found


def other_starts(readings: list[Reading]) -> list[Value]:
    """Images that come as rows of numbers, (784,) or (28, 28): the shape into which the first nodes turn them."""
    dims = readings[0].start.dims
    targets = {target for reading in readings if reading.problems for target in reading.targets}
    found = []
    for a, b, c in sorted(targets)[:4]:
        found += [Value((a, b, c), dims=dims), Value((b, c, a), CHANNELS_FIRST, dims)]
    return found


def shape_as_it_is(shape: Shape) -> Value:
    """An input whose axes stay; images without a channel axis get one."""
    return Value((*shape, 1) if len(shape) == 2 else shape, dims=shape)


def channels_first(shape: Shape) -> Value:
    """An input (c, h, w) as (h, w, c)."""
    c, h, w = shape
    return Value((h, w, c), CHANNELS_FIRST, shape)


class Reading(NamedTuple):
    """What came of a walk. targets: the shapes into which the input itself is turned."""

    output: Value | None
    problems: list[str]
    targets: set[Shape]
    start: Value

    def rank(self) -> tuple[int, int]:
        """Fewer is better: all problems, and those that only another arrangement of the input may solve."""
        return len(self.problems), sum("channels first are needed" in problem for problem in self.problems)


def read(graph: Graph, start: Value) -> Reading:
    """Walk the nodes from this input."""
    given = graph.inputs[0]
    reading = Reading(None, list(graph.problems), set(), start)
    batch = given.shape[0] if given.shape else None
    computed, limit = 0, (1 << 20) + 2 * sum(array.nbytes for array in graph.constants.values())
    found: dict[str, Any] = {**graph.constants, given.name: start, "": None}
    for node in graph.nodes:
        try:
            result = convert(node, found, graph.opset, batch)
        except Unknown as unknown:
            result = unknown
        except (Problem, ValueError, OverflowError) as problem:  # ValueError: a layer refuses its arguments
            reading.problems.append(f"{node.place}: {problem}")
            result = Unknown()
        if isinstance(result, np.ndarray) and (computed := computed + result.nbytes) > limit:
            raise ModelFileError(f"{node.place}: arrays computed from constants have more than {limit:,} bytes")
        if isinstance(result, Value) and result.parent is None and len(result.dims) == 3:
            reading.targets.add(result.dims)
        for i, name in enumerate(node.outputs):
            if name in found and name:
                raise ModelFileError(f"{node.place}: the tensor {shown(name)} is written twice")
            if name:
                found[name] = result if i == 0 else Unknown()
    try:
        return reading._replace(output=the_output(graph.outputs, found))
    except Unknown:
        return reading
    except Problem as problem:
        reading.problems.append(str(problem))
        return reading


def convert(node: Node, found: dict[str, Any], opset: int, batch: int | None) -> Any:
    """What a node's first output is: a Value, or an array that does not depend on the input."""
    if node.operator not in OPERATORS:
        raise Problem("no layer computes it")
    for name in node.inputs:
        if name not in found:
            raise Problem(f"reads {shown(name)}, which no node before it writes")
    return OPERATORS[node.operator](Operation(node, [found[name] for name in node.inputs], opset, batch))


def the_output(names: list[str], found: dict[str, Any]) -> Value:
    """The value of the output, without a Softmax behind the logits."""
    values = [found.get(name) for name in names]
    for value in values:
        if isinstance(value, Unknown):
            raise value
    if not values or not all(isinstance(value, Value) for value in values):
        raise Problem(f"an output ({', '.join(map(shown, names)):.100}) does not depend on the input")
    ends = [value for value in values if isinstance(value, Value)]
    shortest = min(ends, key=lambda value: len(value.ancestors()))
    for value in ends:
        steps = [step for step in value.since(common(value, shortest)) if not isinstance(step.layer, Flatten)]
        if not all(map(normalises, steps)):
            raise Problem(f"{len(ends)} outputs ({', '.join(map(shown, names)):.100}); a Sequential has one")
    logits = shortest.parent  # unless the shortest is the logits itself, beside their softmax
    if normalises(shortest) and logits and logits.layer and all(value.key == shortest.key for value in ends):
        shortest = logits.like(shortest)
    for step in shortest.ancestors():
        if isinstance(step.layer, Pending):
            raise Problem(f"{type(step.layer).__name__}: no layer computes it by itself")
    shortest = shortest.flat if len(shortest.dims) == 1 else shortest
    return shortest if shortest.straight else shortest.images  # the model gives images with the channels last


def normalises(value: Value) -> bool:
    """Whether it is the output of a softmax, which `predict` computes."""
    return type(value.layer).__name__ in ("Softmax", "LogSoftmax")
