"""Two ways to compute a convolution and its gradients: the kernels, and the memory each of them needs.

Both know the same five things: how to pack the weights, how to go forward, where they want dz, and the two
gradients. `conv` chooses between them.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled import convolution as direct
from scratchnet.compiled import winograd as wino
from scratchnet.compiled.matmul import pack_panels, padded_width
from scratchnet.compiled.memory import aligned_empty, aligned_zeros


class Direct:
    """The matrix product's loop over patches where they lie: any kernel, stride, padding and pool."""

    words = "direct"

    def __init__(self, geometry):
        self.g = g = geometry
        rows, columns = np.arange(g.p_h)[:, None] * g.s_h, np.arange(g.p_w) * g.s_w
        self.cells = ((rows * g.padded_w + columns) * g.c).reshape(-1).astype(np.int32)

    def allocate_packed(self):
        g = self.g
        taps = g.k_h * g.k_w
        forward = aligned_empty((taps * g.c + 1) * padded_width(g.filters))
        return forward, aligned_empty(taps * g.filters * padded_width(g.c))

    def pack(self, W, bias, packed):
        pack_panels(W.reshape(-1, self.g.filters), bias, packed[0])
        direct.pack_taps(W, packed[1])

    def allocate(self, n):
        g = self.g
        out_h, out_w, _ = g.y_shape
        return {
            "starts": self.starts(n, g.out_h, g.out_w, g.s_h, g.s_w),
            "windows": self.starts(n, out_h, out_w, g.s_h * g.p_h, g.s_w * g.p_w),
            "scratch": aligned_empty(direct.pool_scratch_size(len(self.cells))),
            "panels": aligned_empty(direct.BLOCK * padded_width(g.filters)),
            "dz": aligned_zeros((n, g.out_h, g.out_w, g.filters)),
            "dx": aligned_empty((n, g.padded_h, g.padded_w, g.c)),
        }

    def starts(self, n, out_h, out_w, step_h, step_w):
        return direct.patch_starts(n, self.g.padded_h, self.g.padded_w, self.g.c, out_h, out_w, step_h, step_w)

    def forward(self, x, packed, y, winner, memory):
        g = self.g
        if g.pooled:
            direct.convolve_pool(x, memory["windows"], self.cells, packed[0], y, winner, memory["scratch"],
                                 g.k_h, g.line, g.run, g.relu)  # fmt: skip
        else:
            direct.convolve(x, memory["starts"], packed[0], y, g.k_h, g.line, g.run, g.relu)

    def dz(self, memory):
        """Where dz belongs, and the row and column of its first number there."""
        return memory["dz"], 0, 0

    def weight_gradient(self, x, dW, db, memory):
        g = self.g
        direct.weight_gradient(x, memory["starts"], memory["dz"], dW, db, memory["panels"], g.k_h, g.line, g.run)

    def input_gradient(self, packed, memory):
        g, dx = self.g, memory["dx"]
        direct.input_gradient(memory["dz"], memory["starts"], packed[1], dx, g.k_h, g.k_w, g.line)
        return dx[:, g.top : g.top + g.h, g.left : g.left + g.w]


class Winograd:
    """F(2×2, 3×3): 16 products where the direct way has 36. For 3×3 kernels at stride 1."""

    words = "Winograd"

    @classmethod
    def suits(cls, g) -> bool:
        """Whether it can be done this way, and is worth it: counted in products, and a third more for transforms.

        The transforms work on LANES channels at a time, so it takes channels. The gradient of the input has as
        many tiles as the *input*: for 5×5 -> 3×3 that alone is more than the direct way needs.
        """
        possible = (g.k_h, g.k_w, g.s_h, g.s_w) == (3, 3, 1, 1) and (g.p_h, g.p_w) in ((1, 1), (2, 2))
        if not (possible and g.top <= 2 and g.left <= 2 and g.c >= 16 and g.filters >= 16):
            return False
        tiles, input_tiles = np.prod(half_up(g.out_h, g.out_w)), np.prod(half_up(g.h, g.w))
        return 1.33 * 16 * (2 * tiles + input_tiles) < 9 * 3 * g.out_h * g.out_w

    def __init__(self, geometry):
        self.g = g = geometry
        # whole tiles: an odd output needs a row and a column of zeros more
        g.padded_h, g.padded_w = max(g.padded_h, wino.padded_size(g.out_h)), max(g.padded_w, wino.padded_size(g.out_w))
        # dx is the convolution of dz, padded like this, with the turned filters
        self.top, self.left = 2 - g.top, 2 - g.left
        self.dz_h, self.dz_w = wino.padded_size(g.h), wino.padded_size(g.w)
        self.no_bias = aligned_zeros(g.c)

    def allocate_packed(self):
        g = self.g
        turned, bias = np.empty((3, 3, g.filters, g.c), np.float32), np.empty(g.filters, np.float32)
        return wino.filter_scratch(g.c, g.filters), wino.filter_scratch(g.filters, g.c), turned, bias

    def pack(self, W, bias, packed):
        u, u_turned, turned, packed_bias = packed
        packed_bias[:] = bias
        wino.transform_filters(W, u)
        wino.turn_filters(W, turned)
        wino.transform_filters(turned, u_turned)

    def allocate(self, n):
        g = self.g
        out_h, out_w = (g.out_h // 2, g.out_w // 2) if g.pooled else half_up(g.out_h, g.out_w)
        return {
            "forward": (self.starts(n, out_h, out_w), wino.output_places(n, g.out_h, g.out_w, g.filters)),
            "tiles": self.starts(n, *half_up(g.out_h, g.out_w)),
            "dz": aligned_zeros((n, self.dz_h, self.dz_w, g.filters)),
            "dz_places": places_within(n, g, self.dz_h, self.dz_w, self.top, self.left),
            "dz_tiles": direct.patch_starts(n, self.dz_h, self.dz_w, g.filters, *half_up(g.h, g.w), 2, 2),
            "dx": aligned_empty((n, g.h, g.w, g.c)),
            "dx_places": wino.output_places(n, g.h, g.w, g.c),
            "scratch": wino.winograd_scratch(g.c, g.filters),
            "du": wino.filter_scratch(g.c, g.filters),
        }

    def starts(self, n, out_h, out_w):
        return direct.patch_starts(n, self.g.padded_h, self.g.padded_w, self.g.c, out_h, out_w, 2, 2)

    def forward(self, x, packed, y, winner, memory):
        g, (starts, places), (v, m) = self.g, memory["forward"], memory["scratch"]
        if g.pooled:
            wino.winograd_pool(x, starts, packed[0], packed[3], y, winner, v, m, g.line, g.relu)
        else:
            wino.winograd(x, starts, packed[0], packed[3], y, places, v, m, g.line, g.relu)

    def dz(self, memory):
        """Where dz belongs, and the row and column of its first number there."""
        return memory["dz"], self.top, self.left

    def weight_gradient(self, x, dW, db, memory):
        v, z = memory["scratch"]
        wino.winograd_weight_gradient(x, memory["tiles"], memory["dz"], memory["dz_places"], dW, db, v, z,
                                      memory["du"], self.g.line)  # fmt: skip

    def input_gradient(self, packed, memory):
        g, (m, v), dx = self.g, memory["scratch"], memory["dx"]
        wino.winograd(memory["dz"], memory["dz_tiles"], packed[1], self.no_bias, dx, memory["dx_places"], v, m,
                      self.dz_w * g.filters, False)  # fmt: skip
        return dx


def half_up(h: int, w: int) -> tuple[int, int]:
    """How many 2×2 tiles cover h × w positions."""
    return (h + 1) // 2, (w + 1) // 2


def places_within(n, g, big_h, big_w, top, left):
    """`output_places`, for outputs that lie in the middle of larger images."""
    places = wino.output_places(n, g.out_h, g.out_w, 1)
    image, rest = np.divmod(places, g.out_h * g.out_w)
    row, column = np.divmod(rest, g.out_w)
    inside = ((image * big_h + top + row) * big_w + left + column) * g.filters
    return np.where(places >= 0, inside, -1).astype(np.int32)
