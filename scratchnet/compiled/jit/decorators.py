"""The two decorators of the compiled engine.

`@jit` compiles a plain Python function on its first call, to code that releases the interpreter lock (`nogil`), divides
like NumPy, and is cached on disk (`cache`). `@inline` does the same for a helper: its code is inlined in every caller,
so a tile of accumulators passed to it stays in registers. With NUMBA_DISABLE_JIT=1 both leave the function as it is:
slow, and open to a debugger.
"""

import time
import types

from numba.core import event

from scratchnet.compiled.jit.cache import KernelCache, config
from scratchnet.compiled.jit.kernel import Kernel


def jit(function):
    """Compile `function` on its first call, for the types of its arguments.

    >>> @jit
    ... def add(a, b):
    ...     return a + b
    >>> add(1, 2)
    3
    """
    return function if config.DISABLE_JIT else Kernel(function)


def inline(function):
    """Like `jit`, for the helpers of kernels: their code becomes part of every kernel that calls them."""
    return function if config.DISABLE_JIT else Kernel(function, inline="always")


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


def execute(kernel, *arguments, **named) -> None:
    """Call a kernel at once. Functions that make several calls are given this, or what adds calls to a program.

    >>> execute(print, "now")
    now
    """
    kernel(*arguments, **named)
