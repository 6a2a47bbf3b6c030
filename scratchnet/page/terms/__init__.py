"""What the numbers of each kind of layer are made of: for each y, each dx and each gradient, its terms.

Every function takes a layer's record and an index and gives Parts: a formula, a constant and the terms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from scratchnet.page.addresses import Index
from scratchnet.page.parts import Parts
from scratchnet.page.passes import Record
from scratchnet.page.terms import batchnorm, convolution, dense, elementwise, moving, outputs, pooling

Rule = Callable[[Record, Index], Parts]


class Rules(NamedTuple):
    """Of one kind of layer: of y, of dx, and of other numbers by the name of their kind ("dW")."""

    output: Rule
    input_gradient: Rule
    others: dict[str, Rule] = {}


ELEMENTWISE = Rules(elementwise.output, elementwise.input_gradient)
BORDER = Rules(moving.border_output, moving.border_input)

RULES: dict[str, Rules] = {
    **dict.fromkeys(elementwise.FUNCTIONS, ELEMENTWISE),
    "Cropping2D": BORDER,
    "ZeroPadding2D": BORDER,
    "Conv2D": Rules(
        convolution.conv_output, convolution.conv_input, {"dW": convolution.conv_weight, "db": convolution.image_bias}
    ),
    "DepthwiseConv2D": Rules(
        convolution.depthwise_output, convolution.depthwise_input,
        {"dW": convolution.depthwise_weight, "db": convolution.image_bias},
    ),
    "Softmax": Rules(outputs.softmax_output, outputs.softmax_input),
    "MaxPool2D": Rules(pooling.max_output, pooling.max_input),
    "AvgPool2D": Rules(pooling.average_output, pooling.average_input),
    "GlobalAvgPool2D": Rules(pooling.global_output, pooling.global_input),
    "Flatten": Rules(moving.flatten_output, moving.flatten_input),
    "Dense": Rules(dense.output, dense.input_gradient, {"dW": dense.weight, "db": dense.bias_gradient}),
    "Dropout": Rules(elementwise.dropout_output, elementwise.dropout_input),
    "BatchNorm": Rules(
        batchnorm.output, batchnorm.input_gradient,
        {"dgamma": batchnorm.gamma_gradient, "dbeta": batchnorm.beta_gradient, "x_hat": batchnorm.x_hat,
         "mean": batchnorm.mean, "var": batchnorm.var, "scale": batchnorm.scale},
    ),
    "Residual": Rules(moving.residual_output, moving.residual_input),
}  # fmt: skip

# What is computed of all logits and the label.
OF_THE_OUTPUTS: dict[str, Callable] = {
    "logits": outputs.logits, "probabilities": outputs.probabilities, "loss": outputs.loss, "dlogits": outputs.dlogits,
}  # fmt: skip
