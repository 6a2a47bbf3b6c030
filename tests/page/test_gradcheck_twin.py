"""The page's gradient check: a derivative beside its central difference."""

import numpy as np

from scratchnet import zoo
from tests.page.models import READ, for_browser, small

EVERY = (
    READ
    + """
    const addresses = Object.values(run.byKey).flatMap((record) =>
      Object.keys(record.gradients).flatMap((name) => net.someGradients(record, name, argument.count)));
    return [...addresses, ...argument.more].map((address) => net.checkRun(run, address));
"""
)


def test_ten_weights_of_each_layer_agree_with_finite_differences(twins, tmp_path, rng):
    for preset in ("default", "lenet5", "mlp"):
        model = zoo.PRESETS[preset](10).build((28, 28, 1), engine="numpy")
        x = np.clip(rng.normal(60, 90, (28, 28)), 0, 255).astype(np.uint8)
        argument = {**for_browser(model, x, 3, tmp_path), "count": 10, "more": ["dx/14,14,0", "dx/3,20,0"]}
        found = twins(EVERY, argument)
        assert len(found) >= 20 * 2 + 2
        assert all(row["error"] < 1e-5 or row["corner"] for row in found), max(found, key=lambda row: row["error"])
        assert sum(row["corner"] for row in found) <= 2


def test_training_mode_is_checked_too_with_the_same_masks(twins, tmp_path):
    model, x = small()
    argument = {**for_browser(model, x, 1, tmp_path, training=True, seed=4), "count": 5, "more": []}
    found = twins(EVERY, argument)
    assert all(row["error"] < 1e-5 or row["corner"] for row in found), found


def test_a_wrong_derivative_is_seen(twins, tmp_path):
    model, x = small()
    program = READ + "run.byKey['7.dense'].gradients.W.data[5] *= 1.01; return net.checkRun(run, argument.address);"
    found = twins(program, {**for_browser(model, x, 1, tmp_path), "address": "dW/7.dense/1,1"})
    assert found["error"] > 1e-4 or abs(found["analytic"]) < 1e-12


def test_the_corner_of_a_relu_is_named(twins, tmp_path):
    import scratchnet as sn

    model = sn.Sequential([sn.Dense(1), sn.ReLU(), sn.Dense(2)], (1,), engine="numpy")
    model.set_weights([np.ones((1, 1)), np.zeros(1), np.array([[2.0, -1.0]]), np.zeros(2)])
    argument = {**for_browser(model, np.zeros(1), 0, tmp_path), "address": "db/0.dense/0"}
    found = twins(READ + "return net.checkRun(run, argument.address);", argument)
    assert found["corner"] and found["left"] == 0 and found["right"] < -1


def test_the_weights_are_put_back(twins, tmp_path):
    model, x = small()
    program = (
        READ
        + """
        const before = Array.from(model.layers[1].parameters.W.data);
        net.checkRun(run, "dW/1.conv2d/1,1,0,0");
        net.lossCurve(run, "dW/1.conv2d/1,1,0,0", 0.5);
        return before.every((value, place) => value === model.layers[1].parameters.W.data[place]);
    """
    )
    assert twins(program, for_browser(model, x, 1, tmp_path)) is True
