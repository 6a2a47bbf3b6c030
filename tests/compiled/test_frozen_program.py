"""Programs of models with frozen layers: which calls are left out, and when a program is captured again."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.training import train_step
from tests.compiled.test_training_program import called_from_python, digits, programs
from tests.test_freezing import KINDS

__all__ = ["called_from_python", "digits"]  # fixtures
LOWER = {"plain": ["1.conv2d", "4.conv2d"], "batchnorm": ["1.conv2d", "2.batchnorm", "5.conv2d", "7.batchnorm"]}


def network(kind, seed=3):
    return sn.Sequential(KINDS[kind](), (14, 14, 1), seed=seed)


def step(model, optimizer, digits, rows=slice(0, 64)):
    x, y = digits
    return train_step(model, sn.SoftmaxCrossEntropy(), optimizer, x[rows], y[rows] % 4)


def printed(model):
    """The text of the newest captured step."""
    return str(list(model.backend.training_programs.values())[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_below_the_lowest_trained_layer_there_is_no_backward_no_barrier_and_no_update(kind, digits):
    model = network(kind)
    step(model, sn.Adam(), digits)
    full = printed(model)
    assert "1.conv2d.gradients" in full or "1.conv2d.dW" in full
    model.freeze(*LOWER[kind])
    step(model, sn.Adam(), digits)
    text = " ".join(printed(model).split())  # calls are wrapped
    for name in LOWER[kind]:
        assert f"={name}.gradient" not in text and f"={name}.packed for backward" not in text
        assert f"p={name}." not in text and f"update_running_stats(running_mean={name}" not in text
    lowest = "7.dense" if kind == "plain" else "11.dense"
    assert f"{lowest}.gradient.x" in text and f"{lowest}.packed for backward" not in text  # dW, and no dx
    assert len(text) < len(" ".join(full.split()))
    assert full.count("phase") - printed(model).count("phase") == (0 if kind == "plain" else 4)  # barriers


def test_a_frozen_dense_layer_between_trained_ones_passes_the_gradient_and_makes_none(digits):
    model = network("plain")
    model.freeze("7.dense")
    step(model, sn.Adam(), digits)
    text = printed(model)
    assert "7.dense.packed for backward" in text and "7.dense.gradient.x" not in text and "p=7.dense" not in text
    assert "p=4.conv2d.W" in text and "p=9.dense.W" in text


def test_frozen_batchnorms_do_not_wait_for_the_other_chunks(digits):
    model = network("batchnorm")
    step(model, sn.Adam(), digits)
    waiting = printed(model).count("forward and backward of the chunks")
    model.freeze("batchnorm")
    step(model, sn.Adam(), digits)
    assert waiting > 2 and printed(model).count("forward and backward of the chunks") == 1


def test_a_change_between_two_fits_is_noticed(digits):
    model, optimizer = network("plain"), sn.SGD(0.1)
    step(model, optimizer, digits)
    first = programs(model)
    step(model, optimizer, digits)
    assert programs(model) == first
    for change in (lambda: model.freeze("conv"), lambda: model.unfreeze("4.conv2d"),
                   lambda: setattr(model.layers[9], "lr_factor", 0.5), lambda: model.unfreeze()):  # fmt: skip
        before = programs(model)
        change()
        step(model, optimizer, digits)
        assert not programs(model) & before
        again = programs(model)
        step(model, optimizer, digits)
        assert programs(model) == again


def test_of_batches_of_two_sizes_both_notice(digits):
    model, optimizer = network("plain"), sn.SGD(0.1)
    small = slice(0, 40)
    step(model, optimizer, digits), step(model, optimizer, digits, small)
    model.freeze("conv")
    before = model.layers[1].W.copy()
    step(model, optimizer, digits), step(model, optimizer, digits, small)
    np.testing.assert_array_equal(model.layers[1].W, before)
    assert len(model.backend.training_programs) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_new_numbers_in_frozen_arrays_are_read_by_the_next_step(kind, digits):
    model = network(kind)
    model.freeze("..-2")
    for layer in model.layers:
        if isinstance(layer, sn.Dropout):
            layer.rate = 0.0
    step(model, sn.SGD(0.1), digits)
    for array in [*model.parameters().values(), *model.state().values()]:
        array *= 1.1
    x, y = digits
    expected = model.evaluate(x[:64], y[:64] % 4)["loss"]
    assert step(model, sn.SGD(0.1), digits) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", [["conv"], ["..7"], ["7"], [-1]])
def test_the_number_of_threads_changes_no_bit(kind, what, digits):
    results = []
    for threads in (1, 2, 5):
        sn.set_threads(threads)
        model, optimizer = network(kind), sn.Adam(1e-2)
        model.freeze(*what)
        losses = [step(model, optimizer, digits, slice(0, 100)) for _ in range(5)]
        results.append((losses, [array.tobytes() for array in model.parameters().values()]))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_of_frozen_layers_gives_the_same_bits_when_it_is_called_from_python(kind, digits, called_from_python):
    results = []
    for threads in (2, 1):
        sn.set_threads(threads)
        if threads == 1:
            called_from_python()
        model, optimizer = network(kind), sn.AdamW(1e-2, clip_norm=0.5)
        model.freeze("conv", "2")
        model.layers[-1].lr_factor = 0.5
        losses = [step(model, optimizer, digits) for _ in range(4)]
        results.append((losses, [array.tobytes() for array in model.parameters().values()]))
    assert results[0] == results[1]


def test_hyperparameters_are_printed_with_the_layers_factor(digits):
    model = network("plain")
    model.layers[1].lr_factor = 0.1
    step(model, sn.AdamW(), digits)
    text = printed(model)
    assert "hyperparameters with decay at 0.1 of the rate" in text and "hyperparameters at 0.1 of the rate" in text


def test_freezing_again_and_again_keeps_no_old_buffers(digits):
    model, optimizer = network("plain"), sn.SGD(0.1)
    sizes = []
    for _ in range(4):
        model.freeze("conv")
        step(model, optimizer, digits)
        model.unfreeze()
        step(model, optimizer, digits)
        sizes.append((len(model.backend.buffers.arrays), len(model.backend.training_programs)))
    assert len(set(sizes)) == 1
