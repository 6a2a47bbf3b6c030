"""The ONNX graph computes what the textbook computes, and so do the runtimes that execute it."""

import driver
import nets
import numpy as np
import pytest
from machine import instructions
from peers import ours

import scratchnet as sn

onnx = pytest.importorskip("onnx")
from peers.onnx_graph import onnx_model  # noqa: E402

CROPPED = [("crop", 3), *nets.conv_pool(4), ("flatten",), ("dense", 10)]
IMAGES = np.random.default_rng(0).integers(0, 256, (70, 28, 28)).astype(np.uint8)


def textbook(net, initial, images):
    """Class probabilities in float64."""
    layers = [sn.Rescale(), *map(ours.module, net)]
    model = sn.Sequential(layers, (28, 28, 1), engine="numpy", dtype="float64")
    for array, values in zip(model.parameters().values(), initial, strict=True):
        array[...] = values
    return model.predict(images)


def network(name="two-conv"):
    """A network with weights whose answers differ from image to image, and the textbook's answers."""
    net = nets.NETS[name]
    initial = nets.without_zeros(nets.weights(net))
    initial = nets.decided(initial, textbook(net, initial, IMAGES))
    return net, initial, textbook(net, initial, IMAGES)


@pytest.mark.parametrize("name", [*nets.NETS, "cropped"])
def test_the_graph_computes_the_textbooks_probabilities(name, monkeypatch):
    from onnx.reference import ReferenceEvaluator

    monkeypatch.setitem(nets.NETS, "cropped", CROPPED)
    net, initial, exact = network(name)
    model = onnx_model(net, initial)
    onnx.checker.check_model(model, full_check=True)
    x = IMAGES[:3, None] / np.float32(255)
    np.testing.assert_allclose(ReferenceEvaluator(model).run(None, {"x": x})[0], exact[:3], atol=1e-4)
    assert exact.std(axis=0).min() > 1e-3  # or any constant would do


def test_no_image_is_transposed_when_it_is_predicted():
    net, initial, _ = network()
    kinds = [node.op_type for node in onnx_model(net, initial).graph.node]
    assert kinds == ["Conv", "Relu", "MaxPool", "Conv", "Relu", "MaxPool", "Flatten", "Gemm", "Relu", "Gemm", "Softmax"]


def test_a_layer_without_an_operator_is_named():
    with pytest.raises(ValueError, match="swish"):
        onnx_model([("swish",), ("dense", 10)], [])


def started(peer, name, net, initial, tmp_path):
    """A peer in this process with these weights."""
    np.savez(tmp_path / "data", x=IMAGES, y=np.zeros(len(IMAGES)), order=np.arange(len(IMAGES)))
    np.savez(tmp_path / "weights", *initial)
    files = {"data": tmp_path / "data.npz", "weights": tmp_path / "weights.npz"}
    peer.start(net, batch=8, threads=2, **files, **driver.VARIANTS[name].options)
    return peer


def peer_of(name):
    """The peer of a variant; the test is skipped without its runtime or its instruction."""
    variant = driver.VARIANTS[name]
    for module in (variant.module, *variant.also):
        pytest.importorskip(module)
    if variant.instruction not in {"", *instructions()}:
        pytest.skip(f"this processor has no {variant.instruction}")
    if variant.module == "openvino":
        from peers.openvino import OpenVINO

        return OpenVINO()
    from peers.onnxruntime import OnnxRuntime

    return OnnxRuntime()


@pytest.mark.parametrize("name", ["onnxruntime", "onnxruntime-1", "openvino", "openvino-streams", "openvino-bf16"])
@pytest.mark.parametrize("batch", [1, 16, 70])
def test_every_runtime_predicts_the_textbooks_probabilities_in_the_images_order(name, batch, tmp_path):
    net, initial, exact = network()
    peer = started(peer_of(name), name, net, initial, tmp_path)
    tolerance = 1e-4 if driver.VARIANTS[name].precision == "float32" else 0.05
    np.testing.assert_allclose(peer.probabilities(peer.x, batch), exact, atol=tolerance)


def test_eight_bits_are_near_the_textbook_and_not_equal_to_it(tmp_path):
    net, initial, exact = network()
    peer = started(peer_of("openvino-int8"), "openvino-int8", net, initial, tmp_path)
    difference = np.abs(peer.probabilities(peer.x, 16) - exact).max()
    assert 1e-4 < difference < 0.15


def test_a_quantised_model_has_a_scale_for_each_filter():
    pytest.importorskip("onnxruntime")
    from peers.quantised import quantised

    net, initial, _ = network()
    model = quantised(onnx_model(net, initial), IMAGES[:, None] / np.float32(255))
    scales = {array.name: onnx.numpy_helper.to_array(array) for array in model.graph.initializer}
    assert scales["0.Conv.0_scale"].shape == (32,) and scales["3.Conv.0_scale"].shape == (64,)


def test_a_runtime_that_is_asked_to_train_says_that_it_cannot(tmp_path):
    net, initial, _ = network()
    peer = started(peer_of("onnxruntime"), "onnxruntime", net, initial, tmp_path)
    with pytest.raises(NotImplementedError, match="OnnxRuntime has no training"):
        peer.train(steps=1)
