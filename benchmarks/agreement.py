"""Do all frameworks predict the same? `inference.py` checks this before it takes a time.

Every framework gets equal weights and classifies the same images: 256 in one call, and some of them in calls of 64, 8
and 1. The class probabilities are compared with those of the textbook in float64:

    float32     each within 1e-4
    bfloat16    each within 0.05
    int8        the same class for 95 % of the images for which the textbook's first class leads by 0.1 or more

The weights are the initial ones (`nets.weights`), with two changes that `nets.without_zeros` and `nets.decided`
explain. They are good enough for times too: none of our forward kernels looks at a value to decide what to compute, and
none of the peers' is known to. An untrained network has many near ties between classes; these an int8 network may
decide as it likes.

    python benchmarks/agreement.py --onnx-python <an interpreter that has onnx, onnxruntime and openvino>
"""

import numpy as np
from command import lineup, load_data, parse, save
from driver import VARIANTS, Lineup
from nets import NETS, Net, decided, weights, without_zeros
from parity import NotEqual

IMAGES = 256
CALLS = (256, 64, 8, 1)  # images in a call
LIMITS = {"float32": 1e-4, "bfloat16": 0.05, "int8": 0.05}
LEAD = 0.1
PEERS = [
    *("scratchnet", "textbook", "torch-nchw", "torch-channels-last", "torch-compiled", "torch-bf16"),
    *("torch-compiled-bf16", "tf-fit", "tf-batch", "jax-batch"),
    *("onnxruntime", "onnxruntime-1", "openvino", "openvino-streams", "openvino-bf16", "openvino-int8"),
]
MEASURES = {"int8": "share of decided images in another class"}


def start(workers: Lineup, args, data, net: Net) -> dict[str, float]:
    """All workers with the network and the same weights; name -> how far its answers are from the textbook's.

    Raises NotEqual if one is beyond its limit.
    """
    found = deviations(workers, args, data, net)
    if wrong := [name for name in found if not found[name] <= limit(name)]:
        lines = [f"  {name}: {measure(name)} {found[name]:.1e}, allowed are {limit(name):.0e}" for name in wrong]
        raise NotEqual("No time is taken: predictions differ from the textbook's in float64.\n" + "\n".join(lines))
    return found


def deviations(workers: Lineup, args, data, net: Net) -> dict[str, float]:
    """The same, whatever the limits."""
    few = {key: values[:IMAGES] for key, values in data.items()}
    with Lineup(["textbook"], args.threads, few) as reference:
        initial = without_zeros(weights(net))
        initial = decided(initial, textbook(reference, net, initial))
        exact = textbook(reference, net, initial)
    workers.start(net, IMAGES, initial=initial)
    counts = [min(IMAGES, 16 * size) for size in CALLS]
    found = [answers(workers, count, size) for count, size in zip(counts, CALLS, strict=True)]
    repeated = np.concatenate([exact[:count] for count in counts])
    return {name: deviation(np.concatenate([some[name] for some in found]), repeated, name) for name in found[0]}


def textbook(reference: Lineup, net: Net, initial: list[np.ndarray]) -> np.ndarray:
    """The textbook's class probabilities in float64."""
    reference.start(net, IMAGES, initial=initial, dtype="float64")
    return answers(reference, IMAGES, IMAGES)["textbook"]


def answers(workers: Lineup, images: int, batch: int) -> dict[str, np.ndarray]:
    """Name -> class probabilities (images, classes)."""
    found = workers.all("answers", images=images, batch=batch)
    return {name: np.array(answer["probabilities"]) for name, answer in found.items()}


def deviation(found: np.ndarray, exact: np.ndarray, name: str) -> float:
    """The largest difference of a probability; for int8 the share of decided images in another class."""
    if VARIANTS[name].precision != "int8":
        return float(np.abs(found - exact).max())
    second, first = np.sort(exact, axis=1)[:, -2:].T
    sure = first - second >= LEAD
    return float((found.argmax(axis=1) != exact.argmax(axis=1))[sure].mean())


def limit(name: str) -> float:
    """How far a variant's answers may be from the textbook's."""
    return LIMITS[VARIANTS[name].precision]


def measure(name: str) -> str:
    """What `deviation` is, in words."""
    return MEASURES.get(VARIANTS[name].precision, "largest difference of a probability")


def main() -> None:
    nets = ["two-conv", "chollet", "pyramid", "vgg-bn", "default"]
    args = parse(__doc__, peers=PEERS, trains=False, nets=nets)
    data, rows = load_data(args), []
    with lineup(args, data) as workers:
        for net in args.nets:
            for name, value in deviations(workers, args, data, NETS[net]).items():
                rows.append({"case": net, "variant": name, "what": measure(name), "deviation": value})
                rows[-1]["limit"] = limit(name)
                print(f"{net}: {name}, {measure(name)} {value:.1e}", flush=True)
        columns = {"case": "network", "variant": "who", "what": "what", "deviation": "found", "limit": "allowed"}
        save("agreement", args, rows, workers.versions(), columns=columns)
    if wrong := [row for row in rows if not row["deviation"] <= row["limit"]]:
        raise NotEqual(f"{len(wrong)} of {len(rows)} predictions are beyond their limit")


if __name__ == "__main__":
    main()
