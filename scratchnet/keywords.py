"""Better errors for the argument names of other libraries.

Python's own answer to `Conv2D(32, 3, strides=2)` is "unexpected keyword argument 'strides'". `@explained` adds the
name that the argument has here, from a table of Keras' and PyTorch's names, or the accepted name that is spelled most
like it:

    Conv2D has no argument 'strides'. Use stride. It accepts: filters, kernel_size, stride, padding, ...

A call with the right names costs one `try`.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any, NoReturn, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

FOUND = "The number of inputs is found when the model is built: leave it out"
SHAPE = "The shape is given once, to the model: Sequential(layers, input_shape=(28, 28, 1))"
LAYER = "Layers are numbered and named by the model (model.names): leave it out"
CONSTRAINT = "Not supported. Weights decay by Dense(10, l2=1e-4), or all of them by AdamW(weight_decay=0.01)"
MEMORY = "Arrays are in memory here: pass x and y, and batch_size"
MEASURES = "Loss and accuracy are always measured. For more see scratchnet.metrics"
LAST = "The last axis holds the channels: leave it out"
ONE_PLACE = "Everything runs on the CPU"
QUIET = "Nothing is printed: leave it out"
STEPS = "An epoch is one pass over x: use epochs and batch_size"

# An accepted name ("stride"), of which the first that the function accepts is taken, or a sentence.
EVERYWHERE: dict[str, str | tuple[str, ...]] = {
    # layers
    "strides": "stride", "size": "kernel_size", "kernel": "kernel_size", "out_channels": "filters",
    "in_channels": FOUND, "in_features": FOUND, "input_dim": FOUND, "num_features": FOUND, "out_features": "units",
    "kernel_initializer": "initializer", "depthwise_initializer": "initializer", "weight_initializer": "initializer",
    "bias": "use_bias", "p": "rate", "nonlinearity": "activation",
    "activation": "Put an activation behind it: BatchNorm(), ReLU()", "padding_mode": 'Padding is always with zeros',
    "input_shape": SHAPE, "batch_input_shape": SHAPE, "name": LAYER,
    "kernel_regularizer": ("l2", CONSTRAINT), "bias_regularizer": CONSTRAINT, "activity_regularizer": CONSTRAINT,
    "kernel_constraint": CONSTRAINT, "bias_constraint": CONSTRAINT, "bias_initializer": "Biases start at zero",
    "dilation": "Not supported: windows are dense", "dilation_rate": "Not supported: windows are dense",
    "groups": "Each filter sees all channels. For a filter per channel: DepthwiseConv2D(3)",
    "data_format": "Arrays are NHWC, channels last",
    "axis": LAST, "dim": LAST, "approximate": "The exact form is computed: leave it out",
    "seed": "The model has the seed: Sequential(..., seed=0)",
    "inplace": "Nothing is changed in place: leave it out", "eps": ("epsilon", "eps"), "epsilon": ("epsilon", "eps"),
    "affine": "The layer always has gamma and beta: leave it out", "device": ONE_PLACE,
    "track_running_stats": "The running averages are always there: leave it out",
    # optimizers
    "learning_rate": "lr", "beta_1": "beta1", "beta_2": "beta2", "betas": "Use beta1 and beta2: Adam(beta1=0.9)",
    "alpha": ("rho", "slope"), "negative_slope": "slope",
    "decay": "Pass a schedule as lr: SGD(lr=StepDecay(0.1, every=1000))",
    "clipnorm": "clip_norm", "global_clipnorm": "clip_norm", "max_norm": "clip_norm",
    "weight_decay": "Use AdamW(weight_decay=0.01), or l2 of the layers: Dense(10, l2=1e-4)",
    "amsgrad": "Not supported", "foreach": "Leave it out",
    "params": "An optimizer receives the parameters from fit: leave them out",
    # the loss
    "from_logits": "The loss is always computed from logits: leave it out, and end the model with Dense(classes)",
    "reduction": "The loss is the mean over the batch: leave it out",
    # the model and its training
    "num_epochs": "epochs", "n_epochs": "epochs", "nb_epoch": "epochs", "max_iter": "epochs", "batch": "batch_size",
    "bs": "batch_size", "optim": "optimizer", "criterion": "loss", "loss_fn": "loss", "val_data": "validation_data",
    "val_split": "validation_split", "validation_fraction": "validation_split", "data_augmentation": "augment",
    "transform": "augment", "transforms": "augment", "learning_rate_init": "lr", "random_state": "seed",
    "steps_per_epoch": STEPS, "validation_steps": "The whole of validation_data is evaluated: leave it out",
    "validation_batch_size": "The batch size of an evaluation does not change its result: leave it out",
    "validation_freq": "Every epoch ends with an evaluation of validation_data",
    "steps": "The whole of x is used: leave it out", "generator": MEMORY, "dataset": MEMORY, "dataloader": MEMORY,
    "workers": "Threads are set for the process: sn.set_threads(4)", "n_jobs": "Use sn.set_threads(4)",
    "num_workers": "Threads are set for the process: sn.set_threads(4)", "max_queue_size": MEMORY,
    "use_multiprocessing": "Threads are used, and set for the process: sn.set_threads(4)",
    "metrics": MEASURES, "run_eagerly": 'Use Sequential(..., engine="numpy") to step through the layers',
    "sample_weight": "Weights are for training: fit(x, y, sample_weight=w)",
    "return_dict": "The result is always a dict: leave it out",
    "num_classes": "units",
    "classes": "The last layer has one unit per class: Dense(10)", "outputs": "units",
    "custom_objects": "Pass the classes: layers=[YourLayer]", "weights_only": "A file holds data only: leave it out",
    "map_location": ONE_PLACE, "safe_mode": "A file holds data only: leave it out",
    "verbose": QUIET,
}  # fmt: skip

ONLY_IN: dict[tuple[str, str], str] = {
    ("fit", "learning_rate"): "The rate belongs to the optimizer: optimizer=Adam(lr=1e-3)",
    ("fit", "lr"): "The rate belongs to the optimizer: optimizer=Adam(lr=1e-3)",
    ("fit", "seed"): "The model has the seed: Sequential(..., seed=0)",
    ("fit", "random_state"): "The model has the seed: Sequential(..., seed=0)",
    ("Sequential", "activation"): "Activations are layers: ReLU()",
    ("Sequential", "name"): "A model has no name; its file has one: leave it out",
    ("Sequential", "optimizer"): "The optimizer goes to fit: model.fit(x, y, optimizer=Adam(1e-3))",
    ("Sequential", "loss"): "The loss goes to fit: model.fit(x, y, loss=SoftmaxCrossEntropy())",
    ("Dropout", "noise_shape"): "Each value is dropped by itself: leave it out",
}

ABSENT = {
    "add": "Its layers cannot change. Make a new model: Sequential([*layers, Dense(10)], input_shape)",
    "pop": "Its layers cannot change. Make a new model of new layers: Sequential(layers[:-1], input_shape)",
    "compile": "It is ready when it is made; optimizer and loss go to fit: model.fit(x, y, optimizer=Adam(1e-3))",
    "train": "Training mode is set for each call: model.fit(x, y), or model.forward(x, training=True)",
    "eval": "Evaluation mode is that of predict, evaluate and model(x): leave it out",
    "to": "It runs on the CPU: leave it out",
    "cuda": "It runs on the CPU: leave it out",
    "state_dict": "Use model.parameters() and model.state(), or model.save(path)",
    "load_state_dict": "Use model.set_weights(arrays), or load_model(path)",
    "load_weights": "Use load_model(path): a file holds the architecture too; of Keras load_keras_weights(model, path)",
    "save_weights": "Use model.save(path): a file holds the architecture too",
}


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, with an error for unknown argument names that says what to write instead.

    >>> Conv2D(32, 3, strides=2)
    Traceback (most recent call last):
    TypeError: Conv2D has no argument 'strides'. Use stride. It accepts: filters, kernel_size, stride, padding, ...
    >>> Dropout(rat=0.5)
    Traceback (most recent call last):
    TypeError: Dropout has no argument 'rat'. Did you mean rate? It accepts: rate
    """
    parameters = inspect.signature(function).parameters
    accepted = [name for name in parameters if name != "self"]
    by_name = [name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TypeError:
            if unknown := [name for name in kwargs if name not in accepted]:
                refuse(title(function, args), unknown[0], accepted)
            if by_name and len(args) > len(parameters) - len(by_name):
                first = ", ".join(accepted[: -len(by_name)])
                message = f"{function.__name__} takes {first} by position, the rest by name: {by_name[0]}=..."
                raise TypeError(message) from None
            raise

    return call


def title(function: Callable, args: tuple[Any, ...]) -> str:
    """What the error calls the function: a constructor by the name of its class."""
    return type(args[0]).__name__ if function.__name__ == "__init__" else function.__name__


def refuse(function: str, name: str, accepted: list[str]) -> NoReturn:
    """Raise the TypeError for the unknown argument `name`."""
    raise TypeError(
        f"{function} has no argument {name!r}. {advice(function, name, accepted)} It accepts: {', '.join(accepted)}"
    ) from None


def advice(function: str, name: str, accepted: list[str]) -> str:
    """What to write instead, in a sentence; empty if nothing is known of the name.

    >>> advice("Adam", "learning_rate", ["lr", "beta1"])
    'Use lr.'
    """
    known = ONLY_IN.get((function, name)) or EVERYWHERE.get(name, ())
    for candidate in [known] if isinstance(known, str) else known:
        if candidate in accepted:
            return f"Use {candidate}."
        if not candidate.isidentifier():
            return f"{candidate.rstrip('.')}."
    near = difflib.get_close_matches(name, accepted, n=1)
    return f"Did you mean {near[0]}?" if near else ""


class Absent:
    """A method that other libraries' models have and ours has not: reading it is an AttributeError with the cure."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.message = f"a {owner.__name__} has no {name}. {ABSENT[name]}."

    def __get__(self, instance: Any, owner: type) -> NoReturn:
        raise AttributeError(self.message)
