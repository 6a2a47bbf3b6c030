"""Packed weights that follow the weights.

A prediction runs on weights in the layout of its kernels: folded, transformed, in panels. To pack them takes longer
than to predict one image, and between two predictions they seldom change. They may, though: `model.parameters()` are
the live arrays, and any caller may write into them at any time. So every run computes the fingerprint of the arrays
that were packed, and packs again if it is another.

A fingerprint is HASHES hashes of 32 bits, number i of the words i, i + HASHES, i + 2 HASHES, ...:

    hash = (hash xor word) · an odd number          hash = hash xor (hash >> 15)

Each step maps different hashes to different hashes, so one changed number always changes the fingerprint. Several
changes in the words of a single hash cancel each other with a probability of 2⁻³², and they would have to do so in
every hash concerned.

two-conv: 2 µs instead of 78 for packing. Comparing with a copy instead takes as long, but both then compete with the
packed weights for the cache: one image of vgg-bn 150 µs instead of 132 (AVX-512 Xeon, one thread).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from scratchnet.compiled.execution.calls import Call, Calls, caller
from scratchnet.compiled.execution.program import runs_of
from scratchnet.compiled.jit.decorators import jit

HASHES = 128  # eight AVX-512 registers: their multiplications overlap
ODD, SHIFT = np.uint32(0x9E3779B1), np.uint32(15)  # 2³² divided by the golden ratio


class Packing:
    """The packed weights of some compiled layers. packs: (layer, backward) -> the memory for them.

    calls: compute the fingerprints; `changed` is then 1 if `pack` must be called. It is at first.
    """

    def __init__(self, packs: dict[tuple[Any, bool], Any]):
        self.packs, self.changed = packs, np.ones(1, np.int64)
        layers = {layer: None for op, _ in packs for layer in op.layers}  # each once, in order
        arrays = [getattr(layer, name) for layer in layers for name in (*layer.params, *layer.state)]
        self.calls: Calls = [
            Call(notice_change, (words(array), *np.zeros((2, HASHES), np.uint32), self.changed)) for array in arrays
        ]

    def calls_to_pack(self) -> Calls:
        """The calls that `pack` makes."""
        calls: Calls = []
        for (layer, backward), packed in self.packs.items():
            layer.pack(caller(calls), packed, backward)
        return calls

    @cached_property
    def runs(self):
        """These calls as code."""
        return runs_of(self.calls_to_pack())

    def pack(self) -> None:
        """Pack the present weights."""
        self.changed[0] = 0
        for run in self.runs:
            run(None)


def words(array: np.ndarray) -> np.ndarray:
    """The same memory as 32-bit words, flat."""
    return array.reshape(-1).view(np.uint32)


@jit
def notice_change(array, hashes, before, changed):
    """hashes = the fingerprint of the array; changed[0] = 1 and before = hashes if it is not as before."""
    whole = array.size // HASHES * HASHES
    for i in range(HASHES):
        hashes[i] = 0
    for first in range(0, whole, HASHES):
        for i in range(HASHES):
            hashes[i] = mixed(hashes[i], array[first + i])
    for i in range(array.size - whole):
        hashes[i] = mixed(hashes[i], array[whole + i])
    difference = np.uint32(0)
    for i in range(HASHES):
        difference |= hashes[i] ^ before[i]
        before[i] = hashes[i]
    if difference != 0:
        changed[0] = 1


@jit
def mixed(hash_, word):
    """The hash of one word more."""
    product = np.uint32((hash_ ^ word) * ODD)
    return np.uint32(product ^ (product >> SHIFT))
