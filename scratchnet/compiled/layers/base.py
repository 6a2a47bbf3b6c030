"""What a compiled layer is: forward and backward of one or several textbook layers, as calls of kernels.

A compiled layer is made for layers that are already built. It reads their parameters whenever it packs them and holds
none of its own. Everything else it asks of the context (`execution.contexts`): memory, packed weights, and to make the
calls. So the same forward and backward run a batch at once, or describe it for a program.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty, aligned_zeros


class CompiledLayer:
    """The protocol. Subclasses define forward and backward, and say which arrays they need."""

    layers: list[Any]  # the textbook layers it computes
    synchronizes: Any = False  # whether its chunks wait for each other
    calls_python = False  # whether it adds Python functions to a program

    @classmethod
    def supports(cls, layers, input_shape, needs_dx: bool) -> bool:
        """Whether it can compute these built layers. needs_dx: whether a layer before them has parameters."""
        return True

    @property
    def parts(self) -> list[CompiledLayer]:
        """The compiled layers that have packed weights: this one, or those it is made of."""
        return [self]

    @property
    def inner_stages(self) -> list[Any]:
        """The stages that it is made of, if it is a block of layers."""
        return []

    def forward(self, x: np.ndarray, ctx) -> tuple[np.ndarray, Any]:
        """x -> y, and the cache for `backward`."""
        raise NotImplementedError

    def backward(self, dy: np.ndarray, cache: Any) -> tuple[Any, dict[str, np.ndarray]]:
        """dL/dy -> dL/dx, and a gradient for each parameter. dx is None where no layer before it needs one."""
        raise NotImplementedError

    def allocate_packed(self, backward: bool) -> Any:
        """Memory for the weights in the layout of the kernels of forward, or of backward."""

    def pack(self, call, packed: Any, backward: bool) -> None:
        """Write the weights into `packed`. call(kernel, ...): makes a call, or adds it to a program."""

    def allocate(self, n: int) -> Any:
        """The workspace for a chunk of n examples: outputs and scratch memory."""
        return ()

    def allocate_gradients(self) -> dict[str, np.ndarray]:
        """An array for the gradient of each parameter."""
        return {
            name: aligned_empty(array.shape)
            for layer in self.layers for name, array in layer.arrays("params").items()
        }  # fmt: skip

    def allocate_partial_sums(self, chunks: int) -> np.ndarray:
        """A row for each chunk, for sums over the batch."""
        raise NotImplementedError

    def describe(self) -> str:
        """The algorithm, for `Sequential.summary`."""
        return "compiled"


def bias_or_zeros(layer, size: int) -> np.ndarray:
    """A layer's bias, or zeros if it has none."""
    return layer.b if layer.use_bias else aligned_zeros(size)
