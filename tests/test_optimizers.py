"""Each optimizer against steps worked out on paper, and against PyTorch's over a hundred steps."""

from math import sqrt

import numpy as np
import pytest

from scratchnet import SGD, Adam, AdamW, Constant, Optimizer, RMSprop, StepDecay
from scratchnet.optimizers import OPTIMIZERS

ALL = {
    "SGD": lambda lr=0.1: SGD(lr),
    "momentum": lambda lr=0.1: SGD(lr, momentum=0.9),
    "Nesterov": lambda lr=0.1: SGD(lr, momentum=0.9, nesterov=True),
    "RMSprop": lambda lr=0.1: RMSprop(lr),
    "Adam": lambda lr=0.1: Adam(lr),
    "AdamW": lambda lr=0.1: AdamW(lr),
}
every_optimizer = pytest.mark.parametrize("name", ALL)


def path(optimizer, gradients, start=1.0, name="0.dense.W"):
    """Where a single weight is after each of these gradients."""
    params, places = {name: np.array([start])}, []
    for g in gradients:
        optimizer.step(params, {name: np.array([g])})
        places.append(float(params[name][0]))
    return places


def test_sgd_by_hand():
    assert path(SGD(0.1), [0.5, -0.25, 1.0]) == pytest.approx([0.95, 0.975, 0.875], rel=1e-15)


def test_momentum_by_hand():
    # v: -0.05; 0.9·-0.05 + 0.025 = -0.02; 0.9·-0.02 - 0.1 = -0.118
    assert path(SGD(0.1, momentum=0.9), [0.5, -0.25, 1.0]) == pytest.approx([0.95, 0.93, 0.812], rel=1e-15)


def test_nesterov_by_hand():
    # the same v; each step is 0.9·v - 0.1·g: -0.045 - 0.05; -0.018 + 0.025; -0.1062 - 0.1
    places = path(SGD(0.1, momentum=0.9, nesterov=True), [0.5, -0.25, 1.0])
    assert places == pytest.approx([0.905, 0.912, 0.7058], rel=1e-15)


def test_rmsprop_by_hand():
    # s: ¼·4 = 1; ¾·1 + ¼·1 = 1; ¾·1 + ¼·9 = 3.  Steps: 0.1·2/(1+1); 0.1·-1/(1+1); 0.1·3/(√3+1)
    places = path(RMSprop(0.1, rho=0.75, eps=1.0), [2.0, -1.0, 3.0])
    assert places == pytest.approx([0.9, 0.95, 0.95 - 0.3 / (sqrt(3) + 1)], rel=1e-15)


def test_adam_by_hand():
    # m: 1, 0, 2; s: 1, 1, ¾ + ¼·16 = 4.75.  m̂: 1/½ = 2, 0, 2/⅞; ŝ: 1/¼ = 4, ..., 4.75 / (1 - 27/64)
    places = path(Adam(0.1, beta1=0.5, beta2=0.75, eps=1.0), [2.0, -1.0, 4.0])
    first = 1 - 0.1 * 2 / (2 + 1)
    assert places == pytest.approx([first, first, first - 0.1 * (2 / 0.875) / (sqrt(4.75 / 0.578125) + 1)], rel=1e-15)


def test_adamw_by_hand():
    # as Adam, but each step first takes 0.1·0.2 = 2 % off the weight
    places = path(AdamW(0.1, beta1=0.5, beta2=0.75, eps=1.0, weight_decay=0.2), [2.0, -1.0, 4.0])
    first = 1 * 0.98 - 0.2 / 3
    second = first * 0.98
    third = second * 0.98 - 0.1 * (2 / 0.875) / (sqrt(4.75 / 0.578125) + 1)
    assert places == pytest.approx([first, second, third], rel=1e-15)


def test_without_a_gradient_weight_decay_shrinks_the_weights():
    params = {"0.dense.W": np.array([3.0, -4.0])}
    AdamW(0.1, weight_decay=0.5).step(params, {"0.dense.W": np.zeros(2)})
    assert params["0.dense.W"].tolist() == pytest.approx([3 * 0.95, -4 * 0.95])


@pytest.mark.parametrize("name", ["0.conv2d.b", "1.batchnorm.gamma", "1.batchnorm.beta"])
def test_biases_and_batchnorms_parameters_do_not_decay(name):
    assert path(AdamW(0.1, weight_decay=0.5), [0.0, 0.0], name=name) == [1.0, 1.0]


# clipping


@every_optimizer
def test_clipping_is_the_same_as_a_loss_divided_by_the_factor(name, rng):
    g = {"W": rng.standard_normal((3, 4)), "b": 7 * rng.standard_normal(4)}
    length = sqrt(sum((a**2).sum() for a in g.values()))
    by_hand, clipped = ALL[name](), ALL[name]()
    clipped.clip_norm = 0.25 * length
    ours, theirs = ({key: np.ones_like(a) for key, a in g.items()} for _ in range(2))
    for _ in range(3):
        by_hand.step(theirs, {key: a / 4 for key, a in g.items()})
        clipped.step(ours, g)
    for key in g:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-13)


def test_a_clipped_gradient_keeps_its_direction_and_has_the_length_asked_for():
    params = {"W": np.zeros(1), "b": np.zeros(1)}
    SGD(1.0, clip_norm=1.0).step(params, {"W": np.array([-30.0]), "b": np.array([40.0])})
    assert (params["W"][0], params["b"][0]) == pytest.approx((0.6, -0.8), rel=1e-15)


def test_a_gradient_that_is_short_enough_is_left_alone_to_the_bit(rng):
    gradients = rng.standard_normal(5)
    assert path(Adam(0.1, clip_norm=abs(gradients).max()), gradients) == path(Adam(0.1), gradients)


def test_a_million_small_numbers_do_not_lose_their_length():
    n, params = 1_000_000, {"W": np.zeros(1_000_000, np.float32)}
    SGD(1.0, clip_norm=1.0).step(params, {"W": np.full(n, 0.1, np.float32)})
    np.testing.assert_allclose(params["W"], -1e-3, rtol=2e-7)  # each is 1/√n of the length


def test_gradients_of_zero_can_be_clipped():
    assert path(SGD(0.1, clip_norm=1.0), [0.0, 0.0]) == [1.0, 1.0]


def test_pytorch_clips_the_same(rng):
    """It divides by ‖g‖ + 1e-6, where we divide by ‖g‖: in every step all numbers differ by the same small share of it.

    So the difference is measured against the length of the whole array: a single number can be near zero by chance,
    the sum of large steps in both directions.
    """
    torch = pytest.importorskip("torch")
    params = {"W": rng.standard_normal((3, 4)), "b": rng.standard_normal(4)}
    tensors = [torch.tensor(p.copy(), requires_grad=True) for p in params.values()]
    optimizer, other = SGD(0.1, 0.9, clip_norm=2.0), torch.optim.SGD(tensors, lr=0.1, momentum=0.9)
    for _ in range(20):
        g = {name: rng.standard_normal(p.shape) for name, p in params.items()}
        optimizer.step(params, g)
        for tensor, array in zip(tensors, g.values(), strict=True):
            tensor.grad = torch.tensor(array)
        torch.nn.utils.clip_grad_norm_(tensors, 2.0)
        other.step()
    for p, tensor in zip(params.values(), tensors, strict=True):
        assert np.linalg.norm(p - tensor.detach().numpy()) <= 1e-6 * np.linalg.norm(p)


def test_adams_first_step_is_lr_whatever_the_gradients_size():
    for g in (1e-4, 1.0, 1e6):
        assert path(Adam(0.1), [g]) == pytest.approx([0.9], abs=1e-4)


@every_optimizer
def test_parameters_change_in_place_and_gradients_do_not_change(name, rng):
    array, g = rng.standard_normal((2, 3)).astype(np.float32), rng.standard_normal((2, 3)).astype(np.float32)
    params, before, g_before = {"W": array}, array.copy(), g.copy()
    ALL[name]().step(params, {"W": g})
    assert params["W"] is array and (array != before).all()
    np.testing.assert_array_equal(g, g_before)


@every_optimizer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_stays(name, dtype):
    optimizer, params = ALL[name](), {"W": np.ones(3, dtype)}
    for _ in range(2):
        optimizer.step(params, {"W": np.ones(3, dtype)})
    assert params["W"].dtype == dtype
    assert all(slot.dtype == dtype for slot in optimizer.memory["W"])


@every_optimizer
def test_each_parameter_has_a_memory_of_its_own(name, rng):
    gradients = rng.standard_normal((4, 2, 3))
    together, a, b = ALL[name](), ALL[name](), ALL[name]()
    both = {"a": np.ones(3), "b": np.ones(3)}
    only_a, only_b = {"a": np.ones(3)}, {"b": np.ones(3)}
    for g in gradients:
        together.step(both, {"a": g[0], "b": g[1]})
        a.step(only_a, {"a": g[0]})
        b.step(only_b, {"b": g[1]})
    np.testing.assert_array_equal(both["a"], only_a["a"])
    np.testing.assert_array_equal(both["b"], only_b["b"])


@every_optimizer
def test_each_finds_the_bottom_of_a_bowl(name):
    params = {"W": np.array([2.0, -1.0])}
    optimizer = ALL[name](lr=StepDecay(0.1, every=100))
    for _ in range(400):
        optimizer.step(params, {"W": 2 * params["W"] * [1.0, 5.0] / 5})
    assert np.abs(params["W"]).max() < 0.01


@every_optimizer
def test_a_schedule_decides_the_learning_rate_of_every_step(name):
    constant, scheduled = ALL[name](0.05), ALL[name](Constant(0.05))
    assert path(constant, [1.0, -2.0, 3.0]) == path(scheduled, [1.0, -2.0, 3.0])
    asked = []
    path(ALL[name](lambda step: asked.append(step) or 0.1), [1.0, 1.0, 1.0])
    assert asked == [0, 1, 2]


def test_steps_are_counted_and_the_next_learning_rate_can_be_asked():
    optimizer = SGD(StepDecay(1.0, every=2, factor=0.1))
    assert optimizer.learning_rate() == 1.0
    path(optimizer, [0.0, 0.0])
    assert optimizer.steps == 2 and optimizer.learning_rate() == pytest.approx(0.1)


def test_a_parameter_without_a_gradient_is_named():
    with pytest.raises(KeyError, match=r"0\.dense\.b"):
        SGD(0.1).step({"0.dense.b": np.ones(1)}, {"0.dense.W": np.ones(1)})


def test_the_names_on_the_command_line_stand_for_the_classes():
    assert OPTIMIZERS == {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}
    assert all(issubclass(kind, Optimizer) for kind in OPTIMIZERS.values())


@pytest.mark.parametrize(("make", "message"), [
    (lambda: SGD(0), "lr must be a positive number or a schedule, got 0"),
    (lambda: Adam(-1e-3), "lr must be a positive number or a schedule, got -0.001"),
    (lambda: SGD(float("nan")), "lr must be a positive number or a schedule, got nan"),
    (lambda: SGD(momentum=1.0), r"SGD momentum must be in \[0, 1\), got 1.0"),
    (lambda: RMSprop(rho=-0.1), r"RMSprop rho must be in \[0, 1\), got -0.1"),
    (lambda: Adam(beta1=1), r"Adam beta1 must be in \[0, 1\), got 1"),
    (lambda: Adam(beta2=2), r"Adam beta2 must be in \[0, 1\), got 2"),
    (lambda: SGD(clip_norm=0), "clip_norm must be positive, or None for gradients of any length, got 0"),
    (lambda: AdamW(clip_norm=float("nan")), "clip_norm must be positive, .* got nan"),
    (lambda: AdamW(weight_decay=-1), "weight_decay must be 0 or more, got -1"),
])  # fmt: skip
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("mine", "theirs"), [
    (lambda: SGD(0.01), lambda t, p: t.SGD(p, lr=0.01)),
    (lambda: SGD(0.01, 0.9), lambda t, p: t.SGD(p, lr=0.01, momentum=0.9)),
    (lambda: SGD(0.01, 0.9, True), lambda t, p: t.SGD(p, lr=0.01, momentum=0.9, nesterov=True)),
    (lambda: RMSprop(0.01, 0.9, 1e-7), lambda t, p: t.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-7)),
    (lambda: Adam(0.01), lambda t, p: t.Adam(p, lr=0.01, betas=(0.9, 0.999), eps=1e-8)),
    (lambda: AdamW(0.01, weight_decay=0.1), lambda t, p: t.AdamW(p, lr=0.01, weight_decay=0.1)),
])  # fmt: skip
def test_pytorch_takes_the_same_hundred_steps(mine, theirs, rng):
    torch = pytest.importorskip("torch")
    params = {"W": rng.standard_normal(5)}
    tensor = torch.tensor(params["W"].copy(), requires_grad=True)
    optimizer, other = mine(), theirs(torch.optim, [tensor])
    for _ in range(100):
        g = rng.standard_normal(5)
        optimizer.step(params, {"W": g})
        tensor.grad = torch.tensor(g)
        other.step()
    np.testing.assert_allclose(params["W"], tensor.detach().numpy(), rtol=1e-10)
