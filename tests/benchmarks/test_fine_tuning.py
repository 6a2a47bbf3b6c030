"""What fine_tuning.py and frozen.py compare: equal networks and steps, the convolutions frozen in one."""

import numpy as np
import pytest

pytest.importorskip("numba")
import fine_tuning
import frozen

import scratchnet as sn


def test_the_other_digits_are_placed_as_mnists_are():
    pytest.importorskip("sklearn")
    x, y = fine_tuning.other_digits()
    assert x.shape == (1797, 28, 28) and x.dtype == np.uint8 and np.bincount(y).min() > 170
    assert not x[:, :4].any() and not x[:, 24:].any() and x[:, 4:24, 4:24].max() > 240


def test_each_start_makes_equally_many_steps_on_the_same_images_and_only_one_moves_no_filter(monkeypatch):
    x, y = np.random.default_rng(0).integers(0, 256, (150, 28, 28), np.uint8), np.arange(150, dtype=np.uint8) % 10
    monkeypatch.setattr(fine_tuning, "TRAIN", 100)
    base, seen = fine_tuning.pretrained(x, y), []
    fit = sn.Sequential.fit

    def noted(model, x, y, **how):
        before = model.layers[1].W.copy()
        fit(model, x, y, **how)
        seen.append((how["optimizer"].steps, len(x), bool((model.layers[1].W != before).any())))

    monkeypatch.setattr(sn.Sequential, "fit", noted)
    [row] = fine_tuning.rows_of(base, (x, y), [2], seeds=1)
    assert row.keys() == {"steps", *fine_tuning.RATES} and row["steps"] == 8
    assert seen == [(8, 100, True), (8, 100, True), (8, 100, False)]


@pytest.mark.parametrize("preset", ["two-conv", "vgg-bn"])
def test_of_the_two_models_one_has_its_convolutions_frozen_and_both_are_equal(preset):
    (full, _), (other, _) = frozen.models(preset)
    assert len(full.trainable_parameters()) == len(full.parameters())
    kinds = {type(layer).__name__ for layer in other.layers if layer.params and not layer.trainable}
    assert kinds == ({"Conv2D"} if preset == "two-conv" else {"Conv2D", "BatchNorm"})
    for one, its in zip(full.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, its)


def test_every_turn_of_the_three_is_measured_but_the_first(monkeypatch):
    x, y = np.zeros((96, 28, 28), np.uint8), np.zeros(96, np.uint8)
    pair = frozen.models("two-conv")
    monkeypatch.setattr(frozen, "models", lambda name: pair)
    answers = frozen.turns(frozen.contenders("two-conv", x, y, batch=32), rounds=3)
    assert [len(found) for found in answers] == [3, 3, 3]
    assert all(answer["seconds"] > 0 and "others" in answer for found in answers for answer in found)
    assert [optimizer.steps for _, optimizer in frozen.models("")] == [4 * 3, 4 * 3 * 2]


def test_the_steps_with_kept_outputs_train_as_the_others_do(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (96, 28, 28), np.uint8), rng.integers(0, 10, 96, np.uint8)
    found = []
    for which in (1, 2):
        pair = frozen.models("two-conv")
        monkeypatch.setattr(frozen, "models", lambda name, pair=pair: pair)
        frozen.contenders("two-conv", x, y, batch=32)[which]()
        found.append(pair[1][0].get_weights())
        monkeypatch.undo()
    for one, other in zip(*found, strict=True):
        assert one.tobytes() == other.tobytes()


def test_disturbed_turns_are_left_out_if_three_others_remain():
    calm, busy = {"seconds": 1.0, "others": 0.0}, {"seconds": 9.0, "others": 0.9}
    assert frozen.counted([calm, busy, calm, calm]) == [1.0] * 3
    assert frozen.counted([calm, busy, busy]) == [1.0, 9.0, 9.0]
