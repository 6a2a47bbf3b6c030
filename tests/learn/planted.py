"""Right solutions made of the library's own lines, and wrong ones: the same with one edit each.

A solution is the text of functions and methods of the library, without its imports, and a few lines that give them the
signature of the exercise. The names of the mistakes are those of the hints that must come.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import NamedTuple

import scratchnet
from scratchnet.learn.solution import lines_of

PACKAGE = Path(scratchnet.__file__).parent
HEAD = """from __future__ import annotations
import io, math, struct
from types import SimpleNamespace
from typing import Any, NamedTuple
import numpy as np
"""


class Solution(NamedTuple):
    """Lines of the library, the lines around them, and the edits: hint -> (old, new)."""

    library: list[str]
    adapter: str
    planted: dict[str, tuple[str, str]]

    def text(self) -> str:
        """The file."""
        return "\n\n\n".join([HEAD, *map(library_lines, self.library), textwrap.dedent(self.adapter)])

    def wrong(self, hint: str) -> str:
        """The file with an edit."""
        old, new = self.planted[hint]
        assert old in self.text(), old
        return self.text().replace(old, new)


def library_lines(place: str) -> str:
    """ "layers/pool.py: MaxPool2D.backward" -> its text, as a function; a whole file without imports of scratchnet."""
    file, _, name = place.partition(": ")
    source = (PACKAGE / file).read_text(encoding="utf-8")
    if not name:
        lines = [line for line in source.splitlines() if not line.startswith(("from scratchnet", "from __future__"))]
        return "\n".join(lines)
    return textwrap.dedent("\n".join(lines_of(source, name)[1]))


WINDOWS = [f"layers/windows.py: {name}" for name in ("Windows", "im2col", "col2im", "window_rows", "window_columns")]
PLACED = """
    def placed(h, w, k_h, k_w, stride):
        return Windows(k_h, k_w, stride, stride, 0, 0, 0, 0, (h - k_h) // stride + 1, (w - k_w) // stride + 1)
"""
LOG_SOFTMAX = (
    "z = logits - logits.max(axis=1, keepdims=True)\n    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))"
)
SOLUTIONS = {
    1: Solution(
        ["data/idx.py"],
        """
        def read_idx(data):
            return decode_idx(io.BytesIO(data), len(data), "data")
        """,
        {},
    ),
    2: Solution(
        [
            "losses/mean.py: mean_of", "losses/mean.py: expect_rows", "losses/mean.py: rows_of",
            "losses/softmax_cross_entropy.py: one_hot", "losses/softmax_cross_entropy.py: log_softmax",
            "losses/softmax_cross_entropy.py: SoftmaxCrossEntropy.each",
        ],
        """
        def softmax_cross_entropy(logits, labels):
            return mean_of(*each(SimpleNamespace(label_smoothing=0.0), logits, labels))
        """,
        {
            "gradient_not_divided_by_n": ("gradients / n", "gradients"),
            "sum_instead_of_mean": (
                "return values.sum(dtype=np.float64) / n, gradients / n", "return values.sum(), gradients",
            ),
            "overflowing_exponential": (
                LOG_SOFTMAX,
                "e = np.exp(logits)\n    return np.log(e / e.sum(axis=1, keepdims=True))",
            ),
            "softmax_over_the_batch": (
                LOG_SOFTMAX,
                "z = logits - logits.max(axis=0)\n    return z - np.log(np.exp(z).sum(axis=0))",
            ),
            "truth_minus_prediction": ("np.exp(log_p) - t", "t - np.exp(log_p)"),
            "only_the_true_class": ("np.exp(log_p) - t", "(np.exp(log_p) - t) * t"),
        },
    ),
    3: Solution(
        WINDOWS,
        PLACED + """
    def convolution(x, W, b, stride):
        n, h, w, c = x.shape
        k_h, k_w, _, filters = W.shape
        win = placed(h, w, k_h, k_w, stride)
        y = im2col(x, win) @ W.reshape(-1, filters) + b
        return y.reshape(n, win.out_h, win.out_w, filters)
        """,
        {
            "kernel_flipped": ("@ W.reshape", "@ W[::-1, ::-1].reshape"),
            "kernel_transposed": (
                "k_h, k_w, _, filters = W.shape", "W = W.swapaxes(0, 1); k_h, k_w, _, filters = W.shape",
            ),
            "bias_forgotten": (" + b\n", "\n"),
            "bias_for_every_product": (" + b\n", " + b * k_h * k_w * c\n"),
            "first_channel_only": ("im2col(x, win)", "im2col(x * (np.arange(c) == 0), win)"),
            "stride_ignored": ("win = placed(h, w, k_h, k_w, stride)", "win = placed(h, w, k_h, k_w, 1)"),
            "last_window_missing": (
                "(h - k_h) // stride + 1, (w - k_w) // stride + 1", "(h - k_h) // stride, (w - k_w) // stride",
            ),
        },
    ),
    4: Solution(
        WINDOWS,
        PLACED + """
    def my_im2col(x, k_h, k_w, stride, found=im2col):
        return found(x, placed(x.shape[1], x.shape[2], k_h, k_w, stride))

    im2col = my_im2col
        """,
        {
            "channels_first": (
                "return cols.reshape(n * win.out_h * win.out_w, win.k_h * win.k_w * c)",
                "return cols.transpose(0, 1, 2, 5, 3, 4).reshape(n * win.out_h * win.out_w, win.k_h * win.k_w * c)",
            ),
            "windows_column_by_column": (
                "return cols.reshape(n * win.out_h * win.out_w, win.k_h * win.k_w * c)",
                "return cols.swapaxes(1, 2).reshape(n * win.out_h * win.out_w, win.k_h * win.k_w * c)",
            ),
            "pixels_column_by_column": (
                "return cols.reshape(n * win.out_h * win.out_w, win.k_h * win.k_w * c)",
                "return cols.swapaxes(3, 4).reshape(n * win.out_h * win.out_w, win.k_h * win.k_w * c)",
            ),
            "matrix_transposed": ("k_w, stride))\n\n", "k_w, stride)).T\n\n"),
            "stride_ignored": ("x.shape[2], k_h, k_w, stride)", "x.shape[2], k_h, k_w, 1)"),
        },
    ),
    5: Solution(
        ["layers/dense.py: Dense.backward"],
        """
        def dense_backward(dy, x, W):
            dx, grads = backward(SimpleNamespace(W=W, use_bias=True), dy, x)
            return dx, grads["W"], grads["b"]
        """,
        {
            "dW_transposed": ("x.T @ dy", "dy.T @ x"),
            "W_not_transposed": ("dy @ self.W.T", "dy @ self.W"),
            "divided_by_n_again": (
                'return dx, grads["W"], grads["b"]', 'return dx, grads["W"] / len(x), grads["b"] / len(x)',
            ),
            "bias_summed_over_units": ("dy.sum(axis=0)", "dy.sum(axis=1)"),
            "bias_not_summed": ("dy.sum(axis=0)", "dy"),
            "dy_forgotten": ("use_bias=True), dy, x)", "use_bias=True), 0 * dy + 1, x)"),
        },
    ),
    6: Solution(
        [
            *WINDOWS, "layers/pool.py: Pool2D.values", "layers/pool.py: MaxPool2D.forward",
            "layers/pool.py: MaxPool2D.backward",
        ],
        PLACED + """
    def maxpool_backward(dy, x, size):
        layer = SimpleNamespace(windows=placed(x.shape[1], x.shape[2], size, size, size))
        layer.values = lambda x, fill: values(layer, x, fill)
        y, cache = forward(layer, x, None)
        return backward(layer, dy, cache)[0]
        """,
        {
            "last_tie_wins": (
                "winner = values.argmax(axis=3, keepdims=True)",
                "winner = values.shape[3] - 1 - values[:, :, :, ::-1].argmax(axis=3, keepdims=True)",
            ),
            "spread_evenly": (
                "np.put_along_axis(dvalues, winner, dy[:, :, :, None], axis=3)",
                "dvalues += dy[:, :, :, None] / dvalues.shape[3]",
            ),
            "copied_to_all": (
                "np.put_along_axis(dvalues, winner, dy[:, :, :, None], axis=3)", "dvalues += dy[:, :, :, None]",
            ),
            "ones_at_the_winners": (
                "np.put_along_axis(dvalues, winner, dy[:, :, :, None], axis=3)",
                "np.put_along_axis(dvalues, winner, 1, axis=3)",
            ),
            "ties_all_win": (
                "return backward(layer, dy, cache)[0]",
                "v = values(layer, x, 0); t = v == v.max(3, keepdims=True); "
                "return col2im(t * dy[:, :, :, None], x.shape, layer.windows)",
            ),
            "ties_share": (
                "return backward(layer, dy, cache)[0]",
                "v = values(layer, x, 0); t = v == v.max(3, keepdims=True); "
                "return col2im(t / t.sum(3, keepdims=True) * dy[:, :, :, None], x.shape, layer.windows)",
            ),
        },
    ),
    7: Solution(
        ["optimizers.py: Adam.update"],
        """
        def adam_step(p, g, m, s, t, lr, beta1, beta2, eps):
            p, m, s = p.copy(), m.copy(), s.copy()
            update(SimpleNamespace(steps=t, began={}, beta1=beta1, beta2=beta2, eps=eps), "p", p, g, lr, m, s)
            return p, m, s
        """,
        {
            "no_bias_correction": (
                "m_hat = m / (1 - self.beta1**t)\n    s_hat = s / (1 - self.beta2**t)", "m_hat, s_hat = m, s",
            ),
            "steps_from_zero": ("t = self.steps - self.began.get(name, 0)", "t = self.steps + 1"),
            "eps_within_the_root": ("(np.sqrt(s_hat) + self.eps)", "np.sqrt(s_hat + self.eps)"),
            "gradient_not_squared": ("(1 - self.beta2) * g * g", "(1 - self.beta2) * g"),
            "step_uphill": ("p -= lr", "p += lr"),
            "root_forgotten": ("(np.sqrt(s_hat) + self.eps)", "(s_hat + self.eps)"),
            "corrected_moments_kept": (
                "    p -= lr", "    m[...], s[...] = m_hat, s_hat\n    p -= lr",
            ),
        },
    ),
    8: Solution(
        ["compiled/kernels/winograd/matrices.py"],
        """
        def winograd_tile(d, g, BT, G, AT):
            m = matrices(2)
            V, U = m.image @ d @ m.image.T, m.filter @ g @ m.filter.T
            return V, U, m.outputs.T @ (U * V) @ m.outputs
        """,
        {
            "matrix_product_in_the_middle": ("(U * V)", "(U @ V)"),
            "kernel_flipped": ("m.filter @ g @", "m.filter @ g[::-1, ::-1] @"),
            "transform_transposed": ("m.image @ d @ m.image.T", "m.image.T @ d @ m.image"),
            "rows_only": ("m.image @ d @ m.image.T", "m.image @ d"),
        },
    ),
    9: Solution(
        ["data/images.py: _in_field"],
        """
        def centre(ink, size):
            return _in_field(ink, size)
        """,
        {
            "box_in_the_middle": (
                "int(np.ceil(centre - mass @ np.arange(len(mass)) / mass.sum()))", "(size - len(mass)) // 2",
            ),
            "rounded": ("np.ceil(", "np.rint("),
            "rounded_down": ("np.ceil(", "np.floor("),
            "middle_at_half_the_size": ("centre = (size - 1) / 2", "centre = size / 2"),
            "not_rounded_to_whole_levels": ("np.rint(255 * ink)", "(255 * ink).astype(np.uint8)"),
        },
    ),
    10: Solution(
        ["team.py: ordered_sum"],
        """
        def mean_gradient(arrived):
            chunks = sorted(arrived, key=lambda chunk: chunk[0])
            total = sum(n for _, n, _ in chunks)
            return ordered_sum([np.float32(n / total) * g for _, n, g in chunks])
        """,
        {
            "law": ("sorted(arrived, key=lambda chunk: chunk[0])", "arrived"),
            "chunks_not_weighted": ("n / total", "1 / len(chunks)"),
            "means_added": ("np.float32(n / total) * g", "g"),
            "not_divided": ("n / total", "n"),
            "divided_by_chunks": ("n / total", "n / len(chunks)"),
            "last_chunk_only": ("total += part", "total = part"),
        },
    ),
    11: Solution(
        WINDOWS,
        PLACED + """
    def my_col2im(cols, shape, k_h, k_w, stride, found=col2im):
        return found(cols, shape, placed(shape[1], shape[2], k_h, k_w, stride))

    col2im = my_col2im
        """,
        {
            "averaged": (
                "return found(cols, shape, placed(shape[1], shape[2], k_h, k_w, stride))",
                "win = placed(shape[1], shape[2], k_h, k_w, stride)\n"
                "    return found(cols, shape, win) / np.maximum(found(0 * cols + 1, shape, win), 1)",
            ),
            "stride_ignored": (
                "placed(shape[1], shape[2], k_h, k_w, stride))\n",
                "placed(shape[1], shape[2], k_h, k_w, stride)._replace(stride_h=1, stride_w=1))\n",
            ),
            "windows_turned": ("+= cols[:, :, :, i, j]", "+= cols[:, :, :, win.k_h - 1 - i, win.k_w - 1 - j]"),
            "channels_first": (
                "cols = cols.reshape(n, win.out_h, win.out_w, win.k_h, win.k_w, c)",
                "cols = cols.reshape(n, win.out_h, win.out_w, c, win.k_h, win.k_w).transpose(0, 1, 2, 4, 5, 3)",
            ),
        },
    ),
    12: Solution(
        [*WINDOWS, "layers/conv.py: Conv2D.backward"],
        PLACED + """
    def conv_backward(dy, x, W):
        layer = SimpleNamespace(W=W, filters=W.shape[3], use_bias=True)
        layer.windows = placed(x.shape[1], x.shape[2], W.shape[0], W.shape[1], 1)
        dx, grads = backward(layer, dy, (im2col(x, layer.windows), x.shape))
        return dx, grads["W"], grads["b"]
        """,
        {
            "kernel_not_turned": ("dcols = dy @ self.W.reshape", "dcols = dy @ self.W[::-1, ::-1].reshape"),
            "dW_turned": ('return dx, grads["W"], grads["b"]', 'return dx, grads["W"][::-1, ::-1], grads["b"]'),
            "mean_over_examples": (
                'return dx, grads["W"], grads["b"]', 'return dx, grads["W"] / len(x), grads["b"] / len(x)',
            ),
            "bias_of_one_position": ('return dx, grads["W"], grads["b"]', 'return dx, grads["W"], dy.sum(axis=0)'),
            "dy_forgotten": ("backward(layer, dy, (", "backward(layer, 0 * dy + 1, ("),
        },
    ),
    13: Solution(
        [
            "layers/batchnorm.py: channel_sum", "layers/batchnorm.py: batch_statistics",
            "layers/batchnorm.py: BatchNorm.forward", "layers/batchnorm.py: BatchNorm.backward",
        ],
        """
        def batchnorm_backward(dy, x, gamma, eps):
            layer = SimpleNamespace(trainable=True, remember=lambda *_: None, epsilon=eps, gamma=gamma, beta=0.0)
            ctx = SimpleNamespace(training=True, sum=lambda array: array)
            dx, grads = backward(layer, dy, forward(layer, x, ctx)[1])
            return dx, grads["gamma"], grads["beta"]
        """,
        {
            "statistics_constant": ("(dy - mean_dy - x_hat * mean_dy_x_hat)", "dy"),
            "mean_path_forgotten": ("dy - mean_dy - x_hat * mean_dy_x_hat", "dy - x_hat * mean_dy_x_hat"),
            "variance_path_forgotten": ("dy - mean_dy - x_hat * mean_dy_x_hat", "dy - mean_dy"),
            "gamma_forgotten": ("self.gamma * scale * (dy - mean_dy", "scale * (dy - mean_dy"),
            "sums_instead_of_means": ("(ctx.sum(np.stack([dbeta, dgamma])) / m)", "np.stack([dbeta, dgamma])"),
            "parameters_averaged": (
                'return dx, grads["gamma"], grads["beta"]',
                'return dx, grads["gamma"] / len(x), grads["beta"] / len(x)',
            ),
        },
    ),
    14: Solution(
        ["layers/dropout.py: Dropout.forward", "layers/dropout.py: Dropout.backward"],
        """
        def dropout(x, dy, draws, rate, training):
            ctx = SimpleNamespace(training=training, rng=SimpleNamespace(random=lambda shape: draws))
            y, mask = forward(SimpleNamespace(rate=rate), x, ctx)
            return y, backward(None, dy, mask)[0]
        """,
        {
            "not_scaled": (" / x.dtype.type(1 - self.rate)", ""),
            "dropped_in_evaluation": ("if not ctx.training or self.rate == 0", "if self.rate == 0"),
            "rate_is_what_stays": (
                ">= self.rate\n    mask = keep.astype(x.dtype) / x.dtype.type(1 - self.rate)",
                "< self.rate\n    mask = keep.astype(x.dtype) / x.dtype.type(self.rate)",
            ),
            "gradient_not_masked": ("backward(None, dy, mask)[0]", "dy"),
            "gradient_not_scaled": ("backward(None, dy, mask)[0]", "dy if mask is None else dy * (mask > 0)"),
        },
    ),
}  # fmt: skip

SHORT_READER = Solution(
    [],
    """
    TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

    def read_idx(data):
        rank = data[3]
        sizes = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
        return np.frombuffer(data[4 + 4 * rank :], TYPES[data[2]]).reshape(sizes)
    """,
    {
        "sizes_of_little_endian_numbers": ('"big"', '"little"'),
        "entries_of_little_endian_numbers": ("TYPES[data[2]])", 'TYPES[data[2]].replace(">", "<"))'),
        "always_bytes": ("TYPES[data[2]])", "np.uint8)"),
        "signed_bytes": ('">u1"', '">i1"'),
        "header_of_16_bytes": ("data[4 + 4 * rank :]", "data[16:]"),
        "first_index_fastest": (".reshape(sizes)", '.reshape(sizes, order="F")'),
    },
)
PLANTED = {**SOLUTIONS, 1: SHORT_READER}
