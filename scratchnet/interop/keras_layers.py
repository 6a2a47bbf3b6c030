"""From a layer of Keras to layers of this package: a closed table.

Each function of the table receives a layer's configuration, its arrays and the shape of its input, and gives our layers
as descriptions with their arrays (`architecture.make_layer` makes them). Kernels are (k_h, k_w, in, out) in both, dense
weights (in, out): every array is taken as it is.

Nothing in a file is imported or run. A layer that is not in the table, or says something that has no form here, is a
ValueError; the caller collects them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from scratchnet.interop.keras_arguments import Arguments, listed, number, pair, sides
from scratchnet.layers.base import Shape
from scratchnet.saving.container import ModelFileError, shown

CHANNELS_FIRST = (
    'its layers are "channels_first": arrays (n, channels, height, width). Arrays here are channels last. In Keras, '
    'make the same layers with data_format="channels_last" and copy the weights with set_weights; the rows of a Dense '
    "behind a Flatten must be put in another order"
)
NEUTRAL = {  # layers that do nothing in a prediction
    "ActivityRegularization", "AlphaDropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D",
    "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomContrast", "RandomBrightness",
    "RandomHeight", "RandomWidth", "RandomShear", "RandomPerspective", "RandomErasing", "RandomHue", "RandomSaturation",
    "RandomSharpness", "RandomPosterization", "RandomGaussianBlur", "RandomGrayscale", "RandomInvert",
    "RandomColorJitter", "RandomColorDegeneration", "MixUp", "CutMix", "RandAugment", "AugMix",
}  # fmt: skip
NOTHING = {"InputLayer", "Identity", "Add"}  # layers that do nothing by themselves; the sum of two paths is a Join
ACTIVATIONS: dict[str, list[dict[str, Any]]] = {
    "linear": [],
    "relu": [{"class": "ReLU"}],
    "leaky_relu": [{"class": "LeakyReLU", "slope": 0.2}],
    "elu": [{"class": "ELU", "alpha": 1.0}],
    "gelu": [{"class": "GELU"}],
    "silu": [{"class": "SiLU"}],
    "swish": [{"class": "SiLU"}],
    "sigmoid": [{"class": "Sigmoid"}],
    "tanh": [{"class": "Tanh"}],
    "softmax": [{"class": "Softmax"}],
}


class Made(NamedTuple):
    """One of our layers: its description, and its arrays by name."""

    description: dict[str, Any]
    arrays: dict[str, np.ndarray]


def translate(kind: str, config: dict[str, Any], arrays: list[np.ndarray] | None, shape: Shape | None) -> list[Made]:
    """Our layers in place of one of Keras'. arrays: None if they are not read yet; shape: None if it is not known.

    Raises ValueError with what has no form here, and ModelFileError for channels_first.

    >>> [made.description for made in translate("Dropout", {"rate": 0.25}, [], None)]
    [{'class': 'Dropout', 'rate': 0.25}]
    """
    if config.get("data_format", config.get("dim_ordering")) in ("channels_first", "th"):
        raise ModelFileError(CHANNELS_FIRST)
    if kind in NEUTRAL or kind in NOTHING:
        return []
    if kind not in TABLE:
        raise ValueError("it holds code, which is not run" if kind == "Lambda" else "there is no such layer here")
    arguments = Arguments(config)
    arguments.take("data_format", "dim_ordering")
    made = TABLE[kind](arguments, arrays, shape)
    arguments.finish()
    return made


def activation(value: Any) -> list[Made]:
    """The layers of an activation: a name, a layer, or a function's name as Keras 3 writes it."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value.get("config")
    if isinstance(value, dict) and value.get("class_name") in LAYER_ACTIVATIONS and isinstance(value["config"], dict):
        return translate(value["class_name"], value["config"], [], None)
    if value is None:
        value = "linear"
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise ValueError(f"activation={shown(value)}")
    return [Made(dict(description), {}) for description in ACTIVATIONS[value]]


def named(names: list[str], arrays: list[np.ndarray] | None) -> dict[str, np.ndarray]:
    """Arrays by name, in float32."""
    if arrays is None:
        return {}
    if len(arrays) != len(names):
        raise ValueError(f"it has {len(arrays)} arrays, expected {len(names)}")
    for array in arrays:
        if array.dtype != np.float32:
            raise ValueError(f"its arrays are {array.dtype}, and only float32 is read")
    return dict(zip(names, arrays, strict=True))


def conv(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """Conv2D, and Convolution2D of Keras 1."""
    a.expect("groups", 1)
    size = a.take("kernel_size") or [a.take("nb_row"), a.take("nb_col")]
    description = {
        "class": "Conv2D", "filters": a.take("filters", "nb_filter"), "kernel_size": pair(size),
        "initializer": initializer(a), **a.penalty("kernel_regularizer"),
    }  # fmt: skip
    return convolution(description, a, arrays)


def depthwise(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """DepthwiseConv2D."""
    description = {
        "class": "DepthwiseConv2D", "kernel_size": pair(a.take("kernel_size")),
        "depth_multiplier": a.take("depth_multiplier", default=1), **a.penalty("depthwise_regularizer"),
    }  # fmt: skip
    return convolution(description, a, arrays)


def convolution(own: dict[str, Any], a: Arguments, arrays: Any) -> list[Made]:
    """The layers of either convolution: its `own` arguments, and what both have."""
    a.expect("dilation_rate", 1)
    use_bias = a.take("use_bias", "bias", default=True)
    weights = named(["W", "b"] if use_bias else ["W"], arrays)
    return [Made({**own, **window(a), "use_bias": use_bias}, weights), *activation(a.take("activation"))]


def separable(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """SeparableConv2D: each channel by itself, then 1 × 1."""
    a.expect("dilation_rate", 1)
    use_bias = a.take("use_bias", default=True)
    first = {
        "class": "DepthwiseConv2D", "kernel_size": pair(a.take("kernel_size")), **window(a),
        "depth_multiplier": a.take("depth_multiplier", default=1), "use_bias": False,
        **a.penalty("depthwise_regularizer"),
    }  # fmt: skip
    second = {
        "class": "Conv2D", "filters": a.take("filters"), "kernel_size": [1, 1], "use_bias": use_bias,
        **a.penalty("pointwise_regularizer"),
    }  # fmt: skip
    weights = named(["depthwise", "W", "b"] if use_bias else ["depthwise", "W"], arrays)
    own = {"W": weights.pop("depthwise")} if weights else {}
    return [Made(first, own), Made(second, weights), *activation(a.take("activation"))]


def dense(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """Dense."""
    use_bias = a.take("use_bias", "bias", default=True)
    description = {
        "class": "Dense", "units": a.take("units", "output_dim"), "use_bias": use_bias, "initializer": initializer(a),
        **a.penalty("kernel_regularizer"),
    }  # fmt: skip
    weights = named(["W", "b"] if use_bias else ["W"], arrays)
    return [Made(description, weights), *activation(a.take("activation"))]


def batch_normalization(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """BatchNormalization over the last axis; without scale γ is 1, without center β is 0."""
    a.expect("renorm", False)
    a.expect("mode", 0)
    axis = listed(a.take("axis", default=-1))
    if axis not in ([-1], [3 if shape is None else len(shape)]):
        raise ValueError(f"axis={shown(axis)} is not the last one")
    scale, center = a.take("scale", default=True), a.take("center", default=True)
    constants = ({} if scale else {"gamma": 1}) | ({} if center else {"beta": 0})
    names = [name for name in ("gamma", "beta", "running_mean", "running_var") if name not in constants]
    weights = named(names, arrays)
    if weights:
        weights |= {name: np.full_like(weights["running_mean"], value) for name, value in constants.items()}
    momentum, epsilon = a.take("momentum", default=0.99), a.take("epsilon", default=1e-3)
    return [Made({"class": "BatchNorm", "momentum": momentum, "epsilon": epsilon}, weights)]


def pool(kind: str) -> Callable[[Arguments, Any, Any], list[Made]]:
    """MaxPooling2D or AveragePooling2D."""

    def translated(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
        size = pair(a.take("pool_size", default=2))
        return [Made({"class": kind, "pool_size": size, **window(a, size)}, {})]

    return translated


def global_average(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """GlobalAveragePooling2D."""
    a.expect("keepdims", False)
    return [Made({"class": "GlobalAvgPool2D"}, {})]


def global_max(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """GlobalMaxPooling2D: a window as large as the image."""
    a.expect("keepdims", False)
    if shape is None or len(shape) != 3:
        raise ValueError("the size of its input is not known")
    return [Made({"class": "MaxPool2D", "pool_size": list(shape[:2])}, {}), Made({"class": "Flatten"}, {})]


def dropout(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """Dropout."""
    a.expect("noise_shape")
    return [Made({"class": "Dropout", "rate": number(a.take("rate", "p"), "rate")}, {})]


def reshape(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """Reshape to a row of numbers, or to the shape that is there."""
    target = listed(a.take("target_shape"))
    if shape is not None and tuple(target) == shape:
        return []
    if len(target) == 1:
        return [Made({"class": "Flatten"}, {})]
    raise ValueError(f"target_shape={shown(target)} behind the first layer")


def relu(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """ReLU, or with a slope LeakyReLU."""
    a.expect("max_value")
    a.expect("threshold", 0, 0.0)
    slope = number(a.take("negative_slope", "alpha", default=0.0), "negative_slope")
    return [Made({"class": "LeakyReLU", "slope": slope} if slope else {"class": "ReLU"}, {})]


def leaky_relu(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """LeakyReLU, whose default slope is 0.3."""
    return [Made({"class": "LeakyReLU", "slope": number(a.take("negative_slope", "alpha", default=0.3), "alpha")}, {})]


def elu(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """ELU."""
    return [Made({"class": "ELU", "alpha": number(a.take("alpha", default=1.0), "alpha")}, {})]


def softmax(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """Softmax over the last axis."""
    a.expect("axis", -1, *([] if shape is None else [len(shape)]))
    return activation("softmax")


def rescaling(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """Rescaling by one number."""
    scale, offset = (number(a.take(name, default=value), name) for name, value in (("scale", 1.0), ("offset", 0.0)))
    return [Made({"class": "Rescale", "scale": scale, "offset": offset}, {})]


def normalization(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """Normalization with one mean μ and one variance σ² for all: (x - μ) / σ."""
    a.take("axis")
    a.expect("invert", False)
    mean, variance = a.take("mean"), a.take("variance")
    if arrays is None:
        return [Made({"class": "Rescale"}, {})]
    if mean is None:
        mean, variance = (array.tolist() for array in named(["mean", "variance"], arrays).values())
    mean, variance = number(mean, "mean"), number(variance, "variance")
    deviation = max(abs(variance) ** 0.5, 1e-7)  # Keras' smallest
    return [Made({"class": "Rescale", "scale": 1 / deviation, "offset": -mean / deviation}, {})]


def zero_padding(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """ZeroPadding2D."""
    return [Made({"class": "ZeroPadding2D", "padding": sides(a.take("padding", default=1))}, {})]


def cropping(a: Arguments, arrays: Any, shape: Any) -> list[Made]:
    """Cropping2D, as much on each of two opposite sides."""
    (top, bottom), (left, right) = sides(a.take("cropping", default=0))
    if (top, left) != (bottom, right) or not ((top and left) or top == left):
        raise ValueError(f"cropping={[[top, bottom], [left, right]]}")
    return [Made({"class": "Cropping2D", "border": [top, left]}, {})] if top else []


def window(a: Arguments, stride: Any = 1) -> dict[str, Any]:
    """Stride and padding of a convolution or a pool."""
    padding = a.take("padding", "border_mode", default="valid")
    if padding not in ("valid", "same"):
        raise ValueError(f"padding={shown(padding)}")
    return {"stride": pair(a.take("strides", "subsample", default=stride))} | (
        {"padding": padding} if padding != "valid" else {}
    )


def initializer(a: Arguments) -> str:
    """Our initializer in place of the kernel's; it matters for a copy that is trained anew."""
    value = a.take("kernel_initializer", "init")
    name = value.get("class_name") if isinstance(value, dict) else value
    return "he" if isinstance(name, str) and name.lower().startswith("he") else "glorot"


LAYER_ACTIVATIONS = {"ReLU": relu, "LeakyReLU": leaky_relu, "ELU": elu, "Softmax": softmax}
TABLE: dict[str, Callable[[Arguments, Any, Any], list[Made]]] = {
    "Conv2D": conv, "Convolution2D": conv, "DepthwiseConv2D": depthwise, "SeparableConv2D": separable, "Dense": dense,
    "BatchNormalization": batch_normalization, "Dropout": dropout, "Activation": lambda a, *_: activation(
        a.take("activation")
    ),
    "MaxPooling2D": pool("MaxPool2D"), "AveragePooling2D": pool("AvgPool2D"), "GlobalMaxPooling2D": global_max,
    "GlobalAveragePooling2D": global_average, "Flatten": lambda *_: [Made({"class": "Flatten"}, {})],
    "Reshape": reshape, "Rescaling": rescaling, "Normalization": normalization, "ZeroPadding2D": zero_padding,
    "Cropping2D": cropping, **LAYER_ACTIVATIONS,
}  # fmt: skip
