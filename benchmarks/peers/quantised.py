"""An ONNX model in 8 bits: weights int8, with a scale for each filter, activations uint8.

Static quantisation: 512 images (the last ones; the first are predicted) go through the model, and the largest and
smallest activations give the scales. Each convolution and matrix product is then surrounded by nodes that quantise and
dequantise (QDQ), which a runtime merges with it.

Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

IMAGES, BATCH = 512, 64


class Images(CalibrationDataReader):
    """The last images in batches, then None."""

    def __init__(self, x: np.ndarray):
        last = x[-IMAGES:]
        self.batches = iter([{"x": last[i : i + BATCH]} for i in range(0, len(last), BATCH)])

    def get_next(self):
        return next(self.batches, None)


def quantised(model: onnx.ModelProto, x: np.ndarray) -> onnx.ModelProto:
    """The model of `onnx_graph`, quantised for images like these."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantize_static(
            model,
            path,
            Images(x),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
        )
        return onnx.load(path)
