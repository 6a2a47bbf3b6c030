"""Networks with a name, each with the recipe it is trained by.

    recipe      what a recipe says, and the way from it to a trained network
    published   the networks of public MNIST projects and two classics, as they were published
    ours        the default, the fastest to 99 %, the most accurate
    presets     all of these by name
    fitting     what of a recipe is for digits only

All start with Rescale: they eat the uint8 images of the IDX files. A preset is a function, called anew for every
model: layers hold parameters and belong to one model only.

>>> recipe = PRESETS["chollet"](10)
>>> str(recipe)
'RMSprop(lr=0.001), batch 128, 5 epochs, 5,000 held out'
"""

from scratchnet.zoo.fitting import fitted
from scratchnet.zoo.ours import best, default, fast, pyramid_one_cycle
from scratchnet.zoo.presets import PRESETS, described
from scratchnet.zoo.published import basic, chollet, lenet5, mlp, pyramid, two_conv, two_conv_adam, vgg_bn
from scratchnet.zoo.recipe import Recipe

__all__ = [
    "Recipe", "PRESETS", "described", "fitted",
    "default", "fast", "best", "pyramid_one_cycle",
    "basic", "chollet", "lenet5", "mlp", "pyramid", "two_conv", "two_conv_adam", "vgg_bn",
]  # fmt: skip
