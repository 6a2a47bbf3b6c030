"""How long does it take to classify 10,000 images, and one image?

From uint8 images (PyTorch, Keras: floats, converted before) in memory to class probabilities in a NumPy array.
Each framework may choose its batch size out of three: the fastest counts. A single image shows what a call costs.

    python benchmarks/inference.py --threads 2
"""

from command import lineup, load_data, parse, row, save
from nets import NETS
from parity import check

IMAGES, SINGLES = 10_000, 200
WARM = 0.3  # seconds of the same at the beginning of every turn, not timed


def main() -> None:
    args = parse(__doc__, nets=["two-conv", "chollet", "vgg-bn"], batches=[64, 256, 1000], rounds=7)
    data, rows = load_data(args), []
    with lineup(args, data) as workers:
        for net in args.nets:
            check(workers, args, data, NETS[net])
            workers.start(NETS[net], batch=128)
            workers.all("train", steps=2)  # so that no model predicts with dead units
            for batch in args.batches:
                job = {"do": "predict", "images": IMAGES, "batch": batch}
                workers.all(**job)
                for name, answers in workers.in_turn(args.rounds, **job, warm=WARM).items():
                    rows.append(row(f"{net}, 10,000 images", name, answers, images=IMAGES, batch=batch))
                    print("{case}, {batch} at a time: {variant} {median:.3f} s".format(**rows[-1]), flush=True)
            workers.all("one_by_one", images=10)
            for name, answers in workers.in_turn(args.rounds, "one_by_one", images=SINGLES, warm=WARM).items():
                rows.append(row(f"{net}, one image", name, answers, per=SINGLES, images=1))
                print("{case}: {variant} {median:.5f} s".format(**rows[-1]), flush=True)
        save("inference", args, rows, workers.versions(), unit="s")


if __name__ == "__main__":
    main()
