"""From seven loops to registers: one convolution in increasingly fast versions.

    y[i, p, q, f] = sum over u, v, c of  x[i, p + u, q + v, c] * W[u, v, c, f]

Every version computes this; read them from the top. Before any timing, each y is compared with the textbook
layer's in float64. The Python loops get one image, the others a batch. One thread is used, because more threads speed
up all versions equally. FLOPs are two for each multiply-add of the definition, so Winograd's versions, which do fewer,
may exceed the machine's peak. Data that depend only on the sizes (tables of offsets, scratch memory) are prepared
before; packing and transforming the weights is timed.

    python benchmarks/kernels.py                         the middle convolution of chollet: 32 images 13×13×32 -> 64
"""

from collections.abc import Callable
from functools import cache

import numba
import numpy as np
from command import parser_of, restart, save
from roofline import measure
from stopwatch import median_seconds

from scratchnet.compiled.jit.aligned import aligned_empty, aligned_zeros
from scratchnet.compiled.kernels.conv import direct as convolution
from scratchnet.compiled.kernels.gemm import pack_panels, padded_width
from scratchnet.compiled.kernels.winograd import forward as winograd
from scratchnet.compiled.kernels.winograd import tiling as winograd_tiles
from scratchnet.compiled.simd.target import ROWS
from scratchnet.layers import Context, Conv2D
from scratchnet.layers.windows import im2col, place_windows

CLOSE = 1e-5  # largest |y - textbook| allowed, in units of the largest |y|


def seven_loops(x, W, y):
    """The definition, in Python."""
    n, out_h, out_w, filters = y.shape
    k_h, k_w, channels, _ = W.shape
    for i in range(n):
        for p in range(out_h):
            for q in range(out_w):
                for f in range(filters):
                    total = 0.0
                    for u in range(k_h):
                        for v in range(k_w):
                            for c in range(channels):
                                total += x[i, p + u, q + v, c] * W[u, v, c, f]
                    y[i, p, q, f] = total


def loops_over_the_kernel(x, W, y):
    """NumPy replaces five of the loops: for each of the k_h * k_w taps, one product of all pixels with its weights."""
    _, out_h, out_w, _ = y.shape
    y[...] = 0
    for u in range(W.shape[0]):
        for v in range(W.shape[1]):
            y += x[:, u : u + out_h, v : v + out_w] @ W[u, v]


def im2col_and_matmul(x, W, y):
    """The textbook: all patches copied into the rows of a matrix, then one product for the BLAS."""
    cols = im2col(x, place_windows(x.shape[1:], W.shape[:2], (1, 1), "valid", "ladder"))
    np.matmul(cols, W.reshape(cols.shape[1], -1), out=y.reshape(len(cols), -1))


@numba.njit(nogil=True)
def compiled_loops(x, W, y):
    """The definition, compiled; f is the innermost loop, since its numbers are contiguous."""
    n, out_h, out_w, filters = y.shape
    k_h, k_w, channels, _ = W.shape
    y[...] = 0
    for i in range(n):
        for p in range(out_h):
            for q in range(out_w):
                for u in range(k_h):
                    for v in range(k_w):
                        for c in range(channels):
                            for f in range(filters):
                                y[i, p, q, f] += x[i, p + u, q + v, c] * W[u, v, c, f]


@numba.njit(nogil=True)
def compiled_im2col(x, W, y):
    """Image by image, so that the patches are still in the cache when the BLAS reads them."""
    n, out_h, out_w, filters = y.shape
    k_h, k_w, channels, _ = W.shape
    cols = np.empty((out_h, out_w, k_h, k_w, channels), x.dtype)
    for i in range(n):
        for p in range(out_h):
            for q in range(out_w):
                cols[p, q] = x[i, p : p + k_h, q : q + k_w]
        np.dot(cols.reshape(out_h * out_w, -1), W.reshape(-1, filters), y[i].reshape(-1, filters))


def register_tiles(x, W, y):
    """Patches read in place, and a tile of sums that stays in registers until it is complete."""
    (k_h, k_w, c, f), (starts, panels, no_bias) = W.shape, tables_for_tiles(x.shape, W.shape, y.shape)
    pack_panels(W.reshape(-1, f), no_bias, panels)
    convolution.convolve(x, starts, panels, y, k_h, x.shape[2] * c, k_w * c, False)


@cache
def tables_for_tiles(x, W, y):
    """Where the patches begin, and memory, for arrays of these shapes."""
    panels = aligned_empty((W[0] * W[1] * W[2] + 1) * padded_width(W[3]))
    return convolution.patch_starts(*x, *y[1:3], 1, 1), panels, np.zeros(W[3], np.float32)


def winograd_2x2(x, W, y):
    """16 products in place of 36 for a tile of 2 x 2 outputs."""
    winograd_on_tiles(x, W, y, 2)


def winograd_4x4(x, W, y):
    """36 products in place of 144 for a tile of 4 x 4 outputs, and more additions around them."""
    winograd_on_tiles(x, W, y, 4)


def winograd_on_tiles(x, W, y, side):
    padded, starts, places, u, v, m, no_bias = tables_for_winograd(x.shape, W.shape, y.shape, side)
    padded[:, : x.shape[1], : x.shape[2]] = x
    line, tile = padded.shape[2] * padded.shape[3], winograd_tiles.numbers(side)
    winograd.transform_filters(W, u, tile)
    winograd.winograd(padded, starts, u, no_bias, y, places, v, m, line, False, tile, ROWS)


@cache
def tables_for_winograd(x, W, y, side):
    """Whole tiles, where they begin and where they end, and memory, for arrays of these shapes."""
    (n, _, _, c), (_, out_h, out_w, f) = x, y
    h, w = (winograd_tiles.padded_size(size, side) for size in (out_h, out_w))
    starts = convolution.patch_starts(n, h, w, c, *winograd_tiles.tiles(side, out_h, out_w), side, side)
    places, u = winograd_tiles.output_offsets(n, out_h, out_w, f, side), winograd_tiles.filter_scratch(c, f, side)
    v, m = winograd_tiles.winograd_scratch(c, f, side)
    return aligned_zeros((n, h, w, c)), starts, places, u, v, m, np.zeros(f, np.float32)


LADDER: dict[str, Callable] = {
    "Python, seven loops": seven_loops,
    "Numba, seven loops": compiled_loops,
    "NumPy, loops over the kernel": loops_over_the_kernel,
    "NumPy, im2col and matmul": im2col_and_matmul,
    "Numba, im2col and dot": compiled_im2col,
    "register tiles": register_tiles,
    "Winograd, 2x2": winograd_2x2,
    "Winograd, 4x4": winograd_4x4,
}


def arrays(n: int, size: int, channels: int, filters: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, W and memory for y: random numbers, weights of the size that He's rule gives them."""
    rng = np.random.default_rng(0)
    W = rng.normal(0, np.sqrt(2 / (9 * channels)), (3, 3, channels, filters))
    x = rng.random((n, size, size, channels), np.float32)
    return x, W.astype(np.float32), np.empty((n, size - 2, size - 2, filters), np.float32)


def textbook(x, W) -> np.ndarray:
    """What `Conv2D` of the textbook makes of it in float64."""
    conv = Conv2D(W.shape[-1], W.shape[:2], use_bias=False)
    conv.dtype = np.dtype("float64")
    conv.build(x.shape[1:], np.random.default_rng(0))
    conv.W[...] = W
    return conv.forward(x.astype(np.float64), Context())[0]


def error(rung: Callable, x, W, y) -> float:
    """The largest deviation from the textbook, in units of the largest output."""
    right = textbook(x, W)
    y.fill(np.nan)
    rung(x, W, y)
    return float(np.abs(y - right).max() / np.abs(right).max())


def main() -> None:
    args = parser_of(__doc__, batch=32, size=13, channels=32, filters=64).parse_args()
    args.threads = 1
    restart(args)
    x, W, y = arrays(args.batch, args.size, args.channels, args.filters)
    images = {name: 1 if rung is seven_loops else len(x) for name, rung in LADDER.items()}
    errors = {name: error(rung, x[: images[name]], W, y[: images[name]]) for name, rung in LADDER.items()}
    if wrong := {name: value for name, value in errors.items() if not value <= CLOSE}:
        raise SystemExit(f"No time is taken: these are not the textbook's convolution: {wrong}")
    rows, below = [], None
    for name, n in images.items():
        seconds = median_seconds(lambda rung=LADDER[name], n=n: rung(x[:n], W, y[:n]), at_least=0.5)
        speed = 2 * W[..., 0].size * y[:n].size / seconds
        rows.append(
            {
                "rung": name,
                "images": n,
                "ms": seconds * 1e3 / n,
                "gflops": speed / 1e9,
                "step": f"{speed / below:,.1f} ×" if below else None,
                "error": errors[name],
            }
        )
        below = speed
    peak = measure(1).peak / 1e9
    note = f"Multiply-adds between registers on one thread: {peak:.0f} GFLOP/s."
    columns = {
        "rung": "rung",
        "images": "images",
        "ms": "ms per image",
        "gflops": "GFLOP/s",
        "step": "of the one above",
        "error": "largest error",
    }
    save("kernels", args, rows, {"numba": numba.__version__, "numpy": np.__version__}, columns=columns, note=note)


if __name__ == "__main__":
    main()
