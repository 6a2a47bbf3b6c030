"""PyTorch, asked as `peers.worker` asks everyone. Options: `layout` ("nchw" or "channels_last"), `compile`."""

import numpy as np
import torch
from nets import walk
from torch import nn

from peers.worker import ADAM, BATCHNORM, Peer, serve


class PyTorch(Peer):
    modules = ("torch", "numpy")

    def build(self, net, images, labels, initial, threads, dtype):
        torch.set_num_threads(threads)
        self.dtype = getattr(torch, dtype)
        self.x = self.prepared(images)  # (n, 1, h, w)
        self.y = torch.from_numpy(labels.astype(np.int64))
        self.model = nn.Sequential(*modules(net)).to(self.dtype)
        load(self.model, net, initial)
        if self.options["layout"] == "channels_last":
            self.model.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.model.parameters(), self.lr, self.betas, ADAM["eps"], fused=True)
        self.forward = torch.compile(self.model) if "compile" in self.options else self.model

    def one_step(self, rows):
        rows = torch.from_numpy(rows)
        self.model.train()
        loss = nn.functional.cross_entropy(
            self.forward(self.x[rows]), self.y[rows], label_smoothing=self.label_smoothing
        )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def set_rate(self, rate):
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def prepared(self, images):
        return torch.from_numpy(images[:, None]).to(self.dtype).mul_(self.scale).add_(self.offset)

    @torch.inference_mode()
    def probabilities(self, x, batch):
        self.model.eval()
        return torch.cat([self.forward(part).softmax(1) for part in x.split(batch)]).numpy()


def modules(net) -> list[nn.Module]:
    """The list of `nets.py` as modules; PyTorch wants to be told what enters each layer."""
    made: list[nn.Module] = []
    for layer, shape in walk(net):
        match layer:
            case "crop", border:
                made.append(nn.ZeroPad2d(-border))
            case "conv", filters, kernel, padding:
                made.append(nn.Conv2d(shape[-1], filters, kernel, padding=kernel // 2 if padding == "same" else 0))
            case ("batchnorm",):
                made.append(nn.BatchNorm2d(shape[-1], eps=BATCHNORM["epsilon"], momentum=1 - BATCHNORM["momentum"]))
            case "pool", size:
                made.append(nn.MaxPool2d(size))
            case "dense", units:
                made.append(nn.Linear(shape[0], units))
            case "dropout", rate:
                made.append(nn.Dropout(rate))
            case ("relu",):
                made.append(nn.ReLU(inplace=True))
            case ("flatten",):
                made.append(nn.Flatten())
    return made


@torch.no_grad()
def load(model: nn.Sequential, net, initial) -> None:
    """Copy channels-last weights into modules that put channels first.

    The first Dense after a Flatten needs care: its rows stand in the order (h, w, c) with us, (c, h, w) here.
    """
    arrays, before_flatten = iter(initial), None
    for module, (layer, shape) in zip(model, walk(net), strict=True):
        if layer[0] == "flatten":
            before_flatten = shape
        if not list(module.parameters()):
            continue
        weight, bias = next(arrays), next(arrays)
        if layer[0] == "conv":
            weight = weight.transpose(3, 2, 0, 1)  # (out_c, in_c, k_h, k_w)
        elif layer[0] == "dense":
            if before_flatten:
                weight = weight.reshape(*before_flatten, -1).transpose(2, 0, 1, 3).reshape(weight.shape)
                before_flatten = None
            weight = weight.T  # (out, in)
        module.weight.copy_(torch.from_numpy(weight.copy()))
        module.bias.copy_(torch.from_numpy(bias))


if __name__ == "__main__":
    serve(PyTorch())
