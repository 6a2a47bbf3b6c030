"""Code common to all benchmarks except the workers: flags, data, the file of results."""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from driver import AVX2_ONLY, HERE, VARIANTS, Lineup, thread_limits
from machine import instructions, machine, processors
from nets import NETS, RECIPES, Net
from quiet import disturbed
from table import show_record

sys.path.insert(0, str(HERE.parent))  # the library beside this folder, installed or not

EPOCH = 60_000
PEERS = ["scratchnet", "torch-nchw", "torch-channels-last", "tf-fit", "tf-batch", "jax-batch"]


def parse(text: str | None, peers: Iterable[str] = PEERS, trains: bool = True, **defaults) -> argparse.Namespace:
    """The flags of every benchmark that asks workers; `defaults` (rounds=7, nets=["all"], ...) become flags too.

    trains: whether the benchmark trains; then peers that only predict are refused.
    """
    parser = parser_of(text, **defaults)
    known = [name for name, variant in VARIANTS.items() if variant.trains or not trains]
    add = parser.add_argument
    add(
        "--peers",
        nargs="+",
        choices=VARIANTS,
        metavar="NAME",
        help=f"of {', '.join(known)} (default: those of {', '.join(peers)} that are installed)",
    )
    add("--patience", type=float, default=20, help="seconds that a turn may wait for an idle machine (default: 20)")
    for module in ("torch", "tf", "jax", "onnx"):
        variable = f"{module.upper()}_PYTHON"
        add(
            f"--{module}-python",
            default=os.environ.get(variable, sys.executable),
            help=f"interpreter that can import {module} (default: ${variable}, then this one)",
        )
    args = parser.parse_args()
    args.pythons = {
        "torch": args.torch_python,
        "tensorflow": args.tf_python,
        "jax": args.jax_python,
        "onnxruntime": args.onnx_python,
        "openvino": args.onnx_python,
    }
    wanted = args.peers or list(peers)
    if trains and (only := [name for name in wanted if not VARIANTS[name].trains]):
        parser.error(f"{', '.join(only)} cannot train, as this benchmark does; inference.py takes such peers")
    args.peers, reasons = available(wanted, args.pythons, args.avx2)
    if reasons and wanted != list(peers):
        parser.error(" ".join(reasons))
    for reason in reasons:
        print(reason, file=sys.stderr)
    return args


def available(names: list[str], pythons: dict[str, str], avx2: bool) -> tuple[list[str], list[str]]:
    """(the variants that can be run here, why others cannot)."""
    missing, found = installed(names, pythons)
    lacking = [name for name in found if VARIANTS[name].instruction not in {"", *instructions()}]
    wide = [name for name in found if avx2 and not VARIANTS[name].has_limit]
    reasons = {
        "not found: {}. Install, or name the interpreters: --torch-python, --onnx-python ...": missing,
        "left out: {}. This processor lacks an instruction for them.": lacking,
        "left out: {}. Nothing limits them to 256-bit vectors.": wide,
    }
    able = [name for name in found if name not in {*lacking, *wide}]
    return able, [reason.format(", ".join(left)) for reason, left in reasons.items() if left]


def parser_of(text: str | None, **defaults) -> argparse.ArgumentParser:
    """The flags of every benchmark, and one for each of `defaults`."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--threads", type=number_like(1), default=len(processors()), help="default: %(default)s")
    add("--data-dir", help="folder of the four IDX files of MNIST (default: as scripts/train.py)")
    add("--avx2", action="store_true", help="limit all frameworks to 256-bit vectors")
    add("--json", type=Path, metavar="FILE", help="file for the results (default: results/<question>.json)")
    for name, value in defaults.items():
        several = isinstance(value, list)
        first = value[0] if several else value
        kind = known_recipe if first == "all" else known_net if first in NETS else number_like(first)
        add(
            f"--{name}",
            default=value,
            type=kind,
            nargs="+" if several else None,
            help=f"default: {' '.join(map(str, value)) if several else value}",
        )
    return parser


def number_like(example):
    """The type of a flag by its default: text as it is; numbers of at least 1, or at least the default."""

    def convert(text: str):
        if not (value := type(example)(text)) >= min(example, 1):
            raise ValueError(text)
        return value

    convert.__name__ = "natural number" if isinstance(example, int) else "number"  # the name used by argparse
    return str if isinstance(example, str) else convert


def known_net(name: str) -> str:
    if name not in NETS:
        raise argparse.ArgumentTypeError(f"no network {name!r}; there are {', '.join(NETS)}")
    return name


def known_recipe(name: str) -> str:
    """chollet, chollet:128 or all."""
    net, _, batch = name.partition(":")
    if batch and not (batch.isdecimal() and int(batch)):
        raise argparse.ArgumentTypeError(f"{name!r}: expected a network and a batch size, such as chollet:128")
    return name if name == "all" else known_net(net) and name


def installed(names: Iterable[str], pythons: dict[str, str]) -> tuple[list[str], list[str]]:
    """(the missing modules, the variants whose modules are found)."""
    needed = {name: (VARIANTS[name].module, *VARIANTS[name].also) for name in names}
    asked = {(VARIANTS[name].module, module) for name, modules in needed.items() for module in modules}
    missing = {(own, module) for own, module in asked if not can_import(pythons.get(own, sys.executable), module)}
    found = [name for name, modules in needed.items() if not missing & {(modules[0], module) for module in modules}]
    return sorted({module for _, module in missing}), found


def can_import(python: str, module: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    try:
        return subprocess.run([python, "-c", code]).returncode == 0
    except OSError:  # the interpreter does not exist
        return False


def recipes(names: Iterable[str]) -> list[tuple[Net, str, int]]:
    """["chollet:128", ...] -> [(network, its title, batch size), ...]; "all" stands for nets.RECIPES."""
    split = [name.partition(":") for name in names if name != "all"]
    chosen = [(net, int(batch or 128)) for net, _, batch in split] or RECIPES
    return [(NETS[net], f"{net}, batch {batch}", batch) for net, batch in chosen]


def restart(args: argparse.Namespace) -> None:
    """Restart this program with its BLAS limited to --threads and Numba to --avx2, if they are not yet.

    Both read their environment variables when they are loaded, and they may already be loaded.
    """
    wanted = {**thread_limits(args.threads), **environment(args)}
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


def load_data(args: argparse.Namespace, images: int = EPOCH) -> dict[str, np.ndarray]:
    """The training images and one order of them for all workers; args.dataset gets the name of the data set."""
    from scratchnet.data import load_dataset

    try:
        ((x, y), _), args.dataset = load_dataset("auto", args.data_dir)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    x, y = x[:images], y[:images]
    return {"x": x, "y": y, "order": np.random.default_rng(0).permutation(len(x))}


def lineup(args: argparse.Namespace, data: dict[str, np.ndarray], threads: int | None = None) -> Lineup:
    """The workers selected by the flags."""
    return Lineup(args.peers, threads or args.threads, data, args.pythons, environment(args), args.patience)


def environment(args: argparse.Namespace) -> dict[str, str]:
    return AVX2_ONLY if args.avx2 else {}


def row(case: str, name: str, answers: list[dict], key: str = "seconds", per: float = 1, **more) -> dict:
    """One line of a results file: `key` of each answer, divided by `per`; lower is better.

    Disturbed turns are left out if three others remain. others: the largest number of processors that other processes
    used during the counted turns; None if unknown.
    """
    quiet = [answer for answer in answers if not disturbed(answer)]
    counted = quiet if len(quiet) >= 3 else answers
    values = [answer[key] / per for answer in counted]
    others = [answer["others"] for answer in counted if answer.get("others") is not None]
    return {
        "case": case,
        "framework": VARIANTS[name].title,
        "variant": name,
        **({} if VARIANTS[name].precision == "float32" else {"precision": VARIANTS[name].precision}),
        **more,
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "runs": values,
        "left_out": len(answers) - len(counted),
        "others": max(others, default=None),
    }


def save(question: str, args: argparse.Namespace, rows: list[dict], versions: dict[str, str], **more) -> Path:
    """Write the results to --json, by default results/<question>.json, and print their table.

    With --avx2 the question's name ends in -avx2. more: unit="s" for rows made by `row`; columns={key: title} for
    rows that already form a table; see `table.py`.
    """
    question += "-avx2" if getattr(args, "avx2", False) else ""
    skip = ("json", "data_dir", "pythons", "torch_python", "tf_python", "jax_python", "onnx_python")
    record = {
        "question": question,
        **more,
        "machine": machine(args.threads, versions),
        "settings": {name: value for name, value in vars(args).items() if name not in skip},
        "rows": rows,
    }
    path = args.json or HERE / "results" / f"{question}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    show_record(record)
    print(f"written: {path}")
    return path
