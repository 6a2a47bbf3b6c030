"""One law: constant + Σ terms = value, for every number of every network, in Python and in JavaScript."""

import copy
import shutil

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.page.ledger import Explanation, explain, explain_in
from scratchnet.page.passes import Pass
from tests.interop.drawn import drawn
from tests.page.conftest import STATIC, open_twins
from tests.page.models import READ, addresses, for_browser, small

OPTIMIZERS = [
    sn.SGD(0.1), sn.SGD(0.1, momentum=0.9), sn.SGD(0.1, 0.9, nesterov=True), sn.RMSprop(0.01), sn.Adam(0.01),
    sn.AdamW(0.01, weight_decay=0.1), sn.SGD(0.1, clip_norm=1e-3),
]  # fmt: skip


def error(value, constant, terms):
    """|constant + Σ terms - value|, as a share of the largest of these numbers."""
    total = np.sum([constant, *terms], dtype=np.longdouble)
    return float(abs(total - value) / max([abs(value), abs(constant), *map(abs, terms), 1e-300]))


def check_law(run, address, optimizer="sgd"):
    explanation = explain_in(run, address, optimizer)
    assert error(explanation.value, explanation.constant, [term.value for term in explanation.terms]) <= 1e-12, (
        explanation
    )


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("seed", range(10))
def test_constant_and_terms_are_the_value_in_drawn_networks(seed, training):
    for number in range(20 * seed, 20 * seed + 20):
        model, x = drawn(number)
        rng = np.random.default_rng(number)
        run = Pass(model, x[0], int(rng.integers(model.shapes[-1][0])), training, number)
        for address in addresses(run, rng, 10):
            check_law(run, address, copy.copy(OPTIMIZERS[rng.integers(len(OPTIMIZERS))]))


@pytest.mark.parametrize(
    ("outputs", "units"), [("softmax", 4), ("softmax", 1), ("sigmoid", 1), ("sigmoid", 3), ("linear", 3)]
)
def test_the_law_holds_for_each_loss(outputs, units, rng):
    model, x = small(outputs, units)
    run = Pass(model, x, 0)
    for address in ["loss", *(f"{kind}/{k}" for kind in ("logits", "probabilities", "dlogits") for k in range(units))]:
        check_law(run, address)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("seed", range(5))
def test_JavaScript_explains_as_Python_does(twins, seed, training, tmp_path):
    for number in range(40 * seed, 40 * seed + 40):
        model, x = drawn(number)
        rng = np.random.default_rng(number)
        label = int(rng.integers(model.shapes[-1][0]))
        run = Pass(model, x[0], label, training, number)
        asked = addresses(run, rng, 10)
        argument = {**for_browser(model, x[0], label, tmp_path, training=training, seed=number), "asked": asked}
        found = twins(READ + "return argument.asked.map((address) => net.explain(run, address));", argument)
        for address, theirs in zip(asked, found, strict=True):
            ours = explain_in(run, address)
            values = [term["value"] for term in theirs["terms"]]
            assert error(theirs["value"], theirs["constant"], values) <= 1e-12, theirs
            assert (theirs["address"], theirs["formula"]) == (address, ours.formula)
            scale = max([abs(ours.value), abs(ours.constant), *(abs(term.value) for term in ours.terms)])
            assert abs(theirs["value"] - ours.value) <= 1e-10 * scale + 1e-15
            assert len(values) == len(ours.terms)
            for term, mine in zip(theirs["terms"], ours.terms, strict=True):
                assert [factor["address"] for factor in term["factors"]] == [factor.address for factor in mine.factors]
                assert term["group"] == mine.group


@pytest.mark.parametrize("name", ["sgd", "momentum", "rmsprop", "adam"])
def test_optimizers_in_JavaScript_step_as_Pythons(twins, name, rng):
    weight, gradients = rng.normal(size=5), rng.normal(size=(4, 5))
    optimizer = {
        "sgd": sn.SGD(0.1),
        "momentum": sn.SGD(0.1, momentum=0.9),
        "rmsprop": sn.RMSprop(0.1),
        "adam": sn.Adam(0.1),
    }[name]
    params = {"W": weight.copy()}
    program = """
        let weight = net.tensor([5], argument.weight);
        let slots = null;
        return argument.gradients.map((g) => {
          ({weight, slots} = net.update(argument.name, {lr: 0.1}, weight, net.tensor([5], g), slots));
          return weight.data;
        });
    """
    found = twins(program, {"name": name, "weight": weight.tolist(), "gradients": gradients.tolist()})
    for gradient, theirs in zip(gradients, found, strict=True):
        optimizer.step(params, {"W": gradient})
        np.testing.assert_allclose(theirs, params["W"], rtol=1e-13)


# explain, as it is used


def test_an_explanation_unpacks_and_prints_itself():
    model, x = small()
    found = explain(model, x, 2, "y/1.conv2d/3,4,1")
    value, formula, terms = found
    assert isinstance(found, Explanation) and value == found.value and formula.startswith("y[i, j, f] = Σ")
    assert len(terms) == 3 * 3 * 2 + 1
    assert str(found).splitlines()[0] == f"y/1.conv2d/3,4,1 = {value:.6g}"
    assert "and 7 smaller terms, together" in str(found) and "b/1.conv2d/1" in str(terms[-1])
    assert found._repr_html_().startswith("<table>") and "y/1.conv2d/3,4,1" in found._repr_html_()


def test_the_values_are_those_of_a_training_step(rng):
    model, x = small()
    model64 = model.untrained_copy("numpy", "float64")
    model64.set_weights(model.get_weights())
    logits, caches = model64.forward_cached(x[None], model64.context())
    value, dlogits = sn.SoftmaxCrossEntropy()(logits, np.array([2]))
    _, grads = model64.backward(dlogits, caches)
    assert explain(model, x, 2, "loss").value == pytest.approx(value, rel=1e-13)
    for address, expected in [
        ("dW/1.conv2d/1,2,0,1", grads["1.conv2d.W"][1, 2, 0, 1]),
        ("dgamma/2.batchnorm/0", grads["2.batchnorm.gamma"][0]),
        ("db/7.dense/3", grads["7.dense.b"][3]), ("logits/1", logits[0, 1]),
    ]:  # fmt: skip
        assert explain(model, x, 2, address).value == pytest.approx(expected, rel=1e-12)


def test_following_the_links_of_a_pixel_derivative_ends_at_the_logits():
    model, x = small()
    run, address, seen = Pass(model, x, 2), "dx/3,3,0", []
    while address != "dlogits/2":
        seen.append(address)
        terms = [term for term in explain_in(run, address).terms if term.value] or explain_in(run, address).terms
        links = [f.address for term in terms for f in term.factors if f.address.startswith(("dy/", "dlogits/"))]
        address = next((link for link in links if link.endswith("/2") and "7.dense" in link), links[0])
        assert len(seen) < 20
    assert seen[0].startswith("dx/") and seen[-1] == "dy/7.dense/2"


def test_new_W_continues_the_memory_of_an_optimizer_that_has_trained(rng):
    model, x = small()
    adam = sn.Adam(0.01)
    model.fit(x[None].repeat(8, 0), np.arange(8) % 4, epochs=2, batch_size=4, optimizer=adam, verbose=False)
    before = copy.deepcopy(adam)
    after = explain(model, x, 2, "new.W/7.dense/5,1", training=False, optimizer=adam)
    assert after.total() == pytest.approx(after.value, rel=1e-12)
    assert adam.steps == before.steps and (adam.memory["7.dense.W"][0] == before.memory["7.dense.W"][0]).all()
    g = explain(model, x, 2, "dW/7.dense/5,1").value
    m, s = (slot[5, 1] for slot in before.memory["7.dense.W"])
    m_hat = (0.9 * m + 0.1 * g) / (1 - 0.9**5)
    s_hat = (0.999 * s + 0.001 * g * g) / (1 - 0.999**5)
    W = float(model.parameters()["7.dense.W"][5, 1])
    assert after.value == pytest.approx(W - 0.01 * m_hat / (s_hat**0.5 + 1e-8), rel=1e-12)


def test_a_frozen_layer_keeps_its_weights_after_a_step():
    model, x = small()
    model.freeze("conv2d")
    value, formula, _ = explain(model, x, 2, "new.W/1.conv2d/0,0,0,0")
    assert value == float(model.parameters()["1.conv2d.W"][0, 0, 0, 0]) and "frozen" in formula


def test_the_model_is_not_changed_by_an_explanation():
    model, x = small()
    before = [array.copy() for array in model.get_weights()]
    explain(model, x, 1, "dgamma/2.batchnorm/1", training=True)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "dW/1.conv/0,0,0,0",
            r"no layer is called '1.conv'. Did you mean '1.conv2d'\? The layers are 0.rescale",
        ),
        ("dQ/1.conv2d/0", r"1.conv2d has y, dy, dx, W, b, dW, db, new.W, new.b, and no 'dQ'"),
        ("dW/1.conv2d/0,0,0,3", r"dW/1.conv2d has shape \(3, 3, 2, 3\), so its last number is dW/1.conv2d/2,2,1,2"),
        ("dW/1.conv2d/0,0", r"has shape \(3, 3, 2, 3\)"),
        ("W/0,0,0,0", "'W' needs a layer, W/LAYER/INDEX. Layers: 0.rescale"),
        ("logits/4", r"has shape \(4,\), so its last number is logits/3"),
        ("new.y/1.conv2d/0,0", "1.conv2d has new.W, new.b"),
        ("y/1.conv2d", "expected kind/layer/index, such as"),
        ("y/1.conv2d/-1,0,0", "expected kind/layer/index, such as"),
    ],
)
def test_a_wrong_address_says_what_there_is(address, message):
    model, x = small()
    with pytest.raises(ValueError, match=message):
        explain(model, x, 0, address)


def test_a_wrong_image_or_label_is_an_error():
    model, x = small()
    with pytest.raises(
        ValueError, match=r"one example of shape \(8, 8, 2\), got uint8 of shape \(3, 8, 8, 2\).*take one: x\[0\]"
    ):
        explain(model, x[None].repeat(3, 0), 0, "loss")
    with pytest.raises(ValueError, match="label must be the number of a class, 0 to 3, got 4"):
        explain(model, x, 4, "loss")


def test_a_layer_of_ones_own_is_refused_by_name_and_its_neighbours_are_not(rng):
    class Double(sn.Layer):
        def forward(self, x, ctx):
            return 2 * x, None

        def backward(self, dy, cache):
            return 2 * dy, {}

    model = sn.Sequential([sn.Dense(3), Double(), sn.Dense(2)], (4,), engine="numpy")
    run = Pass(model, rng.normal(size=4), 1)
    check_law(run, "dW/0.dense/1,2")
    with pytest.raises(ValueError, match=r"1.double \(Double\) is a layer of your own"):
        explain_in(run, "y/1.double/0")


MUTANTS = {
    "bias left out": ("terms_convolution.js", "record.layer.parameters.b", "record.layer.parameters.c"),
    "loser counted": ("terms_pool.js", "{ times: Number(largest), label }", "{ times: 1, label }"),
    "p + t": ("terms_outputs.js", "[productOf([probability(run, k)])], -t)", "[productOf([probability(run, k)])], t)"),
    "window shifted": ("windows.js", "(row + win.top - di) / win.stride_h", "(row + win.top + di) / win.stride_h"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_ledger_breaks_the_law(browser, name, tmp_path):
    file, line, replacement = MUTANTS[name]
    shutil.copytree(STATIC, tmp_path / "static")
    path = tmp_path / "static" / "net" / file
    assert path.read_text().count(line) == 1
    path.write_text(path.read_text().replace(line, replacement))
    model, x = small()
    asked = ["y/1.conv2d/3,4,1", "y/4.maxpool2d/1,1,0", "dlogits/2", "dx/1.conv2d/3,3,1"]
    program = READ + "return argument.asked.map((address) => net.explain(run, address));"
    found = open_twins(browser, tmp_path / "static")(program, {**for_browser(model, x, 2, tmp_path), "asked": asked})
    errors = [error(one["value"], one["constant"], [term["value"] for term in one["terms"]]) for one in found]
    assert max(errors) > 1e-6


def test_JavaScript_names_what_is_wrong_with_an_address(twins, tmp_path):
    model, x = small()
    asked = ["dW/1.conv/0,0,0,0", "dQ/1.conv2d/0", "dW/1.conv2d/0,0,0,3", "W/0,0,0,0", "logits/4", "y/1.conv2d"]
    program = (
        READ + "return argument.asked.map((a) => { try { net.explain(run, a); } catch (e) { return e.message; } });"
    )
    found = twins(program, {**for_browser(model, x, 0, tmp_path), "asked": asked})
    assert [all(part in text for part in parts) for text, parts in zip(found, [
        ["no layer is called 1.conv", "0.rescale, 1.conv2d"], ["1.conv2d has y, dy, dx, W", "no dQ"], ["3×3×2×3"],
        ["W needs a layer"], ["the shape is 4"], ["expected kind/layer/index"],
    ], strict=True)] == [True] * 6, found  # fmt: skip
