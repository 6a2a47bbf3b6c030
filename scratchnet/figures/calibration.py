"""Is the confidence equal to the accuracy? The reliability diagram (Guo et al. 2017, arXiv 1706.04599)."""

from __future__ import annotations

import numpy as np

from scratchnet import metrics
from scratchnet.figures.picture import BLUE, GREY, SMALL, TEXT, Picture, new_figure, percent


def calibration_diagram(probabilities: np.ndarray, labels: np.ndarray) -> Picture:
    """Accuracy against confidence, with Wilson's intervals, above the number of examples in each bin."""
    found = metrics.calibration(probabilities, labels)
    right = np.rint(found.accuracy * found.count).astype(int)
    bounds = np.array([metrics.wilson_interval(int(r), int(n)) for r, n in zip(right, found.count, strict=True)])
    used = found.count > 0

    figure = new_figure(6, 5)
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    upper.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="as sure as right")
    accuracy = found.accuracy[used]
    reach = np.maximum([accuracy - bounds[used, 0], bounds[used, 1] - accuracy], 0)
    upper.errorbar(found.confidence[used], accuracy, reach, color=BLUE, marker="o", markersize=5, capsize=3,
                   linewidth=1, label="this model, 95 % interval")  # fmt: skip
    upper.set(ylim=(-0.02, 1.02))
    upper.set_ylabel("accuracy", fontsize=TEXT)
    upper.legend(fontsize=SMALL)
    lower.bar(found.edges[:-1], found.count, width=np.diff(found.edges), align="edge", color=BLUE, edgecolor="white")
    lower.set_yscale("symlog", linthresh=1)
    lower.set_ylim(0, 3 * found.count.max())
    lower.yaxis.set_major_formatter("{x:,.0f}")
    lower.set_ylabel("images", fontsize=TEXT)
    lower.set_xlabel("confidence: the probability of the prediction", fontsize=TEXT)
    lower.set_xlim(0, 1.02)
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize=SMALL)
    table = (found.edges[:-1], found.edges[1:], found.count, found.confidence, found.accuracy, *bounds.T)
    columns = ("from", "to", "count", "confidence", "accuracy", "interval_low", "interval_high")
    return Picture(
        "calibration", calibration_title(probabilities, labels),
        f"Above the dashed line the accuracy is higher than the confidence, below it lower. The expected "
        f"calibration error, the mean distance from the line, is {100 * found.error:.2f} points. "
        "The lower panel counts the images, on a logarithmic scale.",
        figure, columns, zip(*(column.tolist() for column in table), strict=True),
    )  # fmt: skip


def calibration_title(probabilities: np.ndarray, labels: np.ndarray) -> str:
    """The mean confidence and the accuracy, in words."""
    confidence = float(probabilities.max(axis=1).mean())
    right = probabilities.argmax(axis=1) == labels
    low, high = metrics.wilson_interval(int(right.sum()), len(labels))
    verdict = "over-confident" if confidence > high else "under-confident" if confidence < low else "well calibrated"
    return f"{percent(confidence)} sure on average, right in {percent(float(right.mean()))}: {verdict}"
