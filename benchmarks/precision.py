"""Would bfloat16 pay for these networks? Its rounding, measured by emulation, and the arithmetic that it would save.

A bfloat16 has eight bits of precision where a float32 has 24. Processors with AVX512-BF16 multiply twice as many of
them per instruction and sum in float32. But a convolution of the engine is Winograd's, which needs fewer products in
the first place, and sums and differences of many numbers, which want precision. So three methods are compared, each in
float32 and with all factors of products rounded to bfloat16:

    direct     y = sum of x * W                              9 products for an output
    2x2, 4x4   y = A^T [(G W G^T) * (B^T x B)] A             16/4 and 36/16 products

`products` counts the products' instructions, in units of direct float32: bfloat16 needs half. It is a bound, because
the transforms and everything else take the same time. `error` is that of one convolution, the middle one of chollet,
in units of its largest output; `accuracy` is that of the preset `default`, trained for one epoch in float32, on the
test images, all its products computed by the method (dense layers directly).

    python benchmarks/precision.py
"""

from collections.abc import Callable

import numpy as np
from command import load_data, parser_of, restart, save
from kernels import arrays, textbook

from scratchnet.compiled.kernels.winograd.matrices import matrices
from scratchnet.layers import Context, Conv2D, Dense
from scratchnet.layers.windows import im2col, place_windows

PIECE = 500  # images at a time


def bfloat16(a: np.ndarray) -> np.ndarray:
    """Each number rounded to the nearest bfloat16, ties to even; still stored as float32."""
    bits = np.ascontiguousarray(a, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def exactly(a: np.ndarray) -> np.ndarray:
    """The numbers as they are, in float32."""
    return np.asarray(a, np.float32)


def direct(x: np.ndarray, W: np.ndarray, rounded: Callable) -> np.ndarray:
    """The convolution without padding as one matrix product."""
    cols = im2col(rounded(x), place_windows(x.shape[1:], W.shape[:2], (1, 1), "valid", "precision"))
    out = (x.shape[1] - W.shape[0] + 1, x.shape[2] - W.shape[1] + 1)
    return (cols @ rounded(W).reshape(cols.shape[1], -1)).reshape(len(x), *out, -1)


def winograd(side: int) -> Callable:
    """The same by Winograd's method on tiles of side x side outputs; direct for filters that are not 3x3."""
    A, BT, G = (matrix.astype(np.float32) for matrix in matrices(side))

    def convolution(x: np.ndarray, W: np.ndarray, rounded: Callable) -> np.ndarray:
        if W.shape[:2] != (3, 3):
            return direct(x, W, rounded)
        n, c, f, size = len(x), *W.shape[2:], len(BT)
        out_h, out_w = x.shape[1] - 2, x.shape[2] - 2
        down, across = -(-out_h // side), -(-out_w // side)
        x = np.pad(x, ((0, 0), (0, down * side + 2 - x.shape[1]), (0, across * side + 2 - x.shape[2]), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))[:, ::side, ::side]
        V = np.einsum("iu,npqcuv,jv->ijnpqc", BT, windows, BT, optimize=True).reshape(size, size, -1, c)
        U = np.einsum("iu,uvcf,jv->ijcf", G, W, G, optimize=True)
        M = (rounded(V) @ rounded(U)).reshape(size, size, n, down, across, f)
        y = np.einsum("iu,ijnpqf,jv->npuqvf", A, M, A, optimize=True)
        return y.reshape(n, down * side, across * side, f)[:, :out_h, :out_w]

    return convolution


METHODS = {"direct": (direct, 1.0), "2x2": (winograd(2), 16 / 36), "4x4": (winograd(4), 36 / 144)}
ROUNDINGS = {"float32": (exactly, 1.0), "bfloat16": (bfloat16, 0.5)}  # and their share of the instructions


def logits(model, x: np.ndarray, method: Callable, rounded: Callable) -> np.ndarray:
    """What the model answers, with this method for its convolutions and these factors in all products."""
    x = model.check_input(x)
    for layer in model.layers:
        if isinstance(layer, Conv2D):
            win = layer.windows
            x = np.pad(x, ((0, 0), (win.top, win.bottom), (win.left, win.right), (0, 0)))
            x = method(x, layer.W, rounded) + (layer.b if layer.use_bias else 0)
        elif isinstance(layer, Dense):
            x = rounded(x) @ rounded(layer.W) + (layer.b if layer.use_bias else 0)
        else:
            x, _ = layer.forward(x, Context())
    return x


def main() -> None:
    args = parser_of(__doc__, size=13, channels=32, filters=64).parse_args()
    restart(args)
    import scratchnet as sn
    from scratchnet.data import load_dataset
    from scratchnet.zoo import PRESETS

    sn.set_threads(args.threads)
    data = load_data(args)
    _, (test, labels) = load_dataset(args.dataset, args.data_dir)[0]
    recipe = PRESETS["default"](10).overridden(epochs=1)
    model = recipe.build((28, 28, 1), seed=0)
    model.fit(data["x"], data["y"], verbose=False, **recipe.fit_options(len(data["x"])))
    reference = np.concatenate([model(test[i : i + PIECE]) for i in range(0, len(test), PIECE)])
    x, W, _ = arrays(32, args.size, args.channels, args.filters)
    right = textbook(x, W)
    rows = []
    for name, (method, products) in METHODS.items():
        for kind, (rounded, instructions) in ROUNDINGS.items():
            pieces = [logits(model, test[i : i + PIECE], method, rounded) for i in range(0, len(test), PIECE)]
            found = np.concatenate(pieces)
            if kind == "float32" and not np.allclose(found, reference, atol=1e-3):
                raise SystemExit(f"{name}: these are not the model's answers")
            rows.append({
                "method": f"{name}, {kind}",
                "products": f"{products * instructions:.3f}",
                "error": np.abs(method(x, W, rounded) - right).max() / np.abs(right).max(),
                "accuracy": f"{np.mean(found.argmax(1) == labels):.2%}".replace("%", " %"),
                "changed": int(np.sum(found.argmax(1) != reference.argmax(1))),
            })  # fmt: skip
            print(rows[-1], flush=True)
    titles = ("convolutions", "products' instructions", "error of one", "test accuracy", "other answers of 10,000")
    columns = dict(zip(rows[0], titles, strict=True))
    save("precision", args, rows, {"numpy": np.__version__}, columns=columns)


if __name__ == "__main__":
    main()
