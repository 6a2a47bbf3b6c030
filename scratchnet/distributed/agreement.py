"""Do all ranks train the same model on the same data, with the same code for the same processor?

Nothing of it is assumed. At the start of a run every rank tells the others what it has, and all of them raise the same
error if that differs; at the end of every epoch they compare the digests of their weights.

Kernels are compiled for the processor at hand, and another processor's may round differently. So different processors
are refused, or compiled for what they have in common (`common_target`).
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from typing import Any

import numpy as np

Facts = dict[str, Any]


def versions() -> Facts:
    """The versions of what computes."""
    import llvmlite
    import numba

    import scratchnet

    return {
        "scratchnet": scratchnet.__version__, "numpy": np.__version__, "numba": numba.__version__,
        "llvmlite": llvmlite.__version__, "Python": platform.python_version(),
    }  # fmt: skip


def target() -> tuple[str, str]:
    """The processor's name and its features, for which kernels are compiled: this machine's, or the variables'."""
    from llvmlite import binding

    name = os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    return name, binding.get_host_cpu_features().flatten() if features is None else features


def common(targets: list[tuple[str, str]]) -> tuple[str, str]:
    """A target that all processors can run: the features that each of them has.

    >>> common([("znver4", "+avx2,+avx512f"), ("haswell", "+avx2,-avx512f")])
    ('generic', '+avx2,-avx512f')
    """
    names, sets = zip(*((name, features.split(",")) for name, features in targets), strict=True)
    has = set.intersection(*({f for f in features if f.startswith("+")} for features in sets))
    every = sorted({feature[1:] for features in sets for feature in features if feature})
    chosen = ",".join(f"+{feature}" if f"+{feature}" in has else f"-{feature}" for feature in every)
    return names[0] if len(set(names)) == 1 else "generic", chosen


def agree_on_target(targets: list[tuple[str, str]], hosts: list[str], common_target: bool) -> None:
    """Raise ValueError if the ranks' processors differ; with `common_target`, compile for what they have in common."""
    if len(set(targets)) == 1:
        return
    if not common_target:
        other = next(i for i, found in enumerate(targets) if found != targets[0])
        fewer = f"{unlike(targets[0][1], targets[other][1])}" if targets[0][0] == targets[other][0] else ""
        raise ValueError(
            f"rank 0 ({hosts[0]}) compiles for {targets[0][0]} and rank {other} ({hosts[other]}) for "
            f"{targets[other][0]}{fewer}: their kernels could round differently. Use machines of one kind, or compile "
            "for what all of them have: --common-target (common_target=True)"
        )
    if "scratchnet.compiled.simd.target" in sys.modules:
        raise ValueError("common_target: kernels are loaded already. Call sn.distribute before the first model is made")
    os.environ["NUMBA_CPU_NAME"], os.environ["NUMBA_CPU_FEATURES"] = common(targets)
    if "numba" in sys.modules:
        sys.modules["numba"].core.config.reload_config()


def unlike(one: str, other: str) -> str:
    """The features that only one of two targets has, in words."""
    found = sorted(f[1:] for f in {*one.split(",")} ^ {*other.split(",")} if f.startswith("+"))
    return f" with other features ({', '.join(found[:4])}{', ...' * (len(found) > 4)})"


def facts_of(run: Any) -> Facts:
    """What must be equal on all ranks at the start of a run."""
    model = run.model
    return {"versions": versions(), **run.setup, "epochs": run.epochs, "weights": digest(model)}


def digest(model: Any) -> str:
    """The first digits of the SHA-256 of all arrays of a model."""
    sha = hashlib.sha256()
    for array in (*model.parameters().values(), *model.state().values()):
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()[:16]


def flat(facts: Any, name: str = "") -> Facts:
    """Nested facts with dotted names.

    >>> flat({"optimizer": {"class": "Adam", "lr": 0.1}, "sizes": [1, 2]})
    {'optimizer.class': 'Adam', 'optimizer.lr': 0.1, 'sizes.0': 1, 'sizes.1': 2}
    """
    if isinstance(facts, list):
        facts = dict(enumerate(facts))
    if not isinstance(facts, dict):
        return {name: facts}
    inner = (flat(value, f"{name}.{key}".lstrip(".")) for key, value in facts.items())
    return {key: value for found in inner for key, value in found.items()}


def expect_equal(of_ranks: list[Facts], hosts: list[str]) -> None:
    """Raise ValueError if some facts are not equal; it names the first of them, and the ranks."""
    first, found = flat(of_ranks[0]), []
    for rank, facts in enumerate(map(flat, of_ranks)):
        for name in dict.fromkeys([*first, *facts]):
            if first.get(name) != facts.get(name):
                found.append(
                    f"{name} is {first.get(name)!r} on rank 0 ({hosts[0]}) and {facts.get(name)!r} on rank {rank} "
                    f"({hosts[rank]})"
                )
    if found:
        more = f"; and {len(found) - 3} more" * (len(found) > 3)
        raise ValueError(
            f"the ranks differ: {'; '.join(found[:3])}{more}. Start all of them with the same data, options and "
            "versions"
        )
