"""Residual: the sum of two ways, its gradient, and its place in a model."""

import copy
import itertools
import json
import pickle

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import Context, Conv2D, Dense, Residual, gradcheck
from scratchnet.training import train_step


class Scale(sn.Layer):
    """y = s x."""

    params = ("s",)

    def build(self, input_shape, rng):
        self.s = np.full(input_shape[-1], 2.0, self.dtype)
        return input_shape

    def forward(self, x, ctx):
        return x * self.s, x

    def backward(self, dy, x):
        return dy * self.s, {"s": (dy * x).sum(axis=tuple(range(x.ndim - 1)))}


def ready(layer, shape):
    layer.dtype = np.dtype("float64")
    layer.build(shape, np.random.default_rng(0))
    return layer


def test_the_output_is_the_branch_plus_what_goes_around_it():
    y, _ = ready(Residual([Scale()]), (3,)).forward(np.array([[1.0, 2, 3]]), Context())
    assert y.tolist() == [[3, 6, 9]]
    y, _ = ready(Residual([Scale()], shortcut=[Scale(), Scale()]), (3,)).forward(np.array([[1.0, 2, 3]]), Context())
    assert y.tolist() == [[6, 12, 18]]


def test_the_gradient_is_that_of_the_branch_plus_dy_itself():
    block = ready(Residual([Scale(), Scale()]), (2,))
    _, cache = block.forward(np.array([[1.0, 10]]), Context())
    dx, grads = block.backward(np.array([[1.0, -1]]), cache)
    assert dx.tolist() == [[4 + 1, -4 - 1]]
    assert {name: g.tolist() for name, g in grads.items()} == {"0.scale.s": [2, -20], "1.scale.s": [2, -20]}


def test_a_branch_of_zeros_changes_nothing_in_either_direction(rng):
    block = ready(Residual([Conv2D(3, 3, padding="same", initializer="zeros")]), (5, 5, 3))
    x, dy = rng.standard_normal((2, 5, 5, 3)), rng.standard_normal((2, 5, 5, 3))
    y, cache = block.forward(x, Context())
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(block.backward(dy, cache)[0], dy)


@pytest.mark.parametrize("training", [True, False])
def test_finite_differences_agree_through_batchnorm_and_nested_blocks(training, rng):
    inner = Residual([sn.BatchNorm(), sn.GELU(), Conv2D(2, 3, padding="same")])
    block = Residual([Conv2D(2, 3, 2, padding="same"), sn.BatchNorm(), inner], shortcut=Conv2D(2, 1, 2))
    gradcheck(block, rng.standard_normal((3, 5, 4, 3)), training=training, verbose=False)


def test_gradcheck_finds_a_forgotten_way(rng):
    class Forgetful(Residual):
        def backward(self, dy, cache):
            _, grads = super().backward(dy, cache)
            return sn.layers.row.backward(self.layers, dy, cache[0])[0], grads

    with pytest.raises(sn.GradientError, match="at x"):
        gradcheck(Forgetful([Dense(4)]), rng.standard_normal((3, 4)), verbose=False)


def test_its_arrays_are_those_of_its_layers_by_their_place():
    block = ready(
        Residual([Conv2D(2, 1), sn.BatchNorm(), Residual([Conv2D(2, 1)])], shortcut=[Conv2D(2, 1, use_bias=False)]),
        (3, 3, 2),
    )
    assert block.params == (
        "0.conv2d.W", "0.conv2d.b", "1.batchnorm.gamma", "1.batchnorm.beta", "2.residual.0.conv2d.W",
        "2.residual.0.conv2d.b", "shortcut.0.conv2d.W",
    )  # fmt: skip
    assert block.state == ("1.batchnorm.running_mean", "1.batchnorm.running_var")
    assert block.arrays("params")["2.residual.0.conv2d.W"] is block.layers[2].layers[0].W
    assert block.arrays("params")["shortcut.0.conv2d.W"] is block.shortcut[0].W


def test_multiply_adds_are_those_of_both_ways():
    block = ready(Residual([Conv2D(4, 3, padding="same")], shortcut=Conv2D(4, 1)), (6, 6, 2))
    assert block.multiply_adds((6, 6, 2), (6, 6, 4)) == 6 * 6 * 4 * (9 * 2 + 2)


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda: Residual([]), ValueError, "Residual: needs at least one layer"),
    (lambda: Residual([sn.ReLU()], shortcut=[]), ValueError, "and in the shortcut if there is one"),
    (lambda: Residual(sn.ReLU()), TypeError, r"Residual layers must be a list: Residual\(\[Conv2D"),
    (lambda: Residual([sn.ReLU]), TypeError, r"layer 0 must be a Layer, got .* Write ReLU\(\) with parentheses"),
    (lambda: Residual([3]), TypeError, "layer 0 must be a Layer, got 3"),
    (lambda: Residual([sn.ReLU()] * 2), ValueError, r"layer 1 \(ReLU\) stands in the model twice"),
])  # fmt: skip
def test_a_wrong_row_is_refused_when_it_is_made(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_block_that_no_file_could_hold_is_refused_when_it_is_made():
    block = Residual([sn.ReLU()])
    for _ in range(3):
        block = Residual([sn.ReLU(), block])
    with pytest.raises(ValueError, match="Residual: 5 blocks within each other, where 4 are allowed"):
        Residual([block])


def test_two_ways_of_different_shape_say_what_to_do():
    message = (
        r"layer 1 \(Residual\): the branch makes \(n, 6, 6, 4\), the input has \(n, 8, 8, 4\): they are added, .*"
        r"shortcut=Conv2D\(filters, 1, stride\)"
    )
    with pytest.raises(ValueError, match=message):
        sn.Sequential([Conv2D(4, 3), Residual([Conv2D(4, 3)]), sn.Flatten(), Dense(2)], (10, 10, 1))
    with pytest.raises(ValueError, match=r"the branch makes \(n, 5\), the shortcut makes \(n, 6\)"):
        Residual([Dense(5)], shortcut=[Dense(6)]).build((4,), np.random.default_rng(0))


def test_a_mistake_within_the_block_says_where():
    message = r"layer 0 \(Residual\): layer 1 \(Dense\): expects flat input \(n, features\), got \(n, 8, 8, 1\)"
    with pytest.raises(ValueError, match=message):
        sn.Sequential([Residual([sn.ReLU(), Dense(3)])], (8, 8, 1))


def test_a_layer_belongs_to_one_place_however_deep():
    shared = Dense(3)
    with pytest.raises(ValueError, match=r"layer 1 \(Residual\) stands in the model twice"):
        sn.Sequential([shared, Residual([shared])], (3,))
    sn.Sequential([Residual([shared])], (3,))
    for again in (lambda: Residual([shared]), lambda: sn.Sequential([shared], (3,))):
        with pytest.raises(ValueError, match=r"layer 0 \(Dense\) belongs to another model"):
            again()


# in a model


def block(filters, stride=1):
    branch = [
        Conv2D(filters, 3, stride, padding="same", use_bias=False), sn.BatchNorm(momentum=0.5), sn.ReLU(),
        Conv2D(filters, 3, padding="same", use_bias=False), sn.BatchNorm(momentum=0.5),
    ]  # fmt: skip
    return Residual(branch, shortcut=None if stride == 1 else [Conv2D(filters, 1, stride), sn.BatchNorm()])


def network(engine="numpy", dtype="float32", dropout=0.2):
    layers = [
        sn.Rescale(), Conv2D(4, 3, activation="relu"), block(4), sn.ReLU(), block(8, stride=2), sn.ReLU(),
        Residual([sn.Dropout(dropout), Conv2D(8, 1)]), sn.GlobalAvgPool2D(), Residual([Dense(8), sn.Tanh()]), Dense(4),
    ]  # fmt: skip
    return sn.Sequential(layers, (10, 10, 1), engine=engine, dtype=dtype)


def arrays(model):
    return {**model.parameters(), **model.state()}


def test_the_names_of_a_models_arrays_say_where_they_are():
    names = list(arrays(network()))
    assert "3.residual.0.conv2d.W" in names and "5.residual.shortcut.1.batchnorm.running_var" in names
    assert "5.residual.shortcut.0.conv2d.b" in names and "9.residual.0.dense.W" in names
    assert network().count_params() == sum(array.size for array in arrays(network()).values())


def test_no_block_begins_like_its_neighbour():
    layers = [Residual([Dense(5)]), Residual([Dense(5), Dense(5)]), Dense(2)]
    params = sn.Sequential(layers, (5,), engine="numpy").parameters()
    starts = [params[f"{name}.dense.W"] for name in ("0.residual.0", "1.residual.0", "1.residual.1")]
    assert all((a != b).all() for a, b in itertools.pairwise(starts))


def test_both_engines_take_the_same_steps(stripes):
    found = {}
    for engine, dtype in (("numpy", "float64"), ("numpy", "float32"), ("numba", "float32")):
        model, optimizer = network(engine, dtype), sn.SGD(0.05)
        losses = [train_step(model, sn.SoftmaxCrossEntropy(), optimizer, *stripes) for _ in range(3)]
        found[engine, dtype] = {"losses": np.array(losses), "logits": model.forward(stripes[0]), **arrays(model)}
    exact = found["numpy", "float64"]
    for edition in (("numpy", "float32"), ("numba", "float32")):
        for name, array in exact.items():
            np.testing.assert_allclose(found[edition][name], array, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_the_result_does_not_depend_on_the_number_of_threads(threads, stripes):
    pytest.importorskip("numba")
    found = []
    for count in (1, threads):
        sn.set_threads(count)
        model = network("numba")
        model.fit(*stripes, epochs=2, batch_size=50, verbose=False)
        found.append(arrays(model))
    for name, array in found[0].items():
        np.testing.assert_array_equal(array, found[1][name])


def test_a_network_of_blocks_learns(engine, stripes):
    model = network(engine, dropout=0.0)
    model.fit(*stripes, epochs=40, batch_size=20, optimizer=sn.Adam(0.01), verbose=False)
    assert model.evaluate(*stripes)["accuracy"] > 0.95


def test_it_comes_back_from_a_file_a_copy_and_a_pickle(engine, stripes, tmp_path):
    x, y = stripes
    model = network(engine)
    model.fit(x, y, epochs=2, batch_size=20, verbose=False)
    model.save(tmp_path / "m")
    expected = {name: array.tobytes() for name, array in arrays(model).items()}
    for again in (sn.load_model(tmp_path / "m", engine), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert {name: array.tobytes() for name, array in arrays(again).items()} == expected
        assert json.dumps(again.config()) == json.dumps(model.config()) and repr(again) == repr(model)
        np.testing.assert_array_equal(again.predict(x), model.predict(x))
        again.fit(x, y, batch_size=20, verbose=False)
        assert {name: array.tobytes() for name, array in arrays(model).items()} == expected  # nothing is shared


def test_an_untrained_copy_begins_as_the_model_did(stripes):
    model = network()
    start = {name: array.copy() for name, array in arrays(model).items()}
    model.fit(*stripes, verbose=False)
    for name, array in arrays(model.untrained_copy()).items():
        np.testing.assert_array_equal(array, start[name])


def test_a_layer_of_ones_own_within_a_block_is_saved_too(tmp_path):
    model = sn.Sequential([Residual([Scale()]), Dense(2)], (3,), engine="numpy")
    model.parameters()["0.residual.0.scale.s"][...] = 5
    model.save(tmp_path / "m")
    again = sn.load_model(tmp_path / "m", "numpy", layers=[Scale])
    assert again.layers[0].layers[0].s.tolist() == [5, 5, 5]
    with pytest.raises(sn.ModelFileError, match=r"layer 0 \(Residual\), layers: layer 0 is a 'Scale', which is not"):
        sn.load_model(tmp_path / "m", "numpy")


def test_an_array_within_a_block_is_assigned_like_any_other(engine, stripes):
    x, y = stripes
    model = network(engine)
    model.fit(x, y, epochs=2, batch_size=20, verbose=False)  # a captured step, and a captured prediction
    before, conv = model.predict(x), model.layers[3].layers[0]
    array = conv.W
    conv.W = np.ones(conv.W.shape)
    assert conv.W is array and (model.parameters()["3.residual.0.conv2d.W"] == 1).all()
    assert np.abs(model.predict(x) - before).max() > 1e-4
    with pytest.raises(AttributeError, match="stride cannot be set once the layer is part of a model"):
        conv.stride = (2, 2)


def test_a_changed_rate_within_a_block_counts_from_the_next_step(stripes):
    pytest.importorskip("numba")
    losses = []
    for engine in ("numpy", "numba"):
        model, optimizer = network(engine), sn.SGD(1e-4)
        for i in range(4):
            model.layers[7].layers[0].rate = 0.2 if i < 3 else 0.9
            losses.append(train_step(model, sn.SoftmaxCrossEntropy(), optimizer, *stripes))
    np.testing.assert_allclose(losses[:4], losses[4:], rtol=1e-4)


def test_an_array_replaced_behind_assignment_is_an_error_before_any_kernel_runs():
    pytest.importorskip("numba")
    model = network("numba")
    vars(model.layers[3].layers[0])["W"] = np.zeros((3, 3), np.float32)
    with pytest.raises(ValueError, match=r"layer 3.residual: 0.conv2d.W was float32 of shape .* replaced or reshaped"):
        model.predict(np.zeros((2, 10, 10), np.uint8))


def test_biases_and_normalisations_within_a_block_do_not_decay():
    decays = sn.AdamW().decays
    assert decays("3.residual.0.conv2d.W") and decays("3.residual.shortcut.0.conv2d.W")
    assert not decays("3.residual.0.conv2d.b") and not decays("3.residual.1.batchnorm.gamma")


def test_a_divergence_within_a_block_names_the_block_and_leaves_all_as_it_was(engine, stripes):
    model = network(engine)
    model.fit(*stripes, verbose=False)
    model.parameters()["3.residual.0.conv2d.W"][0, 0, 0, 0] = np.nan
    before = {name: array.tobytes() for name, array in arrays(model).items()}
    with pytest.raises(sn.TrainingDivergedError, match=r"layer 3 \(Residual\)") as error:
        model.fit(*stripes, verbose=False)
    assert error.value.layer == "3.residual"
    assert {name: array.tobytes() for name, array in arrays(model).items()} == before


def test_a_run_with_blocks_resumes_to_the_same_bits(engine, stripes, tmp_path):
    whole, part, rest = network(engine), network(engine), network(engine)
    options = {"batch_size": 16, "verbose": False}
    average = lambda: sn.WeightAverage(0.9)  # noqa: E731
    whole.fit(*stripes, epochs=3, callbacks=[average()], **options)
    part.fit(*stripes, epochs=2, callbacks=[average(), sn.Checkpoint(tmp_path / "c")], **options)
    rest.fit(*stripes, epochs=3, callbacks=[average()], resume=tmp_path / "c", **options)
    for name, array in arrays(whole).items():
        np.testing.assert_array_equal(array, arrays(rest)[name])


def test_health_has_a_row_for_each_block(stripes):
    health = sn.Health()
    network().fit(*stripes, callbacks=[health], verbose=False)
    row = next(row for row in health.rows if row["layer"] == "3.residual")
    assert row["gradient_norm"] > 0 and 0 < row["update_ratio"] < 1
