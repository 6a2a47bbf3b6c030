"""How much memory does training take?

Resident memory of a new process, in MiB: with the framework imported; with the images (60,000 of them, uint8 for
us, float32 for the others) and the network; at its peak, over the first 200 steps and over all; and what it has
grown by between step 200 and the last one, which should be nothing.

    python benchmarks/memory.py --threads 2
"""

from command import environment, lineup, load_data, parse, row, save
from driver import Lineup
from nets import NETS
from parity import check

PEERS = ["scratchnet", "torch-nchw", "torch-channels-last", "tf-batch", "jax-batch"]
EARLY = 200


def watch(worker: Lineup, net, batch: int, steps: int) -> dict[str, float]:
    """What is measured -> MiB, for a line-up of one worker."""

    def ask(do, **job):
        (answer,) = worker.all(do, **job).values()
        return answer

    found = {"imported": ask("memory")["now"]}
    worker.start(net, batch)
    found["images and network loaded"] = ask("memory")["now"]
    first = min(EARLY, steps // 2)
    ask("train", steps=first)
    early = ask("memory")
    ask("train", steps=steps - first)
    late = ask("memory")
    found["peak of training"] = late["peak"]
    found[f"growth from step {first} to {steps}"] = late["now"] - early["now"]
    return found


def main() -> None:
    args = parse(__doc__, peers=PEERS, net="two-conv", batch=128, steps=2000)
    data, rows, net = load_data(args), [], NETS[args.net]
    with lineup(args, data) as workers:
        check(workers, args, data, net, args.batch)
        versions = workers.versions()
    for name in args.peers:
        with Lineup([name], args.threads, data, args.pythons, environment(args)) as worker:
            for case, value in watch(worker, net, args.batch, args.steps).items():
                rows.append(row(case, name, [{"mebibytes": value}], key="mebibytes"))
                print("{variant}: {case} {median:.0f} MiB".format(**rows[-1]), flush=True)
    save("memory", args, rows, versions, unit="MiB")


if __name__ == "__main__":
    main()
