"""ONNX Runtime, asked as `peers.worker` asks everyone, for predictions only. Option: `pool`, "all" threads or "one".

A session of the default graph optimisations on the CPU. Its threads spin between two calls (the default), so a
call of one image need not wake them. With one thread such a call has no work to share.
"""

import numpy as np
import onnxruntime

from peers.onnx_graph import onnx_model
from peers.worker import Predictor, serve


class OnnxRuntime(Predictor):
    modules = ("onnxruntime", "onnx", "numpy")

    def build(self, net, images, labels, initial, threads, dtype):
        self.x = self.prepared(images)  # (n, 1, h, w)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1 if self.options["pool"] == "one" else threads
        model = onnx_model(net, initial).SerializeToString()
        self.session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])

    def probabilities(self, x, batch):
        parts = [self.session.run(["p"], {"x": x[i : i + batch]})[0] for i in range(0, len(x), batch)]
        return np.concatenate(parts)


if __name__ == "__main__":
    serve(OnnxRuntime())
