"""What all benchmarks share beside the workers: flags, data, the record of the machine, the file of results."""
import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from driver import AVX2_ONLY, HERE, VARIANTS, Lineup
from nets import RECIPES
from quiet import disturbed
from table import markdown

sys.path.insert(0, str(HERE.parent))                    # the library beside this folder, installed or not

EPOCH = 60_000
PEERS = ["scratchnet", "torch-nchw", "torch-channels-last", "tf-fit", "tf-batch", "jax-batch"]


def parse(text: str | None, peers: Iterable[str] = PEERS, **defaults) -> argparse.Namespace:
    """The flags of every benchmark; `defaults` (rounds=7, images=7680, ...) become flags of their own."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--peers", nargs="+", choices=VARIANTS, metavar="NAME",
        help=f"of {', '.join(VARIANTS)} (default: those of {', '.join(peers)} that are installed)")
    add("--threads", type=int, default=len(processors()), help="for every framework (default: %(default)s)")
    add("--data-dir", help="folder of the four IDX files of MNIST (default: as scripts/train.py)")
    add("--avx2", action="store_true", help="hold every framework to 256-bit vectors")
    add("--patience", type=float, default=20, help="seconds a turn may wait for a quiet moment (default: 20)")
    add("--out", type=Path, default=HERE / "results", help="folder of the JSON files")
    for module in ("torch", "tf", "jax"):
        variable = f"{module.upper()}_PYTHON"
        add(f"--{module}-python", default=os.environ.get(variable, sys.executable),
            help=f"interpreter that can import {module} (default: ${variable}, then this one)")
    for name, value in defaults.items():
        several = isinstance(value, list)
        add(f"--{name}", default=value, type=type(value[0] if several else value), nargs="+" if several else None,
            help=f"default: {' '.join(map(str, value)) if several else value}")
    args = parser.parse_args()
    args.pythons = {"torch": args.torch_python, "tensorflow": args.tf_python, "jax": args.jax_python}
    args.peers = installed(args.peers or peers, args.pythons, must=bool(args.peers))
    return args


def installed(names: Iterable[str], pythons: dict[str, str], must: bool) -> list[str]:
    """Those of the variants whose module can be found; the others are named, or an error if they must be."""
    names = list(names)
    modules = {VARIANTS[name].module for name in names}
    found = {module for module in modules if can_import(pythons.get(module, sys.executable), module)}
    if missing := sorted(modules - found):
        hint = f"not found: {', '.join(missing)}. Install, or name the interpreters: --torch-python, --tf-python ..."
        if must:
            raise SystemExit(hint)
        print(hint, file=sys.stderr)
    return [name for name in names if VARIANTS[name].module in found]


def can_import(python: str, module: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", code]).returncode == 0


def recipes(names: Iterable[str]) -> list[tuple[str, int]]:
    """["chollet:128", ...] -> [("chollet", 128), ...]; "all" stands for nets.RECIPES."""
    split = [name.partition(":") for name in names if name != "all"]
    return [(net, int(batch or 128)) for net, _, batch in split] or RECIPES


def load_data(args: argparse.Namespace, images: int = EPOCH) -> dict[str, np.ndarray]:
    """The training images and one order of them for all; args.dataset says what they are."""
    from scratchnet.data import load_dataset

    ((x, y), _), args.dataset = load_dataset("auto", args.data_dir)
    x, y = x[:images], y[:images]
    return {"x": x, "y": y, "order": np.random.default_rng(0).permutation(len(x))}


def lineup(args: argparse.Namespace, data: dict[str, np.ndarray], threads: int | None = None) -> Lineup:
    """The workers that the flags ask for."""
    return Lineup(args.peers, threads or args.threads, data, args.pythons, environment(args), args.patience)


def environment(args: argparse.Namespace) -> dict[str, str]:
    return AVX2_ONLY if args.avx2 else {}


def row(case: str, name: str, answers: list[dict], key: str = "seconds", per: float = 1, **more) -> dict:
    """One line of a results file: `key` of each answer, divided by `per`; less is better.

    Disturbed turns are left out if three others remain. others: how many processors somebody else kept busy
    during the turns that count, at worst; None where nobody knows.
    """
    quiet = [answer for answer in answers if not disturbed(answer)]
    counted = quiet if len(quiet) >= 3 else answers
    values = [answer[key] / per for answer in counted]
    others = [answer["others"] for answer in counted if answer.get("others") is not None]
    return {"case": case, "framework": VARIANTS[name].framework, "variant": name, **more,
            "median": statistics.median(values), "min": min(values), "max": max(values), "runs": values,
            "left_out": len(answers) - len(counted), "others": max(others, default=None)}


def save(question: str, args: argparse.Namespace, rows: list[dict], versions: dict[str, str], unit: str) -> Path:
    """Write results/<question>.json (results/<question>-avx2.json with --avx2) and print its table."""
    skip = ("out", "data_dir", "pythons", "torch_python", "tf_python", "jax_python")
    record = {"question": question, "unit": unit, "machine": machine(args.threads, versions),
              "settings": {name: value for name, value in vars(args).items() if name not in skip}, "rows": rows}
    path = args.out / f"{question}{'-avx2' if args.avx2 else ''}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\n{markdown(record)}\nwritten: {path}")
    return path


def machine(threads: int, versions: dict[str, str]) -> dict[str, object]:
    """All that a reader must know to believe a time, and nothing that names the machine's owner."""
    return {"cpu": cpu_model(), "processors": len(processors()), "threads": threads,
            "system": f"{platform.system()} {platform.machine()}", "python": platform.python_version(),
            "versions": dict(sorted(versions.items())), "commit": commit(),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}


def processors() -> list[int]:
    """The processors that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def cpu_model() -> str:
    """The processor's name: from /proc on Linux, from sysctl on macOS, else what Python knows."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    asked = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True) \
        if platform.system() == "Darwin" else None
    return asked.stdout.strip() if asked and asked.returncode == 0 else platform.processor() or platform.machine()


def commit() -> str:
    """The commit that was measured, with a + if files had been changed since."""
    def git(*words: str) -> str:
        try:
            asked = subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=True)
            return asked.stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return ""
    head = git("rev-parse", "--short=12", "HEAD")
    return (head + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")) or "unknown"
