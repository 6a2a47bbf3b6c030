"""ONNX: what is written is what ONNX Runtime computes; what is read is what was written, or an error that says why."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.interop.onnx_export import need_onnx
from scratchnet.interop.onnx_file import parse_model, read_graph
from scratchnet.zoo import PRESETS
from tests.interop.drawn import difference, drawn
from tests.interop.onnx_cases import cases, outcome

onnx = pytest.importorskip("onnx")
ROOT = Path(__file__).parents[2]
drawings = pytest.mark.parametrize(
    "seeds", [range(30), pytest.param(range(500), marks=pytest.mark.long)], ids=["30", "500"]
)


def small(**options):
    """A network with one layer of each usual kind."""
    layers = [sn.Rescale(), sn.Conv2D(3, 3, padding="same"), sn.BatchNorm(), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten()]
    model = sn.Sequential([*layers, sn.Dropout(0.5), sn.Dense(4)], (8, 6, 1), engine="numpy", **options)
    rng = np.random.default_rng(0)
    for array in {**model.parameters(), **model.state()}.values():
        array[...] += rng.uniform(0.1, 1, array.shape)
    return model, rng.integers(0, 256, (5, 8, 6, 1)).astype(np.uint8)


def run(path, x):
    """What ONNX Runtime makes of a file: outputs by name."""
    session = pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    names = [output.name for output in session.get_outputs()]
    pixels = x if given.type == "tensor(uint8)" else x.astype(np.float32)
    return dict(zip(names, session.run(names, {given.name: pixels}), strict=True))


# writing


@drawings
def test_onnx_runtime_gives_the_same_logits_and_reading_gives_the_same_bits(tmp_path, seeds):
    path = tmp_path / "drawn.onnx"
    for seed in seeds:
        model, x = drawn(seed)
        sn.save_onnx(model, path)
        logits, theirs = model.forward(x), run(path, x)
        assert difference(theirs["logits"], logits) < 1e-5, seed
        probabilities = np.abs(theirs["probabilities"] - model.predict(x)).max()
        assert probabilities < 1e-5 * max(1, np.abs(logits).max()), seed  # no more than the logits differ
        np.testing.assert_array_equal(sn.load_onnx(path, "numpy").forward(x), logits, strict=True, err_msg=str(seed))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_written_and_read(tmp_path, name, rng):
    model = PRESETS[name](10).build((28, 28, 1), engine="numpy")
    x = rng.integers(0, 256, (4, 28, 28, 1)).astype(np.uint8)
    sn.save_onnx(model, tmp_path / "a.onnx")
    assert difference(run(tmp_path / "a.onnx", x)["logits"], model.forward(x)) < 1e-5
    again = sn.load_onnx(tmp_path / "a.onnx", "numpy")
    np.testing.assert_array_equal(again.forward(x), model.forward(x))
    kept = [layer for layer in model.layers if not isinstance(layer, sn.Dropout)]
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in kept]


def test_the_file_takes_any_number_of_raw_images_and_says_what_it_is(tmp_path):
    model, x = small(class_names=["no", "yes", "perhaps", "七"])
    sn.save_onnx(model, tmp_path / "a.onnx")
    made = onnx.load(tmp_path / "a.onnx")
    onnx.checker.check_model(made, full_check=True)
    assert made.ir_version == 8 and [(o.domain, o.version) for o in made.opset_import] == [("", 17)]
    (given,) = made.graph.input
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim] == ["n", 8, 6, 1]
    assert [output.name for output in made.graph.output] == ["probabilities", "logits"]
    told = {entry.key: entry.value for entry in made.metadata_props}
    assert json.loads(told["class_names"]) == ["no", "yes", "perhaps", "七"] and "uint8" in told["preprocessing"]
    assert sn.load_onnx(tmp_path / "a.onnx").class_names == model.class_names
    assert run(tmp_path / "a.onnx", x[:1])["logits"].shape == (1, 4) and len(run(tmp_path / "a.onnx", x)["logits"]) == 5


def test_the_weights_of_dense_layers_are_in_the_file_as_they_are(tmp_path):
    model, _ = small()
    sn.save_onnx(model, tmp_path / "a.onnx")
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(tmp_path / "a.onnx").graph.initializer}
    np.testing.assert_array_equal(arrays["7.dense.W"], model.parameters()["7.dense.W"], strict=True)
    kinds = [node.op_type for node in onnx.load(tmp_path / "a.onnx").graph.node]
    assert (
        kinds.count("Transpose") == 2 and kinds.index("Flatten") == len(kinds) - 1 - kinds[::-1].index("Transpose") + 1
    )


def test_a_layer_of_ones_own_is_named_and_nothing_is_written(tmp_path):
    class Own(sn.ReLU):
        pass

    model = sn.Sequential([sn.Flatten(), Own(), sn.Dense(2), Own()], (2, 2, 1), engine="numpy")
    with pytest.raises(ValueError, match=r"no export to ONNX for layer 1 \(Own\), 3 \(Own\)"):
        sn.save_onnx(model, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_zeros_in_front_of_a_maximum_are_zeros(tmp_path, rng):
    """Versions of ONNX Runtime join Pad and MaxPool, and the padding would become -∞."""
    layers = [sn.ZeroPadding2D(((1, 0), (2, 0))), sn.MaxPool2D(3, 1), sn.Flatten()]
    model = sn.Sequential(layers, (6, 6, 1), engine="numpy")
    sn.save_onnx(model, tmp_path / "a.onnx")
    kinds = [node.op_type for node in onnx.load(tmp_path / "a.onnx").graph.node]
    assert kinds[kinds.index("Pad") + 1] == "Clip"
    x = rng.normal(size=(2, 6, 6, 1)).astype(np.float32) - 3
    np.testing.assert_array_equal(run(tmp_path / "a.onnx", x)["logits"], model.forward(x))
    assert [repr(layer) for layer in sn.load_onnx(tmp_path / "a.onnx").layers] == list(map(repr, layers))


def test_without_the_package_the_extra_is_named_and_reading_works(tmp_path, monkeypatch):
    model, x = small()
    sn.save_onnx(model, tmp_path / "a.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install -e '\.\[onnx\]'"):
        need_onnx()
    with pytest.raises(ImportError, match=r"pip install -e '\.\[onnx\]'"):
        sn.save_onnx(model, tmp_path / "b.onnx")
    np.testing.assert_array_equal(sn.load_onnx(tmp_path / "a.onnx", "numpy").forward(x), model.forward(x))


# reading


CASES = {
    "Conv": 6, "MaxPool": 10, "AveragePool": 10, "GlobalAveragePool": 2, "BatchNormalization": 2, "Gemm": 8,
    "MatMul": 1, "Relu": 1, "LeakyRelu": 2, "Elu": 2, "Sigmoid": 1, "Tanh": 1, "Softmax": 5, "Flatten": 3, "Reshape": 1,
    "from PyTorch": 28,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_onnx_own_cases_pass_or_are_refused_with_a_reason(tmp_path):
    """The number of cases that pass is at least what it was; none gives other numbers."""
    passed = dict.fromkeys(CASES, 0)
    for name, kind, *case in cases():
        found = outcome(*case, tmp_path / "case.onnx")
        assert found is None or isinstance(found, str), f"{name}: off by {found}"
        if found is None:
            passed[kind] += 1
    assert all(passed[kind] >= count for kind, count in CASES.items()), passed


def model_of(nodes, shape, outputs=("y",), opset=17, constants=(), dtype=1):
    """The bytes of a model with the input x (n, *shape)."""
    helper = onnx.helper
    given = helper.make_tensor_value_info("x", dtype, ["n", *shape])
    ends = [helper.make_tensor_value_info(name, 1, None) for name in outputs]
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in constants]
    graph = helper.make_graph(nodes, "test", [given], ends, constants)
    return helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", opset)], ir_version=8)


def loaded(tmp_path, made):
    (tmp_path / "made.onnx").write_bytes(made.SerializeToString())
    return sn.load_onnx(tmp_path / "made.onnx", "numpy")


def reference(made, x):
    """What ONNX Runtime says."""
    session = pytest.importorskip("onnxruntime").InferenceSession(made.SerializeToString())
    return session.run(None, {"x": x})[0]


def node(operator, inputs, output, **attributes):
    return onnx.helper.make_node(operator, inputs.split(), [output], **attributes)


@pytest.mark.parametrize("pads", [
    {"pads": [0, 1, 2, 0]}, {"pads": [2, 2, 2, 2]}, {"pads": [1, 1, 1, 1]}, {"auto_pad": "SAME_UPPER"},
    {"auto_pad": "SAME_LOWER"}, {"auto_pad": "VALID"},
])  # fmt: skip
@pytest.mark.parametrize("strides", [[1, 1], [2, 3]])
@pytest.mark.parametrize("depthwise", [False, True])
def test_every_way_to_pad_a_convolution(tmp_path, rng, pads, strides, depthwise):
    filters = rng.normal(size=(6, 1 if depthwise else 3, 2, 4)).astype(np.float32)
    nodes = [
        node("Conv", "x W", "a", strides=strides, group=3 if depthwise else 1, **pads),
        node("Flatten", "a", "y"),
    ]  # fmt: skip
    made = model_of(nodes, (3, 8, 9), constants=[("W", filters)])
    x = rng.normal(size=(2, 3, 8, 9)).astype(np.float32)
    model = loaded(tmp_path, model_of([*nodes[:1], node("Identity", "a", "y")], (3, 8, 9), constants=[("W", filters)]))
    y = model.forward(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2).reshape(2, -1)
    assert difference(y, reference(made, x)) < 1e-6


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("gemm", [False, True])
@pytest.mark.parametrize("reshape", [False, True])
def test_features_behind_a_flatten_meet_their_own_weights(tmp_path, rng, last, gemm, reshape):
    """Channels first or last, Gemm or MatMul + Add, Flatten or Reshape with a Constant node: the same numbers."""
    weights, bias = rng.normal(size=(36, 5)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    filters = rng.normal(size=(3, 2, 2, 2)).astype(np.float32)
    nodes = [node("Transpose", "x", "t", perm=[0, 3, 1, 2])] if last else [node("Identity", "x", "t")]
    nodes += [node("Conv", "t W", "a")]
    target = onnx.numpy_helper.from_array(np.array([-1, 36], np.int64))
    nodes += (
        [node("Constant", "", "s", value=target), node("Reshape", "a s", "f")]
        if reshape
        else [node("Flatten", "a", "f")]
    )
    nodes += [node("Gemm", "f D b", "y", transB=1)] if gemm else [node("MatMul", "f M", "m"), node("Add", "m b", "y")]
    constants = [("W", filters), ("b", bias), ("D", weights.T.copy()), ("M", weights)]
    made = model_of(nodes, (4, 5, 2) if last else (2, 4, 5), constants=constants)
    x = rng.normal(size=(3, 4, 5, 2)).astype(np.float32)
    model = loaded(tmp_path, made)
    assert [type(layer).__name__ for layer in model.layers] == ["Conv2D", "Flatten", "Dense"]
    assert difference(model.forward(x), reference(made, x if last else x.transpose(0, 3, 1, 2))) < 1e-6


def test_images_that_come_as_rows_and_a_shape_that_is_computed(tmp_path, rng):
    """x.view(x.size(0), -1), as PyTorch writes it: Shape, Gather, Unsqueeze, Concat, Reshape."""
    filters = rng.normal(size=(2, 1, 3, 3)).astype(np.float32)
    nodes = [
        node("Reshape", "x grid", "i"), node("Conv", "i W", "a"), node("Shape", "a", "s"),
        node("Gather", "s zero", "n"), node("Unsqueeze", "n axis", "u"),
        node("Concat", "u rest", "t", axis=0), node("Reshape", "a t", "y"),
    ]  # fmt: skip
    constants = [("grid", np.array([-1, 1, 6, 6])), ("W", filters), ("zero", np.array(0)), ("axis", np.array([0])),
                 ("rest", np.array([-1]))]  # fmt: skip
    made = model_of([*nodes, node("MatMul", "y D", "z")], (36,), ("z",),
                    constants=[*constants, ("D", rng.normal(size=(32, 2)).astype(np.float32))])  # fmt: skip
    x = rng.normal(size=(3, 36)).astype(np.float32)
    model = loaded(tmp_path, made)
    assert model.input_shape == (6, 6, 1)
    assert difference(model.forward(x.reshape(3, 6, 6, 1)), reference(made, x)) < 1e-6


def test_older_forms_of_operators(tmp_path, rng):
    """Attributes that became inputs, and an axis that Softmax had before version 13."""
    nodes = [
        node("Unsqueeze", "x", "u", axes=[1]), node("Pad", "u", "p", pads=[0, 0, 1, 0, 0, 0, 0, 2]),
        node("Slice", "p", "c", starts=[1, 1], ends=[-1, -1], axes=[2, 3]), node("Dropout", "c", "d", ratio=0.3),
        node("AveragePool", "d", "a", kernel_shape=[2, 2]), node("Flatten", "a", "y"), node("Softmax", "y", "z"),
    ]  # fmt: skip
    made = model_of(nodes, (6, 7), ("z",), opset=9)
    x = rng.normal(size=(3, 6, 7)).astype(np.float32)
    model = loaded(tmp_path, made)
    assert [repr(layer) for layer in model.layers] == [
        "ZeroPadding2D(((1, 0), (0, 2)))", "Cropping2D()", "Dropout(rate=0.30000001192092896)",
        "AvgPool2D(2, stride=1)", "Flatten()",
    ]  # fmt: skip
    inside = np.pad(x, ((0, 0), (1, 0), (0, 2)))[:, 1:-1, 1:-1]
    means = sum(inside[:, i : i + 4, j : j + 6] for i in (0, 1) for j in (0, 1)) / 4
    assert difference(model.forward(x), means.reshape(3, -1)) < 1e-6


def test_a_maximum_behind_a_relu_may_be_padded_with_zeros(tmp_path, rng):
    nodes = [node("Relu", "x", "r"), node("MaxPool", "r", "m", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 0, 2]),
             node("Flatten", "m", "y")]  # fmt: skip
    x = rng.normal(size=(2, 1, 8, 8)).astype(np.float32)
    made = model_of(nodes, (1, 8, 8))
    assert difference(loaded(tmp_path, made).forward(x.reshape(2, 8, 8)), reference(made, x)) == 0
    with pytest.raises(sn.ModelFileError, match=r"node 0 \(MaxPool\): padding \(\(1, 0\), \(0, 2\)\)"):
        loaded(
            tmp_path,
            model_of(
                [node("Identity", "x", "r")][:0]
                + [node("MaxPool", "x", "m", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 0, 2])],
                (1, 8, 8),
                ("m",),
            ),
        )


def test_everything_that_cannot_be_expressed_is_one_error_with_its_places(tmp_path, rng):
    filters = rng.normal(size=(2, 1, 3, 3)).astype(np.float32)
    nodes = [
        node("Conv", "x W", "a", name="first", dilations=[2, 2]), node("Relu", "a", "r"), node("LSTM", "r W W", "l"),
        onnx.helper.make_node("Gelu", ["l"], ["g"], domain="com.microsoft"), node("Resize", "g", "y"),
    ]  # fmt: skip
    with pytest.raises(sn.ModelFileError) as error:
        loaded(tmp_path, model_of(nodes, (1, 9, 9), constants=[("W", filters)]))
    lines = str(error.value).splitlines()
    assert lines[0].endswith("made.onnx: 4 parts of this model cannot be expressed as layers in a row:")
    assert [line.strip() for line in lines[1:]] == [
        "node 0 (Conv 'first'): dilations [2, 2]; windows are dense",
        "node 2 (LSTM): no layer computes it",
        "node 3 (com.microsoft.Gelu): no layer computes it",
        "node 4 (Resize): no layer computes it",
    ]


MUL = "0.rescale/1.Mul"  # the name of a tensor in the middle


@pytest.mark.parametrize(("change", "message"), [
    (lambda m: m.graph.initializer[0].external_data.add(key="location", value="x"), "are in another file, and no oth"),
    (lambda m: m.graph.initializer[0].dims.append(2), "bytes for .* numbers of 4 bytes"),
    (lambda m: m.graph.initializer[0].dims.extend([2**40, 2**40]), "bytes for .* numbers"),
    (lambda m: m.functions.add(name="f"), "it defines functions of its own"),
    (lambda m: setattr(m.opset_import[0], "version", 99), "operators of version 99; versions 6 to 28 are read"),
    (lambda m: m.graph.input[0].type.tensor_type.shape.dim[1].ClearField("dim_value"), "every size but the first must"),
    (lambda m: m.graph.input.add(name="second"), "2 inputs .'images', 'second'.; a Sequential has one"),
    (lambda m: m.graph.output.add(name=MUL), "3 outputs .*; a Sequential has one"),
    (lambda m: m.graph.node.extend([m.graph.node[0]] * 5000), "5,011 nodes, where 4,096 are allowed"),
    (lambda m: m.graph.node[3].input.__setitem__(0, "later"), "reads 'later', which no node before it writes"),
    (lambda m: m.graph.node[1].output.__setitem__(0, "images"), "the tensor 'images' is written twice"),
])  # fmt: skip
def test_what_a_file_may_not_do_is_explained(tmp_path, change, message):
    sn.save_onnx(small()[0], tmp_path / "a.onnx")
    made = onnx.load(tmp_path / "a.onnx")
    change(made)
    with pytest.raises(sn.ModelFileError, match=message):
        loaded(tmp_path, made)


def test_what_is_no_onnx_file_is_named(tmp_path):
    model, _ = small()
    model.save(tmp_path / "m.safetensors")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "zip").write_bytes(b"PK\x03\x04" + b"\0" * 40)
    for name, message in (("empty", "has no graph"), ("zip", "a zip archive"), ("m.safetensors", "m.safetensors: ")):
        with pytest.raises(sn.ModelFileError, match=message):
            sn.load_onnx(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no such ONNX file"):
        sn.load_onnx(tmp_path / "none.onnx")
    sn.save_onnx(model, tmp_path / "a.onnx")
    with pytest.raises(sn.ModelFileError, match=r"an ONNX model\. scratchnet reads it: scratchnet\.load_onnx\(path\)"):
        sn.load_model(tmp_path / "a.onnx")


def test_our_reader_sees_what_the_onnx_package_sees(tmp_path):
    for seed in range(10):
        sn.save_onnx(drawn(seed)[0], tmp_path / "a.onnx")
        graph, theirs = read_graph(tmp_path / "a.onnx"), onnx.load(tmp_path / "a.onnx").graph
        assert [(n.operator, n.name, n.inputs, n.outputs) for n in graph.nodes] == [
            (n.op_type, n.name, list(n.input), list(n.output)) for n in theirs.node
        ]
        for n, other in zip(graph.nodes, theirs.node, strict=True):
            values = {a.name: onnx.helper.get_attribute_value(a) for a in other.attribute}
            assert n.attributes == {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}
        assert graph.constants.keys() == {t.name for t in theirs.initializer}
        for tensor in theirs.initializer:
            np.testing.assert_array_equal(graph.constants[tensor.name], onnx.numpy_helper.to_array(tensor), strict=True)


@pytest.mark.parametrize("kind", [1, 2, 3, 6, 7, 9, 10, 11])
@pytest.mark.parametrize("raw", [False, True])
def test_tensors_of_each_type_are_read_as_they_are_written(rng, kind, raw):
    values = rng.integers(0, 2 if kind == 9 else 100, 6)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    data = values.astype(dtype).tobytes() if raw else values.tolist()
    tensor = onnx.helper.make_tensor("t", kind, [2, 3], data, raw=raw)
    made = model_of([node("Relu", "x", "y")], (3,))
    made.graph.initializer.append(tensor)
    found = parse_model(made.SerializeToString()).constants["t"]
    np.testing.assert_array_equal(found, onnx.numpy_helper.to_array(tensor), strict=True)


@pytest.mark.parametrize("profile", [(400, 0), pytest.param((5000, 1), marks=pytest.mark.long)])
def test_a_changed_file_is_refused_or_read_and_reading_it_does_nothing_else(tmp_path, profile):
    pytest.importorskip("resource")
    for seed in (1, 2, 3, 5, 8, 12):
        sn.save_onnx(drawn(seed)[0], tmp_path / f"{seed}.onnx")
    command = [sys.executable, "-m", "tests.interop.damaged_onnx", str(tmp_path), *map(str, profile)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == [] and found["events"] == [] and found["opened"] == []
    assert found["refused"] > 0.8 * profile[0] and found["grown"] < 64 << 20
