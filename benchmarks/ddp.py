"""A rank of PyTorch's DistributedDataParallel on gloo, for `machines.py`: the same network, batch and optimizer.

RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 python benchmarks/ddp.py two-conv 128 200 1
"""

import json
import os
import statistics
import sys
import time

import numpy as np
import torch
from nets import NETS
from peers.pytorch import modules
from torch import nn


def main(net: str, batch: str, count: str, threads: str) -> None:
    """Time the steps; rank 0 prints JSON."""
    torch.set_num_threads(int(threads))
    torch.distributed.init_process_group("gloo")
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    rng, own, many = np.random.default_rng(0), int(batch) // ranks, int(count)
    x = torch.from_numpy(rng.integers(0, 256, (4096, 1, 28, 28)).astype(np.float32)) / 255
    y = torch.from_numpy(rng.integers(0, 10, 4096))
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(nn.Sequential(*modules(NETS[net])))
    optimizer, seconds = torch.optim.Adam(model.parameters(), 1e-3, fused=True), []
    for _ in range(many + many // 2):
        rows = torch.from_numpy(rng.integers(0, len(x), int(batch))[rank * own : (rank + 1) * own])
        before = time.perf_counter()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - before)
    if rank == 0:
        print(json.dumps({"seconds": statistics.median(seconds[many // 2 :]), "torch": torch.__version__}))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    main(*sys.argv[1:])
