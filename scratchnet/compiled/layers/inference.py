"""Which compiled layers a prediction uses.

Inference folds a BatchNorm into the convolution before it, and needs no argmax of a max-pool: `conv_inference`. For a
few images it also counts what each call costs: weights are used as they are (`dense_inference`), and the registers'
tile has as many rows as there are.
"""

from __future__ import annotations

from scratchnet.compiled.layers.conv import CompiledConv2D
from scratchnet.compiled.layers.conv_batchnorm import CompiledConvBatchNorm
from scratchnet.compiled.layers.conv_inference import CompiledConvInference
from scratchnet.compiled.layers.conv_unpacked import CompiledConvUnpacked
from scratchnet.compiled.layers.dense import CompiledDense
from scratchnet.compiled.layers.dense_inference import CompiledDenseInference
from scratchnet.compiled.layers.residual import CompiledResidual


def for_inference(stages, size: int, few: bool):
    """The same stages for inference, `size` images at a time. few: whether hardly more than these are predicted."""
    return [stage._replace(op=inference_layer(stage.op, size, few)) for stage in stages]


def inference_layer(op, size: int, few: bool):
    """The same operation for inference."""
    if isinstance(op, CompiledConv2D | CompiledConvBatchNorm):
        packed = CompiledConvInference(op.layers, op.input_shape, few)
        if few and CompiledConvUnpacked.suits(packed.algorithm, size):
            return CompiledConvUnpacked(op.layers, op.input_shape)
        return packed
    if isinstance(op, CompiledResidual):
        return op.changed(lambda inner: inference_layer(inner, size, few))
    if few and type(op) is CompiledDense:
        return CompiledDenseInference(op.layers, op.bias)
    return op
