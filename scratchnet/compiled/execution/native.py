"""Kernel calls as data that compiled code executes: captured once, replayed without Python.

Python's part of a training step, some thirty calls for each chunk, looks small beside the kernels. But two threads that
take turns at the interpreter lock wake each other up for it, 25 µs each time (AMD Zen 4, Linux), and a batch of 32 is
done in some fifteen hundred. So every call is encoded once, as the machine will see it, in a row of 64-bit slots:

    address of the trampoline | address of the kernel | result | argument | argument | ...

`replay` walks the rows. A trampoline is a small function, compiled for one kernel signature, that loads the arguments
from their slots and calls the kernel. The arrays must stay where they are; the code object keeps them alive.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.callconv import RETCODE_NONE, RETCODE_OK
from numba.core.cgutils import get_or_insert_function
from numba.core.compiler_lock import global_compiler_lock

from scratchnet.compiled.jit.cache import BOUNDS_CHECKED
from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.simd.vector_types import intrinsic, returns

SLOT = ir.IntType(64)
TRAMPOLINE = ir.FunctionType(ir.VoidType(), [SLOT.as_pointer()])


@dataclass(eq=False)
class MachineCode:
    """A kernel compiled for arguments of some types.

    In the signature pointers are 64-bit integers, which are passed in the same way: so fewer trampolines are needed.
    """

    address: int
    signature: ir.FunctionType  # where the result belongs, where an error belongs, arguments -> whether all went well
    library: Any  # the code lives as long as it


@cache
def machine_code(kernel, kinds: tuple[Any, ...]) -> MachineCode:
    """The kernel for arguments of these types, compiled if it is not yet; a program asks again for every chunk."""
    kernel.internal.compile(kinds)
    code = kernel.internal.overloads[kinds]
    address = code.library.get_pointer_to_function(code.fndesc.llvm_func_name)
    kind = code.target_context.call_conv.get_function_type(code.fndesc.restype, code.fndesc.argtypes)
    arguments = [SLOT if isinstance(argument, ir.PointerType) else argument for argument in kind.args]
    return MachineCode(address, ir.FunctionType(kind.return_type, arguments), code.library)


class NativeCode:
    """Encoded kernel calls, in order.

    >>> from scratchnet.compiled.execution.calls import Call
    >>> from scratchnet.compiled.layers.rescale import scale
    >>> x, y, code = np.ones(3, np.uint8), np.empty(3, np.float32), NativeCode()
    >>> start, stop = code.append([Call(scale, (x, np.float32(2), np.float32(1), y))])
    >>> x[:] = 2
    >>> replay(code.finish(), start, stop)
    >>> y
    array([5., 5., 5.], dtype=float32)
    """

    def __init__(self):
        self.rows: list[np.ndarray] = []
        self.codes: list[MachineCode] = []  # of each row's kernel
        self.arguments: list[tuple[Any, ...]] = []  # of each row: the arrays it points to

    def append(self, calls) -> tuple[int, int]:
        """Encode calls; the range of their rows."""
        start = len(self.rows)
        for call in calls:
            self.encode(call)
        return start, len(self.rows)

    def encode(self, call) -> None:
        """Append one call; compiles the kernel for its arguments if necessary."""
        code, typed = machine_code(call.kernel, call.kinds), zip(call.kinds, call.arguments, strict=True)
        slots = [0, code.address, 0, *(slot for kind, value in typed for slot in as_slots(kind, value))]
        self.rows.append(np.array(slots, np.uint64))
        self.codes.append(code)
        self.arguments.append(call.arguments)

    def finish(self) -> np.ndarray:
        """The addresses of the rows, for `replay`."""
        found = trampolines_for(list(dict.fromkeys(self.codes)))
        for row, code in zip(self.rows, self.codes, strict=True):
            row[0] = found[code]
        return np.array([row.ctypes.data for row in self.rows], np.int64)


@returns(lambda row: types.none)
def _call(emit, kinds, row):
    """Jump to the address in the first slot, with the address of the row."""
    pointer = emit.build.inttoptr(row, SLOT.as_pointer())
    code = emit.build.inttoptr(emit.build.load(pointer), TRAMPOLINE.as_pointer())
    emit.build.call(code, [pointer])


@intrinsic(_call)
def call(row):
    """Make the call encoded in the row at this address. NumPy has no equivalent."""
    raise NotImplementedError("encoded calls are executed by compiled code only")


@returns(lambda target, source, count: types.none)
def _copy_memory(emit, kinds, target, source, count):
    """The compiler's own memcpy."""
    pointers = [emit.build.inttoptr(address, ir.IntType(8).as_pointer()) for address in (target, source)]
    cgutils.raw_memcpy(emit.build, *pointers, count, 1)  # type: ignore[call-arg]


@intrinsic(_copy_memory)
def copy_memory(target, source, count):
    """Copy `count` bytes from one address to another. NumPy has no equivalent."""
    raise NotImplementedError("addresses are used by compiled code only")


@jit
def replay(calls, start, stop):
    """Make the calls start .. stop."""
    for i in range(start, stop):
        call(calls[i])


def as_slots(kind: Any, value) -> list[int]:
    """A value as Numba passes it to compiled code: an array takes seven slots or more, a number one.

    >>> as_slots(types.float32, 1.0) == [0x3F800000]
    True
    """
    if isinstance(kind, types.Array):  # (owner, parent object, items, item size, address, shape, strides)
        return [0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides]
    if isinstance(value, tuple):
        return [slot for k, v in zip(kind, value, strict=True) for slot in as_slots(k, v)]
    if isinstance(kind, types.Float):
        return [*struct.unpack("<Q", struct.pack("<f4x" if kind == types.float32 else "<d", value))]
    if isinstance(kind, (types.Integer, types.Boolean)):
        return [int(value) % 2**64]
    raise TypeError(f"an argument of type {kind} cannot be encoded")


trampolines: dict[str, int] = {}  # signature -> address
engines: list[llvm.ExecutionEngine] = []  # which they live in


def trampolines_for(codes: list[MachineCode]) -> dict[MachineCode, int]:
    """The addresses of the trampolines for kernels."""
    names = {code: str(code.signature) for code in codes}
    with global_compiler_lock:
        new = {name: code.signature for code, name in names.items() if name not in trampolines}
        if new:
            trampolines.update(zip(new, compile_trampolines(list(new.values())), strict=True))
    return {code: trampolines[name] for code, name in names.items()}


def compile_trampolines(signatures: list[ir.FunctionType]) -> list[int]:
    """All in one module, without optimisation: 15 of them compile in 0.02 s, optimised like a kernel in 0.09 s."""
    module, target = ir.Module(), llvm.Target.from_default_triple().create_target_machine(opt=0)
    module.triple, module.data_layout = target.triple, str(target.target_data)
    names = [f"scratchnet_trampoline_{len(trampolines) + i}" for i in range(len(signatures))]
    for name, signature in zip(names, signatures, strict=True):
        define_trampoline(ir.Function(module, TRAMPOLINE, name), signature)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(str(module)), target)
    engine.finalize_object()
    engines.append(engine)
    return [engine.get_function_address(name) for name in names]


def define_trampoline(function: ir.Function, signature: ir.FunctionType) -> None:
    """Load the arguments from their slots, call the kernel, store its result, if any, in slot 2."""
    build = ir.IRBuilder(function.append_basic_block())

    def slot(i, kind=SLOT):
        place = build.gep(function.args[0], [SLOT(i)])
        return place if kind == SLOT else build.bitcast(place, kind.as_pointer())

    result, error = build.ptrtoint(slot(2), SLOT), build.ptrtoint(build.alloca(SLOT), SLOT)
    arguments = [build.load(slot(3 + i, kind)) for i, kind in enumerate(signature.args[2:])]
    kernel = build.inttoptr(build.load(slot(1)), signature.as_pointer())
    status = build.call(kernel, [result, error, *arguments])
    if BOUNDS_CHECKED:  # an IndexError cannot be raised from here
        done = [build.icmp_signed("==", status, code) for code in (RETCODE_OK, RETCODE_NONE)]
        with build.if_then(build.not_(build.or_(*done))):
            build.call(get_or_insert_function(build.module, ir.FunctionType(ir.VoidType(), []), "llvm.trap"), [])
    build.ret_void()
