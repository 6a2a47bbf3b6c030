"""docs/coming-from.md says what is true of the library."""

import re
from pathlib import Path

import numpy as np

import scratchnet as sn

PAGE = (Path(__file__).parents[1] / "docs" / "coming-from.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("|") and "---" not in line]


def test_the_program_at_the_top_runs(tmp_path, monkeypatch, capsys):
    images, labels = np.random.default_rng(0).integers(0, 256, (400, 28, 28)).astype(np.uint8), np.arange(400) % 10
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sn, "load_mnist", lambda: ((images, labels), (images, labels)))
    exec(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], {})
    assert (tmp_path / "digits.safetensors").exists()
    assert "accuracy" in capsys.readouterr().out


def test_the_names_in_the_last_column_exist():
    assert len(ROWS) > 30
    known = {"model", *sn.__all__, *dir(sn.Sequential), *dir(sn.Callback)}
    for row in ROWS:
        ours = row[-1] if row[-1] else row[-2]
        for name in re.findall(r"`(?:model\.)?([A-Za-z_0-9]+)\(", ours):
            assert name in known or hasattr(np.ndarray, name), f"{name} in {ours}"
