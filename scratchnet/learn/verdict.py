"""The answer to a learner's file: right; or what is wrong, where, and the hint that fits.

1. The file runs in a process of its own: see `sandbox`.
2. Its results are compared with the textbook's on all cases. The smallest case that differs is shown.
3. Gradients are compared with finite differences too. They know no textbook: they say what the derivative is.
4. A wrong result is compared with those of the known mistakes. If one of them gives the same numbers in all cases, its
   docstring is the hint.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scratchnet.learn import compare, sandbox
from scratchnet.learn.exercise import Arguments, Exercise
from scratchnet.learn.sandbox import Failure

H = 1e-6  # the step of the finite differences
CLOSE = 1e-5  # relative; the differences themselves are exact to about 1e-9
STUB_KINDS = ("NotImplementedError", "ImportError")
CHECKED = 3  # entries of each gradient and case


class Verdict(NamedTuple):
    """passed, the lines to print, and the name of the known mistake, or of the kind of error, or ""."""

    passed: bool
    lines: list[str]
    reason: str

    def __str__(self) -> str:
        return "\n".join(self.lines)


def check(exercise: Exercise, path: Path, seconds: float = sandbox.SECONDS) -> Verdict:
    """Run the learner's file and judge it. Raises FileNotFoundError if there is no such file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: there is no such file. Write one with: scratchnet learn {exercise.number}")
    cases = exercise.drawn()
    ended = sandbox.run(path, exercise.function, cases, seconds)
    title = f"exercise {exercise.number}, {exercise.title}"
    printed = [f"its output: {line}" for line in ended.printed.splitlines()[:10]]
    lines = [*printed, f"{title}: not right yet."]
    expected = [compare.as_arrays(outcome(exercise.textbook, case)) for case in cases]
    wrong = [
        i for i, got in enumerate(ended.outcomes)
        if isinstance(got, Failure) or not compare.same(got, expected[i], exercise.tolerance)
    ]  # fmt: skip
    if wrong:
        return first_wrong(exercise, ended, cases, expected, wrong, lines)
    if ended.problem is not None:
        begun = cases[len(ended.outcomes)] if ended.problem.kind in ("time", "crash") and ended.outcomes else None
        return Verdict(False, [*lines, *stopped(exercise, ended.problem, begun)], ended.problem.kind)
    if exercise.law and (broken := exercise.law(cases, ended.outcomes)):
        return Verdict(False, [*lines, broken], "law")
    count = finite_differences(exercise, cases, ended.outcomes)
    also = f", and {count} entries of the gradients with finite differences" if count else ""
    right = f"✓ {title}: right. All {len(cases)} drawn cases agree with the textbook{also}."
    return Verdict(True, [*printed, right], "")


def stopped(exercise: Exercise, failure: Failure, case: Arguments | None) -> list[str]:
    """An error in place of a result: of a case, or of the whole file."""
    if failure.kind == "NotImplementedError":
        return [f"{exercise.function} is still the stub: replace `raise NotImplementedError` with your code."]
    if failure.kind == "ImportError" and "scratchnet" in failure.text:
        return [f"{failure.text}. Write {exercise.function} with NumPy alone."]
    where = f"    in the case {compare.described(exercise.arguments, case)}" if case else "    while it was loaded"
    return [failure.text, where]


def first_wrong(
    exercise: Exercise, ended: sandbox.Ended, cases: list[Arguments], expected: list, wrong: list[int], lines: list[str]
) -> Verdict:  # fmt: skip
    """Some results are wrong: the smallest case, where, the derivative as differences say it, and the hint."""
    first, reason = wrong[0], ""
    got, case = ended.outcomes[first], cases[first]
    if isinstance(got, Failure):
        reason = got.kind
        lines = [*lines, *stopped(exercise, got, case)]
    else:
        lines = [
            *lines,
            f"{len(wrong)} of {len(ended.outcomes)} drawn cases differ from the textbook. The smallest:",
            f"    {compare.described(exercise.arguments, case)}",
            *compare.small_arrays(exercise.arguments, case),
            *compare.report(exercise.outputs, got, expected[first], exercise.tolerance),
            *from_differences(exercise, case, got, expected[first]),
        ]
    if ended.problem:
        lines.append(f"then: {ended.problem.text}")
    if reason not in STUB_KINDS and (mistake := recognised(exercise, cases, ended.outcomes, expected)):
        return Verdict(False, [*lines, f"hint: {hint(mistake)}"], mistake.__name__)
    return Verdict(False, lines, reason)


def hint(mistake: Callable[..., Any]) -> str:
    """The docstring of a known mistake in one line."""
    return " ".join((inspect.getdoc(mistake) or "").split())


def recognised(exercise: Exercise, cases: list[Arguments], outcomes: list, expected: list) -> Callable[..., Any] | None:
    """The known mistake that gives the learner's results; or, of several outputs, one that is wrong."""
    made = {m: [outcome(m, case) for case in cases[: len(outcomes)]] for m in exercise.mistakes}
    for mistake in exercise.mistakes:
        if explains(exercise, outcomes, made[mistake], expected):
            return mistake
    for k in range(len(exercise.outputs) if len(exercise.outputs) > 1 else 0):
        mine, right = only(k, outcomes), only(k, expected)
        for mistake in exercise.mistakes:
            if explains(exercise, mine, only(k, made[mistake]), right, some_wrong=True):
                return mistake
    return None


def only(k: int, results: list) -> list:
    """Output k of each result; errors as they are, also those of results that have no such output."""
    found: list[Any] = []
    for result in results:
        if isinstance(result, Failure | Exception):
            found.append(result)
        else:
            arrays = compare.as_arrays(result)
            found.append(arrays[k : k + 1] if k < len(arrays) else Failure("IndexError", "no such output"))
    return found


def explains(exercise: Exercise, outcomes: list, made: list, expected: list, some_wrong: bool = False) -> bool:
    """Whether a mistake's results are the learner's: equal where both computed something, one of them wrong.

    Errors depend on how a mistake is written: where one of the two failed, the other must have failed or be wrong.
    some_wrong: whether something must have been computed; else the same failures are enough.
    """
    wrong_alike = 0
    for got, other, right in zip(outcomes, made, expected, strict=False):
        computed = [arrays for arrays in (got, other) if not isinstance(arrays, Failure | Exception)]
        computed = [compare.as_arrays(arrays) for arrays in computed]
        right_ones = [compare.same(arrays, right, exercise.tolerance) for arrays in computed]
        if len(computed) == 1 and right_ones[0]:
            return False
        if len(computed) == 2:
            if not compare.same(finite(computed[0]), finite(computed[1]), exercise.tolerance):
                return False
            wrong_alike += not right_ones[0]
    if wrong_alike or some_wrong:
        return wrong_alike > 0
    return [isinstance(got, Failure) for got in outcomes] == [isinstance(other, Exception) for other in made]


def finite(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The arrays with NaN for what is not finite: whether an overflow ends as NaN or ∞ depends on how it is written."""
    return [np.where(np.isfinite(array), array, np.nan) for array in arrays]


def outcome(function: Callable[..., Any], case: Arguments) -> Any:
    """What a function returns for a case, or the exception that it raises."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(*case)
        except Exception as error:
            return error


def difference(exercise: Exercise, case: Arguments, argument: str, index: tuple[int, ...]) -> float | None:
    """(L(a + h) - L(a - h)) / 2h for one entry of an argument; None where the slopes on both sides differ.

    There L has a corner, at a tie of a max-pool for instance, and no derivative.
    """
    place, values = exercise.arguments.index(argument), []
    assert exercise.loss is not None
    for step in (H, 0.0, -H):
        nudged = np.array(case[place], np.float64)
        nudged[index] += step
        values.append(float(exercise.loss(*case[:place], nudged, *case[place + 1 :])))
    right, left = (values[0] - values[1]) / H, (values[1] - values[2]) / H
    return None if abs(right - left) > 1e-3 * max(abs(right), abs(left), 1.0) else (right + left) / 2


def from_differences(exercise: Exercise, case: Arguments, got: list, expected: list) -> list[str]:
    """What finite differences say about the first wrong entry of each gradient."""
    lines: list[str] = []
    if exercise.loss is None or len(got) != len(expected):
        return lines
    for name, mine, right in zip(exercise.outputs, got, expected, strict=True):
        if name in exercise.gradients and mine.shape == right.shape and compare.differs(mine, right).any():
            index = tuple(map(int, np.argwhere(compare.differs(mine, right))[0]))
            slope = difference(exercise, case, exercise.gradients[name], index)
            says = "see a corner, where there is no derivative," if slope is None else f"give {compare.shown(slope)}"
            lines.append(f"    finite differences {says} for {name}{list(index)}")
    return lines


def finite_differences(exercise: Exercise, cases: list[Arguments], results: list) -> int:
    """Compare entries of the gradients, drawn at random, with finite differences; how many. They must agree."""
    rng, count = np.random.default_rng(exercise.number), 0
    for case, got in zip(cases, results, strict=True):
        for name, mine in zip(exercise.outputs, got, strict=True):
            for _ in range(CHECKED if name in exercise.gradients else 0):
                index = tuple(int(rng.integers(side)) for side in mine.shape)
                slope = difference(exercise, case, exercise.gradients[name], index)
                if slope is not None:
                    assert abs(slope - mine[index]) <= CLOSE * max(np.abs(mine).max(), 1.0), "the textbook is wrong"
                    count += 1
    return count
