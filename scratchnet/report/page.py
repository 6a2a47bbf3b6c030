"""The page of a run, as answers to the usual questions."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from statistics import median
from typing import Any

from scratchnet.figures.picture import Picture, percent
from scratchnet.report.markup import cards, details, document, duration, facts, number, section, show, shown, table
from scratchnet.summary import rows as layer_rows
from scratchnet.training import History

SIGNS = {"good": "✓", "note": "→", "warning": "!"}


def page(
    model: Any, history: History, pictures: dict[str, Picture], findings: list[dict[str, str]],
    metrics: dict[str, Any], settings: dict[str, Any],
) -> str:  # fmt: skip
    """The content of report.html."""
    name = f"{metrics['preset']} on {metrics['dataset']}"
    names = class_names(model, len(metrics["test"]["classes"]))
    parts = [
        headline(escape(name), metrics, findings),
        section("Can the numbers be trusted?", trust(model, metrics), show(pictures, "samples")),
        section("Did it learn?", show(pictures, "augmented", "curves"), epochs(history)),
        section(
            "Where does it fail?", show(pictures, "confusion", "top_losses"), per_class(metrics["test"], names),
            show(pictures, "predictions"), confidence(metrics["test"]), show(pictures, "calibration"),
            show(pictures, "robustness"),
        ),
        section("Why?", show(pictures, "filters", "feature_maps", "health")),
        section("How fast was it?", speed(history, metrics), layers(model)),
        section("Settings", facts((name, shown(value)) for name, value in settings.items())),
    ]  # fmt: skip
    footer = f"scratchnet {metrics['environment']['scratchnet']}."
    footer += "\nEach picture is also in the folder figures, with its numbers as CSV."
    return document(f"{name}: {percent(metrics['test_accuracy'], 2)}", parts, footer)


def parameters(metrics: dict[str, Any]) -> str:
    """How many there are, and of how many the training changed the values if layers were frozen."""
    trained = metrics.get("trained_parameters", metrics["parameters"])
    return f"{metrics['parameters']:,}" + (f", {trained:,} trained" if trained < metrics["parameters"] else "")


def headline(title: str, metrics: dict[str, Any], findings: list[dict[str, str]]) -> str:
    """The accuracy with its interval, the main results, and the findings."""
    tested = metrics["test"]
    low, high = (percent(bound, 2) for bound in tested["accuracy_interval"])
    right = tested["examples"] - tested["mistakes"]
    first = [
        ("test loss", f"{metrics['test_loss']:.4f}"),
        ("as drawn", "unknown" if metrics.get("as_drawn_accuracy") is None else percent(metrics["as_drawn_accuracy"])),
        ("validation", "none" if metrics["val_accuracy"] is None else percent(metrics["val_accuracy"], 2)),
        ("parameters", parameters(metrics)),
        ("epochs", f"{metrics['epochs']}"),
        ("training", duration(metrics["train_seconds"])),
    ]
    said = "".join(
        f'<li class="{escape(f["level"])}"><b>{SIGNS.get(f["level"], "·")}</b> {escape(f["text"])}</li>\n'
        for f in findings
    )
    return f"""<header>
<h1>{title}</h1>
<p class="big">{escape(percent(metrics["test_accuracy"], 2))}</p>
<p>of the test images are recognised: {right:,} of {tested["examples"]:,}.
With 95 % confidence the accuracy on images of this kind lies between {escape(low)} and {escape(high)}.</p>
{cards(first)}{f'<ul class="findings">{said}</ul>' if said else ""}
</header>
"""


def trust(model: Any, metrics: dict[str, Any]) -> str:
    """The data, the kept model, and the environment of the measurement."""
    n, env, sha = metrics["images"], metrics["environment"], metrics["sha256"]
    kind = "synthetic digits, drawn from fonts: not MNIST" if metrics["dataset"] == "synthetic" else metrics["dataset"]
    numba = f", Numba {env['numba']}" if env["numba"] else ""
    judge = f"the best {'training' if metrics['val_accuracy'] is None else 'validation'} accuracy"
    why = "the last" if metrics["kept"] == "last" else judge
    return facts(
        [
            ("data set", kind),
            ("images", f"{'×'.join(map(str, model.input_shape))}, {len(metrics['test']['classes'])} classes"),
            ("split", ", ".join(f"{count:,} {part}" for part, count in n.items())),
            ("test set", "not used for training or for any choice; measured once, at the end"),
            ("model kept", f"that of epoch {metrics['kept_epoch']}: {why}"),
            ("seed", str(metrics["seed"])),
            ("engine", f"{metrics['engine']}, {metrics['threads']} thread{'s' * (metrics['threads'] != 1)}"),
            ("versions", f"scratchnet {env['scratchnet']}, Python {env['python']}, NumPy {env['numpy']}{numba}"),
            ("machine", f"{env['processor']}, {env['system']}"),
            *((f"SHA-256, {what}", value) for what, value in sha.items()),  # of arrays: files may be compressed or not
        ]
    )


def epochs(history: History) -> str:
    """The history as a table."""
    columns = [name for name in history.epochs[0] if name != "images"]
    body = [[number(logs.get(name)) for name in columns] for logs in history.epochs]
    return details("The numbers of every epoch", table([name.replace("_", " ") for name in columns], body))


def per_class(tested: dict[str, Any], names: Sequence[str]) -> str:
    """Precision, recall and F1 of every class, and their averages."""
    body = [
        [name, *(percent(row[what]) for what in ("precision", "recall", "f1")), f"{row['support']:,}"]
        for name, row in zip(names, tested["classes"], strict=True)
    ]
    for kind in ("macro", "weighted"):
        mean = [percent(tested[kind][what]) for what in ("precision", "recall", "f1")]
        body.append([f"{kind} average", *mean, f"{tested['examples']:,}"])
    notes = ""
    if tested["never_predicted"]:
        notes += f"<p>Never predicted: {escape(', '.join(names[k] for k in tested['never_predicted']))}.</p>"
    if tested["without_examples"]:
        missing = escape(", ".join(names[k] for k in tested["without_examples"]))
        notes += f"<p>Without a test image, not included in the averages: {missing}.</p>"
    note = "Precision: the share of correct predictions among all predictions of a class. "
    note += "Recall: the share of correct predictions among all images of a class."
    title = "<h3>Every class</h3>"
    return title + table(["class", "precision", "recall", "F1", "images"], body) + f"<p>{note}</p>" + notes


def confidence(tested: dict[str, Any]) -> str:
    """The mean confidence of correct predictions, and of wrong ones."""
    when = [(word, tested[f"confidence_when_{word}"]) for word in ("right", "wrong")]
    said = " and ".join(f"{percent(value)} sure when it is {word}" for word, value in when if value is not None)
    return f"<p>On average the model is {escape(said)}.</p>"


def speed(history: History, metrics: dict[str, Any]) -> str:
    """Seconds and images per second, without the compilation, which has its own line."""
    compiled = metrics["compile_seconds"]
    return facts(
        [
            ("an epoch", f"{median(history['seconds']):.2f} s (median of {len(history.epochs)})"),
            ("images per second", f"{metrics['images_per_second']:,.0f}"),
            ("total training time", duration(metrics["train_seconds"])),
            ("compiling", f"{compiled:.1f} s, not counted above" if compiled >= 0.05 else "nothing to compile"),
        ]
    )


def layers(model: Any) -> str:
    """The layers, and the cost of each."""
    rows = layer_rows(model)
    total = sum(row.multiply_adds for row in rows)
    body = [
        [
            f"{row.name} ({row.frozen})" if row.frozen else row.name, "×".join(map(str, row.output_shape)),
            f"{row.parameters + row.untrained:,}" if row.parameters else "",
            f"{row.multiply_adds:,}" if row.multiply_adds else "",
            percent(row.multiply_adds / total, 0) if row.multiply_adds else "", row.runs_as,
        ]
        for row in rows
    ]  # fmt: skip
    body.append(["total", "", f"{sum(r.parameters + r.untrained for r in rows):,}", f"{total:,}", "", ""])
    title = "<h3>The cost of each layer</h3><p>Multiply-adds of the forward pass for one image.</p>"
    return title + table(["layer", "output", "parameters", "multiply-adds", "share", "kernels"], body)


def class_names(model: Any, classes: int) -> list[str]:
    """The names of the classes; numbers for classes without a name."""
    names = model.class_names or []
    return [names[k] if k < len(names) else str(k) for k in range(classes)]
