"""The sizes of one convolution and its pool, from which all convolution kernels take their arguments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scratchnet.compiled.kernels.conv.direct import patch_starts
from scratchnet.layers import MaxPool2D, ReLU


@dataclass
class Geometry:
    """Sizes of a built Conv2D and of the ReLU and max-pool behind it."""

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

    @classmethod
    def of(cls, layers, input_shape) -> Geometry:
        """The sizes of a built Conv2D and of what follows it."""
        conv, pool = layers[0], layers[-1] if isinstance(layers[-1], MaxPool2D) else None
        (h, w, c), win = input_shape, conv.windows
        p_h, p_w = pool.pool_size if pool else (1, 1)
        return cls(
            h, w, c, conv.filters, win.k_h, win.k_w, win.stride_h, win.stride_w, win.top, win.left,
            h + win.top + win.bottom, w + win.left + win.right, win.out_h, win.out_w, p_h, p_w,
            relu=any(isinstance(layer, ReLU) for layer in layers), pooled=pool is not None,
        )  # fmt: skip

    @property
    def cells(self) -> np.ndarray:
        """How far the patches of a window's cells are from that of its first, in numbers."""
        rows, columns = np.arange(self.p_h)[:, None] * self.s_h, np.arange(self.p_w) * self.s_w
        return ((rows * self.padded_w + columns) * self.c).reshape(-1).astype(np.int32)

    @property
    def row_stride(self) -> int:
        """Numbers from one row of the padded image to the next."""
        return self.padded_w * self.c

    @property
    def row_length(self) -> int:
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

    def interior(self, padded):
        """Padded images without their padding."""
        return padded[:, self.top : self.top + self.h, self.left : self.left + self.w]
