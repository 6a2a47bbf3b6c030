"""A tape: calls of kernels, noted once and played again without Python.

A training step calls the same kernels with the same arrays as the one before it; only the numbers in the arrays are
others. Python's part of it, some thirty calls for each chunk, looks small beside the kernels. But two threads that
take turns at Python's lock wake each other up for it, 25 µs each time (AMD Zen 4, Linux), and a batch of 32 is done
in some fifteen hundred. So the step is gone through once with the tape running: every kernel that is called from Python
is noted with its arguments, as the machine sees them,

    address of the code | result | argument | argument | ...            a row of 64-bit cells

and `play` goes through the rows. It is compiled code itself and holds no lock.

What is not a kernel leaves no trace on the tape, so whoever records must know that between these kernels nothing else
happens to the numbers; that the arrays stay where they are, the tape sees to by keeping them alive.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.callconv import RETCODE_NONE, RETCODE_OK
from numba.core.cgutils import get_or_insert_function
from numba.core.compiler_lock import global_compiler_lock

from scratchnet.compiled.jit import jit, listener
from scratchnet.compiled.registers import gives, word
from scratchnet.compiled.target import BOUNDS_CHECKED

CELL = ir.IntType(64)
CALL = ir.FunctionType(ir.VoidType(), [CELL.as_pointer()])


class Tape:
    """Calls of kernels in their order.

    >>> from scratchnet.compiled.rescale import scale
    >>> x, y, tape = np.ones(3, np.uint8), np.empty(3, np.float32), Tape()
    >>> with tape.recording():
    ...     scale(x, np.float32(2), np.float32(1), y)
    >>> x[:] = 2
    >>> play(tape.calls(), 0, len(tape))
    >>> y
    array([5., 5., 5.], dtype=float32)
    """

    def __init__(self):
        self.rows: list[np.ndarray] = []
        self.kinds: list[ir.FunctionType] = []  # what the code of each row is, to LLVM
        self.kept: list[Any] = []  # arrays and code that the rows point to

    def __len__(self) -> int:
        return len(self.rows)

    @contextmanager
    def recording(self):
        """Note the kernels that this thread calls meanwhile, instead of doing what they do."""
        with listening(self.note):
            yield

    def note(self, kernel, arguments) -> None:
        """Note one call."""
        signature = tuple(map(kernel.typeof_pyval, arguments))
        kernel.compile(signature)
        code = kernel.overloads[signature]
        address = code.library.get_pointer_to_function(code.fndesc.llvm_func_name)
        cells = [0, address, 0, *(c for k, a in zip(signature, arguments, strict=True) for c in as_cells(k, a))]
        self.rows.append(np.array(cells, np.uint64))
        self.kinds.append(code.target_context.call_conv.get_function_type(code.fndesc.restype, code.fndesc.argtypes))
        self.kept.append((arguments, code.library))

    def calls(self) -> np.ndarray:
        """The addresses of the rows, ready to be played."""
        for row, caller in zip(self.rows, callers_of(self.kinds), strict=True):
            row[0] = caller
        return np.array([row.ctypes.data for row in self.rows], np.int64)


@contextmanager
def listening(note):
    """Let kernels that this thread calls be noted; None: let them do their work."""
    before = getattr(listener, "note", None)
    listener.note = note
    try:
        yield
    finally:
        listener.note = before


@gives(lambda row: types.none)
def _call(emit, kinds, row):
    """Jump to the address in the first cell, with that of the row."""
    pointer = emit.build.inttoptr(row, CELL.as_pointer())
    code = emit.build.inttoptr(emit.build.load(pointer), CALL.as_pointer())
    emit.build.call(code, [pointer])


@word(_call)
def call(row):
    """Do what the row at this address says. There is no way to say this in NumPy."""
    raise NotImplementedError("a tape is played by compiled code only")


@jit
def play(calls, start, stop):
    """Make the calls start .. stop."""
    for i in range(start, stop):
        call(calls[i])


def as_cells(kind: Any, value) -> list[int]:
    """A value as Numba hands it to compiled code: an array is seven cells or more, a number is one.

    >>> as_cells(types.float32, 1.0) == [0x3F800000]
    True
    """
    if isinstance(kind, types.Array):  # (owner, owner's object, how many, how large, where, shape, strides)
        return [0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides]
    if isinstance(value, tuple):
        return [cell for k, v in zip(kind, value, strict=True) for cell in as_cells(k, v)]
    if isinstance(kind, types.Float):
        return [*struct.unpack("<Q", struct.pack("<f4x" if kind == types.float32 else "<d", value))]
    if isinstance(kind, (types.Integer, types.Boolean)):
        return [int(value) % 2**64]
    raise TypeError(f"a tape cannot note an argument of type {kind}")


callers: dict[str, int] = {}  # kind of code -> address of the function that calls it
kept: list[Any] = []  # the libraries these live in


def callers_of(kinds: list[ir.FunctionType]) -> list[int]:
    """Addresses of functions that call code of these kinds with the cells of a row."""
    names = [str(kind) for kind in kinds]
    with global_compiler_lock:
        new = {name: kind for name, kind in zip(names, kinds, strict=True) if name not in callers}
        if new:
            callers.update(zip(new, make_callers(list(new.values())), strict=True))
    return [callers[name] for name in names]


def make_callers(kinds: list[ir.FunctionType]) -> list[int]:
    """All in one module: 20 of them are compiled in 0.04 s, each in its own in 0.17 s."""
    codegen, first = play.targetctx.codegen(), len(callers)
    library = codegen.create_library(f"scratchnet_calls_{first}")
    module = codegen._create_empty_module(library.name)
    functions = [ir.Function(module, CALL, f"scratchnet_call_{first + i}") for i in range(len(kinds))]
    for function, kind in zip(functions, kinds, strict=True):
        define_caller(function, kind)
    library.add_ir_module(module)
    library.finalize()
    kept.append(library)
    return [library.get_pointer_to_function(function.name) for function in functions]


def define_caller(function: ir.Function, kind: ir.FunctionType) -> None:
    """The code: take the arguments out of their cells, call. Its result, if any, is put into cell 2."""
    build = ir.IRBuilder(function.append_basic_block())

    def cell(i, llvm):
        return build.bitcast(build.gep(function.args[0], [CELL(i)]), llvm.as_pointer())

    result, error = cell(2, kind.args[0].pointee), build.alloca(kind.args[1].pointee)
    arguments = [build.load(cell(3 + i, llvm)) for i, llvm in enumerate(kind.args[2:])]
    status = build.call(build.load(cell(1, kind.as_pointer())), [result, error, *arguments])
    if BOUNDS_CHECKED:  # nobody could catch an IndexError here
        done = [build.icmp_signed("==", status, code) for code in (RETCODE_OK, RETCODE_NONE)]
        with build.if_then(build.not_(build.or_(*done))):
            build.call(get_or_insert_function(build.module, ir.FunctionType(ir.VoidType(), []), "llvm.trap"), [])
    build.ret_void()
