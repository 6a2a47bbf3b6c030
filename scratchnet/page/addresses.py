"""Addresses: what the numbers of a training step are called, in Python and in the page's links alike.

    x/5,7,0                 a pixel of the input                    dx/5,7,0            the loss' derivative by it
    y/4.conv2d/5,7,12       a number that a layer gives             dy/4.conv2d/5,7,12  the derivative by it
    W/4.conv2d/1,2,0,7      a parameter, by its name                dW/4.conv2d/...     the derivative by it
    new.W/4.conv2d/...      the parameter after one step            b, gamma, beta      likewise: db, new.b, ...
    dx/4.conv2d/5,7,0       the derivative by a layer's input, as far as it comes back through this layer
    logits/3   probabilities/3   dlogits/3   loss
    x_hat/5.batchnorm/5,7,12   mean, var, scale   running_mean, running_var     what is inside a BatchNorm

Indices are those of one example: (h, w, c) without n. A layer is named as the names of its arrays are, also within a
residual block: 3.residual.0.conv2d, 3.residual.shortcut.0.conv2d.
"""

from __future__ import annotations

import re
from typing import NamedTuple

OF_THE_MODEL = ("x", "dx", "logits", "probabilities", "dlogits", "loss")  # these need no layer

Index = tuple[int, ...]


class Address(NamedTuple):
    """A number: its kind ("dW"), the layer ("4.conv2d"; empty for the model's own numbers), and its index."""

    kind: str
    key: str
    at: Index


def parse_address(text: str) -> Address:
    """The parts of an address; a ValueError if it cannot be one.

    >>> parse_address("dW/4.conv2d/1,2,0,7")
    Address(kind='dW', key='4.conv2d', at=(1, 2, 0, 7))
    """
    parts = str(text).split("/")
    kind, place = parts[0], parts[-1] if len(parts) > 1 else ""
    key = parts[1] if len(parts) == 3 else ""
    if len(parts) > 3 or (place and not re.fullmatch(r"\d{1,9}(,\d{1,9})*", place)) or (kind != "loss" and not place):
        raise ValueError(
            f"address {text!r}: expected kind/layer/index, such as 'dW/4.conv2d/1,2,0,7' or 'y/2.dense/3'; or "
            "'x/5,7,0', 'logits/3', 'probabilities/3', 'dlogits/3', 'loss'"
        )
    return Address(kind, key, tuple(int(i) for i in place.split(",")) if place else ())


def format_address(kind: str, key: str = "", index: Index = ()) -> str:
    """The text of an address.

    >>> format_address("dW", "4.conv2d", (1, 2, 0, 7)), format_address("loss")
    ('dW/4.conv2d/1,2,0,7', 'loss')
    """
    return "/".join(part for part in (kind, key, ",".join(map(str, index))) if part)
