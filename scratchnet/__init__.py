"""scratchnet: convolutional networks from scratch, in NumPy and Numba.

Read it in this order; each file is a chapter and needs only the ones before it.

    data/           the bytes of an IDX file, MNIST, shuffled batches
    layers/         what a layer is (base), then convolution, pooling, dense, ReLU, dropout, batch norm, residual blocks
    initializers    how weights start          losses/       what is minimised
    optimizers      how weights move           schedules     how fast
    building, model layers in a row            training      the loop;  callbacks  what happens beside it
    transfer        frozen layers, and a new last layer for other classes    kept_outputs    what they need only once
    labels, inputs, arguments, example_weights, keywords      what may be passed, and errors that name the cure
    checkpoint      an interrupted training run, resumed
    team            a batch in chunks on several threads, and why the result does not depend on them
    gradcheck       is backward really the derivative of forward?
    health          measurements inside the network    doctor    what they mean, in words
    ensemble        the mean of several models, or of several views of an image
    answers         predictions to look at     html          tables and pictures for notebooks
    out_of_distribution                        does an image resemble the training data?
    lr_finder       which learning rate?       search        and which other settings?
    world, distributed/                        the same step on several machines
    interop/        models from and for other programs
    page/           draw a digit, and walk through a model number by number; `explain` is its core
    summary         a model's table of layers    classifier    the same with scikit-learn's interface
    saving/         a model in one file, read from untrusted sources    process/    signals and output

    import scratchnet as sn
    (x, y), test = sn.load_mnist()
    model = sn.Sequential(
        [sn.Rescale(), sn.Conv2D(32, 3), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(), sn.Dense(10)],
        input_shape=(28, 28, 1),
    )
    model.fit(x, y, epochs=1)
    print(model.evaluate(*test))
"""

from __future__ import annotations

from typing import Any

from scratchnet.answers import ConfusionMatrix, Predictions
from scratchnet.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateSchedule,
    ModelCheckpoint,
    Progress,
    ReduceLROnPlateau,
    TerminateOnNaN,
    WeightAverage,
    WhitenedStart,
)
from scratchnet.checkpoint import Checkpoint
from scratchnet.classifier import ImageClassifier
from scratchnet.data import (
    Augment,
    DataFileError,
    digit_from_image,
    digit_from_strokes,
    digits_from_image,
    load_fashion_mnist,
    load_idx_dataset,
    load_mnist,
    load_synthetic,
    read_idx,
    train_val_split,
    whole_image,
    write_idx,
    write_idx_dataset,
)
from scratchnet.distributed import distribute, rank, ranks
from scratchnet.divergence import TrainingDivergedError
from scratchnet.ensemble import Ensemble, predict_augmented
from scratchnet.gradcheck import GradientError, gradcheck
from scratchnet.health import Health
from scratchnet.interop.keras import load_keras, load_keras_weights
from scratchnet.interop.keras_save import save_keras
from scratchnet.interop.onnx_export import save_onnx
from scratchnet.interop.onnx_import import load_onnx
from scratchnet.interop.torch_import import load_torch
from scratchnet.layers import (
    ELU,
    GELU,
    AvgPool2D,
    BatchNorm,
    Context,
    Conv2D,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Rescale,
    Residual,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    ZeroPadding2D,
)
from scratchnet.losses import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from scratchnet.lr_finder import LearningRates, lr_find
from scratchnet.model import Sequential, load_model
from scratchnet.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from scratchnet.saving import ModelFileError
from scratchnet.schedules import Constant, Cosine, OneCycle, StepDecay, WarmUp
from scratchnet.team import set_threads
from scratchnet.training import History

__version__ = "0.1.0"

__all__ = [
    # data
    "DataFileError", "read_idx", "write_idx", "load_mnist", "load_fashion_mnist", "load_idx_dataset",
    "write_idx_dataset", "load_synthetic", "train_val_split", "digit_from_image", "digits_from_image", "whole_image",
    "digit_from_strokes", "Augment",
    # layers, in the order in which an image meets them
    "Layer", "Context", "Rescale", "Cropping2D", "ZeroPadding2D", "Conv2D", "DepthwiseConv2D",
    "ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Softmax",
    "MaxPool2D", "AvgPool2D", "GlobalAvgPool2D", "Flatten", "Dense", "Dropout", "BatchNorm", "Residual",
    # what is minimised, and how
    "SoftmaxCrossEntropy", "BinaryCrossEntropy", "MeanSquaredError", "Optimizer", "SGD", "RMSprop", "Adam", "AdamW",
    "Constant", "StepDecay", "Cosine", "OneCycle", "WarmUp",
    # the model and its training
    "Sequential", "load_model", "ModelFileError", "History", "TrainingDivergedError", "set_threads",
    "Ensemble", "predict_augmented", "ImageClassifier",
    "Callback", "Progress", "CSVLogger", "LambdaCallback", "EarlyStopping", "TerminateOnNaN",
    "ReduceLROnPlateau", "LearningRateSchedule", "WeightAverage", "WhitenedStart", "ModelCheckpoint",
    "Checkpoint",
    # on several machines
    "distribute", "rank", "ranks",
    # from and for other programs
    "load_keras", "load_keras_weights", "save_keras", "save_onnx", "load_onnx", "load_torch",
    # is it well?
    "Predictions", "ConfusionMatrix", "Health", "lr_find", "LearningRates",
    # is it right?
    "gradcheck", "GradientError", "explain",
]  # fmt: skip


def explain(
    model: Sequential, x: Any, label: int, address: str,
    training: bool = False, seed: int = 0, optimizer: Optimizer | str = "sgd",
) -> Any:  # fmt: skip
    """What a number of a training step is made of, in float64: its value, its formula and its terms.

    x: one image as `predict` takes it. label: its class. training: as in a step on this image alone, with the dropout
    masks of `seed`. optimizer: whose step the addresses new.W/... are about.
    address: "y/1.conv2d/5,7,12" (what a layer gives), "dy/..." (the loss' derivative by it), "W/...", "dW/...",
    "new.W/..." (after one step), "x/5,7,0", "dx/5,7,0", "logits/3", "probabilities/3", "dlogits/3", "loss".
    Raises ValueError for an address that the model does not have; it lists what there is.

    constant + Σ terms = value, and each term names the numbers that it is made of. An explanation prints itself:

    >>> explain(model, x[0], 3, "db/2.dense/3")
    db/2.dense/3 = -0...
        db[j] = dy[j]
        -0...  dy/2.dense/3 = -0...
    """
    from scratchnet.page.ledger import explain as explain_number  # read when first needed: importing is to stay cheap

    return explain_number(model, x, label, address, training, seed, optimizer)
