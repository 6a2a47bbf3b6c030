"""What the machine's vector registers are: how many floats each holds, how many there are, and the tiles that fit.

A matrix product is fast when its partial sums stay in registers. How many fit depends on the instruction set, and the
instruction set is the one Numba compiles for (NUMBA_CPU_NAME and NUMBA_CPU_FEATURES can choose another than this
machine's). Lists of feature names grow with every CPU, so instead of reading them we ask the compiler: compile one
fused multiply-add of sixteen floats and look at the assembly. One 512-bit `zmm` register, two 256-bit `ymm`, or smaller
ones; one instruction, or a call of the C library's `fmaf` for every element where the hardware has none.

| instruction set | LANES | REGISTERS | tile: rows x vectors, by the width of the panel |
|---|---|---|---|
| AVX-512         | 16    | 32        | 6 x 4, 12 x 2, 12 x 1  |
| AVX2 with FMA   | 8     | 16        | 6 x 2, 6 x 2, 6 x 1    |
| NEON (64 bit)   | 4     | 32        | 6 x 4, 12 x 2, 12 x 1  |
| anything else   | 4     | 16        | 6 x 2, 6 x 2, 6 x 1    |

A tile of rows x vectors accumulators needs its vectors of the right-hand side and one broadcast register besides:
6 * 4 + 4 + 1 = 29 of 32, 6 * 2 + 2 + 1 = 15 of 16. A tile that does not fit is written to memory at every pass, which
made it 2.5 to 3 times slower.
"""

import llvmlite.binding as llvm
from numba.core.registry import cpu_target

PROBE = """
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
define <16 x float> @probe(<16 x float> %a, <16 x float> %b, <16 x float> %c) {
  %r = call <16 x float> @llvm.fma.v16f32(<16 x float> %a, <16 x float> %b, <16 x float> %c)
  ret <16 x float> %r
}"""


def probe_assembly(triple, cpu, features):
    """The assembly that LLVM makes of one fused multiply-add of 16 floats for this target."""
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=2)
    return machine.emit_assembly(llvm.parse_assembly(PROBE))


def registers_of(triple, assembly):
    """(floats in a register, number of registers, whether a*b + c is one instruction)."""
    lanes = 16 if "zmm" in assembly else 8 if "ymm" in assembly else 4
    registers = 32 if lanes == 16 or triple.startswith(("aarch64", "arm64")) else 16
    return lanes, registers, "fmaf" not in assembly


TRIPLE, CPU, FEATURES = cpu_target.target_context.codegen().magic_tuple()
LANES, REGISTERS, FUSED = registers_of(TRIPLE, probe_assembly(TRIPLE, CPU, FEATURES))
MASKS = LANES == 16                                   # loads and stores of some lanes, and moving these together, are free

# A tile is spanned by the numbers of its rows and the offsets of its vectors. Their lengths are part of their
# Numba types: a kernel given other tuples is compiled into other tiles.
ROWS = tuple(range(8 if REGISTERS == 32 else 6))
PAIR = (0, LANES)
SINGLE = (0,)
