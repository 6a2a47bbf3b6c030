"""The checker is checked: right layers pass, and each of many wrong ones fails."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import GradientError, Layer, gradcheck
from tests import wrong_layers as wrong


def quiet(target, x, **options):
    return gradcheck(target, x, verbose=False, **options)


MUTANTS = [
    (wrong.SignOfBias(3), (4, 5)),
    (wrong.MeanInsteadOfSum(3), (4, 5)),
    (wrong.UntransposedWindow(2, 3), (2, 5, 5, 2)),
    (wrong.ForgottenOverlap(2, 3), (2, 5, 5, 2)),
    (wrong.NoGradientThroughStatistics(), (4, 3, 3, 2)),
    (wrong.ZeroThroughBatchNorm(), (4, 3, 3, 2)),
    (wrong.WrongInOneSmallEntry(), (4, 3, 3, 2)),
    (wrong.WrongAtTheBottom(), (4, 6)),
    (wrong.LeakyBackward(), (4, 6)),
    (wrong.LastOfTheWindow(2), (2, 4, 4, 2)),
    (wrong.DropoutWithoutItsScale(0.3), (4, 6)),
    (wrong.NotANumber(3), (4, 5)),
]


@pytest.mark.parametrize(("mutant", "shape"), MUTANTS, ids=lambda value: type(value).__name__)
def test_a_wrong_backward_fails(mutant, shape, rng):
    x = rng.standard_normal(shape)
    x.flat[-1] = 1e-9
    with pytest.raises(GradientError):
        quiet(mutant, x)


@pytest.mark.parametrize(("mutant", "shape"), MUTANTS, ids=lambda value: type(value).__name__)
def test_the_layer_it_was_made_from_passes(mutant, shape, rng):
    original = type(mutant).__bases__[0](**mutant.config())
    assert quiet(original, rng.standard_normal(shape)).error < 1e-6


def test_the_report_names_the_worst_entry_and_both_numbers(rng):
    class OneWrong(sn.Dense):
        def backward(self, dy, cache):
            dx, grads = super().backward(dy, cache)
            grads["W"][2, 1] += 0.5
            return dx, grads

    message = r"OneWrong: worst error .* at W\[2, 1\]: backward \S+, difference \S+"
    with pytest.raises(GradientError, match=message) as error:
        quiet(OneWrong(3), rng.standard_normal((4, 5)))
    words = str(error.value).replace(",", "").split()
    backward, difference = float(words[words.index("backward") + 1]), float(words[words.index("difference") + 1])
    assert backward - difference == pytest.approx(0.5, abs=1e-4)


def test_the_worst_entry_comes_back_and_is_printed(rng, capsys):
    worst = gradcheck(sn.Dense(3), rng.standard_normal((4, 5)))
    assert worst.name in ("x", "W", "b") and worst.error < 1e-8
    assert worst.backward == pytest.approx(worst.difference, rel=1e-6)
    assert capsys.readouterr().out.startswith(f"gradcheck Dense: worst error {worst.error:.1e} at {worst.name}[")


def test_a_layer_is_not_changed_by_being_checked(rng):
    layer = sn.BatchNorm()
    layer.build((3,), rng)
    layer.running_mean[...] = 5
    before = {name: getattr(layer, name).copy() for name in (*layer.params, *layer.state)}
    x = rng.standard_normal((4, 3))
    x_before = x.copy()
    quiet(layer, x)
    assert layer.dtype == np.float32
    np.testing.assert_array_equal(x, x_before)
    for name, array in before.items():
        np.testing.assert_array_equal(getattr(layer, name), array)
        assert getattr(layer, name).dtype == np.float32


def small_network(seed=0, dtype="float64"):
    return sn.Sequential(
        [
            sn.Rescale(0.5), sn.Conv2D(3, 3, padding="same"), sn.BatchNorm(), sn.ReLU(), sn.MaxPool2D(2),
            sn.Conv2D(4, 2, stride=2), sn.ReLU(), sn.Dropout(0.3), sn.Flatten(), sn.Dense(5), sn.ReLU(),
            sn.Dense(3),
        ],
        input_shape=(8, 8, 2), engine="numpy", seed=seed, dtype=dtype,
    )  # fmt: skip


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_whole_network_passes_from_the_loss_to_the_pixels(seed, training):
    rng, model = np.random.default_rng(seed), small_network(seed)
    x, labels = rng.standard_normal((4, 8, 8, 2)), rng.integers(0, 3, 4)
    assert quiet(model, x, labels=labels, training=training).error < 1e-6


def test_a_network_of_averages_passes_too(rng):
    model = sn.Sequential(
        [sn.Conv2D(3, (2, 3)), sn.ReLU(), sn.AvgPool2D(2), sn.BatchNorm(), sn.GlobalAvgPool2D(), sn.Dense(3)],
        input_shape=(7, 6, 1), engine="numpy", dtype="float64",
    )  # fmt: skip
    loss = sn.SoftmaxCrossEntropy(label_smoothing=0.1)
    assert quiet(model, rng.standard_normal((3, 7, 6, 1)), labels=np.array([0, 2, 1]), loss=loss).error < 1e-6


def test_a_model_is_not_changed_by_being_checked(rng):
    model = small_network()
    before = {name: array.copy() for name, array in {**model.parameters(), **model.state()}.items()}
    quiet(model, rng.standard_normal((3, 8, 8, 2)))
    for name, array in {**model.parameters(), **model.state()}.items():
        np.testing.assert_array_equal(array, before[name])


def test_a_network_with_one_wrong_layer_fails(rng):
    model = sn.Sequential([sn.Conv2D(2, 3), wrong.ZeroThroughBatchNorm(), sn.Flatten(), sn.Dense(2)],
                          input_shape=(5, 5, 1), engine="numpy", dtype="float64")  # fmt: skip
    with pytest.raises(GradientError, match="gradcheck Sequential: worst error"):
        quiet(model, rng.standard_normal((3, 5, 5, 1)), labels=np.array([0, 1, 0]))


def test_float32_is_too_coarse_to_check():
    with pytest.raises(ValueError, match='gradcheck needs float64: build the model with dtype="float64"'):
        quiet(small_network(dtype="float32"), np.zeros((1, 8, 8, 2)))


def test_entries_on_a_corner_are_left_out_and_counted(rng, capsys):
    x = rng.standard_normal((5, 6))
    x[0, 0] = x[2, 3] = 0  # exactly at the bend of the ReLU
    gradcheck(sn.ReLU(), x)
    assert "(2 entries on a corner left out)" in capsys.readouterr().out


def test_entries_very_near_a_corner_are_checked_all_the_same(rng, capsys):
    x = rng.standard_normal((5, 6))
    x[0, 0], x[2, 3] = 3e-6, -3e-6  # within h of the bend, but on one side of it
    gradcheck(sn.ReLU(), x)
    assert "left out" not in capsys.readouterr().out


def test_a_corner_excuses_only_its_own_entry(rng):
    x = rng.standard_normal((5, 6))
    x[0, 0] = 0
    with pytest.raises(GradientError, match="1 entries on a corner left out"):
        quiet(wrong.LeakyBackward(), x)


def test_an_input_full_of_corners_checks_nothing_and_says_so():
    with pytest.raises(GradientError, match="too many to check the rest: choose an x without zeros and ties"):
        quiet(sn.MaxPool2D(2), np.zeros((1, 4, 4, 1)))


def test_a_missing_gradient_is_named(rng):
    class Silent(sn.Dense):
        def backward(self, dy, cache):
            return super().backward(dy, cache)[0], {}

    message = r"backward must return gradients of x \(4, 5\), W \(5, 3\), b \(3,\); it returned x \(4, 5\)"
    with pytest.raises(GradientError, match=message):
        quiet(Silent(3), rng.standard_normal((4, 5)))


def test_a_gradient_of_another_shape_is_named(rng):
    class Flat(sn.Dense):
        def backward(self, dy, cache):
            dx, grads = super().backward(dy, cache)
            return dx, {**grads, "W": grads["W"].ravel()}

    with pytest.raises(GradientError, match=r"W \(5, 3\), b \(3,\); it returned x \(4, 5\), W \(15,\)"):
        quiet(Flat(3), rng.standard_normal((4, 5)))


def test_a_layer_of_ones_own_can_be_checked(rng):
    class Square(Layer):
        def forward(self, x, ctx):
            return x**2, x

        def backward(self, dy, x):
            return 2 * x * dy, {}

    class Power(Layer):
        params = ("p",)

        def build(self, input_shape, rng):
            self.p = np.array(2.0)
            return input_shape

        def forward(self, x, ctx):
            return np.exp(self.p * x), x

        def backward(self, dy, x):
            y = np.exp(self.p * x)
            return dy * y * self.p, {"p": (dy * y * x).sum()}

    assert quiet(Square(), rng.standard_normal((3, 4))).error < 1e-6
    assert quiet(Power(), 0.1 * rng.standard_normal((3, 4))).error < 1e-6


def test_other_losses_can_be_checked(rng):
    def squared(logits, labels):
        return ((logits - labels) ** 2).mean(), 2 * (logits - labels) / logits.size

    labels = rng.standard_normal((4, 3))
    assert quiet(sn.Dense(3), rng.standard_normal((4, 5)), labels=labels, loss=squared).error < 1e-6
