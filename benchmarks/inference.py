"""How long does it take to classify 10,000 images, and how long a few?

From uint8 images (PyTorch, Keras, ONNX Runtime, OpenVINO: floats, converted before) in memory to class probabilities in
a NumPy array. For 10,000 images each framework may choose its batch size out of three: the fastest counts. Calls
of 1 to 64 images show what a call costs: 200 of them are timed, with the next images in each.

The network is not trained, since some peers cannot do it; `agreement.py`, which also checks that all predict the
same, says why times do not depend on it.

    python benchmarks/inference.py --threads 2
    python benchmarks/inference.py --nets two-conv --batches 256 --singles 1 --peers scratchnet onnxruntime
"""

import agreement
from command import lineup, load_data, parse, row, save
from nets import NETS

IMAGES, CALLS = 10_000, 200
WARM = 0.3  # seconds of the same at the beginning of every turn, not timed
MICRO = 1e-6
PEERS = [name for name in agreement.PEERS if name != "textbook"]


def title(images: int) -> str:
    """one image, 8 images"""
    return "one image" if images == 1 else f"{images} images"


def main() -> None:
    args = parse(
        __doc__,
        peers=PEERS,
        trains=False,
        nets=["two-conv", "chollet", "pyramid", "vgg-bn", "default"],
        batches=[64, 256, 1000],
        singles=[1, 2, 4, 8, 16, 64],
        rounds=7,
    )
    data, rows = load_data(args), []
    with lineup(args, data) as workers:
        for net in args.nets:
            agreement.start(workers, args, data, NETS[net])
            for batch in args.batches:
                job = {"do": "predict", "images": IMAGES, "batch": batch}
                workers.all(**job)
                for name, answers in workers.in_turn(args.rounds, **job, warm=WARM).items():
                    rows.append(row(f"{net}, 10,000 images", name, answers, images=IMAGES, batch=batch))
                    print("{case}, {batch} at a time: {variant} {median:.3f} s".format(**rows[-1]), flush=True)
            for images in args.singles:
                workers.all("call", images=images, times=10)
                job = {"do": "call", "images": images, "times": CALLS}
                for name, answers in workers.in_turn(args.rounds, **job, warm=WARM).items():
                    more = {"unit": "µs", "axis": f"images in a call, {net}", "x": images}
                    rows.append(row(f"{net}, {title(images)}", name, answers, per=CALLS * MICRO, **more))
                    print("{case}: {variant} {median:.1f} µs".format(**rows[-1]), flush=True)
        save("inference", args, rows, workers.versions(), unit="s")


if __name__ == "__main__":
    main()
