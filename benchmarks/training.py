"""How long does an epoch of training take?

Each framework trains the same network from the same weights on the same batches in the same order, images in
memory: batch gathered, forward, loss, backward, Adam. Dropout is on. A turn is some 10,240 images; the time of
60,000 is extrapolated from it. Half as many are trained on at the beginning of every turn, and not timed: see
`driver.py`. What happens once (compiling, tracing, the first touch of memory) happens before all turns.

    python benchmarks/training.py --threads 2
    python benchmarks/training.py --nets chollet:128 two-conv:32 --peers scratchnet torch-channels-last
"""

from command import EPOCH, lineup, load_data, parse, recipes, row, save
from parity import check


def main() -> None:
    args = parse(__doc__, nets=["all"], rounds=7, images=10240)
    data, rows = load_data(args), []
    with lineup(args, data) as workers:
        for net, title, batch in recipes(args.nets):
            check(workers, args, data, net, batch)
            workers.start(net, batch)
            steps = max(1, args.images // batch)
            workers.all("train", steps=min(steps, 20))
            for name, answers in workers.in_turn(args.rounds, "train", steps=steps, warm=steps // 2).items():
                rows.append(row(title, name, answers, per=steps * batch / EPOCH, images=EPOCH))
                print("{case}: {variant} {median:.2f} s".format(**rows[-1]), flush=True)
        save("training", args, rows, workers.versions(), unit="s per epoch")


if __name__ == "__main__":
    main()
