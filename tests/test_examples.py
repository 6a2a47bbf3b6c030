"""The five examples: short, and each prints what it says it prints, in a folder where nothing is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = {
    "train": r"epoch 3/3 .*\non images it has never seen: \{'loss': 0\.\d+, 'accuracy': 0\.9\d*\}\n",
    "own_layer": r"(?s)gradcheck Swish: worst error .*: backward .*\n[89]\d\.\d% of the test images; beta: \[.*\]\n",
    "own_data": r"192 images to train on, 48 to test with, of the classes A, B, C, D\n(?s:.*)\n(?:[789]\d|100)% of the",
    "own_training_loop": r"epoch 4: loss 0\.\d+\n(?s:.*)6\.dense\.b .*\n[89]\d\.\d% of the test images\n",
    "predict": r"#####(?s:.*)\n7: +\d+\.\d%  =+\n",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_it_says(name, tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "https_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py")]
    ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert re.search(EXAMPLES[name], ended.stdout), ended.stdout


def test_there_are_five_of_at_most_forty_lines_each():
    paths = sorted((ROOT / "examples").glob("*.py"))
    assert [path.stem for path in paths] == sorted(EXAMPLES)
    for path in paths:
        text = path.read_text()
        assert len(text.splitlines()) <= 40 and f"python examples/{path.name}" in text
