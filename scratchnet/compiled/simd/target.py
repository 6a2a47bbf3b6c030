"""What the machine's vector registers are: how many floats each holds, how many there are, and the tile that fits.

A matrix product is fast when its partial sums stay in registers. How many fit depends on the instruction set, and that
is the one Numba compiles for (NUMBA_CPU_NAME and NUMBA_CPU_FEATURES can choose another than this machine's). Lists of
feature names grow with every CPU, so instead of reading them we ask the compiler: let it compile one fused multiply-add
of sixteen floats and look at the assembly. One 512-bit `zmm` register, two 256-bit `ymm`, or smaller ones; one
instruction, or a call of the C library's `fmaf` for every float where the hardware has none.

| instruction set | LANES | REGISTERS | tile (rows x vectors)      |
|-----------------|-------|-----------|----------------------------|
| AVX-512         | 16    | 32        | 8 x 2: 16 sums + 2 + 8     |
| AVX2 with FMA   | 8     | 16        | 6 x 2: 12 sums + 2 + 1     |
| NEON, 64 bit    | 4     | 32        | 8 x 2                      |
| anything else   | 4     | 16        | 6 x 2                      |

Beside the sums a tile needs registers for its vectors of the right-hand side and for the broadcast numbers of the left.
A tile that does not fit is written to memory and read back at every step: 42 instead of 112 GFLOP/s. Larger tiles than
these (6 x 4, 12 x 2) gained nothing on AMD Zen 4, where the multiply-adds are the limit with all of them.
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
    """(floats in a register, number of registers, whether a * b + c is one instruction)."""
    lanes = 16 if "zmm" in assembly else 8 if "ymm" in assembly else 4
    registers = 32 if lanes == 16 or triple.startswith(("aarch64", "arm64")) else 16
    return lanes, registers, "fmaf" not in assembly


TRIPLE, CPU, FEATURES = cpu_target.target_context.codegen().magic_tuple()
LANES, REGISTERS, FUSED = registers_of(TRIPLE, probe_assembly(TRIPLE, CPU, FEATURES))
MASKS = LANES == 16  # an instruction that acts on some lanes only costs nothing more

# A tile is spanned by the numbers of its rows and the offsets of its vectors. The lengths of these tuples are part of
# their Numba types, so that a kernel is compiled for each size of tile it uses.
ROWS = tuple(range(8 if REGISTERS == 32 else 6))
PAIR = (0, LANES)
SINGLE = (0,)
