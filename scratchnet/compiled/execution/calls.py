"""Kernel calls as data, and the functions of Python that stand between them.

Compiled layers do not run kernels, they emit calls: `ctx.call(matmul, x, panels, y, relu=True, ...)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from scratchnet.compiled.execution.native import replay
from scratchnet.compiled.jit.kernel import Kernel
from scratchnet.compiled.jit.parallel import compile_versions


@dataclass(frozen=True)
class Call:
    """A kernel and its arguments, by position. from_python: whether Python makes the call, and not a program."""

    kernel: Any
    arguments: tuple[Any, ...]
    from_python: bool = False

    @classmethod
    def of(cls, kernel, arguments: tuple[Any, ...], named: dict[str, Any]) -> Call:
        """The call kernel(*arguments, **named)."""
        return cls(kernel, (*arguments, *(named[name] for name in parameters(kernel)[len(arguments) :])))

    @cached_property
    def kinds(self) -> tuple[Any, ...]:
        """Numba's types of the arguments, for which the kernel is compiled."""
        return tuple(map(self.kernel.typeof_pyval, self.arguments))

    @property
    def version(self) -> tuple[Any, tuple[Any, ...]]:
        """What must be compiled: the kernel or its internal version, and the types of the arguments."""
        return self.kernel if self.from_python else self.kernel.internal, self.kinds

    def run(self, chunk=None) -> None:
        """Call the kernel from Python."""
        self.kernel(*self.arguments)


@dataclass(frozen=True)
class PythonCall:
    """A function of the current chunk (`scratchnet.team.Chunk`), and its description."""

    function: Callable[[Any], None]
    text: str

    def run(self, chunk=None) -> None:
        """Call the function."""
        self.function(chunk)


Calls = list[Call | PythonCall]


def caller(calls: Calls):
    """A function that adds calls to a list."""
    return lambda kernel, *arguments, **named: calls.append(Call.of(kernel, arguments, named))


def compile_calls(calls: Calls) -> None:
    """Compile the kernels of these calls that are missing."""
    if isinstance(replay, Kernel):
        compile_versions([call.version for call in calls if isinstance(call, Call)])


@cache
def parameters(kernel) -> tuple[str, ...]:
    """The names of a kernel's parameters."""
    return tuple(inspect.signature(getattr(kernel, "py_func", kernel)).parameters)
