"""Conv2D [+ ReLU] [+ MaxPool2D] as one step of the plan.

Where a pool follows, the convolution's own output is never written: the candidates of a window are compared
in registers, and what stays is the largest and a byte that says which one it was, or that ReLU cut it off.
That byte is all that backward needs to know of the forward pass, beside x.

Which kernels do it is chosen once, when the plan is made: see `conv_ways`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scratchnet.compiled.batchnorm import BatchNormTwin
from scratchnet.compiled.conv_ways import choose_backward, choose_forward
from scratchnet.compiled.convolution import DEAD, patch_starts
from scratchnet.compiled.gate import copy_into_middle
from scratchnet.compiled.memory import aligned_empty, aligned_zeros
from scratchnet.compiled.twin import Twin, bias_or_zeros, contiguous
from scratchnet.layers import BatchNorm, MaxPool2D, ReLU


class ConvTwin(Twin):
    """Twin of Conv2D, alone or with ReLU, or with a max-pool whose windows do not overlap, or with both."""

    @classmethod
    def accepts(cls, layers, input_shape, wants_dx: bool):
        pool = layers[-1]
        return not isinstance(pool, MaxPool2D) or (pool.stride == pool.pool_size and np.prod(pool.pool_size) < DEAD)

    def __init__(self, layers, input_shape, wants_dx: bool, dense: bool = False):
        self.layers, self.input_shape, self.conv, self.wants_dx = layers, input_shape, layers[0], wants_dx
        self.geometry = g = geometry_of(layers, input_shape)
        self.bias = bias_or_zeros(self.conv, g.filters)
        self.forth, self.back = choose_forward(g), choose_backward(g, wants_dx, dense)

    def allocate_packed(self):
        return self.forth.allocate_packed(), self.back.allocate_packed()

    def pack(self, packed, backward):
        way = self.back if backward else self.forth
        way.pack(self.conv.W, self.bias, packed[backward])

    def allocate(self, n):
        g = self.geometry
        padded = aligned_zeros((n, g.padded_h, g.padded_w, g.c))
        y, winner = aligned_empty((n, *g.y_shape)), np.empty((n, *g.y_shape), np.uint8)
        return padded, y, winner, self.forth.allocate(n), self.back.allocate(n)

    def forward(self, x, ctx):
        g, x = self.geometry, contiguous(x)
        padded, y, winner, memory, _ = ctx.arrays(self, len(x))
        if padded.shape != x.shape:
            copy_into_middle(x, g.top, g.left, padded)
            x = padded
        self.forth.forward(x, ctx.packed(self), y, winner, memory)
        return y, (x, y, winner, ctx)

    def backward(self, dy, cache):
        x, y, winner, ctx = cache
        grads, memory = ctx.gradients(self), ctx.arrays(self, len(x))[-1]
        db = grads["b"] if self.conv.use_bias else np.empty(self.geometry.filters, np.float32)
        wants_dx = self.wants_dx or ctx.wants_dx
        dx = self.back.backward(
            x, y, winner, contiguous(dy), ctx.packed(self, True), memory, grads["W"], db, wants_dx
        )  # fmt: skip
        return dx, grads

    def describe(self):
        return f"{self.forth.words}/{self.back.words}"


class ConvNormTwin(Twin):
    """Twin of Conv2D [+ ReLU] + BatchNorm [+ ReLU] [+ MaxPool2D]: the two twins, and a short cut between them.

    On the way back BatchNorm writes its dx past the ReLU at once, and where the convolution's output was: nobody
    needs that any more, and these are the largest arrays of all.
    """

    @classmethod
    def accepts(cls, layers, input_shape, wants_dx: bool):
        conv, norm = split(layers)
        shape = conv[0].windows.out_h, conv[0].windows.out_w, conv[0].filters
        return ConvTwin.accepts(conv, input_shape, wants_dx) and BatchNormTwin.accepts(norm, shape, True)

    def __init__(self, layers, input_shape, wants_dx: bool):
        conv, norm = split(layers)
        self.layers, self.input_shape = layers, input_shape
        self.conv = ConvTwin(conv, input_shape, wants_dx, dense=True)
        self.norm = BatchNormTwin(norm, self.conv.geometry.y_shape, True)

    @property
    def parts(self):
        return [self.conv, self.norm]

    def forward(self, x, ctx):
        x, conv_cache = self.conv.forward(x, ctx)
        y, norm_cache = self.norm.forward(x, ctx)
        return y, (conv_cache, norm_cache)

    def backward(self, dy, cache):
        (x, _, _, ctx), norm_cache = cache
        conv, (_, dz, _, _, memory) = self.conv, ctx.arrays(self.conv, len(x))
        norm_grads = self.norm.backward_into(dy, norm_cache, dz, conv.geometry.relu)
        grads = ctx.gradients(conv)
        db = grads["b"] if conv.conv.use_bias else np.empty(conv.geometry.filters, np.float32)
        wants_dx = conv.wants_dx or ctx.wants_dx
        dx = conv.back.gradients(x, dz, ctx.packed(conv, True), memory, grads["W"], db, wants_dx)
        return dx, {**grads, **norm_grads}

    def describe(self):
        return self.conv.describe()


def split(layers):
    """The layers up to the BatchNorm, and from it on."""
    at = next(i for i, layer in enumerate(layers) if isinstance(layer, BatchNorm))
    return layers[:at], layers[at:]


@dataclass
class Geometry:
    """The sizes of one convolution: what all its kernels are told."""

    h: int  # of the image
    w: int
    c: int
    filters: int
    k_h: int
    k_w: int
    s_h: int  # stride
    s_w: int
    top: int  # padding
    left: int
    padded_h: int  # of the image with its padding
    padded_w: int
    out_h: int  # of the convolution's output
    out_w: int
    p_h: int  # of a pool's window; 1 without a pool
    p_w: int
    relu: bool
    pooled: bool

    @property
    def cells(self) -> np.ndarray:
        """How far the patches of a window's cells are from that of its first, in numbers."""
        rows, columns = np.arange(self.p_h)[:, None] * self.s_h, np.arange(self.p_w) * self.s_w
        return ((rows * self.padded_w + columns) * self.c).reshape(-1).astype(np.int32)

    @property
    def line(self) -> int:
        """Numbers from one row of the padded image to the next."""
        return self.padded_w * self.c

    @property
    def run(self) -> int:
        """Numbers in one row of a patch: they lie side by side."""
        return self.k_w * self.c

    @property
    def y_shape(self) -> tuple[int, int, int]:
        """One example's output, after the pool."""
        return self.out_h // self.p_h, self.out_w // self.p_w, self.filters

    @property
    def covered(self) -> tuple[int, int]:
        """Rows and columns of the convolution's output that the windows of the pool cover; all without a pool."""
        return self.out_h // self.p_h * self.p_h, self.out_w // self.p_w * self.p_w

    def starts(self, n):
        """Where, in a chunk's padded images, the patch of each position begins."""
        return self.starts_of(n, self.out_h, self.out_w, self.s_h, self.s_w)

    def window_starts(self, n):
        """Where the patch of the first cell of each window of the pool begins."""
        return self.starts_of(n, *self.y_shape[:2], self.s_h * self.p_h, self.s_w * self.p_w)

    def tile_starts(self, n, side):
        """Where the patches of each tile of side × side positions begin."""
        h, w = self.covered
        return self.starts_of(n, -(-h // side), -(-w // side), side, side)

    def starts_of(self, n, out_h, out_w, step_h, step_w):
        return patch_starts(n, self.padded_h, self.padded_w, self.c, out_h, out_w, step_h, step_w)

    def without_padding(self, padded):
        """The middle of padded images."""
        return padded[:, self.top : self.top + self.h, self.left : self.left + self.w]


def geometry_of(layers, input_shape) -> Geometry:
    """The sizes of a built Conv2D and of what follows it."""
    conv, pool = layers[0], layers[-1] if isinstance(layers[-1], MaxPool2D) else None
    (h, w, c), win = input_shape, conv.windows
    p_h, p_w = pool.pool_size if pool else (1, 1)
    return Geometry(
        h, w, c, conv.filters, win.k_h, win.k_w, win.stride_h, win.stride_w, win.top, win.left,
        h + win.top + win.bottom, w + win.left + win.right, win.out_h, win.out_w, p_h, p_w,
        relu=any(isinstance(layer, ReLU) for layer in layers), pooled=pool is not None,
    )  # fmt: skip
