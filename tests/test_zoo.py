"""The named networks: as large as published, new at every call, and ready to learn."""

import math
from dataclasses import replace

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import zoo
from scratchnet.training import train_step
from scratchnet.zoo import PRESETS, Recipe

every_preset = pytest.mark.parametrize("name", PRESETS)

# Counted by hand, layer by layer: weights and biases; for vgg-bn and best also four numbers per normalised channel.
PARAMETERS = {
    "best": sum((25 * 32 + 32, 9 * 32 * 64 + 64, 9 * 64 * 64 + 64, 9 * 64 * 128 + 128, 9 * 128 * 10 + 10, 4 * 288)),
    "default": (25 * 32 + 32) + (9 * 32 * 64 + 64) + (5 * 5 * 64 * 128 + 128) + (128 * 10 + 10),
    "two-conv": (9 * 32 + 32) + (9 * 32 * 64 + 64) + (5 * 5 * 64 * 128 + 128) + (128 * 10 + 10),
    "two-conv-adam": 225_034,
    "basic": (9 * 32 + 32) + (9 * 32 * 64 + 64) + (5 * 5 * 64 * 64 + 64) + (64 * 10 + 10),
    "chollet": 93_322,
    "pyramid": (9 * 32 + 32) + (9 * 32 * 64 + 64) + (9 * 64 * 128 + 128) + (128 * 128 + 128) + (128 * 10 + 10),
    "vgg-bn": 250_058,
    "resnet": sum(
        (
            9 * 16 + 4 * 16,
            2 * (9 * 16 * 16 + 4 * 16),
            9 * 16 * 32 + 9 * 32 * 32 + 16 * 32 + 3 * 4 * 32,
            9 * 32 * 64 + 9 * 64 * 64 + 32 * 64 + 3 * 4 * 64,
            64 * 10 + 10,
        )
    ),
    "deep": sum(
        (
            9 * sum((32, 32 * 48, 48 * 64, 64 * 80, 80 * 96, 96 * 112, 112 * 128, 128 * 144, 144 * 160, 160 * 176)),
            4 * sum((32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 10)),
            8 * 8 * 176 * 10,
        )
    ),
    "fashion": sum(
        (
            9 * sum((32, 32 * 32, 32 * 64, 64 * 64, 64 * 128, 128 * 128)),
            2 * 4 * (32 + 64 + 128),
            3 * 3 * 128 * 10 + 10,
        )
    ),
    "fashion-best": sum(
        (
            9 * sum((48, 48 * 48, 48 * 96, 96 * 96, 96 * 192, 192 * 192)),
            2 * 4 * (48 + 96 + 192),
            3 * 3 * 192 * 10 + 10,
        )
    ),
    "fast": (9 * 16 + 16) + (9 * 16 * 32 + 32) + (4 * 4 * 32 * 128 + 128) + (128 * 10 + 10),
    "lenet5": 61_706,
    "mlp": (784 * 256 + 256) + (256 * 128 + 128) + (128 * 10 + 10),
}
PARAMETERS["pyramid-one-cycle"] = PARAMETERS["pyramid"]


def model_of(name, classes=10, seed=0):
    return sn.Sequential(PRESETS[name](classes).layers, (28, 28, 1), seed=seed, engine="numpy")


def size(model):
    return sum(array.size for array in {**model.parameters(), **model.state()}.values())


def test_every_preset_was_counted():
    assert set(PARAMETERS) == set(PRESETS)


@every_preset
def test_a_network_has_the_published_number_of_parameters(name):
    assert size(model_of(name)) == PARAMETERS[name]


@every_preset
def test_a_network_eats_bytes_starts_undecided_and_learns_from_one_step(name, rng):
    recipe = PRESETS[name](10)
    model = sn.Sequential(recipe.layers, (28, 28, 1), engine="numpy")
    x, labels = rng.integers(0, 256, (8, 28, 28)).astype(np.uint8), rng.integers(0, 10, 8)
    assert model.evaluate(x, labels)["loss"] == pytest.approx(math.log(10), abs=0.2)
    losses = [train_step(model, sn.SoftmaxCrossEntropy(), recipe.optimizer, x, labels) for _ in range(5)]
    assert losses[-1] < losses[0]


@every_preset
def test_a_recipe_is_made_anew_at_every_call(name):
    a, b = PRESETS[name](10), PRESETS[name](10)
    assert a.optimizer is not b.optimizer
    assert not {id(layer) for layer in a.layers} & {id(layer) for layer in b.layers}
    assert a.epochs >= 1 and a.batch_size >= 1


@every_preset
def test_the_number_of_classes_can_be_chosen(name):
    assert model_of(name, classes=7).shapes[-1] == (7,)


def test_the_two_editions_of_two_conv_differ_only_in_their_training():
    a, b = PRESETS["two-conv"](10), PRESETS["two-conv-adam"](10)
    assert [repr(layer) for layer in a.layers] == [repr(layer) for layer in b.layers]
    assert isinstance(a.optimizer, sn.RMSprop) and isinstance(b.optimizer, sn.Adam)


def test_vgg_bn_is_trained_as_published():
    recipe = PRESETS["vgg-bn"](10)
    assert str(recipe) == (
        "Adam(lr=0.001), batch 128, 20 epochs, 5,000 held out, EarlyStopping(monitor='val_accuracy', patience=5), "
        "ReduceLROnPlateau(factor=0.5, patience=3, min_lr=1e-07)"
    )
    assert recipe.callbacks[0].restore_best_weights and recipe.callbacks[1].monitor == "val_loss"


def test_a_tenth_is_held_out_for_two_conv_adam_and_5000_for_pyramid():
    assert PRESETS["two-conv-adam"](10).validation == 0.1 and PRESETS["pyramid"](10).validation == 5000


def test_a_recipe_says_all_that_is_done_in_its_training():
    recipe = Recipe([], sn.Adam(0.01), epochs=1, batch_size=64, schedule="cosine", warm_up=100, augment=sn.Augment(1),
                    label_smoothing=0.1, weight_average=0.99, validation=0, keep="last")  # fmt: skip
    assert str(recipe) == (
        "Adam(lr=0.01), cosine, warm-up 100, batch 64, 1 epoch, label smoothing 0.1, weight average 0.99, "
        f"{sn.Augment(1)}, 0 held out, the last weights are kept"
    )


# Fitted to the data


@pytest.mark.parametrize(("dataset", "names", "kept"), [
    ("mnist", None, True), ("synthetic", None, True), ("my-digits", [str(k) for k in range(10)], True),
    ("fashion-mnist", ["T-shirt/top", "Trouser"], False), ("letters", None, False), ("letters", ["1", "2", "3"], False),
])  # fmt: skip
def test_augmentation_for_digits_is_for_what_is_known_to_be_digits(dataset, names, kept):
    recipe, why = zoo.fitted(zoo.PRESETS["default"](10), dataset, names)
    assert (recipe.augment is not None) == kept and why.startswith("augmentation: ") and "\n" not in why
    assert kept or dataset in why


def test_a_recipe_without_augmentation_is_for_all_data():
    plain = zoo.PRESETS["two-conv"](10)
    assert zoo.fitted(plain, "letters") == (plain, "")


def test_small_moves_are_for_all_pictures():
    moved = replace(zoo.PRESETS["two-conv"](10), augment=sn.Augment.light())
    assert zoo.fitted(moved, "letters") == (moved, "")
