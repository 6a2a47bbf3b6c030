"""Named networks, each with its training recipe.

    recipe      the fields of a recipe, and the steps from a recipe to a trained network
    published   the networks of public MNIST projects and two classics, as published
    ours        the default, the fastest to 99 %, the most accurate
    deep        residual blocks; ten convolutions in a row
    fashion     for Fashion-MNIST
    presets     all of these by name
    fitting     the part of a recipe that applies to digits only

All start with Rescale, so their input is the uint8 images of the IDX files. A preset is a function that is called again
for every model: layers hold parameters and belong to one model only.

>>> recipe = PRESETS["chollet"](10)
>>> str(recipe)
'RMSprop(lr=0.001), batch 128, 5 epochs, 5,000 held out'
"""

from scratchnet.zoo.fashion import fashion, fashion_best
from scratchnet.zoo.fitting import fitted
from scratchnet.zoo.ours import best, default, fast, pyramid_one_cycle
from scratchnet.zoo.presets import PRESETS, described
from scratchnet.zoo.published import basic, chollet, lenet5, mlp, pyramid, two_conv, two_conv_adam, vgg_bn
from scratchnet.zoo.recipe import Recipe

__all__ = [
    "Recipe", "PRESETS", "described", "fitted",
    "default", "fast", "best", "fashion", "fashion_best", "pyramid_one_cycle",
    "basic", "chollet", "lenet5", "mlp", "pyramid", "two_conv", "two_conv_adam", "vgg_bn",
]  # fmt: skip
