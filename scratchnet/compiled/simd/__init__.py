"""What a register is, and how an intrinsic becomes an instruction.

target          how many floats a register holds on this machine, and the tile that follows from it
intrinsics      the vocabulary of the kernels: each intrinsic is its NumPy definition
bitset          a comparison's result as a bit mask, walked bit by bit
vector_types, lowering, operators      registers as Numba types, and the LLVM instructions (skip them at first)
"""
