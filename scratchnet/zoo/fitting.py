"""Adapt a recipe to the data: augmentation for handwriting is used for handwriting only.

The named recipes were tuned on digits, and `Augment.digits` shears them, bends them and changes their stroke width.
Photographs of shoes do not vary in this way. Accuracy in percent on 10,000 held-out training images
of Fashion-MNIST, preset default, seed 0, after six epochs:

    none 92.4, mirrored 92.3, erased boxes of up to 0.4 92.2, shifted by up to 1 pixel 92.1 and by up to 2 91.4,
    Augment.light() 92.0, shifted by 1 and mirrored 91.8, Augment.digits() 89.3

The preset best, ten of its 48 epochs: none 93.1, light 93.0 with the lower loss and still rising, so a longer run may
benefit from `--augment light`. (One seed: ±0.3 may be chance.)

Therefore images that are not known to be digits are not augmented, unless an option requests it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scratchnet.zoo.recipe import Recipe

DIGITS = ("mnist", "synthetic")  # names returned by load_dataset


def fitted(recipe: Recipe, dataset: str, class_names: Sequence[str] | None = None) -> tuple[Recipe, str]:
    """The recipe adapted to a data set, and a line with the choice and its reason; "" if there was no choice.

    dataset, class_names: as returned by load_dataset and class_names of `scratchnet.data`.

    >>> from scratchnet.zoo import default
    >>> recipe, why = fitted(default(), "fashion-mnist")
    >>> recipe.augment, why
    (None, 'augmentation: off, the recipe has one for digits and fashion-mnist is something else')
    """
    augment = recipe.augment
    if augment is None or not (augment.shear or augment.elastic or augment.thickness):
        return recipe, ""  # small shifts suit any image
    if dataset in DIGITS:
        return recipe, f"augmentation: {recipe.augment}, the recipe's, for {dataset} is digits"
    if set(class_names or ()) == set("0123456789"):
        return recipe, f"augmentation: {recipe.augment}, the recipe's, for the classes are called 0 to 9"
    what = "is something else" if dataset == "fashion-mnist" else "may be something else (--augment digits, or light)"
    return replace(recipe, augment=None), f"augmentation: off, the recipe has one for digits and {dataset} {what}"
