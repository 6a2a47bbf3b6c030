"""PyTorch, asked as `peers.worker` asks everyone.

Options: `layout`, "nchw" or "channels_last"; `compile`; `precision`, "float32" or "bfloat16". The latter is autocast:
weights stay float32 and are converted for the convolutions and matrix products of every step or call.
"""

from functools import partial

import numpy as np
import torch
from nets import channels_first, walk
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
        self.forward = compiled(self.model) if "compile" in self.options else self.model
        self.autocast = partial(torch.autocast, "cpu", torch.bfloat16, self.options["precision"] == "bfloat16")

    def one_step(self, rows):
        rows = torch.from_numpy(rows)
        self.model.train()
        with self.autocast():
            logits = self.forward(self.x[rows])
        loss = nn.functional.cross_entropy(logits.to(self.dtype), self.y[rows], label_smoothing=self.label_smoothing)
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
        with self.autocast():
            return torch.cat([self.forward(part).softmax(1, self.dtype) for part in x.split(batch)]).numpy()


def compiled(model: nn.Module) -> nn.Module:
    """The model, compiled for each size of batch that occurs; by default the second size brings code for any."""
    torch._dynamo.reset()  # what was compiled for the network before
    torch._dynamo.config.recompile_limit = 64  # sizes, in training and in prediction; beyond it nothing is compiled
    return torch.compile(model, dynamic=False)


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
    """Copy the weights into the modules, which put channels first."""
    for parameter, array in zip(model.parameters(), channels_first(net, initial), strict=True):
        parameter.copy_(torch.from_numpy(array.copy()))


if __name__ == "__main__":
    serve(PyTorch())
