"""A program as text: what `print(program)` shows.

Arrays have the names of the layers that they belong to, and a slice of a larger array is shown as one. Of tasks that
differ in their buffers only, the first is shown.
"""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import Any

import numpy as np

from scratchnet.compiled.execution.calls import Call, PythonCall, parameters

WIDTH = 120  # characters in a line of a printed program
ROOMS = ("kernels", "layers", "training")


def program_text(title: str, phases: list[Any], names: Names) -> str:
    """All calls of all phases, each in a line; of tasks that differ in their buffers only, the first."""
    lines = [title]
    for number, phase in enumerate(phases, 1):
        lines.append(f"phase {number}: {phase.title}")
        kinds = groupby((task[0] for task in phase.tasks), key=lambda calls: tuple(map(kernel_name, calls)))
        for _, alike in kinds:
            calls, *others = alike
            lines.append(f"  task{f', and {len(others)} more like it' * bool(others)}")
            for _, same in groupby(calls, key=kernel_name):
                call, *repeated = same
                text = names.text(call) + f"  and {len(repeated)} more" * bool(repeated)
                lines += textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="        ")
    return "\n".join(lines)


class Names:
    """What to call the arrays of a program when it is printed."""

    def __init__(self):
        self.known: list[tuple[str, np.ndarray]] = []

    def add(self, name: str, value: Any) -> None:
        """Name an array, or all arrays in a tuple, dict or workspace: 1.conv2d.y, 1.conv2d.forward.scratch, ..."""
        if isinstance(value, np.ndarray):
            self.known.append((name, value))
        elif isinstance(value, dict):
            for key, item in value.items():
                self.add(f"{name}.{key}" if name else key, item)
        elif isinstance(value, tuple):
            keys = getattr(value, "_fields", range(len(value)))
            for key, item in zip(keys, value, strict=True):
                self.add(f"{name}.{key}", item)
        elif hasattr(value, "named_arrays"):
            self.add(name, value.named_arrays())

    def text(self, call: Call | PythonCall) -> str:
        """A call in one line: gemm.matmul(a=..., panels=..., c=..., relu=True)."""
        if isinstance(call, PythonCall):
            return f"Python: {call.text}"
        named = zip(parameters(call.kernel), call.arguments, strict=True)
        return f"{kernel_name(call)}({', '.join(f'{name}={self.value(value)}' for name, value in named)})"

    def value(self, value: Any) -> str:
        """An argument: the name of an array, with the slice that it is of a larger one; a number; a tuple."""
        if isinstance(value, np.ndarray):
            return self.array(value)
        if isinstance(value, tuple):
            if len(value) > 3 and all(isinstance(item, int | np.integer) for item in value):
                return f"({value[0]}, {value[1]}, ... {value[-1]})"
            return f"({', '.join(map(self.value, value))})"
        return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)

    def array(self, array: np.ndarray) -> str:
        """The name of the array that holds this one."""
        address = array.ctypes.data
        for name, known in self.known:
            start = address - known.ctypes.data
            if 0 <= start and start + array.nbytes <= known.nbytes and (array.nbytes or not known.nbytes):
                first = start // known.itemsize
                return name if array.size == known.size else f"{name}[{first}:{first + array.size}]"
        return f"{array.dtype}{list(array.shape)}"


def kernel_name(call: Call | PythonCall) -> str:
    """gemm.matmul, conv.convolve: the function, after its module or, if that has several, its package."""
    if isinstance(call, PythonCall):
        return call.text
    function = getattr(call.kernel, "py_func", call.kernel)
    *_, package, module = function.__module__.split(".")
    return f"{module if package in ROOMS else package}.{function.__name__}"
