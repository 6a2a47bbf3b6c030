"""The terms behind the last layer: logits, probabilities, the loss, and its derivative by the logits, p - t.

z are the logits, t the target: 1 at the label, 0 elsewhere; with one output the label itself.
"""

from __future__ import annotations

import math

from scratchnet.page.addresses import Index, format_address
from scratchnet.page.parts import Factor, Parts, Term, parts, product
from scratchnet.page.passes import Pass, Record
from scratchnet.page.terms.elementwise import sigmoid


def logit(run: Pass, k: int) -> Factor:
    """z_k."""
    return Factor(format_address("logits", index=(k,)), float(run.logits[k]))


def probability(run: Pass, k: int) -> Factor:
    """p_k."""
    return Factor(format_address("probabilities", index=(k,)), float(run.probabilities[k]))


def logits(run: Pass, index: Index) -> Parts:
    """z_k is what the last layer gives."""
    return parts("z[k] = y[k] of the last layer", [product(run.records[-1].output(index))])


def probabilities(run: Pass, index: Index) -> Parts:
    """p_k = softmax of all logits, or the sigmoid of one, or the output itself."""
    (k,) = index
    if run.outputs == "softmax":
        e = exponentials(list(map(float, run.logits)))
        own = (logit(run, k), *(logit(run, j) for j in range(len(e)) if j != k))
        return parts("p[k] = exp(z[k] - max z) / Σ_j exp(z[j] - max z)", [Term(e[k] / sum(e), own)])
    if run.outputs == "sigmoid":
        return parts("p[k] = 1 / (1 + exp(-z[k]))", [Term(sigmoid(float(run.logits[k])), (logit(run, k),))])
    return parts("the output itself", [product(logit(run, k))])


def exponentials(z: list[float]) -> list[float]:
    """exp(z - max z) of each.

    >>> exponentials([1000.0, 1000.0])
    [1.0, 1.0]
    """
    return [math.exp(value - max(z)) for value in z]


def loss(run: Pass, index: Index) -> Parts:
    """Cross-entropy, binary cross-entropy or the mean squared error, whichever belongs to the model's outputs."""
    z, t, k = list(map(float, run.logits)), run.target, len(run.logits)
    if run.outputs == "softmax":
        (y,) = (j for j in range(k) if t[j] == 1)
        value = math.log(sum(exponentials(z))) + max(z) - z[y]
        return parts("L = -log p[label] = log Σ exp(z) - z[label]", [Term(value, (probability(run, y),))])
    if run.outputs == "sigmoid":
        return parts("L = mean of max(z, 0) - z t + log(1 + exp(-|z|))", (
            Term((max(z[j], 0) - z[j] * t[j] + math.log1p(math.exp(-abs(z[j])))) / k, (logit(run, j),))
            for j in range(k)
        ))  # fmt: skip
    return parts("L = mean of (z - t)²", (Term((z[j] - t[j]) ** 2 / k, (logit(run, j),)) for j in range(k)))


def dlogits(run: Pass, index: Index) -> Parts:
    """Prediction minus truth."""
    (k,), n, t = index, len(run.logits), float(run.target[index])
    if run.outputs == "softmax":
        return parts("dz[k] = p[k] - [k = label]", [product(probability(run, k))], -t)
    times = (1 if run.outputs == "sigmoid" else 2) / n
    formula = "dz[k] = (p[k] - t[k]) / outputs" if run.outputs == "sigmoid" else "dz[k] = 2 (z[k] - t[k]) / outputs"
    return parts(formula, [product(probability(run, k), times=times)], -t * times)


def softmax_output(record: Record, index: Index) -> Parts:
    """The layer Softmax: p over the last axis."""
    *front, k = index
    x = [record.input((*front, j)) for j in range(record.x.shape[-1])]
    e = exponentials([factor.value for factor in x])
    return parts("y[k] = exp(x[k] - max x) / Σ_j exp(x[j] - max x)",
                 [Term(e[k] / sum(e), (x[k], *x[:k], *x[k + 1 :]))])  # fmt: skip


def softmax_input(record: Record, index: Index) -> Parts:
    """dx_k = y_k dy_k - y_k Σ_j y_j dy_j."""
    *front, _ = index
    own = record.output(index)
    pairs = [(record.output((*front, j)), record.upstream((*front, j))) for j in range(record.x.shape[-1])]
    direct = product(own, record.upstream(index), label="direct", group="direct")
    through_sum = (product(own, y, dy, times=-1, group="through the sum") for y, dy in pairs)
    return parts("dx[k] = y[k] · dy[k] - y[k] · Σ_j y[j] · dy[j]", [direct, *through_sum])
