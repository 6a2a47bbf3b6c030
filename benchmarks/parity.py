"""Do they all compute the same thing? Asked before any time is taken.

A fast wrong answer is worth nothing, so equal weights and equal batches go into every framework, and the loss
of each of the first 20 steps (forward, backward, Adam) is laid beside PyTorch's in float64:

    the textbook in float64             within 1e-8, relative: the same mathematics
    every framework in float32          within 1e-3: the same mathematics, rounded

Rounding errors grow: a ReLU that is open in one framework and closed in the other, a maximum that stands one
pixel further, and after some steps the curves part. At the learning rate of the timed runs, 1e-3, PyTorch in
float32 is 2e-3 away from PyTorch in float64 after 20 steps of vgg-bn, and 2e-2 in channels_last, where the sums
of its BatchNorm are less exact. At 1e-4 the networks learn too, and both stay within 2e-4; so that is the rate
here. Dropout is left out (no two frameworks draw the same mask), and is back in where time is taken.
Without PyTorch the textbook in float64 is the measure, and the output says so.

    python benchmarks/parity.py --torch-python <an interpreter that has torch>
"""
from command import lineup, load_data, parse, recipes, save
from driver import VARIANTS, Lineup
from nets import NETS, Net, without_dropout

STEPS, RATE = 20, 1e-4
FLOAT32, FLOAT64 = 1e-3, 1e-8


class NotEqual(SystemExit):
    """Raised when somebody computes something else: then there is nothing to time."""


def check(workers: Lineup, args, data, net: Net, batch: int = 128) -> dict[str, float]:
    """Name -> largest relative deviation of its loss curve; raises NotEqual if one is beyond its limit.

    workers: the ones that will be timed, in float32. The references run in float64, in workers of their own.
    """
    judge = "torch-nchw" if any(VARIANTS[name].module == "torch" for name in args.peers) else "textbook"
    if judge == "textbook":
        print("PyTorch is not in the line-up: compared with our own textbook in float64 only.")
    with Lineup({judge: 0, "textbook": 0}, args.threads, data, args.pythons) as references:
        exact = curves(references, net, batch, "float64")
    found = {"textbook, float64": deviation(exact["textbook"], exact[judge])}
    found |= {name: deviation(losses, exact[judge])
              for name, losses in curves(workers, net, batch, "float32").items()}
    limits = {name: FLOAT64 if name.endswith("float64") else FLOAT32 for name in found}
    if wrong := [name for name in found if not found[name] <= limits[name]]:
        lines = [f"  {name}: by {found[name]:.1e}, allowed are {limits[name]:.0e}" for name in wrong]
        raise NotEqual(f"No time is taken: the losses of {STEPS} steps differ from those of {judge} in float64.\n"
                       + "\n".join(lines))
    return found


def curves(workers: Lineup, net: Net, batch: int, dtype: str) -> dict[str, list[float]]:
    """Name -> the losses of the first steps."""
    workers.start(without_dropout(net), batch, dtype=dtype, lr=RATE)
    return {name: answer["losses"] for name, answer in workers.all("losses", steps=STEPS).items()}


def deviation(losses: list[float], reference: list[float]) -> float:
    """max |a - b| / |b| over the curve."""
    return max(abs(a - b) / abs(b) for a, b in zip(losses, reference, strict=True))


def main() -> None:
    args = parse(__doc__, nets=["all"])
    data, rows = load_data(args), []
    with lineup(args, data) as workers:
        for net, batch in recipes(args.nets):
            for name, value in check(workers, args, data, NETS[net], batch).items():
                print(f"{net}, batch {batch}: {name} within {value:.1e}", flush=True)
                rows.append({"case": f"{net}, batch {batch}", "variant": name, "deviation": value})
        save("parity", args, rows, workers.versions(), unit="relative")


if __name__ == "__main__":
    main()
