"""The layers in JavaScript calculate what the textbook calculates: every number of a pass, forward and backward."""

import shutil

import numpy as np
import pytest

from scratchnet import zoo
from scratchnet.page.passes import Pass
from tests.interop.drawn import drawn
from tests.page.conftest import STATIC, open_twins
from tests.page.models import READ, base64_of, every_array, for_browser, small

COMPARE = (
    READ
    + """
    const {tensors} = net.readSafetensors(buffer(argument.expected));
    const {logits, probabilities, dlogits} = run;
    const found = {logits, probabilities, dlogits, dx: run.layers[0].dx.data};
    for (const record of Object.values(run.byKey)) {
      for (const [kind, array] of Object.entries(net.numbersOf(record))) {
        if (!kind.startsWith("new.")) found[`${kind}.${record.key}`] = array.data;
      }
    }
    const worst = {loss: run.loss, missing: Object.keys(tensors).filter((name) => !(name in found)), errors: {}};
    for (const [name, {data}] of Object.entries(tensors)) {
      const ours = found[name] ?? [];
      if (ours.length !== data.length) worst.missing.push(`${name} has ${ours.length} numbers, not ${data.length}`);
      const scale = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      let error = 0;
      for (let n = 0; n < data.length; n += 1) error = Math.max(error, Math.abs(data[n] - ours[n]));
      worst.errors[name] = [error, scale];
    }
    return worst;
"""
)


def compare(twins, model, x, label, folder, **settings):
    """The largest error of every array of a pass, as a share of its scale; and of the loss.

    The scale is the array's largest number and a thousandth of the largest of all derivatives, or of all other numbers:
    a sum whose terms cancel, such as the gradient of a bias in front of a BatchNorm in training, is not 0 but rounding.
    """
    run = Pass(model, x, label, **settings)
    expected = base64_of(every_array(run), folder)
    found = twins(COMPARE, {**for_browser(model, x, label, folder, **settings), "expected": expected})
    assert found["missing"] == []
    largest = {False: 1e-30, True: 1e-30}
    for name, (_, scale) in found["errors"].items():
        largest[name.startswith("d")] = max(largest[name.startswith("d")], scale)
    errors = {
        name: np.nan if error is None else error / (scale + 1e-3 * largest[name.startswith("d")])
        for name, (error, scale) in found["errors"].items()
    }
    errors["loss"] = abs(found["loss"] - run.loss) / max(run.loss, 1e-30)
    return errors


def expect_equal(errors, tolerance=1e-10):
    wrong = {name: error for name, error in errors.items() if not error <= tolerance}
    assert not wrong, wrong


@pytest.mark.parametrize("preset", sorted(zoo.PRESETS))
def test_a_presets_every_number_is_the_textbooks(twins, preset, tmp_path, rng):
    model = zoo.PRESETS[preset](10).build((28, 28, 1), engine="numpy")
    for array in model.state().values():
        array[...] += rng.uniform(0, 0.1, array.shape)
    x = np.clip(rng.normal(60, 90, (28, 28)), 0, 255).astype(np.uint8)
    expect_equal(compare(twins, model, x, 3, tmp_path))


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("seed", range(20))
def test_drawn_architectures_are_the_textbooks(twins, seed, training, tmp_path):
    for number in range(10 * seed, 10 * seed + 10):
        model, x = drawn(number)
        label = number % model.shapes[-1][0]
        expect_equal(compare(twins, model, x[0], label, tmp_path, training=training, seed=number))


@pytest.mark.parametrize(
    ("outputs", "units"), [("softmax", 4), ("sigmoid", 1), ("sigmoid", 3), ("linear", 1), ("linear", 3)]
)
def test_the_loss_that_belongs_to_the_outputs(twins, outputs, units, tmp_path):
    model, x = small(outputs, units)
    expect_equal(
        compare(twins, model, x, min(1, units), tmp_path) if units == 1 else compare(twins, model, x, 2, tmp_path)
    )


@pytest.mark.parametrize("preset", ["default", "vgg-bn", "lenet5", "mlp", "resnet"])
def test_the_compiled_float32_engine_predicts_the_same(twins, preset, tmp_path, rng):
    pytest.importorskip("numba")
    model = zoo.PRESETS[preset](10).build((28, 28, 1), engine="numba")
    x = np.clip(rng.normal(60, 90, (3, 28, 28)), 0, 255).astype(np.uint8)
    for image in x:
        found = twins(
            READ + "return {p: net.predict(model, x), logits: run.logits};", for_browser(model, image, 0, tmp_path)
        )
        logits = model(image[None])[0]
        np.testing.assert_allclose(found["logits"], logits, rtol=0, atol=1e-5 * max(1, np.abs(logits).max()))
        np.testing.assert_allclose(found["p"], model.predict(image[None])[0], rtol=0, atol=1e-5)


def test_dropout_masks_are_pythons_bit_for_bit(twins):
    from scratchnet.randomness import ExampleRandom

    found = twins(
        "const random = net.exampleRandom(argument.seed); return [random(7), random(3)];", {"seed": 2**40 + 3}
    )
    expected = ExampleRandom(2**40 + 3, step=0)
    assert found == [expected.random((1, 7))[0].tolist(), expected.random((1, 3))[0].tolist()]


def test_the_error_function(twins):
    from math import erf

    x = [*np.linspace(-7, 7, 1001), 0.0, 1e-300, 5.999999]
    found = twins("return argument.map(net.erf);", x)
    np.testing.assert_allclose(found, [erf(value) for value in x], rtol=1e-14, atol=0)


def test_an_unknown_layer_is_refused_by_name(twins, tmp_path):
    model, x = small()
    argument = for_browser(model, x, 0, tmp_path)
    argument["description"]["layers"][2]["kind"] = "Swish"
    message = twins(f"try {{ {READ} }} catch (error) {{ return error.message; }}", argument)
    assert "no layer Swish (2.batchnorm)" in message


# mutants: a wrong line in a twin is found


MUTANTS = {
    "flipped kernel": ("conv.js", "const tap = (di * win.k_w + dj) * c * filters;",
                       "const tap = ((win.k_h - 1 - di) * win.k_w + win.k_w - 1 - dj) * c * filters;"),
    ">= for > in the pool": ("pool.js", "x.data[place + k] > y.data[to + k]", "x.data[place + k] >= y.data[to + k]"),
    "= for += in col2im": ("conv.js", "dx.data[place + k] += dot(", "dx.data[place + k] = dot("),
    "t - p for p - t": ("losses.js", "dlogits: p.map((value, k) => value - t[k])",
                        "dlogits: p.map((value, k) => t[k] - value)"),
    "padding forgotten": ("windows.js", "const row = i * win.stride_h + di - win.top;",
                          "const row = i * win.stride_h + di;"),
    "ReLU passes the gradient": ("activation.js", "(x.data[place] > 0 ? value : 0)",
                                 "(x.data[place] > 1e9 ? 0 : value)"),
    "variance without epsilon": ("batchnorm.js", "Math.sqrt(value + layer.settings.epsilon)", "Math.sqrt(value)"),
    "bias forgotten": ("dense.js", "b ? b.data : null", "null"),
}  # fmt: skip


def tied():
    """A small model, and an image of constant parts: many windows have equal numbers."""
    model, x = small()
    return model, np.where(np.arange(8)[:, None, None] < 4, 80, 200) + np.zeros_like(x)


def test_the_twins_as_they_are_pass_the_test_of_the_mutants(twins, tmp_path):
    for model, x in (small(), tied()):
        expect_equal(compare(twins, model, x, 1, tmp_path))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(browser, name, tmp_path):
    file, line, replacement = MUTANTS[name]
    shutil.copytree(STATIC, tmp_path / "static")
    path = tmp_path / "static" / "net" / file
    source = path.read_text()
    assert source.count(line) >= 1
    path.write_text(source.replace(line, replacement))
    mutated = open_twins(browser, tmp_path / "static")
    errors = [error for model, x in (small(), tied()) for error in compare(mutated, model, x, 1, tmp_path).values()]
    assert not all(error <= 1e-6 for error in errors)
