"""Whole trainings: what is summed up of them, and that the preset `fast` is what is timed."""

import numpy as np
import pytest
import time_to_accuracy as benchmark
from peers import ours

import scratchnet as sn
from scratchnet.zoo import PRESETS


def runs(*seconds):
    return [{"accuracy": 0.99 + i / 1000, "training": s, "process": 2 * s} for i, s in enumerate(seconds)]


def test_the_fast_course_is_the_preset_layer_for_layer_and_rate_for_rate():
    recipe, course = PRESETS["fast"](10), benchmark.COURSES["fast"]
    layers = [sn.Rescale(1 / benchmark.DEVIATION, -benchmark.MEAN / benchmark.DEVIATION)]
    assert list(map(repr, recipe.layers)) == list(map(repr, [*layers, *map(ours.module, course.net)]))
    steps = course.images // course.batch
    schedule = sn.WarmUp(sn.Cosine(recipe.optimizer.lr, steps - recipe.warm_up), recipe.warm_up)
    assert course.rates() == [schedule(step) for step in range(steps)]
    assert course.betas == (recipe.optimizer.beta1, recipe.optimizer.beta2)
    assert (course.batch, course.label_smoothing) == (recipe.batch_size, recipe.label_smoothing)
    assert course.epsilon == recipe.callbacks[0].epsilon and course.images == 60_000 - recipe.validation


def test_the_first_filters_are_those_of_whitened_start():
    course = benchmark.COURSES["fast"]
    x = np.random.default_rng(0).integers(0, 256, (50, 28, 28)).astype(np.uint8)
    model = sn.Sequential(PRESETS["fast"](10).layers, (28, 28, 1), engine="numpy")
    model.fit(x, np.arange(50) % 10, optimizer=sn.SGD(1e-30), callbacks=[sn.WhitenedStart()], verbose=False)
    W = model.parameters()["2.conv2d.W"]
    np.testing.assert_allclose(course.initial(x, seed=0)[0], W, atol=1e-5 * np.abs(W).max())


def test_every_epoch_has_the_same_images_in_another_order():
    course = benchmark.Course(99, [], 10, lambda steps: abs, images=30, epochs=3)
    order = course.order(100, seed=0).reshape(3, 30)
    assert len({tuple(sorted(epoch)) for epoch in order}) == 1 and len(set(map(tuple, order))) == 3
    assert len(course.rates()) == 9


def test_shares_are_of_the_fastest_peer_on_the_recipe_and_on_the_published_one():
    rows = benchmark.with_ratios([
        benchmark.summary("fast", "scratchnet", runs(1, 2, 9)),
        benchmark.summary("fast", "torch-nchw", runs(8)), benchmark.summary("fast", "torch-channels-last", runs(4)),
        benchmark.summary("record", "torch-channels-last", runs(10)),
    ])  # fmt: skip
    assert rows[0]["training_share"] == "0.50× fast, 0.20× record" == rows[0]["process_share"]
    assert rows[0]["test"] == "99.10 % ± 0.08 (3 seeds)" and rows[0]["training"] == "2.00 (1.00–9.00)"
    assert "training_share" not in rows[1]


@pytest.mark.parametrize(("name", "recipe", "count"), [
    ("scratchnet", "fast", 20), ("torch-nchw", "fast", 5), ("scratchnet", "long", 5), ("torch-nchw", "long", 2),
])  # fmt: skip
def test_long_trainings_are_run_less_often(name, recipe, count):
    assert benchmark.seeds_of(name, benchmark.COURSES[recipe], 20) == count
