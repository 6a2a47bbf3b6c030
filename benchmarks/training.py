"""How long does an epoch of training take?

Each framework trains the same network from the same weights on the same batches in the same order, images in
memory: batch gathered, forward, loss, backward, Adam. Dropout is on. A turn is some 7,680 images; the time of
60,000 is extrapolated from it. What fills a turn with one framework's start (compiling, tracing, the first touch
of memory) happens in a turn before that nobody times.

    python benchmarks/training.py --threads 2
    python benchmarks/training.py --nets chollet:128 two-conv:32 --peers scratchnet torch-channels-last
"""
from command import EPOCH, lineup, load_data, parse, recipes, row, save
from nets import NETS
from parity import check


def main() -> None:
    args = parse(__doc__, nets=["all"], rounds=7, images=7680)
    data, rows = load_data(args), []
    with lineup(args, data) as workers:
        for net, batch in recipes(args.nets):
            check(workers, args, data, NETS[net], batch)
            workers.start(NETS[net], batch)
            steps = max(1, args.images // batch)
            workers.all("train", steps=min(steps, 20))
            for name, answers in workers.in_turn(args.rounds, "train", steps=steps).items():
                rows.append(row(f"{net}, batch {batch}", name, answers, per=steps * batch / EPOCH, images=EPOCH))
                print("{case}: {variant} {median:.2f} s".format(**rows[-1]), flush=True)
        save("training", args, rows, workers.versions(), unit="s")


if __name__ == "__main__":
    main()
