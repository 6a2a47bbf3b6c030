"""From the JSON files of `results/` to the tables and pictures of the README.

    python benchmarks/table.py                          every result: a Markdown table on the screen, a PNG beside it
    python benchmarks/table.py --into README.md         and the tables between <!-- training --> and <!-- /training -->

A result has either "columns", and is a table as it is; or a "unit" and rows that are times of frameworks, some perhaps
in a "unit" of their own. Of these a framework that was run in several ways is represented by the one with the smallest
median. What computes in another "precision" than float32 has a column of its own.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from quiet import disturbed

HERE = Path(__file__).resolve().parent
OURS = ("scratchnet", "textbook")  # never "the fastest peer"
COLOURS = {
    "scratchnet": "#d1495b",
    "textbook": "#edae49",
    "PyTorch": "#30638e",
    "torch.compile": "#5e8fb8",
    "Keras/TensorFlow": "#6b9080",
    "Keras/JAX": "#a9a9a9",
    "ONNX Runtime": "#7b5ea7",
    "OpenVINO": "#2a9d8f",
    "PyTorch bfloat16": "#8fb8de",
    "torch.compile bfloat16": "#b9d3ea",
    "OpenVINO bfloat16": "#8fd6cd",
    "OpenVINO int8": "#c9ece7",
}
PRECISION = (
    "bfloat16 and int8 are columns of their own, and never the fastest peer, which computes in float32 as we do."
)


def best(rows: list[dict]) -> dict[str, dict[str, dict]]:
    """case -> framework -> its fastest row, in the order in which they were measured."""
    found: dict[str, dict[str, dict]] = {}
    for row in rows:
        frameworks = found.setdefault(row["case"], {})
        if row["framework"] not in frameworks or row["median"] < frameworks[row["framework"]]["median"]:
            frameworks[row["framework"]] = row
    return found


def markdown(record: dict) -> str:
    """The record as tables: median (smallest–largest), and how ours compares with the fastest peer."""
    if "columns" in record:
        return "\n\n".join([listing(record), footnote(record)])
    parts = []
    for unit in dict.fromkeys(row.get("unit", record["unit"]) for row in record["rows"]):
        rows = [row for row in record["rows"] if row.get("unit", record["unit"]) == unit]
        parts.append(grid(best(rows), unit, median_and_spread, ratio=True))
        if any(row.get("images", 0) > 1 for row in rows):
            parts.append(grid(best(rows), "images per second", lambda row: f"{row['images'] / row['median']:,.0f}"))
    return "\n\n".join([*parts, footnote(record)])


def grid(cases, corner: str, cell, ratio: bool = False) -> str:
    """One table: a line a case, a column a framework."""
    frameworks = list(dict.fromkeys(name for found in cases.values() for name in found))
    lines = [[corner, *frameworks, *(["of the fastest peer"] if ratio else [])]]
    for case, found in cases.items():
        cells = [cell(found[name]) if name in found else "" for name in frameworks]
        lines.append([case, *cells, *([share(found)] if ratio else [])])
    return aligned(lines, ["---", *["---:"] * (len(lines[0]) - 1)])


def listing(record: dict) -> str:
    """A table of rows that are as they shall be shown: "columns" maps their keys to the titles."""
    rows = [[row.get(key) for key in record["columns"]] for row in record["rows"]]
    sides = ["---:" if all(map(to_the_right, column)) else "---" for column in zip(*rows, strict=True)]
    return aligned([list(record["columns"].values()), *[list(map(cell, row)) for row in rows]], sides)


def show_record(record: dict) -> None:
    """The record: by rich on a terminal if its rows are a table as they are, else as Markdown."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if "columns" not in record or not console.is_terminal:
        print(f"\n{markdown(record)}\n")
        return
    header, sides, *lines = (line.strip("|").split("|") for line in listing(record).splitlines())
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title, side in zip(header, sides, strict=True):
        table.add_column(title.strip(), justify="right" if side.strip().endswith(":") else "left")
    for line in lines:
        table.add_row(*(text.strip() for text in line))
    console.print("", table, "", footnote(record), "", sep="\n", markup=False, highlight=False)


def aligned(lines: list[list[str]], sides: list[str]) -> str:
    """Markdown of a table whose first line is the header."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], sides, *lines[1:]])


def to_the_right(value) -> bool:
    """Numbers, and what ends like one."""
    return not isinstance(value, str) or value[-1:] in "%×"


def cell(value) -> str:
    """Text as it is, integers with commas, numbers with three digits, nothing for None."""
    if isinstance(value, float):
        return show(value) if value == 0 or abs(value) >= 0.01 else f"{value:.1e}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def median_and_spread(row: dict) -> str:
    """1.50 (1.48–1.61), with a dagger if others used the processors: such a time says little."""
    dagger = " †" if disturbed(row) else ""
    if len(row["runs"]) == 1:
        return show(row["median"]) + dagger
    return f"{show(row['median'])} ({show(row['min'])}–{show(row['max'])}){dagger}"


def share(found: dict[str, dict]) -> str:
    """Our median over that of the fastest peer of our precision: 0.25 is a quarter of its time."""
    peers = [row["median"] for name, row in found.items() if name not in OURS and "precision" not in row]
    mine = found.get("scratchnet")
    return f"{mine['median'] / min(peers):.2f}×" if mine and peers and min(peers) > 0 else ""


def show(value: float) -> str:
    """Three significant digits, and no exponent."""
    if abs(value) >= 100 or value == 0:
        return f"{value:,.0f}"
    digits = 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}" if abs(value) >= 0.01 else f"{value:.5f}"


def footnote(record: dict) -> str:
    """Machine, threads, versions: without them a time says nothing."""
    machine, settings = record["machine"], record["settings"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    turns = max(len(row.get("runs", ())) for row in record["rows"])  # none in a table with "columns"
    parts = [
        machine["cpu"],
        f"{machine['threads']} thread{'s' * (machine['threads'] > 1)}",
        machine["system"],
        f"Python {machine['python']}",
        versions,
    ]
    parts += ["held to 256-bit vectors"] * bool(settings.get("avx2"))
    return "; ".join(
        [
            ", ".join(parts),
            *filter(None, [settings.get("dataset")]),
            f"commit {machine['commit']}, {machine['date'][:10]}.",
        ]
    ) + (
        (f" Median of up to {turns} alternating turns, smallest–largest in brackets." if turns > 1 else "")
        + (" † Other programs used the processors during a turn." if any(map(disturbed, record["rows"])) else "")
        + (f" {PRECISION}" if any("precision" in row for row in record["rows"]) else "")
        + (f" {record['note']}" if "note" in record else "")
    )


def plot(record: dict, path: Path) -> None:
    """A picture of the record: lines where something was varied, bars elsewhere."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    def group(row: dict):
        """What shares a panel: what was varied, or the number of images, for 10,000 and one have no common scale."""
        return row.get("axis", row.get("images"))

    groups: dict = {}
    for row in record["rows"]:
        groups.setdefault(group(row), []).append(row)
    in_bars = [rows for rows in groups.values() if "axis" not in rows[0]]
    height = 2.5 + 0.5 * max(len({row["case"] for row in rows}) for rows in in_bars) if in_bars else 4.5
    across = min(len(groups), 3)
    down = -(-len(groups) // across)
    size = 4 * across + bool(in_bars) * 4 + len(in_bars), height * down
    figure, axes = plt.subplots(down, across, figsize=size, squeeze=False, layout="constrained")
    for panel in axes.flat[len(groups) :]:
        panel.remove()
    for panel, (key, rows) in zip(axes.flat, groups.items(), strict=False):
        varied, unit = "axis" in rows[0], rows[0].get("unit", record["unit"])
        (lines if varied else bars)(panel, best(rows))
        panel.set_xlabel(key if varied else unit)
        panel.set_ylabel(unit if varied else "")
        panel.spines[["top", "right"]].set_visible(False)
    names = axes.flat[0].get_legend_handles_labels()
    figure.legend(*names, loc="outside lower center", ncols=len(names[0]), frameon=False)
    figure.suptitle(f"{record['question']}: {record['machine']['cpu']}, {record['machine']['threads']} threads")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def bars(panel, cases) -> None:
    """Horizontal bars, a group for each case; the whiskers reach from the smallest to the largest run."""
    frameworks = list(dict.fromkeys(name for found in cases.values() for name in found))
    height = 0.8 / len(frameworks)
    for i, name in enumerate(frameworks):
        rows = [(k + i * height, found[name]) for k, found in enumerate(cases.values()) if name in found]
        medians = [row["median"] for _, row in rows]
        whiskers = [[row["median"] - row["min"] for _, row in rows], [row["max"] - row["median"] for _, row in rows]]
        panel.barh(
            [y for y, _ in rows],
            medians,
            height * 0.9,
            xerr=whiskers,
            label=name,
            color=COLOURS.get(name),
            error_kw={"linewidth": 0.8},
        )
    panel.set_yticks([k + 0.4 - height / 2 for k in range(len(cases))], list(cases))
    panel.invert_yaxis()


def lines(panel, cases) -> None:
    """A line for each framework over what was varied, both axes logarithmic."""
    import matplotlib.ticker

    for name in dict.fromkeys(name for found in cases.values() for name in found):
        points = [(found[name]["x"], found[name]["median"]) for found in cases.values() if name in found]
        panel.plot(*zip(*points, strict=True), "o-", label=name, color=COLOURS.get(name))
    measured = sorted({row["x"] for found in cases.values() for row in found.values()})
    panel.set(xscale="log", yscale="log")
    panel.set_xticks(measured, [f"{x:g}" for x in measured])
    panel.minorticks_off()
    panel.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter("{x:g}")


def insert(text: str, name: str, table: str) -> str:
    """`text` with the table between its markers <!-- name --> and <!-- /name -->, if it has them."""
    between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return between.sub(lambda match: f"{match[1]}{table}\n{match[2]}", text)


def read(path: Path) -> dict:
    """The record in a file of results, or a ValueError that says what is in there instead."""
    try:
        record = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    if not (isinstance(record, dict) and {"question", "machine", "settings"} <= record.keys() and record.get("rows")):
        raise ValueError(f"{path} is no result of a benchmark: expected question, machine, settings and rows")
    return record


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="default: all of results/*.json")
    parser.add_argument("--into", type=Path, help="a Markdown file with markers")
    args = parser.parse_args()
    try:
        files = args.files or sorted((HERE / "results").glob("*.json"))
        records = {path: read(path) for path in files}
        text = args.into.read_text() if args.into else ""
    except (OSError, ValueError) as error:
        parser.error(str(error))
    for path, record in records.items():
        name, table = record["question"], markdown(record)
        print(f"## {name}\n\n{table}\n")
        if "columns" not in record:
            plot(record, path.with_suffix(".png"))
        if args.into and f"<!-- {name} -->" not in text:
            print(f"{args.into} has no place for this: <!-- {name} --> and <!-- /{name} -->", file=sys.stderr)
        text = insert(text, name, table)
    if args.into:
        args.into.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
