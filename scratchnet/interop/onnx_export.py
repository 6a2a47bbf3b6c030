"""save_onnx: a model as an ONNX file, which ONNX Runtime and many other programs run.

The file takes what the model takes: with a Rescale in front, uint8 images of any number, channels last. ONNX's
convolutions want the channels first, so one Transpose stands before the first of them and one before Flatten; the
weights of Dense layers then stay bit for bit what they are. It gives `probabilities`, as `predict` does, and `logits`.

opset 17 and IR 8 are those of ONNX 1.12 (June 2022): older programs refuse newer numbers, and nothing newer is needed.
The operators are written for evaluation: Dropout is left out, BatchNorm uses its running statistics.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from scratchnet.data.atomic import replacing
from scratchnet.interop.onnx_writers import WRITERS, Graph
from scratchnet.interop.walk import check_exportable
from scratchnet.keywords import explained
from scratchnet.layers import Rescale
from scratchnet.model import Sequential

OPSET, IR = 17, 8


def need_onnx() -> Any:
    """The package onnx, or an error that names the extra."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            f"writing ONNX needs the package onnx ({error}). Run: python -m pip install -e '.[onnx]' "
            "(outside the repository: python -m pip install onnx)"
        ) from None
    return onnx


@explained
def save_onnx(model: Sequential, path: str | os.PathLike[str]) -> None:
    """Write a model as an ONNX file with the outputs `probabilities` and `logits`; the numbers are float32.

    The metadata has `class_names` (JSON), `preprocessing` and `producer`. Raises ImportError where onnx is missing,
    and ValueError with a line for each layer that has no counterpart.

    >>> save_onnx(model, "digits.onnx")
    """
    onnx = need_onnx()
    check_exportable(model.layers, WRITERS, "ONNX")
    content = to_onnx(model, onnx).SerializeToString()
    path = Path(path).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(content)


def to_onnx(model: Sequential, onnx: Any) -> Any:
    """The checked ModelProto."""
    helper, tensor = onnx.helper, onnx.TensorProto
    pixels = isinstance(model.layers[0], Rescale)
    graph = Graph(onnx, model.input_shape, "images")
    if pixels:
        graph.add("Cast", to=tensor.FLOAT)
    graph.layers(model.layers, model.names, model.shapes)
    graph.channels_last()
    graph.rename("logits")
    graph.add("Softmax", axis=-1)
    graph.rename("probabilities")
    outputs = [
        helper.make_tensor_value_info(name, tensor.FLOAT, ["n", *model.shapes[-1]])
        for name in ("probabilities", "logits")
    ]
    given = helper.make_tensor_value_info("images", tensor.UINT8 if pixels else tensor.FLOAT, ["n", *model.input_shape])
    made = helper.make_model(
        helper.make_graph(graph.nodes, "scratchnet", [given], outputs, graph.constants),
        producer_name="scratchnet", opset_imports=[helper.make_operatorsetid("", OPSET)], ir_version=IR,
    )  # fmt: skip
    helper.set_model_props(made, metadata(model))
    onnx.checker.check_model(made, full_check=True)
    return made


def metadata(model: Sequential) -> dict[str, str]:
    """What a user of the file has to know."""
    shape = ", ".join(map(str, model.input_shape))
    first = model.layers[0]
    words = f"none: pass uint8 pixels from 0 to 255, (n, {shape}), channels last; the model scales them"
    found = {"preprocessing": words if isinstance(first, Rescale) else f"pass floating numbers (n, {shape})"}
    if model.class_names:
        found["class_names"] = json.dumps(model.class_names, ensure_ascii=False)
    return found
