"""save_numpy: a model as one Python file that needs NumPy alone, short enough to be read.

The program comes first: a function for each kind of layer that the model has, written for evaluation, and `predict`,
with a line for each layer. The weights stand at the end, as one long text in base64; NumPy reads them without a copy.
"""

from __future__ import annotations

import base64
import json
import os
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.data.atomic import replacing
from scratchnet.interop.walk import check_classifier, check_exportable, class_names
from scratchnet.keywords import explained
from scratchnet.layers import Layer
from scratchnet.layers.row import prefixes
from scratchnet.model import Sequential

FUNCTIONS = {
    "windows": '''def windows(x, size, stride, pads, fill=0.0):
    """All windows of images: (n, h, w, c) -> (n, out_h, out_w, c, k_h, k_w), a view."""
    x = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
    return sliding_window_view(x, size, axis=(1, 2))[:, :: stride[0], :: stride[1]]
''',
    "conv2d": '''def conv2d(x, W, b=0, *, stride, pads):
    """Each output is the dot product of a window and a filter; W: (k_h, k_w, c, filters)."""
    return np.tensordot(windows(x, W.shape[:2], stride, pads), W, axes=([4, 5, 3], [0, 1, 2])) + b
''',
    "depthwise_conv2d": '''def depthwise_conv2d(x, W, b=0, *, stride, pads):
    """Each channel has filters of its own; W: (k_h, k_w, c, m)."""
    y = np.einsum("nhwcij,ijcm->nhwcm", windows(x, W.shape[:2], stride, pads), W)
    return y.reshape(*y.shape[:3], -1) + b
''',
    "dense": '''def dense(x, W, b=0):
    """Every output sees every input; W: (features, units)."""
    return x @ W + b
''',
    "max_pool2d": '''def max_pool2d(x, size, stride, pads):
    """The largest number of each window."""
    return windows(x, size, stride, pads, -np.inf).max(axis=(4, 5))
''',
    "avg_pool2d": '''def avg_pool2d(x, size, stride, pads):
    """The mean of each window, the padding not counted."""
    pixels = windows(np.ones_like(x[:1]), size, stride, pads).sum(axis=(4, 5))
    return windows(x, size, stride, pads).sum(axis=(4, 5)) / pixels
''',
    "batch_norm": '''def batch_norm(x, gamma, beta, mean, var, *, epsilon):
    """Mean 0 and variance 1 as measured in training, then scaled and shifted."""
    return gamma * ((x - mean) / np.sqrt(var + np.float32(epsilon))) + beta
''',
    "leaky_relu": '''def leaky_relu(x, slope):
    """x where it is positive, slope · x elsewhere."""
    return np.where(x > 0, x, np.float32(slope) * x)
''',
    "elu": '''def elu(x, alpha):
    """x where it is positive, α (eˣ - 1) elsewhere."""
    return np.where(x > 0, x, np.float32(alpha) * np.expm1(np.minimum(x, 0)))
''',
    "sigmoid": '''def sigmoid(x):
    """1 / (1 + e⁻ˣ), written with a tanh, which does not overflow."""
    return (1 + np.tanh(x / 2)) / 2
''',
    "gelu": '''def gelu(x):
    """x Φ(x), Φ the distribution function of the standard normal distribution."""
    return (x * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))) / 2).astype(np.float32)
''',
    "softmax": '''def softmax(x):
    """Probabilities over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
''',
}
NEEDS = {"conv2d": "windows", "depthwise_conv2d": "windows", "max_pool2d": "windows", "avg_pool2d": "windows"}

PROGRAM = '''"""A network of {parameters:,} parameters in NumPy. Written by scratchnet; it needs NumPy alone.

    from {module} import predict
    predict(pixels)        # uint8 (n, {sizes}) -> class probabilities (n, {classes})
"""

import base64{math}

import numpy as np{windows}

CLASSES = {names}


{functions}def predict(pixels, batch_size=100):
    """Class probabilities (n, {classes}) for uint8 pixels (n, {sizes})."""
    pixels = np.asarray(pixels).reshape(-1, {sizes})
    parts = [forward(pixels[i : i + batch_size]) for i in range(0, len(pixels), batch_size)]
    return np.concatenate([np.zeros((0, {classes}), np.float32), *parts])


def forward(pixels):
    """The same for as many images as fit into memory at once: a line for each layer."""
    x = pixels.astype(np.float32)
{lines}
    return softmax(x)


def unpack(shapes, text):
    """The arrays of each layer: little-endian float32, one behind the other, in base64."""
    flat, place, arrays = np.frombuffer(base64.b64decode(text), "<f4"), 0, {{}}
    for layer, sizes in shapes.items():
        arrays[layer] = []
        for shape in sizes:
            arrays[layer].append(flat[place : place + int(np.prod(shape))].reshape(shape))
            place += arrays[layer][-1].size
    return arrays


SHAPES = {shapes}
w = unpack(SHAPES, """
{weights}
""")
'''


@explained
def save_numpy(model: Sequential, path: str | os.PathLike[str]) -> None:
    """Write the program `path`, one .py file with the weights in it.

    >>> save_numpy(model, "digits.py")
    >>> '    x = dense(x, *w["2.dense"])' in Path("digits.py").read_text()
    True
    """
    path = Path(path).expanduser()
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise ValueError(f"{path}: the name of a Python module is needed, for instance {path.parent / 'digits.py'}")
    check_exportable(model.layers, [*WRITERS, "Residual"], "NumPy")
    check_classifier(model, "NumPy")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(program(model, path.stem).encode())


def program(model: Sequential, module: str) -> str:
    """The text of the file."""
    arrays = {name: np.asarray(a, "<f4") for name, a in model.network.arrays("params", "state").items()}
    lines = "\n".join(f"    {line}" for line in statements(model.layers, model.names))
    text = base64.b64encode(b"".join(array.tobytes() for array in arrays.values())).decode()
    used = {name for name in FUNCTIONS if f" {name}(" in lines} | {"softmax"}
    used |= {NEEDS[name] for name in used if name in NEEDS}
    functions = "".join(f"{code}\n\n" for name, code in FUNCTIONS.items() if name in used)
    shapes: dict[str, list[tuple[int, ...]]] = {}
    for name, array in arrays.items():
        shapes.setdefault(name.rpartition(".")[0], []).append(array.shape)
    listed = "".join(f'    "{layer}": {sizes},\n' for layer, sizes in shapes.items())
    return PROGRAM.format(
        parameters=model.count_params(), module=module, sizes=", ".join(map(str, model.input_shape)),
        classes=model.shapes[-1][0], names=json.dumps(class_names(model)), functions=functions, lines=lines,
        math="\nimport math" * ("math." in functions), shapes=f"{{\n{listed}}}" if listed else "{}",
        windows="\nfrom numpy.lib.stride_tricks import sliding_window_view" * ("windows" in used),
        weights="\n".join(textwrap.wrap(text, 116)),
    )  # fmt: skip


def statements(layers: Sequence[Layer], names: Sequence[str], depth: int = 0) -> Iterator[str]:
    """A line for each layer; x is the value that flows. depth: of the residual block that the layers are in."""
    for layer, name in zip(layers, names, strict=True):
        if type(layer).__name__ == "Residual":
            block: Any = layer
            yield f"start_{depth} = x"
            yield from statements(block.layers, [f"{name}.{prefix}" for prefix in prefixes(block.layers)], depth + 1)
            yield f"branch_{depth}, x = x, start_{depth}"
            way = [f"{name}.shortcut.{prefix}" for prefix in prefixes(block.way)]
            yield from statements(block.way, way, depth + 1)
            yield f"x = branch_{depth} + x"
        elif text := WRITERS[type(layer).__name__](layer, name):
            yield f"x = {text}"


def window(layer: Any) -> str:
    """stride=(1, 1), pads=((0, 0), (0, 0))."""
    win = layer.windows
    return f"stride={layer.stride}, pads=(({win.top}, {win.bottom}), ({win.left}, {win.right}))"


def rescale(layer: Any, name: str) -> str:
    """scale · x + offset, in float32 as the model does it."""
    return f"np.float32({layer.scale!r}) * x" + (f" + np.float32({layer.offset!r})" if layer.offset else "")


def cropping(layer: Any, name: str) -> str:
    """A slice without the border."""
    b_h, b_w = layer.border
    return f"x[:, {b_h}:-{b_h}, {b_w}:-{b_w}]"


def with_arrays(function: str, options: Callable[[Any], str] = lambda layer: "") -> Callable[[Any, str], str]:
    """conv2d(x, *w["1.conv2d"], stride=(1, 1), ...)"""
    return lambda layer, name: f'{function}(x, *w["{name}"]{options(layer)})'


WRITERS: dict[str, Any] = {
    "Rescale": rescale, "Cropping2D": cropping, "Dense": with_arrays("dense"),
    "ZeroPadding2D": lambda layer, name: f"np.pad(x, ((0, 0), *{layer.padding}, (0, 0)))",
    "Conv2D": with_arrays("conv2d", lambda layer: f", {window(layer)}"),
    "DepthwiseConv2D": with_arrays("depthwise_conv2d", lambda layer: f", {window(layer)}"),
    "MaxPool2D": lambda layer, name: f"max_pool2d(x, {layer.pool_size}, {window(layer)})",
    "AvgPool2D": lambda layer, name: f"avg_pool2d(x, {layer.pool_size}, {window(layer)})",
    "GlobalAvgPool2D": lambda layer, name: "x.mean(axis=(1, 2))",
    "BatchNorm": with_arrays("batch_norm", lambda layer: f", epsilon={layer.epsilon!r}"),
    "ReLU": lambda layer, name: "np.maximum(x, 0)", "Tanh": lambda layer, name: "np.tanh(x)",
    "LeakyReLU": lambda layer, name: f"leaky_relu(x, {layer.slope!r})",
    "ELU": lambda layer, name: f"elu(x, {layer.alpha!r})", "GELU": lambda layer, name: "gelu(x)",
    "Sigmoid": lambda layer, name: "sigmoid(x)", "SiLU": lambda layer, name: "x * sigmoid(x)",
    "Softmax": lambda layer, name: "softmax(x)", "Flatten": lambda layer, name: "x.reshape(len(x), -1)",
    "Dropout": lambda layer, name: "",
}  # fmt: skip
