"""A kernel: a function compiled by Numba, without the steps that kernels do not need.

 * A call from Python needs a wrapper that takes its arguments out of Python's objects. Programs and other kernels call
   machine code directly. So every kernel has a second version without the wrapper, `internal`, for their calls.
 * Numba optimises a function alone, then roughly together with the functions it calls, then thoroughly. The last alone
   makes kernels that are as fast; the second serves reference counting, which they do not have.
 * Python's garbage collector finds little while Numba compiles.

All kernels of vgg-bn, compiled by one process (AMD EPYC with AVX2): 12.4 to 12.8 s; with the wrappers 13.8, with all of
Numba's optimisation as well 15.6; with the garbage collector alone 14.4 to 14.9.
"""

from __future__ import annotations

import gc
from functools import cached_property
from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.core.types import unliteral

from scratchnet.compiled.jit.cache import BOUNDS_CHECKED, KernelCache

# The compiler may fuse a*b + c into one instruction; it may not reorder sums, nor assume that there is no NaN.
# No C callback wrapper and no reference counting (`_nrt`): kernels need neither, and they are a quarter of the code.
OPTIONS: dict[str, Any] = {
    "nopython": True, "nogil": True, "error_model": "numpy", "boundscheck": BOUNDS_CHECKED, "fastmath": {"contract"},
    "no_cfunc_wrapper": True, "_nrt": False,
}  # fmt: skip


class Library(JITCodeLibrary):
    """The code of one kernel and of the kernels that it calls. LLVM optimises it once, when it is complete."""

    def _optimize_functions(self, module):
        """Not each function alone."""
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self):
        """All of them together."""
        passes, options = self._codegen._module_pass_manager()
        passes.run(self._final_module, options)


class Pipeline(Compiler):
    """Numba's compiler; the machine code is made by a `Library`."""

    def compile_extra(self, function):
        self.state.library = Library(self.state.targetctx.codegen(), function.__qualname__)
        self.state.library.enable_object_caching()
        return super().compile_extra(function)


class Kernel(CPUDispatcher):
    """A function compiled for each type of its arguments; its code is cached on disk."""

    def __init__(self, function, **options):
        super().__init__(function, targetoptions=OPTIONS | options, pipeline_class=Pipeline)
        if function.__closure__ is None:
            self._cache = KernelCache(function, options)

    @cached_property
    def internal(self) -> Any:
        """The version for calls by compiled code."""
        return InternalKernel(self)

    def compile(self, signature):
        """Without the garbage collector."""
        collects = gc.isenabled()
        gc.disable()
        try:
            return super().compile(signature)
        finally:
            if collects:
                gc.enable()

    def get_call_template(self, arguments, named):
        """For a call by another kernel: the type of 16 is int64. Numba would compile a variant for the literal."""
        return CPUDispatcher.get_call_template(self.internal, tuple(map(unliteral, arguments)), named)

    def get_overload(self, signature):
        """For a call by another kernel: the code for these types."""
        return CPUDispatcher.get_overload(self.internal, signature)


class InternalKernel(Kernel):
    """A kernel without the wrapper for calls from Python."""

    def __init__(self, kernel: Kernel):
        super().__init__(kernel.py_func, no_cpython_wrapper=True)
        self.kernel = kernel

    def __call__(self, *arguments, **named):
        raise TypeError(f"{self.kernel} was compiled for calls by compiled code; call the kernel itself")
