"""How does the time of training change with the threads, the batch size and the width of the network?

Threads: the same step on 1, 2, 4, ... processors, in new processes each time. Batch size: small batches show what a
step costs in addition to its arithmetic. Width: the network with half, twice, four times the filters and hidden
units, where large matrix products dominate, which are fast in all frameworks. All in microseconds per image.

`cores.py` computes what more processors than this machine has would do.

    python benchmarks/scaling.py --net two-conv
"""

from command import lineup, load_data, parse, row, save
from machine import processors
from nets import NETS, widened
from parity import check

PEERS = ["scratchnet", "torch-nchw", "torch-channels-last", "tf-batch"]
MICRO = 1e-6


def measure(workers, args, net, batch: int, axis: str, x: float) -> list[dict]:
    """A row for every worker: microseconds per image on this network at this batch size.

    Wide networks are given fewer images: twice the width is four times the work.
    """
    workers.start(net, batch)
    images = args.images / x**2 if axis == "width" and x > 1 else args.images
    steps = min(1000, max(3, int(images / batch)))
    workers.all("train", steps=min(steps, 10))
    rows = [
        row(f"{axis} {x:g}", name, answers, per=steps * batch * MICRO, axis=axis, x=x)
        for name, answers in workers.in_turn(args.rounds, "train", steps=steps, warm=steps // 2).items()
    ]
    for line in rows:
        print("{case}: {variant} {median:.0f} µs per image".format(**line), flush=True)
    return rows


def main() -> None:
    most = len(processors())
    args = parse(
        __doc__,
        peers=PEERS,
        net="two-conv",
        batches=[1, 8, 32, 128, 512],
        widths=[0.5, 1.0, 2.0, 4.0],
        counts=sorted({1, *(2**k for k in range(1, 7) if 2**k <= most), most}),
        rounds=5,
        images=10240,
    )
    data, net, rows = load_data(args), NETS[args.net], []
    for count in args.counts:
        with lineup(args, data, count) as workers:
            check(workers, args, data, net)
            rows += measure(workers, args, net, 128, "threads", count)
    with lineup(args, data) as workers:
        for batch in args.batches:
            rows += measure(workers, args, net, batch, "batch size", batch)
        for factor in args.widths:
            check(workers, args, data, widened(net, factor))
            rows += measure(workers, args, widened(net, factor), 128, "width", factor)
        save("scaling", args, rows, workers.versions(), unit="µs per image")


if __name__ == "__main__":
    main()
