"""Do all frameworks compute the same thing? This is checked before training is timed.

(Before predictions are timed `agreement.py` compares these: some peers cannot train.)

A fast wrong result is useless. Therefore every framework gets equal weights and equal batches, and the loss
of each of the first 20 steps (forward, backward, Adam) is compared with PyTorch's in float64:

    the textbook in float64             within 1e-8, relative: the same mathematics
    every framework in float32          within 1e-3: the same mathematics, rounded
    with products in bfloat16           within 2e-2: numbers with 8 bits, sums of many of them

Rounding errors grow: if a ReLU is active in only one of two frameworks, or a maximum is at a neighbouring
pixel, the curves diverge after some steps. How soon depends on the learning rate. At 1e-3, the rate of the
timed runs, PyTorch in float32 deviates from PyTorch in float64 by up to 5e-3 in 20 steps of chollet, depending on the
initial weights, and in channels_last by 2e-2 in those of vgg-bn, where the sums of its BatchNorm are less exact. So
the rate here is 3e-4, divided by the number of BatchNorms: for vgg-bn 1e-4. Keras deviates from PyTorch by more than
rounding: its Adam adds eps to a root before the bias correction. Dropout is left out here (every framework draws other
masks), and is included in the timed runs.

Without PyTorch the textbook in float64 is the reference, and the output says so.

    python benchmarks/parity.py --torch-python <an interpreter that has torch>
    python benchmarks/parity.py --nets chollet --rate 1e-3 --seeds 0 1 2 3 4 5      how soon do the curves diverge?
"""

from command import lineup, load_data, parse, recipes, save
from driver import VARIANTS, Lineup
from nets import Net, without_dropout

STEPS = 20
RATE = 3e-4  # divided by the number of BatchNorms, if there are any
FLOAT64 = 1e-8
LIMITS = {"float32": 1e-3, "bfloat16": 2e-2}


class NotEqual(SystemExit):
    """Raised if a framework computes something else; there is then nothing to time."""


def check(workers: Lineup, args, data, net: Net, batch: int = 128) -> None:
    """Raise NotEqual if the loss curve of one of the workers, or of the textbook, is beyond its limit."""
    found = deviations(workers, args, data, net, batch)
    if wrong := [name for name in found if not found[name] <= limit(name)]:
        lines = [f"  {name}: by {found[name]:.1e}, allowed are {limit(name):.0e}" for name in wrong]
        raise NotEqual(
            f"No time is taken: the losses of {STEPS} steps differ from those of {judge(args)} in float64.\n"
            + "\n".join(lines)
        )


def deviations(workers: Lineup, args, data, net: Net, batch: int, rate: float = 0, seed: int = 0) -> dict[str, float]:
    """Name -> largest relative deviation of its loss curve from the judge's.

    workers: the ones that will be timed, in float32. The references run in float64, in workers of their own.
    rate: the learning rate; 0 for the network's own. seed: of the initial weights.
    """
    with Lineup({judge(args): 0, "textbook": 0}, args.threads, data, args.pythons) as references:
        exact = curves(references, net, batch, "float64", rate, seed)
    found = {"textbook, float64": deviation(exact["textbook"], exact[judge(args)])}
    return found | {
        name: deviation(losses, exact[judge(args)])
        for name, losses in curves(workers, net, batch, "float32", rate, seed).items()
    }


def judge(args) -> str:
    """The float64 reference: PyTorch, or the textbook if PyTorch is missing."""
    return "torch-nchw" if any(VARIANTS[name].module == "torch" for name in args.peers) else "textbook"


def limit(name: str) -> float:
    """How far a curve may be from the judge's."""
    return FLOAT64 if name.endswith("float64") else LIMITS[VARIANTS[name].precision]


def curves(workers: Lineup, net: Net, batch: int, dtype: str, rate: float, seed: int) -> dict[str, list[float]]:
    """Name -> the losses of the first steps."""
    rate = rate or RATE / max(1, net.count(("batchnorm",)))
    workers.start(without_dropout(net), batch, seed, dtype=dtype, lr=rate)
    return {name: answer["losses"] for name, answer in workers.all("losses", steps=STEPS).items()}


def deviation(losses: list[float], reference: list[float]) -> float:
    """max |a - b| / |b| over the curve."""
    return max(abs(a - b) / abs(b) for a, b in zip(losses, reference, strict=True))


def main() -> None:
    args = parse(__doc__, nets=["all"], seeds=[0], rate=0.0)
    data, rows = load_data(args), []
    print(f"compared with {judge(args)} in float64")
    with lineup(args, data) as workers:
        for net, title, batch in recipes(args.nets):
            for seed in args.seeds:
                for name, value in deviations(workers, args, data, net, batch, args.rate, seed).items():
                    case = title + (f", weights {seed}" if len(args.seeds) > 1 else "")
                    rows.append({"case": case, "variant": name, "deviation": value, "limit": limit(name)})
                    print(f"{case}: {name} within {value:.1e}", flush=True)
        columns = {
            "case": "network",
            "variant": "who",
            "deviation": f"largest deviation of the loss in {STEPS} steps",
            "limit": "allowed",
        }
        save("parity", args, rows, workers.versions(), columns=columns)
    if wrong := [row for row in rows if not row["deviation"] <= row["limit"]]:
        raise NotEqual(f"{len(wrong)} of {len(rows)} curves are beyond their limit")


if __name__ == "__main__":
    main()
