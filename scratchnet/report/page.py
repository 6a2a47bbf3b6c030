"""The page: plain HTML in one file, with its pictures inside it. It needs no network and no script.

Whatever comes from a user (class names, paths, settings) is text and never markup: `escape` is called where text
becomes HTML, and a policy in the head forbids the browser to load or run anything.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Sequence
from html import escape
from statistics import median
from typing import Any

from scratchnet.figures.picture import Picture, percent
from scratchnet.report.style import STYLE
from scratchnet.summary import rows as layer_rows

SIGNS = {"good": "✓", "note": "→", "warning": "!"}


def page(
    model, history, pictures: dict[str, Picture], findings: list[dict[str, str]], metrics: dict[str, Any],
    settings: dict[str, Any],
) -> str:  # fmt: skip
    """The whole of report.html."""
    title = escape(f"{metrics['preset']} on {metrics['dataset']}")
    names = class_names(model, len(metrics["test"]["classes"]))
    parts = [
        headline(title, metrics, findings),
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
    written = time.strftime("%Y-%m-%d %H:%M")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}: {escape(percent(metrics["test_accuracy"], 2))}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{"".join(parts)}
</main>
<footer>Written {written} by scratchnet {escape(metrics["environment"]["scratchnet"])}.
Each picture is also in the folder figures, with its numbers as CSV.</footer>
</body>
</html>
"""


def headline(title: str, metrics: dict[str, Any], findings: list[dict[str, str]]) -> str:
    """The accuracy with its interval, the numbers one asks for first, and what was found out."""
    tested = metrics["test"]
    low, high = (percent(bound, 2) for bound in tested["accuracy_interval"])
    right = tested["examples"] - tested["mistakes"]
    first = [
        ("test loss", f"{metrics['test_loss']:.4f}"),
        ("as drawn", "unknown" if metrics.get("as_drawn_accuracy") is None else percent(metrics["as_drawn_accuracy"])),
        ("validation", "none" if metrics["val_accuracy"] is None else percent(metrics["val_accuracy"], 2)),
        ("parameters", f"{metrics['parameters']:,}"),
        ("epochs", f"{metrics['epochs']}"),
        ("training", duration(metrics["train_seconds"])),
    ]
    numbers = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in first)
    said = "".join(
        f'<li class="{escape(f["level"])}"><b>{SIGNS.get(f["level"], "·")}</b> {escape(f["text"])}</li>\n'
        for f in findings
    )
    return f"""<header>
<h1>{title}</h1>
<p class="big">{escape(percent(metrics["test_accuracy"], 2))}</p>
<p>of the test images are recognised: {right:,} of {tested["examples"]:,}.
With 95 % confidence the accuracy on images of this kind lies between {escape(low)} and {escape(high)}.</p>
<dl class="numbers">{numbers}</dl>
{f'<ul class="findings">{said}</ul>' if said else ""}
</header>
"""


def section(title: str, *parts: str) -> str:
    """A heading and what belongs to it; nothing at all if there is nothing."""
    body = "".join(parts)
    return f"<section>\n<h2>{title}</h2>\n{body}</section>\n" if body else ""


def show(pictures: dict[str, Picture], *names: str) -> str:
    """Pictures under their titles, above their captions."""
    return "".join(figure(pictures[name]) for name in names if name in pictures)


def figure(picture: Picture) -> str:
    """One picture; its title is text of the page, so the picture comes without it."""
    data = base64.b64encode(picture.png(heading=False)).decode()
    return f"""<figure>
<h3>{escape(picture.title)}</h3>
<div class="picture"><img src="data:image/png;base64,{data}" alt="{escape(picture.title)}"></div>
<figcaption>{escape(picture.caption)}</figcaption>
</figure>
"""


def trust(model, metrics: dict[str, Any]) -> str:
    """What was measured on what, and by what."""
    n, env, sha = metrics["images"], metrics["environment"], metrics["sha256"]
    kind = "synthetic digits, drawn from fonts: not MNIST" if metrics["dataset"] == "synthetic" else metrics["dataset"]
    numba = f", Numba {env['numba']}" if env["numba"] else ""
    judge = "training" if metrics["val_accuracy"] is None else "validation"
    return facts(
        [
            ("data set", kind),
            ("images", f"{'×'.join(map(str, model.input_shape))}, {len(metrics['test']['classes'])} classes"),
            ("split", ", ".join(f"{count:,} {part}" for part, count in n.items())),
            ("test set", "took no part in training or in any choice; measured once, at the end"),
            ("model kept", f"the one after epoch {metrics['best_epoch']}, chosen by the {judge} accuracy"),
            ("seed", str(metrics["seed"])),
            ("engine", f"{metrics['engine']}, {metrics['threads']} thread{'s' * (metrics['threads'] != 1)}"),
            ("versions", f"scratchnet {env['scratchnet']}, Python {env['python']}, NumPy {env['numpy']}{numba}"),
            ("machine", f"{env['processor']}, {env['system']}"),
            *((f"SHA-256, {what}", value) for what, value in sha.items()),  # of arrays: files may be packed or not
        ]
    )


def epochs(history) -> str:
    """The numbers of the curves."""
    columns = [name for name in history.epochs[0] if name != "images"]
    body = [[number(logs.get(name)) for name in columns] for logs in history.epochs]
    return details("The numbers of every epoch", table([name.replace("_", " ") for name in columns], body))


def per_class(tested: dict[str, Any], names: Sequence[str]) -> str:
    """Precision, recall and F1 of every class and averaged."""
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
        notes += f"<p>Without a test image, and left out of the averages: {missing}.</p>"
    note = "Precision: of all that was called so, how much was. Recall: of all that was, how much was called so."
    title = "<h3>Every class</h3>"
    return title + table(["class", "precision", "recall", "F1", "images"], body) + f"<p>{note}</p>" + notes


def confidence(tested: dict[str, Any]) -> str:
    """How sure the model is when it is right, and when it is wrong."""
    when = [(word, tested[f"confidence_when_{word}"]) for word in ("right", "wrong")]
    said = " and ".join(f"{percent(value)} sure when it is {word}" for word, value in when if value is not None)
    return f"<p>On average the model is {escape(said)}.</p>"


def speed(history, metrics: dict[str, Any]) -> str:
    """Seconds and images per second, compiling apart."""
    compiled = metrics["compile_seconds"]
    return facts(
        [
            ("an epoch", f"{median(history['seconds']):.2f} s (median of {len(history.epochs)})"),
            ("images per second", f"{metrics['images_per_second']:,.0f}"),
            ("training in all", duration(metrics["train_seconds"])),
            ("compiling", f"{compiled:.1f} s, not counted above" if compiled >= 0.05 else "nothing to compile"),
        ]
    )


def layers(model) -> str:
    """The layers and what each costs."""
    rows = layer_rows(model)
    total = sum(row.multiply_adds for row in rows)
    body = [
        [
            row.name, "×".join(map(str, row.output_shape)),
            f"{row.parameters + row.untrained:,}" if row.parameters else "",
            f"{row.multiply_adds:,}" if row.multiply_adds else "",
            percent(row.multiply_adds / total, 0) if row.multiply_adds else "", row.runs_as,
        ]
        for row in rows
    ]  # fmt: skip
    body.append(["total", "", f"{sum(r.parameters + r.untrained for r in rows):,}", f"{total:,}", "", ""])
    title = "<h3>What each layer costs</h3><p>Multiply-adds of one image's way forward.</p>"
    return title + table(["layer", "output", "parameters", "multiply-adds", "share", "kernels"], body)


# the vocabulary


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of names and what they are."""
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="facts">{rows}</dl>\n'


def table(columns: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """The first column names the row; all others are numbers, aligned on the right."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in others)}</tr>\n'
        for first, *others in body
    )
    return f'<div class="table"><table><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n'


def details(summary: str, body: str) -> str:
    """Something that opens when it is asked for."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>\n"


def class_names(model, classes: int) -> list[str]:
    """The classes' names; their numbers where they have none."""
    names = model.class_names or []
    return [names[k] if k < len(names) else str(k) for k in range(classes)]


def number(value: float | None) -> str:
    """Whole numbers as such, others with four significant digits."""
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1 else f"{value:.4g}"


def shown(value: Any) -> str:
    """A setting as text."""
    return "default" if value is None else str(value)


def duration(seconds: float) -> str:
    """12.3 s, 4 min 5 s, 2 h 3 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {s} s"
