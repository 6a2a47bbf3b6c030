"""After training: what the numbers show, in sentences that end with what to do.

There are three sources. The *history* shows how the loss changed, on the training set and on the validation set. The
layers' *health* shows how large the steps were and which units died. The *answers* show which classes the model
never predicts. A finding is {"level": "warning" | "note" | "good", "text": ...}.

The reference for a loss is the loss of guessing: always predicting the class frequencies has a mean loss of

    H = -Σ_k p_k log p_k            the entropy of the labels; log(classes) if all classes are equally frequent
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from scratchnet.process.pipes import printable
from scratchnet.training import History

Finding = dict[str, str]
Epochs = Sequence[dict[str, float]]  # of a History
Row = dict[str, Any]  # of a `health.Health`
LEVELS = {"warning": "✗", "note": "·", "good": "✓"}

# Fractions of H. A loss above the first is no better than guessing; one below the second has learned half of what can
# be learned; a rise of the training loss by the third is more than noise.
NOTHING, LEARNED, SWING = 0.95, 0.5, 0.05
# Update ratios a hundred times smaller and larger than the healthy 1e-3. The first step may be larger: biases are
# still 0, and Adam's first step has full length in every coordinate.
TINY_STEP, HUGE_STEP, FIRST_STEP = 1e-5, 0.1, 0.5
# With too high a learning rate "as much as 40 % of your network can be dead" (CS231n, "Neural Networks 1").
DEAD = 0.4
# Overfitting: the validation loss exceeds its minimum by this factor. Prechelt 1998 ("Early stopping, but when?")
# stops at 1.05; but with 1 % errors on a few thousand images the loss itself is uncertain by 10 %.
OVERFIT = 1.2
# The last epoch was the best, and lowered the validation loss by 5 % (of 0.02, if it is less): longer training helps.
STILL_FALLING = 0.05
# At 3 to 1, a constant answer is right three times in four.
IMBALANCE = 3.0
LOWER = "Try a tenth of it; scripts/lr_find.py suggests one."


def findings(
    history: History,
    health: Sequence[Row] = (),
    labels: np.ndarray | None = None,
    confusion: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
) -> list[Finding]:
    """The findings about a run, warnings first.

    history: the History that fit returned. health: the `rows` of a `health.Health`. labels: those of the training
    set. confusion: the best model's confusion matrix on the validation set (`metrics.confusion_matrix`).
    Checks whose input is missing are skipped.

    >>> history = History([{"loss": 0.5, "val_loss": 0.5}, {"loss": 0.1, "val_loss": 0.9}])
    >>> findings(history)[0]["text"]
    'Overfitting: from epoch 2 on the validation loss rose (0.5 to 0.9) ...'
    """
    epochs, guess = history.epochs, None if labels is None else entropy(labels)
    found: list[Finding] = []
    if (first := first_not_finite(epochs)) is not None:
        diverged = f"Diverged: since epoch {first + 1} the loss is not a number. The learning rate is too high."
        found.append(warning(f"{diverged} {LOWER}"))
    elif epochs and (lag := lagging(epochs, guess)):
        found += [warning(lag), *dead_units(health)]
    elif epochs:
        found += [*learning(epochs, health, guess), *dead_units(health), *fitting(epochs, guess)]
    found += [*imbalance(labels, class_names), *never_predicted(confusion, class_names)]
    return sorted(found, key=lambda finding: list(LEVELS).index(finding["level"]))


def line(finding: Finding) -> str:
    """A finding as it is printed: ✗ for a warning, · for a note, ✓ for good, or ASCII if the output has no such signs.

    >>> print(line(good("All is well.")))
    ✓ All is well.
    """
    return printable(f"{LEVELS[finding['level']]} {finding['text']}")


def warning(text: str) -> Finding:
    """Something is wrong."""
    return {"level": "warning", "text": text}


def note(text: str) -> Finding:
    """Something could be better."""
    return {"level": "note", "text": text}


def good(text: str) -> Finding:
    """Something is right."""
    return {"level": "good", "text": text}


def entropy(labels: np.ndarray) -> float:
    """-Σ p log p of the labels' frequencies: the loss of the best guess without looking at an image.

    >>> round(entropy(np.array([0, 1, 2, 3])), 4)
    1.3863
    """
    counts = class_counts(labels)
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def class_counts(labels: np.ndarray) -> np.ndarray:
    """The number of examples of each class, (classes,); labels are class numbers or one-hot."""
    labels = np.asarray(labels)
    return np.bincount(labels.argmax(axis=1) if labels.ndim == 2 else labels)


def first_not_finite(epochs: Epochs) -> int | None:
    """The first epoch, from 0, with a loss that is infinite or nan."""
    return next((i for i, e in enumerate(epochs) if not math.isfinite(e["loss"] + e.get("val_loss", 0.0))), None)


def lagging(epochs: Epochs, guess: float | None) -> str:
    """A message if the training loss is low in training but high in evaluation; otherwise ""."""
    loss, moving = epochs[-1]["loss"], epochs[-1].get("training_loss", math.inf)
    if not guess or not moving < LEARNED * guess < loss / 2:
        return ""
    return (
        f"In evaluation the training set's loss is {loss:.3g}, in training it was {moving:.3g}: "
        "the running averages of a BatchNorm lag behind. Train longer, or lower its momentum."
    )


# is the learning rate right?


def learning(epochs: Epochs, health: Sequence[Row], guess: float | None) -> Iterator[Finding]:
    """Did the loss fall? If not, were the steps too large or too small?"""
    loss = [epoch["loss"] for epoch in epochs]
    moving = max(epoch.get("training_loss", 0.0) for epoch in epochs)
    rises = sum(after - before > SWING * (guess or max(loss)) for before, after in pairwise(loss))
    first, usual = step_sizes(health)
    learned = guess is None or loss[-1] < LEARNED * guess
    blocked = any(row["dead_share"] == 1 for row in health)
    if usual > HUGE_STEP or (first > FIRST_STEP and not learned):
        yield warning(f"The learning rate is too high: {step_of(max(first, usual))}. {LOWER}")
    elif guess and moving > 1.1 * guess:
        rose = f"the loss rose to {moving:.3g}; guessing gives {guess:.3g}"
        yield warning(f"The learning rate is too high: {rose}. {LOWER}")
    elif rises >= 2 and 3 * rises >= len(loss) - 1:
        swings = f"The training loss oscillates ({rises} rises in {len(loss)} epochs)"
        yield warning(f"{swings}: lower the learning rate, or let a schedule lower it.")
    elif usual < TINY_STEP and not (learned or blocked):
        yield warning(f"The learning rate is too low: {step_of(usual)}. Try ten times as much, or more.")
    elif guess and loss[-1] > NOTHING * guess:
        nothing = f"Nothing was learned: the training loss is {loss[-1]:.3g}; guessing gives {guess:.3g}"
        cause = "A dead layer blocks all gradients" if blocked else "scripts/train.py --doctor looks for the cause"
        yield warning(f"{nothing}. {cause}.")
    elif learned and TINY_STEP < usual < HUGE_STEP:
        yield good(f"The learning rate fits: {step_of(usual)}.")


def step_of(ratio: float) -> str:
    """An update ratio in words."""
    return f"a step changes a layer by {ratio:.0e} of its size (1e-3 is usual)"


def step_sizes(health: Sequence[Row]) -> tuple[float, float]:
    """The update ratio of the first recorded step, and the usual one later: medians over layers, then over steps."""
    steps: dict[int, list[float]] = {}
    for row in health:
        if row["update_ratio"] is not None:
            steps.setdefault(row["step"], []).append(row["update_ratio"])
    medians = [float(np.median(steps[step])) for step in sorted(steps)]
    return (medians[0], float(np.median(medians[1:] or medians))) if medians else (math.nan, math.nan)


def dead_units(health: Sequence[Row]) -> Iterator[Finding]:
    """Which ReLUs have dead units, and since when?"""
    layers: dict[str, list[tuple[int, float]]] = {}
    for row in health:
        if row["dead_share"] is not None:
            layers.setdefault(row["layer"], []).append((row["step"], row["dead_share"]))
    lost = []
    for name, records in layers.items():
        if (share := records[-1][1]) >= DEAD:
            alive = [i for i, record in enumerate(records) if record[1] < DEAD]
            step = records[alive[-1] + 1 if alive else 0][0]
            lost.append(f"{'all' if share == 1 else f'{share:.0%}'} of {name} since step {step} or earlier")
    if lost:
        cure = "A lower learning rate or a BatchNorm before it keeps units alive."
        yield warning(f"Dead units, 0 for every image: {', '.join(lost)}. {cure}")
    shares = {name: records[-1][1] for name, records in layers.items()}
    if shares and max(shares.values()) < DEAD:
        worst = max(shares, key=lambda name: shares[name])
        yield good(f"The ReLUs are alive: at most {shares[worst]:.0%} of a layer's units are dead ({worst}).")


# did it learn the right thing?


def fitting(epochs: Epochs, guess: float | None) -> Iterator[Finding]:
    """Overfitting, underfitting, or stopped too early?"""
    loss, val = ([epoch[name] for epoch in epochs if name in epoch] for name in ("loss", "val_loss"))
    learned = guess is None or loss[-1] <= LEARNED * guess
    best = int(np.argmin(val)) if len(val) == len(loss) else len(loss) - 1
    if len(val) == len(loss) and val[-1] > OVERFIT * val[best] and loss[-1] < loss[best]:
        rose = f"the validation loss rose ({val[best]:.3g} to {val[-1]:.3g})"
        fell = f"the training loss fell ({loss[best]:.3g} to {loss[-1]:.3g})"
        cure = "Stop there, or use more images, dropout or augmentation."
        yield warning(f"Overfitting: from epoch {best + 2} on {rose} while {fell}. {cure}")
    elif guess and not learned and loss[-1] <= NOTHING * guess:
        under = f"Underfitting: even on the training set the loss is {loss[-1]:.3g}; guessing gives {guess:.3g}"
        yield note(f"{under}. Train longer, with a higher learning rate, or a larger network.")
    elif learned and 2 <= len(val) == len(loss):
        if val[-2] - val[-1] > STILL_FALLING * max(val[-2], 0.02) and best == len(val) - 1:
            yield note("The last epoch was the best and the validation loss still falls: train longer.")
        elif best == len(val) - 1:
            yield good(f"The validation loss hardly falls any more, {val[best]:.3g} in the last epoch.")
        else:
            yield good(f"The validation loss reached its minimum, {val[best]:.3g}, in epoch {best + 1} of {len(val)}.")
    if guess and learned:
        yield good(f"The training loss fell to {loss[-1]:.3g}; guessing gives {guess:.3g}.")


# the classes


def imbalance(labels: np.ndarray | None, class_names: Sequence[str] | None) -> Iterator[Finding]:
    """Are some classes much rarer than others?"""
    if labels is None:
        return
    counts = class_counts(labels)
    few, many = int(counts.argmin()), int(counts.argmax())
    if counts[many] > IMBALANCE * counts[few]:
        most = f"{counts[many]:,} training images of class {title(many, class_names)}"
        least = f"{counts[few]:,} of class {title(few, class_names)}"
        yield note(f"There are {most} and {least}: look at each class's recall, not at the accuracy.")


def never_predicted(confusion: np.ndarray | None, class_names: Sequence[str] | None) -> Iterator[Finding]:
    """Are there classes that the model never predicts?"""
    if confusion is None:
        return
    missing = np.flatnonzero((confusion.sum(axis=0) == 0) & (confusion.sum(axis=1) > 0))
    if len(missing):
        names = ", ".join(title(int(k), class_names) for k in missing)
        yield warning(f"The model never predicts {names}, though the validation set has such images.")


def title(k: int, class_names: Sequence[str] | None) -> str:
    """A class's name, or its number."""
    return class_names[k] if class_names else str(k)
