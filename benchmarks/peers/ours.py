"""scratchnet, asked as `peers.worker` asks everyone. Option: `engine`. All that knows our own API is here."""

import scratchnet as sn
from peers.worker import ADAM, BATCHNORM, Peer, serve
from scratchnet.training import train_step


class Scratchnet(Peer):
    modules = ("scratchnet", "numba", "numpy")

    def build(self, net, images, labels, initial, threads, dtype):
        sn.set_threads(threads)
        self.x, self.y = images, labels  # uint8, as they lie in the files: Rescale is a layer
        layers = [sn.Rescale(self.scale, self.offset), *map(module, net)]
        engine = self.options.get("engine", "numba")
        self.model = sn.Sequential(layers, (*images.shape[1:], 1), engine=engine, dtype=dtype)
        for array, values in zip(self.model.parameters().values(), initial, strict=True):
            array[...] = values
        self.loss = sn.SoftmaxCrossEntropy(self.label_smoothing)
        self.optimizer = sn.Adam(self.lr, *self.betas, ADAM["eps"])

    def one_step(self, rows):
        return train_step(self.model, self.loss, self.optimizer, self.x[rows], self.y[rows])

    def set_rate(self, rate):
        self.optimizer.lr = rate

    def prepared(self, images):
        return images  # Rescale is a layer

    def probabilities(self, x, batch):
        return self.model.predict(x, batch_size=batch)


def module(layer) -> sn.Layer:
    """One tuple of `nets.py` as a layer."""
    match layer:
        case "crop", border:
            return sn.Cropping2D(border)
        case "conv", filters, kernel, padding:
            return sn.Conv2D(filters, kernel, padding=padding)
        case ("batchnorm",):
            return sn.BatchNorm(**BATCHNORM)
        case "pool", size:
            return sn.MaxPool2D(size)
        case "dense", units:
            return sn.Dense(units)
        case "dropout", rate:
            return sn.Dropout(rate)
        case ("relu",):
            return sn.ReLU()
        case ("flatten",):
            return sn.Flatten()
    raise ValueError(f"no layer for {layer!r}; nets.py and peers/ours.py must know the same kinds")


if __name__ == "__main__":
    serve(Scratchnet())
