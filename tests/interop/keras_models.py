"""Models made with Keras, with random weights: one for each layer and argument that can be read, and whole networks."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers as L

IMAGES = (12, 12, 2)


def with_random_weights(model, seed=0):
    """The model, with random numbers in all its weights (variances are positive)."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "normalization" in weight.path and "batch" not in weight.path:  # it has copied its statistics
            continue
        if "variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2, weight.shape))
        elif "float" in str(weight.dtype):
            weight.assign(rng.normal(0, 0.3, weight.shape))
    return model


def chain(*layers, shape=IMAGES):
    """A Sequential model of these layers; ending in logits of three classes unless its output is flat."""
    model = keras.Sequential([L.Input(shape), *layers])
    if len(model.output_shape) > 2:
        model = keras.Sequential([*model.layers, L.Flatten(), L.Dense(3)])
        model.build((None, *shape))
    return model


ONE_LAYER = {
    "conv": lambda: [L.Conv2D(4, 3)],
    "conv_same_stride": lambda: [L.Conv2D(4, 3, strides=2, padding="same", use_bias=False)],
    "conv_rectangular": lambda: [L.Conv2D(4, (3, 2), strides=(1, 2), activation="relu")],
    "conv_relu_tanh": lambda: [L.Conv2D(4, 3, activation="tanh"), L.Conv2D(3, 3, activation="sigmoid")],
    "depthwise": lambda: [L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="relu")],
    "depthwise_no_bias": lambda: [L.DepthwiseConv2D(3, use_bias=False)],
    "separable": lambda: [L.SeparableConv2D(5, 3, padding="same", depth_multiplier=2, activation="relu")],
    "max_pool": lambda: [L.MaxPooling2D()],
    "max_pool_stride": lambda: [L.MaxPooling2D(3, strides=2)],
    "max_pool_same": lambda: [L.Conv2D(4, 3, padding="same"), L.MaxPooling2D(5, padding="same")],
    "average_pool": lambda: [L.AveragePooling2D((2, 3))],
    "average_pool_same": lambda: [L.AveragePooling2D(5, padding="same")],
    "global_average": lambda: [L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(3)],
    "global_max": lambda: [L.Conv2D(4, 3), L.GlobalMaxPooling2D(), L.Dense(3)],
    "batch_norm": lambda: [L.BatchNormalization(momentum=0.9, epsilon=1e-2)],
    "batch_norm_without_scale": lambda: [L.Conv2D(4, 3), L.BatchNormalization(scale=False)],
    "batch_norm_without_center": lambda: [L.Conv2D(4, 3), L.BatchNormalization(center=False)],
    "batch_norm_bare": lambda: [L.Conv2D(4, 3), L.BatchNormalization(center=False, scale=False)],
    "batch_norm_frozen": lambda: [L.Conv2D(4, 3), L.BatchNormalization(trainable=False)],
    "batch_norm_flat": lambda: [L.Flatten(), L.Dense(6), L.BatchNormalization(axis=1), L.Dense(3)],
    "relu": lambda: [L.Conv2D(4, 3), L.ReLU()],
    "relu_with_slope": lambda: [L.Conv2D(4, 3), L.ReLU(negative_slope=0.2)],
    "leaky_relu": lambda: [L.Conv2D(4, 3), L.LeakyReLU(), L.Conv2D(4, 3), L.LeakyReLU(negative_slope=0.1)],
    "leaky_relu_by_name": lambda: [L.Conv2D(4, 3, activation="leaky_relu")],
    "leaky_relu_as_activation": lambda: [L.Conv2D(4, 3, activation=L.LeakyReLU(negative_slope=0.4))],
    "elu": lambda: [L.Conv2D(4, 3, activation="elu"), L.Conv2D(4, 3), L.ELU(alpha=0.5)],
    "gelu": lambda: [L.Conv2D(4, 3, activation="gelu")],
    "silu": lambda: [L.Conv2D(4, 3, activation="silu"), L.Conv2D(4, 3, activation="swish")],
    "function": lambda: [L.Conv2D(4, 3, activation=keras.activations.relu), L.Activation(keras.activations.tanh)],
    "softmax_within": lambda: [L.Flatten(), L.Dense(4, activation="softmax"), L.Dense(3)],
    "zero_padding": lambda: [L.ZeroPadding2D(((0, 1), (2, 3))), L.Conv2D(4, 3), L.ZeroPadding2D(1), L.Conv2D(4, 3)],
    "cropping": lambda: [L.Cropping2D((2, 1)), L.Conv2D(4, 3), L.Cropping2D(0)],
    "reshape_to_a_row": lambda: [L.Reshape((288,)), L.Dense(3)],
    "identity": lambda: [L.Conv2D(4, 3), L.Identity(), L.Activation("linear")],
    "dropouts": lambda: [L.Dropout(0.5), L.SpatialDropout2D(0.2), L.GaussianNoise(0.1), L.Conv2D(4, 3)],
    "regularized": lambda: [L.Conv2D(4, 3, kernel_regularizer="l2", kernel_constraint="max_norm")],
    "initializers": lambda: [L.Conv2D(4, 3, kernel_initializer="he_normal"), L.Conv2D(4, 3, bias_initializer="ones")],
}


# Name -> (what makes the model, rescale): networks as public projects have them; None: the file has its own scale.
DIGITS = (28, 28, 1)
NETWORKS = {
    "three_blocks": (lambda: chain(*block(8), *block(8), *block(16), *head(), shape=DIGITS), 1 / 255),
    "two_conv": (lambda: chain(*small(), *head(32), shape=DIGITS), 1 / 255),
    "bytes": (lambda: chain(*small(), *head(32), shape=DIGITS), 1),
    "nested_augmentation": (lambda: chain(
        keras.Sequential([L.RandomRotation(0.1), L.RandomTranslation(0.1, 0.1), L.RandomZoom(0.1)]),
        *small(), *head(16), shape=DIGITS,
    ), 1 / 255),
    "activation_layers": (lambda: chain(
        L.Conv2D(8, 3, padding="same"), L.Activation("relu"), L.MaxPooling2D(), L.Conv2D(4, 3), L.Activation("relu"),
        L.Flatten(), L.Dense(10), L.Activation("softmax"), shape=DIGITS,
    ), 1),
    "softmax_layer": (lambda: chain(L.Flatten(), L.Dense(16), L.Dense(10), L.Softmax(), shape=DIGITS), 1 / 255),
    "norm_first": (lambda: chain(L.BatchNormalization(), *small(), *head(8), shape=DIGITS), 1 / 255),
    "norm_on_rows": (lambda: chain(
        *small(), L.Flatten(), L.BatchNormalization(), L.Dense(10), shape=DIGITS
    ), 1 / 255),
    "reshaped": (lambda: chain(L.Reshape(DIGITS), *small(), *head(8), shape=(28, 28)), 1 / 255),
    "without_channels": (lambda: chain(L.Flatten(), L.Dense(10), shape=(28, 28)), 1 / 255),
    "rescaling": (lambda: chain(L.Rescaling(1 / 127.5, offset=-1), *small(), *head(8), shape=DIGITS), None),
    "augmented_then_rescaled": (lambda: chain(
        L.RandomFlip("horizontal"), L.Rescaling(1 / 255), *small(), *head(8), shape=DIGITS
    ), None),
    "normalization": (lambda: chain(
        L.Normalization(axis=None, mean=33.3, variance=6000.0), *small(), *head(8), shape=DIGITS
    ), None),
    "adapted": (lambda: chain(adapted(), *small(), *head(8), shape=DIGITS), None),
    "sigmoid_end": (lambda: chain(
        *small(), L.GlobalAveragePooling2D(), L.Dense(10, activation="sigmoid"), shape=DIGITS
    ), 1 / 255),
    "lenet": (lambda: chain(
        L.Conv2D(6, 5, activation="tanh", padding="same"), L.AveragePooling2D(2), L.Conv2D(16, 5, activation="tanh"),
        L.AveragePooling2D(2), L.Flatten(), L.Dense(120, activation="tanh"), L.Dense(10, activation="softmax"),
        shape=DIGITS,
    ), 1 / 255),
    "nested": (lambda: chain(
        keras.Sequential([L.Conv2D(4, 3), L.BatchNormalization(), keras.Sequential([L.Conv2D(4, 3)], name="inner")]),
        keras.Sequential([L.Conv2D(4, 3), L.BatchNormalization(trainable=False), L.ReLU()], name="second"),
        *head(8), shape=DIGITS,
    ), 1 / 255),
    "functional": (lambda: functional(), 1 / 255),
    "functional_in_sequential": (lambda: chain(functional(), L.Dense(4), shape=DIGITS), 1 / 255),
    "fixed_batch": (lambda: keras.Sequential([L.Input(DIGITS, batch_size=6), *small(), *head(8)]), 1 / 255),
}  # fmt: skip
RESIDUAL = {
    "residual": lambda: resnet(projected=False), "projected": lambda: resnet(projected=True),
    "nested_sums": lambda: nested_sums(), "shortcut_deeper": lambda: shortcut_deeper(),
}  # fmt: skip


def block(filters):
    return [L.Conv2D(filters, 3, padding="same", activation="relu"), L.BatchNormalization(), L.MaxPooling2D()]


def small():
    return [L.Conv2D(8, 3, activation="relu"), L.MaxPooling2D(), L.Conv2D(4, 3, activation="relu"), L.MaxPooling2D(2)]


def head(units=16):
    return [L.Flatten(), L.Dense(units, activation="relu"), L.Dropout(0.3), L.Dense(10, activation="softmax")]


def adapted():
    layer = L.Normalization(axis=-1)
    layer.adapt(np.random.default_rng(0).integers(0, 256, (50, 28, 28, 1)).astype("float32"))
    return layer


def functional():
    x = inputs = keras.Input((28, 28, 1))
    for layer in (*small(), *head(8)):
        x = layer(x)
    return keras.Model(inputs, x)


def resnet(projected):
    x = inputs = keras.Input((28, 28, 1))
    x = L.Conv2D(4, 3, padding="same", use_bias=False)(x)
    for filters, stride in ((4, 1), (6 if projected else 4, 2 if projected else 1)):
        y = L.Conv2D(filters, 3, strides=stride, padding="same")(x)
        y = L.ReLU()(L.BatchNormalization()(y))
        y = L.BatchNormalization()(L.Conv2D(filters, 3, padding="same")(y))
        if filters != x.shape[-1]:
            x = L.BatchNormalization()(L.Conv2D(filters, 1, strides=stride)(x))
        x = L.ReLU()(L.Add()([y, x]))
    return keras.Model(inputs, L.Dense(5)(L.GlobalAveragePooling2D()(x)))


def nested_sums():
    x = inputs = keras.Input((28, 28, 1))
    x = L.Conv2D(4, 3, strides=2)(x)
    y = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = L.Add()([L.Conv2D(4, 3, padding="same")(y), y])
    return keras.Model(inputs, L.Dense(5)(L.Flatten()(x + y)))


def shortcut_deeper():
    """Both paths have layers of the same shapes, and the shorter one is called first."""
    x = inputs = keras.Input((28, 28, 1))
    a = L.Conv2D(3, 3, padding="same")(x)
    b = L.Conv2D(3, 3, padding="same")(L.Conv2D(1, 3, padding="same")(x))
    return keras.Model(inputs, L.Dense(5)(L.Flatten()(L.Add()([a, b]))))
