"""Conv2D [+ ReLU] + BatchNorm [+ ReLU] [+ MaxPool2D] in one.

These are the two compiled layers, with a shortcut between them: on the way back BatchNorm writes its dx through the
ReLU at once, into the memory of the convolution's output. Nothing needs that output any more, and these are the
largest arrays of all.
"""

from __future__ import annotations

from scratchnet.compiled.layers.base import CompiledLayer
from scratchnet.compiled.layers.batchnorm import CompiledBatchNorm
from scratchnet.compiled.layers.conv import CompiledConv2D
from scratchnet.layers import BatchNorm


class CompiledConvBatchNorm(CompiledLayer):
    """A convolution and the BatchNorm behind it."""

    @classmethod
    def supports(cls, layers, input_shape, needs_dx: bool):
        conv, norm = split(layers)
        shape = conv[0].windows.out_h, conv[0].windows.out_w, conv[0].filters
        return CompiledConv2D.supports(conv, input_shape, needs_dx) and CompiledBatchNorm.supports(norm, shape, True)

    def __init__(self, layers, input_shape, needs_dx: bool):
        conv, norm = split(layers)
        self.layers, self.input_shape = layers, input_shape
        self.conv = CompiledConv2D(conv, input_shape, needs_dx, dense=True)
        self.norm = CompiledBatchNorm(norm, self.conv.geometry.y_shape, True)

    @property
    def synchronizes(self):
        """As the BatchNorm does."""
        return self.norm.synchronizes

    @property
    def parts(self):
        return [self.conv, self.norm]

    def forward(self, x, ctx):
        x, conv_cache = self.conv.forward(x, ctx)
        y, norm_cache = self.norm.forward(x, ctx)
        return y, (conv_cache, norm_cache)

    def backward(self, dy, cache):
        (x, work, ctx), norm_cache = cache
        conv, dz = self.conv, work.y
        norm_grads = self.norm.backward_into(dy, norm_cache, dz, through_relu=conv.geometry.relu)
        grads, packed, needs_dx = ctx.gradients(conv), ctx.packed(conv, True), conv.needs_dx or ctx.needs_dx
        dx = conv.backward_algorithm.gradients(
            ctx.call, x, dz, packed, work.backward, grads["W"], grads["b"], needs_dx
        )  # fmt: skip
        return dx, {**conv.trained(grads), **norm_grads}

    def describe(self):
        return self.conv.describe()


def split(layers):
    """The layers up to the BatchNorm, and from it on."""
    at = next(i for i, layer in enumerate(layers) if isinstance(layer, BatchNorm))
    return layers[:at], layers[at:]
