"""How long until something happens?

During development, short runs are much more frequent than long ones, so these times matter: from the start of Python
to its end with only the import; from the start of a process to the end of its first training step; to the end of 100
steps and of the process. Every turn is a new process. "First step, nothing compiled" gives our kernels an empty cache,
as after installation; the others keep no compiled code between processes, and are measured in the same way.

    python benchmarks/startup.py --threads 2
"""

import subprocess
import sys
import tempfile
import time
from functools import partial

from command import environment, lineup, load_data, parse, row, save
from driver import VARIANTS, Lineup
from nets import NETS
from parity import check
from quiet import clock_of_ended_children, undisturbed

PEERS = ["scratchnet", "torch-channels-last", "tf-batch", "jax-batch"]
BATCH, STEPS = 128, 100


def import_seconds(name: str, args) -> dict[str, float]:
    """From the start of Python to its end, with nothing but the import in between."""
    variant = VARIANTS[name]
    python = args.pythons.get(variant.module, sys.executable)
    start = time.perf_counter()
    subprocess.run(
        [python, "-c", f"import {variant.imports}"],
        check=True,
        stderr=subprocess.DEVNULL,
        env=variant.environment(args.threads, environment(args)),
    )
    return {"imported and gone": time.perf_counter() - start}


def run_seconds(name: str, args, data, net, compiled: bool) -> dict[str, float]:
    """From the start of a process to its first step, and to its end after the last."""
    with tempfile.TemporaryDirectory() as empty:
        cache = {} if compiled else {"NUMBA_CACHE_DIR": empty}
        start = time.perf_counter()
        with Lineup([name], args.threads, data, args.pythons, {**environment(args), **cache}) as worker:
            worker.start(net, BATCH)
            worker.all("train", steps=1)
            first = time.perf_counter() - start
            if not compiled:
                return {"first step, nothing compiled": first}
            worker.all("train", steps=STEPS - 1)
        return {"first step": first, f"{STEPS} steps and gone": time.perf_counter() - start}


def main() -> None:
    args = parse(__doc__, peers=PEERS, net="two-conv", rounds=5)
    data, net = load_data(args, images=2560), NETS[args.net]
    with lineup(args, data) as workers:
        check(workers, args, data, net)
        versions = workers.versions()
    seconds: dict[tuple[str, str], list[dict]] = {}
    for _ in range(args.rounds):
        for name in args.peers:
            turns = [
                partial(import_seconds, name, args),
                partial(run_seconds, name, args, data, net, False),
                partial(run_seconds, name, args, data, net, True),
            ]
            for turn in turns:
                answer = undisturbed(turn, clock_of_ended_children, args.patience)
                others = answer.pop("others")
                for case, value in answer.items():
                    seconds.setdefault((case, name), []).append({"seconds": value, "others": others})
    rows = [row(case, name, answers) for (case, name), answers in seconds.items()]
    save("startup", args, rows, versions, unit="s")


if __name__ == "__main__":
    main()
