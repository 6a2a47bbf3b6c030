"""The two decorators of the compiled engine.

`@jit` compiles a plain Python function on its first call, to code that releases the interpreter lock (`nogil`), divides
like NumPy, and is cached on disk (`cache`). `@inline` does the same for a helper: its code is inlined in every caller,
so a tile of accumulators passed to it stays in registers. With NUMBA_DISABLE_JIT=1 both leave the function as it is:
slow, and open to a debugger.
"""

import gc
import time
import types
from typing import Any

from numba.core import event
from numba.core.registry import CPUDispatcher
from numba.core.types import unliteral

from scratchnet.compiled.jit.cache import BOUNDS_CHECKED, KernelCache, config

# The compiler may fuse a*b + c into one instruction; it may not reorder sums, nor assume that there is no NaN.
# No C callback wrapper and no reference counting (`_nrt`): kernels need neither, and they are a quarter of the code.
OPTIONS: dict[str, Any] = {
    "nopython": True, "nogil": True, "error_model": "numpy", "boundscheck": BOUNDS_CHECKED, "fastmath": {"contract"},
    "no_cfunc_wrapper": True, "_nrt": False,
}  # fmt: skip


def jit(function):
    """Compile `function` on its first call, for the types of its arguments.

    >>> @jit
    ... def add(a, b):
    ...     return a + b
    >>> add(1, 2)
    3
    """
    return function if config.DISABLE_JIT else cached(Kernel(function, targetoptions=dict(OPTIONS)))


def inline(function):
    """Like `jit`, for the helpers of kernels: their code becomes part of every kernel that calls them."""
    return function if config.DISABLE_JIT else cached(Kernel(function, targetoptions={**OPTIONS, "inline": "always"}))


class Kernel(CPUDispatcher):
    """A compiled function: Numba's dispatcher, with two changes to how it compiles."""

    def compile(self, signature):
        """Without the garbage collector, which takes a tenth of the compile time and finds little."""
        collects = gc.isenabled()
        gc.disable()
        try:
            return super().compile(signature)
        finally:
            if collects:
                gc.enable()

    def get_call_template(self, arguments, named):
        """For a call by another kernel: the type of 16 is int64. Numba would compile a variant for the literal."""
        return super().get_call_template(tuple(map(unliteral, arguments)), named)


def readable(kernel):
    """The kernel as the plain Python it was written in, its helpers too: slow, and open to a debugger.

    >>> readable(jit(lambda a: a + 1))(2)
    3
    """
    function = getattr(kernel, "py_func", kernel)
    helpers = {
        name: readable(value)
        for name in function.__code__.co_names
        if hasattr(value := function.__globals__.get(name), "py_func")
    }
    return types.FunctionType(
        function.__code__,
        function.__globals__ | helpers,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


class Stopwatch(event.Listener):
    """Seconds spent compiling kernels in this process, and how many; kernels found in the cache cost nothing here.

    `announce`, when set, is called once with no arguments as the first compilation begins.
    """

    def __init__(self):
        self.seconds, self.kernels, self.announce, self._depth = 0.0, 0, None, 0

    def on_start(self, event):
        if not isinstance(getattr(event.data["dispatcher"], "_cache", None), KernelCache):
            return  # a function of another library
        if self._depth == 0:
            self._started = time.perf_counter()
            if self.announce and not self.kernels:
                self.announce()
        self._depth += 1  # a kernel compiles its helpers on the way

    def on_end(self, event):
        if not isinstance(getattr(event.data["dispatcher"], "_cache", None), KernelCache):
            return
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._started
            self.kernels += 1


compiling = Stopwatch()
event.register("numba:compile", compiling)  # Numba's compiler lock keeps these events in order


def cached(kernel):
    """Replace Numba's cache of this dispatcher by ours. If a later Numba has no such attribute: no cache."""
    if hasattr(kernel, "_cache") and kernel.py_func.__closure__ is None:
        kernel._cache = KernelCache(kernel.py_func)
    return kernel


def execute(kernel, *arguments, **named) -> None:
    """Call a kernel at once. Functions that make several calls are given this, or what adds calls to a program.

    >>> execute(print, "now")
    now
    """
    kernel(*arguments, **named)
