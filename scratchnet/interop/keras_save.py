"""A model as a .keras file, which Keras 3 opens. Neither Keras nor the HDF5 library is needed to write it.

The file has the model's layers, preprocessing included, as a Sequential model of Keras, or with a Residual as a
functional one. Like the model it gives logits. The bytes depend on the model alone, so equal models give equal files.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.data.atomic import replacing
from scratchnet.interop.hdf5_writer import write_hdf5
from scratchnet.interop.keras_file import CONFIG, METADATA, WEIGHTS
from scratchnet.interop.keras_graph import Drawing, Node, arrays_of
from scratchnet.keywords import explained
from scratchnet.model import Sequential

VERSION = {"keras_version": "3.0.0", "date_saved": "1980-01-01@00:00:00"}


@explained
def save_keras(model: Sequential, path: str | os.PathLike[str]) -> None:
    """Write a .keras file: `keras.saving.load_model(path)` gives the same logits, to rounding.

    Weights are written in float32. For training there, compile the model with a loss of logits:
    SparseCategoricalCrossentropy(from_logits=True). Raises ValueError that lists every layer without a form in Keras.

    >>> save_keras(model, "digits.keras")
    """
    path = Path(path).expanduser()
    if path.suffix != ".keras":
        raise ValueError(f'{path}: Keras expects the ending ".keras"')
    drawing = Drawing(model)
    if drawing.problems:
        raise ValueError(f"{path}: not everything in this model has a form in Keras: {'; '.join(drawing.problems)}")
    arrays = arrays_of(model)
    layers = {
        node.name: {"vars": {str(i): arrays[name].astype(np.float32) for i, name in enumerate(node.arrays)}}
        for node in drawing.nodes
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (
            (METADATA, json.dumps(VERSION)),
            (CONFIG, json.dumps(functional(drawing) if drawing.branching else sequential(drawing))),
            (WEIGHTS, write_hdf5({"layers": layers, "vars": {}})),
        ):
            archive.writestr(zipfile.ZipInfo(name), content)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(packed.getvalue())


def sequential(drawing: Drawing) -> dict[str, Any]:
    """The configuration of a model whose layers are in a row."""
    layers = [described(node) for node in (drawing.input, *drawing.nodes)]
    shape = drawing.input.config["batch_shape"]
    return {
        "module": "keras", "class_name": "Sequential", "registered_name": None,
        "config": {"name": "scratchnet", "layers": layers, "build_input_shape": shape},
        "build_config": {"input_shape": shape},
    }  # fmt: skip


def functional(drawing: Drawing) -> dict[str, Any]:
    """The configuration of a graph: each layer has the list of [layer, call, output, options] that it receives."""
    layers = []
    for node in (drawing.input, *drawing.nodes):
        calls = [[[before.name, 0, 0, {}] for before in node.before]] if node.before else []
        layers.append({**described(node), "name": node.name, "inbound_nodes": calls})
    ends = ([node.name, 0, 0] for node in (drawing.input, drawing.output))
    config = {"name": "scratchnet", "layers": layers, **dict(zip(("input_layers", "output_layers"), ends, strict=True))}
    return {
        "module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional",
        "config": config,
    }  # fmt: skip


def described(node: Node) -> dict[str, Any]:
    """One layer."""
    return {
        "module": "keras.layers", "class_name": node.kind, "registered_name": None,
        "config": {"name": node.name, **node.config},
    }  # fmt: skip
