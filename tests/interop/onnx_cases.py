"""ONNX's own test cases, run by load_onnx.

    python -m tests.interop.onnx_cases        how many pass; which cannot be expressed, and why

A case is a model of one operator with inputs and outputs (onnx.backend.test). Weights are inputs there; here the first
input is the images and the others become constants, as in files of trained models. Images go in and come out with the
channels last, and are transposed for the comparison.
"""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np

import scratchnet as sn

OPERATORS = (
    "Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "BatchNormalization", "Gemm", "MatMul", "Relu", "LeakyRelu",
    "Elu", "Sigmoid", "Tanh", "Softmax", "Flatten", "Reshape", "Add", "Pad",
)  # fmt: skip


def cases():
    """(name, operator, model, inputs, outputs) of all node tests of these operators, and the models from PyTorch."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = load_model_tests(kind="node") + load_model_tests(kind="pytorch-converted")
    for case in found:
        model, sets = (case.model, case.data_sets) if case.model is not None else from_folder(case.model_dir)
        operators = [node.op_type for node in model.graph.node]
        if case.kind == "node" and (len(operators) != 1 or operators[0] not in OPERATORS):
            continue
        kind = operators[0] if case.kind == "node" else "from PyTorch"
        yield case.name, kind, model, *(list(map(as_array, arrays)) for arrays in sets[0])


def from_folder(folder):
    """A model and its data from files."""
    from pathlib import Path

    import onnx

    def tensors(kind):
        paths = sorted((Path(folder) / "test_data_set_0").glob(f"{kind}_*.pb"))
        return [onnx.load_tensor(path) for path in paths]

    model = onnx.load(Path(folder) / "model.onnx", load_external_data=False)
    return model, [(tensors("input"), tensors("output"))]


def as_array(value):
    from onnx import TensorProto, numpy_helper

    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def outcome(model, inputs, outputs, path):
    """None if load_onnx's model gives the expected outputs; why it cannot be loaded; or the largest difference."""
    from onnx import ModelProto, numpy_helper

    fixed = ModelProto()
    fixed.CopyFrom(model)
    names = [given.name for given in fixed.graph.input if given.name not in {c.name for c in fixed.graph.initializer}]
    fixed.graph.initializer.extend(map(numpy_helper.from_array, inputs[1:], names[1:]))
    path.write_bytes(fixed.SerializeToString())
    try:
        loaded = sn.load_onnx(path, "numpy")
    except sn.ModelFileError as error:
        return str(error).partition(": ")[2].rpartition("\n")[2].strip()
    x = inputs[0]
    first = x.ndim == 4 and loaded.input_shape != x.shape[1:]
    x = (x.transpose(0, 2, 3, 1) if first else x).reshape(len(x), *loaded.input_shape)
    dropped = fixed.graph.node[-1].op_type == "Softmax" and not isinstance(loaded.layers[-1], sn.Softmax)
    y = loaded.predict(x) if dropped else loaded.forward(x)
    y = y.transpose(0, 3, 1, 2) if first and y.ndim == 4 else y
    worst = np.abs(y.reshape(outputs[0].shape) - outputs[0]) - (1e-7 + 1e-3 * np.abs(outputs[0]))  # their tolerance
    return None if worst.max() <= 0 else float(worst.max())


def main():
    """Print a table: passed, and not expressible by reason."""
    import tempfile
    from pathlib import Path

    passed, refused = Counter(), {}
    with tempfile.TemporaryDirectory() as folder:
        for name, kind, *case in cases():
            found = outcome(*case, Path(folder) / "case.onnx")
            passed[kind] += found is None
            if found is not None:
                refused.setdefault(kind, []).append(f"{name}: {found}")
    for kind in [*OPERATORS, "from PyTorch"]:
        print(f"{kind}: {passed[kind]} pass, {len(refused.get(kind, []))} cannot be expressed")
        print(*(f"    {line}" for line in refused.get(kind, [])), sep="\n")


if __name__ == "__main__":
    main()
