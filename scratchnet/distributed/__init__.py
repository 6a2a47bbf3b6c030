"""Training on several machines, with MPI. The results are those of one process, bit for bit.

    mpirun -n 4 python -m mpi4py scripts/train.py --distributed mpi

A batch is cut into chunks anyway; here each process, a *rank*, computes some of them. What a chunk leaves behind is a
row of a buffer. The ranks send each other their rows, and then every rank sums all rows in the order of the chunks and
makes the same update. MPI moves bytes and adds nothing: `MPI_Allreduce` would add in an order that depends on the
number of ranks and the size of the message (MPI standard 4.0, 6.9.1), and the weights would depend on both.

    rows         what a chunk leaves behind, as a row        peers      has another rank of this machine ended?
    program      a training step with exchanges in it        agreement  same data, settings, versions, processors?
    mpi          the ranks' world, on mpi4py                 times      compute, communicate, wait

Sources: S. Li et al., "PyTorch Distributed" (VLDB 2020), for the usual way; P. Xie et al., "Lighter-Communication
Distributed Machine Learning via Sufficient Factor Broadcasting" (UAI 2016), for sending x and dz instead of dW.
"""

from __future__ import annotations

from scratchnet.world import World, enter, shared_world


def distribute(how: str | None = "mpi", common_target: bool = False) -> int:
    """Train, from now on, together with the other processes that mpirun or srun has started; returns the rank.

    how: "mpi"; None for one process by itself again. common_target: compile for what the processors of all ranks have
    in common, if they differ; call it before the first model then. Without it, different processors are an error.

    Every rank must make the same calls of `fit`, with the same data. Callbacks that write files or print are called on
    rank 0 only; others on all of them. Raises ImportError without mpi4py or MPI, ValueError if the ranks differ.

    >>> distribute(None)  # one process
    0
    """
    if how not in ("mpi", None):
        raise ValueError(f'distribute: expected "mpi" or None, got {how!r}')
    if how is None:
        enter(World())
    elif shared_world().ranks == 1:
        from scratchnet.distributed.mpi import MpiWorld

        enter(world := MpiWorld())
        world.meet(common_target)
    return rank()


def rank() -> int:
    """The number of this process among those that train together, from 0.

    >>> rank()
    0
    """
    return shared_world().rank


def ranks() -> int:
    """How many processes train together.

    >>> ranks()
    1
    """
    return shared_world().ranks
