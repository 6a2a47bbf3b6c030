"""A recipe that fits the data: changes made for handwriting are for handwriting.

The recipes with a name were found on digits, and `Augment.digits` slants them, bends them and draws them with another
pen. A shoe that is treated so is no shoe that anyone will photograph. Percent right of 10,000 held-out training images
of Fashion-MNIST, preset default, seed 0, after six epochs:

    none 92.4, mirrored 92.3, erased boxes of up to 0.4 92.2, shifted by up to 1 pixel 92.1 and by up to 2 91.4,
    Augment.light() 92.0, shifted by 1 and mirrored 91.8, Augment.digits() 89.3

The preset best, ten of its 48 epochs: none 93.1, light 93.0 with the lower loss and still rising, so that a longer
training may gain by `--augment light`. (One seed: ±0.3 may be chance.)

So whatever is not known to be digits is learned from as it is, unless the user says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scratchnet.zoo.recipe import Recipe

DIGITS = ("mnist", "synthetic")  # by the names that load_dataset gives


def fitted(recipe: Recipe, dataset: str, class_names: Sequence[str] | None = None) -> tuple[Recipe, str]:
    """The recipe as it fits a data set, and a line that says what was chosen and why; "" if nothing was to choose.

    dataset, class_names: as load_dataset and class_names of `scratchnet.data` give them.

    >>> from scratchnet.zoo import default
    >>> recipe, why = fitted(default(), "fashion-mnist")
    >>> recipe.augment, why
    (None, 'augmentation: off, the recipe has one for digits and fashion-mnist is something else')
    """
    augment = recipe.augment
    if augment is None or not (augment.shear or augment.elastic or augment.thickness):
        return recipe, ""  # small moves do no harm to any picture
    if dataset in DIGITS:
        return recipe, f"augmentation: {recipe.augment}, the recipe's, for {dataset} is digits"
    if set(class_names or ()) == set("0123456789"):
        return recipe, f"augmentation: {recipe.augment}, the recipe's, for the classes are called 0 to 9"
    what = "is something else" if dataset == "fashion-mnist" else "may be something else (--augment digits, or light)"
    return replace(recipe, augment=None), f"augmentation: off, the recipe has one for digits and {dataset} {what}"
