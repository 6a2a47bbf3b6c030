"""What the page has to know of a model: its description, its file, and the numbers that it checks itself with."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import zoo
from scratchnet.layers import LAYERS
from scratchnet.page.describe import describe
from scratchnet.page.golden import golden
from scratchnet.page.ledger import explain
from tests.page.conftest import STATIC
from tests.page.models import READ, for_browser, small

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("preset", sorted(zoo.PRESETS))
def test_a_description_is_json_and_has_every_array_of_the_model_file(preset):
    model = zoo.PRESETS[preset](10).build((28, 28, 1), engine="numpy")
    found = json.loads(json.dumps(describe(model, preset=preset), allow_nan=False))
    arrays = {}

    def collect(layers):
        for layer in layers:
            if layer["kind"] == "Residual":
                collect([*layer["stages"], *layer["shortcut"]])
            else:
                arrays.update({f"{layer['key']}.{name}": tuple(shape) for name, shape in layer["arrays"].items()})

    collect(found["layers"])
    assert arrays == {name: array.shape for name, array in {**model.parameters(), **model.state()}.items()}
    assert found["parameters"] == model.count_params() and found["preset"] == preset
    assert found["classNames"] == [str(k) for k in range(10)] and found["loss"] == "SoftmaxCrossEntropy"


def test_shapes_follow_each_other_also_within_a_block():
    model = zoo.PRESETS["resnet"](10).build((28, 28, 1), engine="numpy")
    layers = describe(model)["layers"]
    assert [layer["outputShape"] for layer in layers[:-1]] == [layer["inputShape"] for layer in layers[1:]]
    block = next(layer for layer in layers if layer.get("shortcut"))
    assert block["stages"][-1]["outputShape"] == block["shortcut"][-1]["outputShape"] == block["outputShape"]
    assert block["stages"][0]["key"].startswith(f"{block['key']}.0.")


def test_a_layer_of_ones_own_is_refused_by_place_and_name():
    class Swish(sn.SiLU):
        """A layer of one's own."""

    inner = sn.Residual([sn.Conv2D(1, 3, padding="same"), Swish()])
    model = sn.Sequential([sn.Rescale(), inner, sn.Flatten(), sn.Dense(2)], (4, 4, 1), engine="numpy")
    with pytest.raises(ValueError, match=r"layer 1\.1 \(Swish\) is a layer of your own: the page has no JavaScript"):
        describe(model)


def test_the_page_has_a_twin_of_every_layer(twins):
    assert sorted(twins("return Object.keys(net.LAYERS);")) == sorted(LAYERS)


def test_golden_numbers_are_those_of_the_ledger_and_the_page_finds_them_again(twins, tmp_path):
    model, _ = small()
    checks = golden(model, cells=12)
    x = np.reshape(checks["x"], model.input_shape)
    label, cells = checks["gradients"]["label"], checks["gradients"]["cells"]
    assert len({cell["address"].split("/")[0] for cell in cells}) == 4  # dW, db, dgamma, dbeta
    for cell in cells:
        assert explain(model, x, label, cell["address"]).value == cell["value"] != 0
    program = (
        READ
        + """
        return {logits: run.logits, gradients: argument.cells.map(({address}) => net.explain(run, address).value)};
    """
    )
    argument = {**for_browser(model, x, label, tmp_path), "cells": cells}
    found = twins(program, argument)
    np.testing.assert_allclose(found["logits"], checks["logits"], rtol=1e-12)
    np.testing.assert_allclose(found["gradients"], [cell["value"] for cell in cells], rtol=1e-9, atol=1e-15)


def damaged(raw):
    """Files that must not be read, by what is wrong with them."""
    size = int.from_bytes(raw[:8], "little")
    header = raw[8 : 8 + size]
    with_header = lambda text: len(text).to_bytes(8, "little") + text + raw[8 + size :]  # noqa: E731
    return {
        "empty": b"", "cut in the header": raw[:20], "cut in the arrays": raw[:-1], "too long": raw + b"\0",
        "a huge header": (1 << 40).to_bytes(8, "little") + raw[8:],
        "no JSON": with_header(b"[" + header[1:]),
        "another type": with_header(header.replace(b"F32", b"F99")),
        "a gap": with_header(header.replace(b'"data_offsets":[0,', b'"data_offsets":[4,')),
        "another shape": with_header(header.replace(b'"shape":[', b'"shape":[7,')),
        "a negative size": with_header(header.replace(b'"shape":[', b'"shape":[-1,')),
    }  # fmt: skip


def test_damaged_files_are_refused(twins, tmp_path):
    model, _ = small()
    model.save(tmp_path / "model.safetensors")
    raw = (tmp_path / "model.safetensors").read_bytes()
    program = """
        const buffer = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
        return argument.map((text) => {
          try {
            return Object.keys(net.readSafetensors(buffer(text)).tensors).length;
          } catch (error) {
            return error.message;
          }
        });
    """
    files = damaged(raw)
    whole, *found = twins(program, [base64.b64encode(text).decode() for text in (raw, *files.values())])
    assert whole == len(model.get_weights())
    assert all(isinstance(message, str) for message in found), dict(zip(files, found, strict=True))


def test_no_name_stands_twice_at_the_top_of_the_modules():
    import re

    seen = {}
    for path in sorted((STATIC / "net").rglob("*.js")):
        for name in re.findall(r"^(?:export )?(?:async )?(?:function|const|class|let) (\w+)", path.read_text(), re.M):
            assert name not in seen, f"{name} in {path.name} and {seen[name]}"
            seen[name] = path.name
    assert len(seen) > 100


def test_modules_are_short_and_say_what_they_are_about():
    for path in sorted((STATIC / "net").rglob("*.js")):
        lines = path.read_text().splitlines()
        assert len(lines) <= 300 and lines[0].startswith("//") and max(map(len, lines)) <= 120, path.name


def test_importing_scratchnet_reads_no_module_of_the_page():
    program = "import sys, scratchnet; sys.exit(any(name.startswith('scratchnet.page') for name in sys.modules))"
    subprocess.run([sys.executable, "-c", program], timeout=60, cwd=ROOT, check=True)
