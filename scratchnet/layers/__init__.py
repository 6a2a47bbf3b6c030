"""The textbook: each layer in one short file, forward directly above backward, plain NumPy.

Read `base` first: it says what a layer is. Then, in the order in which an image meets them: `rescale`,
`cropping` and `padding`, `windows` and `conv`, `depthwise`, `activation` and `smooth_activations`, `pool`, `flatten`,
`dense`, and the two that behave differently in training, `dropout` and `batchnorm`. `row` is several layers one after
the other, `residual` a row with a way around it.
"""

from scratchnet.layers.activation import ELU, LeakyReLU, ReLU
from scratchnet.layers.base import Context, Layer
from scratchnet.layers.batchnorm import BatchNorm
from scratchnet.layers.conv import Conv2D
from scratchnet.layers.cropping import Cropping2D
from scratchnet.layers.dense import Dense
from scratchnet.layers.depthwise import DepthwiseConv2D
from scratchnet.layers.dropout import Dropout
from scratchnet.layers.flatten import Flatten
from scratchnet.layers.padding import ZeroPadding2D
from scratchnet.layers.pool import AvgPool2D, GlobalAvgPool2D, MaxPool2D
from scratchnet.layers.rescale import Rescale
from scratchnet.layers.residual import Residual
from scratchnet.layers.smooth_activations import GELU, Sigmoid, SiLU, Softmax, Tanh

# The closed list of classes that a model file may name.
LAYERS: dict[str, type[Layer]] = {
    cls.__name__: cls
    for cls in (
        Rescale, Cropping2D, ZeroPadding2D, Conv2D, DepthwiseConv2D, ReLU, LeakyReLU, ELU, GELU, SiLU, Sigmoid, Tanh,
        Softmax, MaxPool2D, AvgPool2D, GlobalAvgPool2D, Flatten, Dense, Dropout, BatchNorm, Residual,
    )
}  # fmt: skip

__all__ = [*LAYERS, "LAYERS", "Context", "Layer"]
