"""Published networks with their training recipes, for comparison.

Five are from public MNIST projects; `lenet5` and `mlp` are classics. Each docstring names its source.
"""

from __future__ import annotations

from scratchnet.callbacks import Callback, EarlyStopping, ReduceLROnPlateau
from scratchnet.layers import AvgPool2D, BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Rescale
from scratchnet.optimizers import Adam, RMSprop
from scratchnet.zoo.recipe import Recipe


def two_conv(classes: int = 10) -> Recipe:
    """Two convolutions and a wide dense layer, RMSprop: 225,034 parameters.

    Network and training as in the README of a published MNIST project (Keras), which reports a test accuracy of
    99.02 %.
    """
    layers = [
        Rescale(),
        Conv2D(32, 3), ReLU(), MaxPool2D(2),
        Conv2D(64, 3), ReLU(), MaxPool2D(2),
        Flatten(),
        Dense(128), ReLU(),
        Dense(classes),
    ]  # fmt: skip
    return Recipe(layers, RMSprop(1e-3), epochs=10, batch_size=128)


def two_conv_adam(classes: int = 10) -> Recipe:
    """The same network in its other published variant: Adam, small batches, a tenth held out.

    From the notebook of the same project as `two_conv`.
    """
    return Recipe(two_conv(classes).layers, Adam(1e-3), epochs=10, batch_size=32, validation=0.1)


def basic(classes: int = 10) -> Recipe:
    """Convolution, ReLU, max-pooling, twice; a small dense layer.

    A published project (Keras, above 98 %) specifies these layers, Adam and "several epochs", but no sizes. The widths
    are those common to the other projects, the dense layer is the smaller of theirs, and five is their lowest number of
    epochs.
    """
    layers = [
        Rescale(),
        Conv2D(32, 3), ReLU(), MaxPool2D(2),
        Conv2D(64, 3), ReLU(), MaxPool2D(2),
        Flatten(),
        Dense(64), ReLU(),
        Dense(classes),
    ]  # fmt: skip
    return Recipe(layers, Adam(1e-3), epochs=5, batch_size=128)


def chollet(classes: int = 10) -> Recipe:
    """Two convolutions with pooling and one without, RMSprop: 93,322 parameters.

    Chollet, Deep Learning with Python: the first convolutional network of the book and its optimizer. The batches of
    128 are from a published project that reached 99.00 % with them.
    """
    layers = [
        Rescale(),
        Conv2D(32, 3), ReLU(), MaxPool2D(2),
        Conv2D(64, 3), ReLU(), MaxPool2D(2),
        Conv2D(64, 3), ReLU(),
        Flatten(),
        Dense(64), ReLU(),
        Dense(classes),
    ]  # fmt: skip
    return Recipe(layers, RMSprop(1e-3), epochs=5, batch_size=128)


def pyramid(classes: int = 10) -> Recipe:
    """Three convolutions, each with twice the filters on a quarter of the area; 55,000 / 5,000 / 10,000 images.

    Network, optimizer, epochs and split as in a published project (Keras, about 98 % validation). It does not specify
    the batch size; 32 is Keras' default.
    """
    layers = [
        Rescale(),
        Conv2D(32, 3), ReLU(), MaxPool2D(2),
        Conv2D(64, 3), ReLU(), MaxPool2D(2),
        Conv2D(128, 3), ReLU(), MaxPool2D(2),
        Flatten(),
        Dense(128), ReLU(),
        Dense(classes),
    ]  # fmt: skip
    return Recipe(layers, Adam(1e-3), epochs=5, batch_size=32, validation=5000)


def vgg_bn(classes: int = 10) -> Recipe:
    """Three blocks with batch normalisation after the ReLU, two dense layers with dropout: 250,058 parameters.

    As in the notebook of a published project (Keras, 99.49 %), with one difference: its callbacks monitored the test
    set, here they monitor images held out from the training set.
    """
    layers = [
        Rescale(),
        Conv2D(32, 3, padding="same"), ReLU(), BatchNorm(), MaxPool2D(2),
        Conv2D(64, 3, padding="same"), ReLU(), BatchNorm(), MaxPool2D(2),
        Conv2D(128, 3, padding="same"), ReLU(), BatchNorm(), MaxPool2D(2),
        Flatten(),
        Dense(128), ReLU(), Dropout(0.5),
        Dense(64), ReLU(), Dropout(0.3),
        Dense(classes),
    ]  # fmt: skip
    callbacks: list[Callback] = [
        EarlyStopping("val_accuracy", patience=5, restore_best_weights=True),
        ReduceLROnPlateau("val_loss", factor=0.5, patience=3, min_lr=1e-7),
    ]
    return Recipe(layers, Adam(1e-3), epochs=20, batch_size=128, callbacks=callbacks)


def lenet5(classes: int = 10) -> Recipe:
    """LeCun, Bottou, Bengio, Haffner 1998, with ReLU in place of tanh: 61,706 parameters.

    The network of the paper, except that its second convolution reads all six maps and its output layer is a softmax.
    It is trained like the others here, with Adam at its default rate, so that networks can be compared.
    """
    layers = [
        Rescale(),
        Conv2D(6, 5, padding="same"), ReLU(), AvgPool2D(2),
        Conv2D(16, 5), ReLU(), AvgPool2D(2),
        Flatten(),
        Dense(120), ReLU(),
        Dense(84), ReLU(),
        Dense(classes),
    ]  # fmt: skip
    return Recipe(layers, Adam(1e-3), epochs=10, batch_size=128)


def mlp(classes: int = 10) -> Recipe:
    """No convolution: a baseline that ignores the two dimensions of the images.

    About as many parameters as `two_conv` (235,146), trained like `lenet5`, without tuning.
    """
    layers = [Rescale(), Flatten(), Dense(256), ReLU(), Dense(128), ReLU(), Dense(classes)]
    return Recipe(layers, Adam(1e-3), epochs=10, batch_size=128)
