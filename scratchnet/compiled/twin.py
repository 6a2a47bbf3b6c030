"""What a twin is: the forward and backward of some layers, in kernels, on arrays that it is handed.

A twin is built for a run of layers that are already built. It reads their parameters whenever it packs them
and holds none of its own; everything that depends on the batch comes from the context (see `plan`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.compiled.jit import jit, listener
from scratchnet.compiled.memory import aligned_empty, aligned_zeros


class Twin:
    """The protocol. Subclasses give forward and backward, and say which arrays they need."""

    layers: list[Any]

    @property
    def parts(self) -> list[Twin]:
        """The twins that have arrays of their own: this one, or those it is made of."""
        return [self]

    @classmethod
    def accepts(cls, layers, input_shape, wants_dx: bool) -> bool:
        """Whether this twin can do what these built layers do. wants_dx: whether a layer before them has parameters."""
        return True

    def allocate_packed(self) -> tuple[Any, Any]:
        """Memory for the parameters in the layout of the kernels: those of forward, those of backward."""
        return None, None

    def pack(self, packed, backward: bool) -> None:
        """Bring the parameters into the layout of one of the two, in its part of `packed`."""

    def allocate(self, n: int) -> tuple[np.ndarray, ...]:
        """Outputs and scratch memory for a chunk of n examples."""
        return ()

    def allocate_gradients(self) -> dict[str, np.ndarray]:
        """An array for the gradient of each parameter."""
        return {
            name: aligned_empty(getattr(layer, name).shape) for layer in self.layers for name in layer.params
        }

    def allocate_shared(self, chunks: int) -> Any:
        """What the chunks of a batch tell each other; a twin without such memory never lets them meet."""

    def describe(self) -> str:
        """How the work is done, for `Sequential.summary`."""
        return "compiled"


def bias_or_zeros(layer, size: int) -> np.ndarray:
    """A layer's bias, or zeros where it was told to have none."""
    return layer.b if layer.use_bias else aligned_zeros(size)


def contiguous(x: np.ndarray, dtype=np.float32) -> np.ndarray:
    """x as the kernels read it: C order, of this type, aligned, writable (Numba has other types for what is not)."""
    if x.dtype == dtype and x.flags.carray:  # all of that; nearly always, and `require` takes 3 µs
        return x
    if x.dtype == dtype and x.ndim == 4 and not x.flags.c_contiguous:  # the middle of padded images
        y = aligned_empty(x.shape, dtype)
        copy_images(x, y)
        return y
    assert getattr(listener, "note", None) is None, "a tape would not see this copy"
    return np.require(x, dtype, ["C", "A", "W"])


@jit
def copy_images(x, y):
    """y = x (n, h, w, c), x in any order."""
    n, h, w, c = x.shape
    for i in range(n):
        for u in range(h):
            for v in range(w):
                for k in range(c):
                    y[i, u, v, k] = x[i, u, v, k]
