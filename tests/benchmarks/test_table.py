"""From made-up results to tables: what is printed is what was measured, and says how."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import table

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MACHINE = {"cpu": "Abacus", "threads": 2, "system": "Linux x", "python": "3.11", "versions": {"torch": "9"},
           "commit": "c0ffee", "date": "2026-01-02T03:04:05"}  # fmt: skip


def row(case, framework, variant, *runs, others=0.0, **more):
    runs = sorted(runs)
    return {"case": case, "framework": framework, "variant": variant, "median": runs[len(runs) // 2],
            "min": runs[0], "max": runs[-1], "runs": runs, "others": others, **more}  # fmt: skip


def record(*rows, **more):
    return {"question": "training", "unit": "s", "machine": MACHINE, "settings": {"dataset": "mnist"},
            "rows": list(rows), **more}  # fmt: skip


TWO = record(
    row("net", "scratchnet", "scratchnet", 1.0, 1.5, 2.0, images=60_000),
    row("net", "PyTorch", "torch-nchw", 9.0, 9.0, 9.0, images=60_000),
    row("net", "PyTorch", "torch-channels-last", 5.0, 6.0, 7.0, images=60_000),
    row("net", "Keras/JAX", "jax-batch", 30.0, 30.0, 30.0, images=60_000),
)


def test_a_framework_is_represented_by_its_fastest_variant():
    assert "| net | 1.50 (1.00–2.00) | 6.00 (5.00–7.00) | 30.00 (30.00–30.00) | 0.25× |" in table.markdown(TWO)


def test_images_per_second_are_images_over_the_median():
    assert "| net | 40,000 | 10,000 | 2,000 |" in table.markdown(TWO)


def test_our_own_textbook_is_nobodys_peer():
    rows = [row("net", "scratchnet", "scratchnet", 2.0), row("net", "textbook", "textbook", 1.0),
            row("net", "PyTorch", "torch-nchw", 4.0)]  # fmt: skip
    assert "0.50×" in table.markdown(record(*rows))


def test_another_precision_has_a_column_and_is_never_the_fastest_peer():
    rows = [row("net", "scratchnet", "scratchnet", 2.0), row("net", "OpenVINO", "openvino", 4.0),
            row("net", "OpenVINO int8", "openvino-int8", 1.0, precision="int8")]  # fmt: skip
    text = table.markdown(record(*rows))
    assert "| s | scratchnet | OpenVINO | OpenVINO int8 | of the fastest peer |" in text
    assert "| net | 2.00 | 4.00 | 1.00 | 0.50× |" in text and table.PRECISION in text
    assert table.PRECISION not in table.markdown(record(*rows[:2]))


def test_a_peer_that_is_faster_is_shown_as_such():
    rows = [row("net", "scratchnet", "scratchnet", 3.0), row("net", "OpenVINO", "openvino", 2.0)]
    assert "| net | 3.00 | 2.00 | 1.50× |" in table.markdown(record(*rows))


def test_rows_of_another_unit_are_a_table_of_their_own(tmp_path):
    rows = [row(f"net, {n} images", "scratchnet", "scratchnet", 10.0 * n, unit="µs", axis="images, net", x=n)
            for n in (2, 8)]  # fmt: skip
    mixed = record(*TWO["rows"], *rows)
    parts = table.markdown(mixed).split("\n\n")
    assert [part.split(" | ")[0] for part in parts[:3]] == ["| s", "| images per second", "| µs"]
    assert "net, 8 images" in parts[2] and "net, 8 images" not in parts[0] + parts[1]
    table.plot(mixed, tmp_path / "mixed.png")
    assert (tmp_path / "mixed.png").read_bytes().startswith(b"\x89PNG")


def test_a_time_that_others_disturbed_bears_a_dagger():
    quiet, loud = row("net", "scratchnet", "scratchnet", 1.0), row("net", "PyTorch", "torch-nchw", 4.0, others=0.5)
    text = table.markdown(record(quiet, loud))
    assert "| net | 1.00 | 4.00 † |" in text and "† Other programs" in text
    assert "†" not in table.markdown(record(quiet))


def test_the_footnote_names_machine_threads_versions_data_and_commit():
    for word in ("Abacus", "2 threads", "torch 9", "mnist", "c0ffee", "2026-01-02"):
        assert word in table.markdown(TWO)
    assert "256-bit" in table.markdown(record(*TWO["rows"], settings={"avx2": True}))


def test_a_result_with_columns_is_a_table_as_it_is():
    rows = [{"who": "a", "n": 1234567, "x": 0.00001, "share": "9 %"}, {"who": "b", "n": None, "x": 12.345}]
    columns = {"who": "name", "n": "count", "x": "value", "share": "of it"}
    lines = table.markdown(record(*rows, columns=columns, note="Note.")).splitlines()
    assert lines[:4] == ["| name | count | value | of it |", "| --- | ---: | ---: | ---: |",
                         "| a | 1,234,567 | 1.0e-05 | 9 % |", "| b |  | 12.35 |  |"]  # fmt: skip
    assert lines[-1].endswith("Note.")


@pytest.mark.parametrize(("value", "shown"), [(0, "0"), (1234.5, "1,234"), (99.994, "99.99"), (0.5, "0.500"),
                                              (0.00012, "0.00012")])  # fmt: skip
def test_numbers_are_shown_without_exponents(value, shown):
    assert table.show(value) == shown


def run(*arguments):
    command = [sys.executable, str(BENCHMARKS / "table.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_one_command_writes_the_tables_between_their_markers_and_a_picture(tmp_path):
    (tmp_path / "training.json").write_text(json.dumps(TWO))
    readme = tmp_path / "README.md"
    places = "<!-- training -->\nold\n<!-- /training -->\nafter\n<!-- other -->\nkept\n<!-- /other -->\n"
    readme.write_text(f"before\n{places}")
    assert run(tmp_path / "training.json", "--into", readme).returncode == 0
    text = readme.read_text()
    assert "old" not in text and "0.25×" in text and "kept" in text
    assert text.startswith("before\n<!-- training -->\n| s |") and "<!-- /training -->\nafter" in text
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")


def test_a_readme_without_markers_is_left_as_it_is_and_somebody_is_told():
    assert table.insert("nothing here\n", "training", "| t |") == "nothing here\n"


@pytest.mark.parametrize("content", [None, "{", "[]", '{"question": "training"}'])
def test_a_file_that_is_no_result_is_one_line_and_exit_code_2(tmp_path, content):
    path = tmp_path / "training.json"
    if content is not None:
        path.write_text(content)
    answer = run(path)
    assert answer.returncode == 2 and "Traceback" not in answer.stderr and "training.json" in answer.stderr
