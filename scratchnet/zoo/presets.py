"""The recipes by name. A line here makes a recipe of your own available as a preset in every program.

>>> print(described("mlp"))
mlp            ...
               235,146 parameters; ...
"""

from __future__ import annotations

from collections.abc import Callable

from scratchnet.zoo.deep import deep, resnet
from scratchnet.zoo.fashion import fashion, fashion_best
from scratchnet.zoo.ours import best, default, fast, pyramid_one_cycle
from scratchnet.zoo.published import basic, chollet, lenet5, mlp, pyramid, two_conv, two_conv_adam, vgg_bn
from scratchnet.zoo.recipe import Recipe

PRESETS: dict[str, Callable[[int], Recipe]] = {
    "default": default,
    "fast": fast,
    "best": best,
    "two-conv": two_conv,
    "two-conv-adam": two_conv_adam,
    "basic": basic,
    "chollet": chollet,
    "pyramid": pyramid,
    "pyramid-one-cycle": pyramid_one_cycle,
    "vgg-bn": vgg_bn,
    "resnet": resnet,
    "deep": deep,
    "fashion": fashion,
    "fashion-best": fashion_best,
    "lenet5": lenet5,
    "mlp": mlp,
}  # name -> a function from the number of classes to a recipe


def described(name: str) -> str:
    """A preset's name, description, number of parameters for MNIST, and training recipe, on two lines."""
    make = PRESETS[name]
    recipe = make(10)
    model = recipe.build((28, 28, 1), engine="numpy")
    trained, kept = (sum(a.size for a in arrays.values()) for arrays in (model.parameters(), model.state()))
    size = f"{trained + kept:,} parameters" + (f" ({trained:,} trained)" if kept else "")
    return f"{name:<14} {(make.__doc__ or '').splitlines()[0]}\n{'':<14} {size}; {recipe}"
