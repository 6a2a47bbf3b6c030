"""Keras, asked as `peers.worker` asks everyone, on the backend that KERAS_BACKEND names.

Option: `loop`, "fit" (fit, predict) or "batch" (train_on_batch, predict_on_batch); which is faster depends on network
and machine, so the driver asks for each. `jit_compile` stays at Keras's own choice, "auto".
"""

import time

import keras
import numpy as np
from keras import layers

from peers.worker import ADAM, BATCHNORM, Peer, serve


class Keras(Peer):
    modules = ("keras", keras.backend.backend(), "numpy")

    def build(self, net, images, labels, initial, threads, dtype):
        limit_threads(threads)
        keras.config.set_floatx(dtype)
        self.x = (images[..., None] / 255).astype(dtype)  # (n, h, w, 1)
        self.y = labels.astype(np.int32)
        self.model = keras.Sequential([keras.Input(self.x.shape[1:]), *map(module, net)])
        self.model.set_weights(interleaved(self.model, initial))
        self.model.compile(
            keras.optimizers.Adam(self.lr, ADAM["beta1"], ADAM["beta2"], ADAM["eps"]),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        self.classes = keras.Sequential([self.model, layers.Softmax()])

    def one_step(self, rows):
        self.model.reset_metrics()  # else the loss that comes back is a running mean
        return self.model.train_on_batch(self.x[rows], self.y[rows])

    def train(self, steps, warm=0):
        if self.options["loop"] == "batch":
            return super().train(steps, warm)
        rows, epoch = np.concatenate(list(self.rows(warm + steps))), Epoch(warm)
        self.model.fit(self.x[rows], self.y[rows], batch_size=self.batch, shuffle=False, verbose=0, callbacks=[epoch])
        return {"seconds": epoch.ended - epoch.began}

    def probabilities(self, x, batch):
        if self.options["loop"] == "batch":
            parts = [self.classes.predict_on_batch(x[i : i + batch]) for i in range(0, len(x), batch)]
            return np.concatenate(parts)
        return self.classes.predict(x, batch_size=batch, verbose=0)


class Epoch(keras.callbacks.Callback):
    """From the beginning of the first batch that counts, number `first`, to the end of the last.

    What `fit` does before and after (opening and closing its queue of data: up to 0.3 s) would weigh too much in a
    short turn.
    """

    def __init__(self, first):
        super().__init__()
        self.first = first

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.first:
            self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.ended = time.perf_counter()


def module(layer) -> layers.Layer:
    """One tuple of `nets.py` as a Keras layer."""
    match layer:
        case "crop", border:
            return layers.Cropping2D(border)
        case "conv", filters, kernel, padding:
            return layers.Conv2D(filters, kernel, padding=padding)
        case ("batchnorm",):
            return layers.BatchNormalization(momentum=BATCHNORM["momentum"], epsilon=BATCHNORM["epsilon"])
        case "pool", size:
            return layers.MaxPooling2D(size)
        case "dense", units:
            return layers.Dense(units)
        case "dropout", rate:
            return layers.Dropout(rate)
        case ("relu",):
            return layers.ReLU()
        case ("flatten",):
            return layers.Flatten()
    raise ValueError(f"no Keras layer for {layer!r}; nets.py and peers/keras.py must know the same kinds")


def interleaved(model, initial):
    """The initial weights with the running statistics, as Keras orders them, in between."""
    arrays = iter(initial)
    return [next(arrays) if weight.trainable else np.array(weight) for weight in model.weights]


def limit_threads(threads: int) -> None:
    """TensorFlow takes a number; JAX takes the processors that the driver left this process."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError:  # already running: a second network in the same process, the same threads
            pass


if __name__ == "__main__":
    serve(Keras())
