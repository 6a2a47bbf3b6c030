"""save_torch: a model for PyTorch, as a short program with an nn.Sequential and a safetensors file beside it.

The program is written to be read and extended: a line for each layer. PyTorch has the channels first, so the
program turns the pixels once, and the rows of the first Linear behind the Flatten are stored in the order c, h, w.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.data.atomic import replacing
from scratchnet.interop.torch_import import to_torch
from scratchnet.interop.walk import check_classifier, check_exportable, class_names, features_first
from scratchnet.keywords import explained
from scratchnet.layers import Layer
from scratchnet.layers.base import short
from scratchnet.layers.row import prefixes
from scratchnet.model import Sequential

CLASSES = {
    "Rescale": '''class Rescale(nn.Module):
    """y = scale · x + offset."""

    def __init__(self, scale, offset):
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, x):
        return self.scale * x + self.offset
''',
    "Residual": '''class Residual(nn.Module):
    """y = branch(x) + way(x)."""

    def __init__(self, branch, way):
        super().__init__()
        self.branch, self.way = branch, way

    def forward(self, x):
        return self.branch(x) + self.way(x)
''',
    "PaddedAvgPool2d": '''class PaddedAvgPool2d(nn.Module):
    """Means over windows on padded images; the padding does not count."""

    def __init__(self, size, stride, padding):
        super().__init__()
        self.pool, self.pad = nn.AvgPool2d(size, stride), nn.ZeroPad2d(padding)

    def forward(self, x):
        return self.pool(self.pad(x)) / self.pool(self.pad(torch.ones_like(x)))
''',
}

PROGRAM = '''"""{title}

    from {module} import predict
    predict(pixels)        # uint8 {shape} -> class probabilities (n, {classes})

Written by scratchnet. The weights are in {weights}; it needs torch and safetensors.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

CLASSES = {names}


{definitions}model = nn.Sequential(
{layers}
)
model.load_state_dict(load_file(Path(__file__).with_suffix(".safetensors")))
model.eval()


def predict(pixels):
    """Class probabilities (n, {classes}) for uint8 pixels {shape}{last}."""
    x = torch.as_tensor(pixels).reshape(-1, {sizes}){turned}.float()
    with torch.no_grad():
        return model(x).softmax(dim=1)
'''


@explained
def save_torch(model: Sequential, path: str | os.PathLike[str]) -> None:
    """Write the program `path`, which ends with .py, and its weights beside it as .safetensors.

    >>> save_torch(model, "digits.py")
    >>> Path("digits.py").read_text().count("nn.Linear(784, 10)")
    1
    """
    from safetensors.numpy import save

    path = Path(path).expanduser()
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise ValueError(f"{path}: the name of a Python module is needed, for instance {path.parent / 'digits.py'}")
    check_exportable(model.layers, WRITERS, "PyTorch")
    check_classifier(model, "PyTorch")
    modules, places = modules_of(model.layers, model.names, model.shapes)
    arrays = {
        f"{places[part.name]}.{name}": np.ascontiguousarray(array, np.float32)
        for part in features_first(model) for name, array in to_torch(part).items()
    }  # fmt: skip
    for name in [name for name in arrays if name.endswith("running_var")]:
        arrays[name.replace("running_var", "num_batches_tracked")] = np.zeros((), np.int64)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path.with_suffix(".safetensors")) as file:
        file.write(save(arrays, {"format": "pt", "epsilon": "as in the program"}))
    with replacing(path) as file:
        file.write(program(model, path, modules).encode())


def program(model: Sequential, path: Path, modules: list[str]) -> str:
    """The text of the program."""
    text = "\n".join(f"    {line}," for line in modules)
    images = len(model.input_shape) == 3
    sizes = ", ".join(map(str, model.input_shape))
    definitions = "".join(f"{code}\n\n" for name, code in CLASSES.items() if f"{name}(" in text)
    return PROGRAM.format(
        title=f"A network of {model.count_params():,} parameters in PyTorch.", module=path.stem, sizes=sizes,
        weights=path.with_suffix(".safetensors").name, names=json.dumps(class_names(model)), shape=f"(n, {sizes})",
        classes=model.shapes[-1][0], layers=text, definitions=definitions, last=", channels last" * images,
        turned=".permute(0, 3, 1, 2)" * images,
    )  # fmt: skip


def modules_of(layers: Sequence[Layer], names: Sequence[str], shapes: Any) -> tuple[list[str], dict[str, str]]:
    """A line for each module, and for each of our layers the name that PyTorch gives to its arrays."""
    lines: list[str] = []
    places: dict[str, str] = {}
    for layer, name, shape in zip(layers, names, shapes[:-1], strict=True):
        if type(layer).__name__ == "Residual":
            lines.append(residual(layer, name, places, str(len(lines))))
            continue
        written = WRITERS[type(layer).__name__](layer, shape)
        lines += [written] if isinstance(written, str) else written
        places[name] = str(len(lines) - 1)
    return lines, places


def residual(layer: Any, name: str, places: dict[str, str], place: str) -> str:
    """Residual(nn.Sequential(...), nn.Sequential(...)); the places of its layers are added."""
    ways = []
    for ours, theirs, row, shapes in (
        ("", "branch", layer.layers, layer.shapes), ("shortcut.", "way", layer.way, layer.way_shapes),
    ):  # fmt: skip
        lines, inner = modules_of(row, [f"{name}.{ours}{prefix}" for prefix in prefixes(row)], shapes)
        places.update({mine: f"{place}.{theirs}.{number}" for mine, number in inner.items()})
        ways.append(f"nn.Sequential({', '.join(lines)})" if lines else "nn.Identity()")
    return f"Residual({', '.join(ways)})"


# a function for each class of layer: (layer, input shape) -> the module, or several


def conv(layer: Any, shape: Any) -> str | list[str]:
    """Conv2d, behind a ZeroPad2d where the sides differ."""
    bias = "" if layer.use_bias else ", bias=False"
    filters, groups = (
        (layer.filters, "") if hasattr(layer, "filters") else (layer.W.shape[2] * layer.W.shape[3], shape[2])
    )
    options = stride(layer) + (f", groups={groups}" if groups else "") + bias
    call = f"nn.Conv2d({shape[2]}, {filters}, {short(layer.kernel_size)}{{}}{options})"
    win = layer.windows
    if (win.top, win.left) == (win.bottom, win.right):
        return call.format(f", padding={short((win.top, win.left))}" if win.top or win.left else "")
    return [zeros(win.left, win.right, win.top, win.bottom), call.format("")]


def stride(layer: Any) -> str:
    """The argument, if it is not 1."""
    return "" if layer.stride == (1, 1) else f", stride={short(layer.stride)}"


def zeros(left: int, right: int, top: int, bottom: int) -> str:
    """Zeros around images, or with negative numbers a part of them."""
    return f"nn.ZeroPad2d({(left, right, top, bottom)})"


def fits(layer: Any) -> bool:
    """Whether PyTorch's pools can pad so: equally on both sides, by half a window at most."""
    win = layer.windows
    return (win.top, win.left) == (win.bottom, win.right) and 2 * win.top <= win.k_h and 2 * win.left <= win.k_w


def max_pool(layer: Any, shape: Any) -> str | list[str]:
    """MaxPool2d, behind a padding with -∞ where its own is not enough."""
    win = layer.windows
    call = f"nn.MaxPool2d({short(layer.pool_size)}, {short(layer.stride)}{{}})"
    if fits(layer):
        return call.format(f", padding={short((win.top, win.left))}" if win.top or win.left else "")
    padding = (win.left, win.right, win.top, win.bottom)
    return [f'nn.ConstantPad2d({padding}, float("-inf"))', call.format("")]


def average_pool(layer: Any, shape: Any) -> str:
    """AvgPool2d without the padding in its means, or the class above."""
    win = layer.windows
    sides, call = (win.left, win.right, win.top, win.bottom), f"({short(layer.pool_size)}, {short(layer.stride)}"
    if not any(sides):
        return f"nn.AvgPool2d{call})"
    if fits(layer):
        return f"nn.AvgPool2d{call}, padding={short((win.top, win.left))}, count_include_pad=False)"
    return f"PaddedAvgPool2d{call}, {sides})"


def dense(layer: Any, shape: Any) -> str:
    """Linear."""
    return f"nn.Linear({shape[0]}, {layer.units}{'' if layer.use_bias else ', bias=False'})"


def batch_norm(layer: Any, shape: Any) -> str:
    """PyTorch's momentum is the share of the new statistics."""
    kind = "BatchNorm2d" if len(shape) == 3 else "BatchNorm1d"
    return f"nn.{kind}({shape[-1]}, eps={layer.epsilon!r}, momentum={round(1 - layer.momentum, 12)!r})"


def zero_padding(layer: Any, shape: Any) -> str:
    """ZeroPad2d, whose order is left, right, top, bottom."""
    (top, bottom), (left, right) = layer.padding
    return zeros(left, right, top, bottom)


def cropping(layer: Any, shape: Any) -> str:
    """ZeroPad2d with negative numbers."""
    b_h, b_w = layer.border
    return zeros(-b_w, -b_w, -b_h, -b_h)


def plain(text: str) -> Callable[[Any, Any], str]:
    """A module that depends on the arguments of the layer only, {0} in the text."""
    return lambda layer, shape: text.format(layer)


WRITERS: dict[str, Any] = {
    "Rescale": plain("Rescale({0.scale!r}, {0.offset!r})"), "Cropping2D": cropping, "ZeroPadding2D": zero_padding,
    "Conv2D": conv, "DepthwiseConv2D": conv, "ReLU": plain("nn.ReLU()"), "ELU": plain("nn.ELU({0.alpha!r})"),
    "LeakyReLU": plain("nn.LeakyReLU({0.slope!r})"), "GELU": plain("nn.GELU()"), "SiLU": plain("nn.SiLU()"),
    "Sigmoid": plain("nn.Sigmoid()"), "Tanh": plain("nn.Tanh()"), "Softmax": plain("nn.Softmax(dim=1)"),
    "MaxPool2D": max_pool, "AvgPool2D": average_pool, "Flatten": plain("nn.Flatten()"), "Dense": dense,
    "GlobalAvgPool2D": lambda layer, shape: ["nn.AdaptiveAvgPool2d(1)", "nn.Flatten()"],
    "Dropout": plain("nn.Dropout({0.rate!r})"), "BatchNorm": batch_norm, "Residual": residual,
}  # fmt: skip
