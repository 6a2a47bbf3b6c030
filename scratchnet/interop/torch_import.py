"""load_torch: the weights of a PyTorch model, from a safetensors file into a model of the same shape.

A state_dict has arrays by name and no architecture, and the names are the author's own. So the model is built here, as
scratchnet writes it, and the file's arrays are matched to its layers: by what they are (convolution, dense layer, batch
normalisation), by their shapes, and where several layers are equal in both by the order of their names, in which
conv10 follows conv2. safetensors stores arrays sorted by name, so the order of definition is lost; if names do not
sort in the order of the layers, `names` says which belongs where.

    convolution     (filters, c, k_h, k_w) -> (k_h, k_w, c, filters)
    dense           (units, features) -> (features, units); behind a Flatten the features go from c, h, w to h, w, c
    batch norm      weight, bias, running_mean, running_var -> gamma, beta, running_mean, running_var

A .pt or .pth file is a pickle, which can run code when it is read; it is not read here.
"""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.interop.walk import Part, features_first
from scratchnet.keywords import explained
from scratchnet.layers import BatchNorm, Conv2D, Dense, DepthwiseConv2D
from scratchnet.model import Sequential
from scratchnet.saving import ModelFileError, as_model_file_error
from scratchnet.saving.container import read_container
from scratchnet.saving.file_kinds import HEAD, kind_of

Arrays = dict[str, np.ndarray]
TORCH_EPSILON = 1e-5  # what BatchNorm2d has unless it is given another
ORDER = ("weight", "bias", "running_mean", "running_var")


@explained
def load_torch(model: Sequential, path: str | os.PathLike[str], names: dict[str, str] | None = None) -> dict[str, str]:
    """Copy the arrays of a PyTorch state_dict, saved as safetensors, into `model`; return which came from where.

    names: pairs to begin with, our layer's name -> their module's. {"1.conv2d": "stem.conv"}
    Nothing is copied unless every layer has its arrays and every array its layer; the ModelFileError lists both sides.
    A state_dict has no epsilon: PyTorch's BatchNorm has 1e-5, ours 1e-3 unless it is BatchNorm(epsilon=1e-5), which is
    a warning. Its momentum 0.1 is the share of the new statistics, ours 0.9 that of the old ones.

    >>> from safetensors.numpy import save_file
    >>> save_file({"fc.weight": np.ones((10, 784), np.float32), "fc.bias": np.zeros(10, np.float32)}, "m.safetensors")
    >>> load_torch(model, "m.safetensors")
    {'2.dense': 'fc'}
    """
    path = Path(path).expanduser()
    refuse_pickle(path)
    with as_model_file_error(path):
        arrays, metadata = read_container(path)
        if "scratchnet" in metadata:
            raise ModelFileError("a model file of scratchnet, with its architecture. sn.load_model(path) reads it")
        modules = by_module(arrays)
        parts = features_first(model)
        matched = match({part.name: shapes_of(part) for part in parts}, modules, names or {})
    for part in parts:
        fill(part, modules[matched[part.name]])
    if "epsilon" not in metadata:  # save_torch says which one it has
        say_epsilon(parts)
    return matched


def refuse_pickle(path: Path) -> None:
    """Raise ModelFileError for a PyTorch file, with the line that converts it."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with open(path, "rb") as file:
        kind = kind_of(file.read(HEAD))
    if "pickle" in kind or "PyTorch" in kind:
        new = path.with_suffix(".safetensors").name
        raise ModelFileError(
            f"{path}: a pickle, which can run code when it is read; it is not read here. This line converts it: "
            f'python -c "import torch, safetensors.torch as s; '
            f's.save_file(torch.load({path.name!r}, weights_only=True), {new!r})"'
        )
    if kind:
        raise ModelFileError(f"{path}: not a safetensors file, but {kind}")


def by_module(arrays: Arrays) -> dict[str, Arrays]:
    """The arrays of each module, the modules in the order of their names with numbers as numbers."""
    modules: dict[str, Arrays] = {}
    for name in sorted(arrays, key=natural):
        module, _, what = name.rpartition(".")
        if what != "num_batches_tracked":
            modules.setdefault(module, {})[what] = arrays[name]
    return modules


def natural(name: str) -> list[Any]:
    """The name as texts and numbers: conv10 is behind conv2.

    >>> sorted(["conv10.weight", "conv2.weight"], key=natural)
    ['conv2.weight', 'conv10.weight']
    """
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def shapes_of(part: Part) -> dict[str, tuple[int, ...]]:
    """The arrays that PyTorch has for one of our layers."""
    return {name: array.shape for name, array in to_torch(part).items()}


def match(ours: dict[str, dict], modules: dict[str, Arrays], names: dict[str, str]) -> dict[str, str]:
    """Our layers' names -> their modules', or an error that lists both sides."""
    theirs = {name: {what: array.shape for what, array in arrays.items()} for name, arrays in modules.items()}
    for mine, name in names.items():
        if mine not in ours or name not in theirs:
            known, what = (ours, mine) if mine not in ours else (theirs, name)
            raise ModelFileError(f"names: there is no {what!r}. There are {', '.join(known)}")
    found, left = dict(names), [name for name in theirs if name not in names.values()]
    for mine, shapes in ours.items():
        fitting = [name for name in left if theirs[name] == shapes]
        if mine not in found and fitting:
            found[mine] = fitting[0]
            left.remove(fitting[0])
    wrong = [mine for mine in ours if mine not in found or theirs[found[mine]] != ours[mine]]
    left += [found[mine] for mine in wrong if mine in found]
    if wrong or left:
        sides = (("of the model", wrong, ours), ("of the file", left, theirs))
        listed = [
            f"\n  {side}, without a counterpart:" + "".join(f"\n    {name}: {in_words(shapes[name])}" for name in some)
            for side, some, shapes in sides if some
        ]  # fmt: skip
        raise ModelFileError(f"the arrays do not fit the model (shapes as PyTorch writes them):{''.join(listed)}")
    return {mine: found[mine] for mine in ours}


def in_words(shapes: dict[str, tuple[int, ...]]) -> str:
    """weight (32, 1, 3, 3), bias (32,)."""
    known = [name for name in ORDER if name in shapes]
    return ", ".join(f"{name} {shapes[name]}" for name in [*known, *(name for name in shapes if name not in ORDER)])


def to_torch(part: Part) -> Arrays:
    """A layer's arrays as PyTorch has them."""
    layer: Any = part.layer
    if isinstance(layer, BatchNorm):
        given = (layer.gamma, layer.beta, layer.running_mean, layer.running_var)
        return {
            name: array if part.order is None else array[part.order] for name, array in zip(ORDER, given, strict=True)
        }
    if isinstance(layer, Conv2D):
        arrays = {"weight": layer.W.transpose(3, 2, 0, 1)}
    elif isinstance(layer, DepthwiseConv2D):
        k_h, k_w, c, m = layer.W.shape
        arrays = {"weight": layer.W.transpose(2, 3, 0, 1).reshape(c * m, 1, k_h, k_w)}
    elif isinstance(layer, Dense):
        arrays = {"weight": (layer.W if part.order is None else layer.W[part.order]).T}
    else:
        raise ValueError(f"{part.name}: a layer of your own has no counterpart in PyTorch")
    return {**arrays, "bias": layer.b} if layer.use_bias else arrays


def fill(part: Part, arrays: Arrays) -> None:
    """Copy a module's arrays into a layer: the reverse of `to_torch`, whose shapes they have."""
    layer: Any = part.layer
    order = slice(None) if part.order is None else part.order
    if isinstance(layer, BatchNorm):
        for ours, theirs in zip(("gamma", "beta", "running_mean", "running_var"), ORDER, strict=True):
            getattr(layer, ours)[order] = arrays[theirs]
        return
    if isinstance(layer, Conv2D):
        layer.W[...] = arrays["weight"].transpose(2, 3, 1, 0)
    elif isinstance(layer, DepthwiseConv2D):
        k_h, k_w, c, m = layer.W.shape
        layer.W[...] = arrays["weight"].reshape(c, m, k_h, k_w).transpose(2, 3, 0, 1)
    else:
        layer.W[order] = arrays["weight"].T
    if layer.use_bias:
        layer.b[...] = arrays["bias"]


def say_epsilon(parts: list[Part]) -> None:
    """Warn of a BatchNorm whose epsilon is not PyTorch's."""
    other = [p.name for p in parts if isinstance(p.layer, BatchNorm) and p.layer.epsilon != TORCH_EPSILON]
    if other:
        warnings.warn(
            f"epsilon is no part of the file: PyTorch's BatchNorm has 1e-5, {', '.join(other)} another one. "
            "Build the model with BatchNorm(epsilon=1e-5), unless the file's was changed too.",
            stacklevel=4,
        )
