"""OpenVINO, asked as `peers.worker` asks everyone, for predictions only.

Options: `hint`, "LATENCY" (all threads work on one batch) or "THROUGHPUT" (as many streams as threads, each works on a
batch of its own); `precision`, "float32", "bfloat16" (OpenVINO's own choice where the processor multiplies bfloat16) or
"int8" (`peers.quantised`; the layers that stay floats have OpenVINO's own choice).

The model is compiled for each size of batch that occurs: with a size that is open until the call, one image of two-conv
takes half as long again. Images are shared with NumPy and set as a tensor: passed to `infer` as an array, one image
takes twice as long (Intel Xeon with AMX, two threads).
"""

import numpy as np
import openvino
from nets import IMAGE

from peers.onnx_graph import onnx_model
from peers.worker import Predictor, serve

TYPES = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}


class OpenVINO(Predictor):
    modules = ("openvino", "onnx", "onnxruntime", "numpy")

    def build(self, net, images, labels, initial, threads, dtype):
        self.x = self.prepared(images)  # (n, 1, h, w)
        self.precision, self.hint = self.options["precision"], self.options["hint"]
        model = onnx_model(net, initial)
        if self.precision == "int8":
            from peers.quantised import quantised

            model = quantised(model, self.x)
        self.model, self.threads, self.classes = model.SerializeToString(), threads, net[-1][1]
        self.ready = {}  # size of a batch -> what predicts it

    def compiled(self, n: int) -> openvino.CompiledModel:
        """The model for batches of n images. Raises RuntimeError if OpenVINO would compute in another precision."""
        core, (h, w, c) = openvino.Core(), IMAGE
        model = core.read_model(self.model)
        model.reshape([n, c, h, w])
        settings = {"PERFORMANCE_HINT": self.hint, "INFERENCE_NUM_THREADS": self.threads}
        if self.hint == "THROUGHPUT":
            settings["NUM_STREAMS"] = self.threads
        if self.precision == "float32":
            settings["INFERENCE_PRECISION_HINT"] = TYPES["float32"]
        made = core.compile_model(model, "CPU", settings)
        chosen = made.get_property("INFERENCE_PRECISION_HINT")
        if chosen != TYPES.get(self.precision, chosen):
            raise RuntimeError(f"OpenVINO computes in {chosen} here, not in {self.precision}: leave this variant out")
        return made

    def probabilities(self, x, batch):
        found = np.empty((len(x), self.classes), np.float32)
        predict = self.in_streams if self.hint == "THROUGHPUT" else self.in_turn
        predict([(slice(i, i + batch), x[i : i + batch]) for i in range(0, len(x), batch)], found)
        return found

    def in_turn(self, parts, found) -> None:
        """One batch after the other, each on all threads."""
        for part, images in parts:
            request = self.get(len(images), openvino.CompiledModel.create_infer_request)
            request.set_input_tensor(openvino.Tensor(images, shared_memory=True))
            request.infer(share_outputs=True)
            found[part] = request.get_output_tensor().data

    def in_streams(self, parts, found) -> None:
        """As many batches at a time as there are threads."""

        def store(request, part) -> None:
            found[part] = request.get_output_tensor().data

        queues = {len(images): self.get(len(images), self.queue) for _, images in parts}
        for queue in queues.values():
            queue.set_callback(store)
        for part, images in parts:
            queues[len(images)].start_async({0: images}, part, share_inputs=True)
        for queue in queues.values():
            queue.wait_all()

    def queue(self, model: openvino.CompiledModel) -> openvino.AsyncInferQueue:
        """A request for each stream."""
        return openvino.AsyncInferQueue(model, self.threads)

    def get(self, n: int, make):
        """make(the model for batches of n images), made at the first call."""
        if n not in self.ready:
            self.ready[n] = make(self.compiled(n))
        return self.ready[n]


if __name__ == "__main__":
    serve(OpenVINO())
