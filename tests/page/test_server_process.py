"""`scratchnet serve` as a process: how it starts, how it fails to, and how it ends (W6)."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import scratchnet as sn
from scratchnet import commands
from scratchnet.page.snapshots import read_snapshots
from tests.page.serving import BYTES, answer_in, request, small_model
from tests.patterns import stripes_folder

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "stripes.safetensors"
    small_model().save(path)
    return path


def command(*words, script="serve"):
    """`python scripts/serve.py ...`."""
    return subprocess.Popen(
        [sys.executable, f"scripts/{script}.py", *map(str, words)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@contextmanager
def serving(*words):
    """The process, and the port it printed."""
    process = command(*words, "--port", 0, "--no-open", "--engine", "numpy")
    try:
        line = process.stdout.readline()
        found = re.fullmatch(r"the page is at http://127\.0\.0\.1:(\d+)/ +Ctrl-C ends it\n", line)
        assert found, line + process.stderr.read()
        yield process, int(found[1])
    finally:
        process.kill()
        process.communicate()


def connected(port, data=b""):
    """A connection that has sent this."""
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.sendall(data)
    return connection


def answered(connection):
    received = b""
    while answer_in(received) is None:
        part = connection.recv(65536)
        assert part, received
        received += part
    return answer_in(received)[0]


def test_the_script_prints_its_address_and_answers_as_the_model_does(model_file, rng):
    x = rng.integers(0, 256, (10, 10, 1)).astype(np.uint8)
    with serving(model_file) as (_, port):
        with connected(port, request("POST", "/predict", port, x.tobytes(), content_type=BYTES)) as connection:
            found = answered(connection).json["probabilities"]
    np.testing.assert_array_equal(np.float32(found), sn.load_model(model_file, "numpy").predict(x[None])[0])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_W6_a_signal_with_twenty_requests_in_flight_ends_it_in_order(model_file, number, code):
    with serving(model_file) as (process, port):
        half = request("POST", "/predict", port, bytes(100), content_type=BYTES)[:-50]
        open_ones = [connected(port, half) for _ in range(10)] + [connected(port, b"GET / HT") for _ in range(5)]
        idle = [connected(port, request("GET", "/health", port)) for _ in range(5)]
        assert [answered(connection).status for connection in idle] == [200] * 5
        start = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        seconds = time.monotonic() - start
        for connection in open_ones + idle:
            connection.close()
    assert process.returncode == code and err == "\nstopped\n" and out == ""
    assert seconds < 3


def test_W6_a_port_in_use_is_one_line(model_file, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert commands.main(["serve", str(model_file), "--port", str(port), "--no-open", "--engine", "numpy"]) == 2
    says = f"error: port {port} is in use by another program. Choose another one: --port {port + 1}\n"
    assert capsys.readouterr() == ("", says)


def damaged(path):
    content = bytearray(small_bytes(path))
    content[-5] ^= 1
    path.write_bytes(content)


def small_bytes(path):
    small_model().save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda path: None, "no such model file"),
        (damaged, "damaged: the content does not have the checksum it was written with"),
        (lambda path: path.write_bytes(small_bytes(path)[:300]), "error: "),
        (lambda path: path.write_bytes(b""), "error: "),
        (lambda path: path.mkdir(), "no such model file"),
        (lambda path: sn.Sequential([sn.Dense(2)], (3,), engine="numpy").save(path), "the page shows images (h, w, c)"),
    ],
)
def test_W6_a_model_that_cannot_be_shown_is_one_line(tmp_path, prepare, says, capsys):
    path = tmp_path / "model.safetensors"
    prepare(path)
    assert commands.main(["serve", str(path), "--port", "0", "--no-open", "--engine", "numpy"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and says in err


def test_W6_without_the_packages_the_error_names_the_extra(model_file):
    program = f"""
import sys
sys.modules["uvicorn"] = None
from scratchnet import commands
sys.exit(commands.main(["serve", {str(model_file)!r}, "--engine", "numpy"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ}
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert 'python -m pip install "scratchnet[web]"' in done.stderr


def test_unknown_options_are_refused(model_file, capsys):
    with pytest.raises(SystemExit, match="2"):
        commands.main(["serve", str(model_file), "--epochs", "3"])
    assert "unrecognized arguments: --epochs 3" in capsys.readouterr().err


# train.py --watch, and serve.py --train

SMALL = ["--preset", "mlp", "--engine", "numpy", "--batch-size", "8", "--epochs", "500", "--quiet", "--watch"]


@contextmanager
def watched(tmp_path, *words, script="train"):
    """A training of stripes that is watched: the process, its port, the folder of the run."""
    folder, out = stripes_folder(tmp_path / "stripes"), tmp_path / "run"
    process = command(*words, "--data-dir", folder, "--out", out, "--port", 0, script=script)
    try:
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line := process.stdout.readline())
        assert found, line + process.stderr.read()
        yield process, int(found[1]), out
    finally:
        process.kill()
        process.communicate()


def order(port, do):
    """POST /training/control."""
    body = f'{{"do": "{do}"}}'.encode()
    with connected(
        port, request("POST", "/training/control", port, body, content_type="application/json")
    ) as connection:
        return answered(connection).status


@pytest.mark.parametrize("paused", [True, False])
def test_ctrl_c_ends_a_watched_training_with_eight_streams_open(tmp_path, paused):
    with watched(tmp_path, *SMALL, "--no-open") as (process, port, out):
        streams = [connected(port, request("GET", "/training", port)) for _ in range(8)]
        assert all(b"200 OK" in stream.recv(4096) for stream in streams)
        if paused:
            assert order(port, "pause") == 204
        time.sleep(0.5)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        seconds = time.monotonic() - start
        for stream in streams:
            stream.close()
    assert process.returncode == 130 and "Traceback" not in err
    assert re.search(r"stopped; saved in epoch \d+, after \d+ batches. Resume with: ", err)
    assert (out / "checkpoint.safetensors").exists() and seconds < 3


def test_a_watched_training_stays_when_it_is_through_and_its_changes_are_noted(
    tmp_path, monkeypatch, no_pictures, capsys
):
    folder, seen = stripes_folder(tmp_path / "stripes"), {}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.chdir(tmp_path)

    def reader():
        """What a page does: pause, change the rate, go on; and Ctrl-C when the training is through."""
        while True:
            with suppress(ConnectionError):
                assert order(port, "pause") == 204
                break
        body = b'{"do": "scale", "value": 0.5}'
        head = request("POST", "/training/control", port, body, content_type="application/json")
        with connected(port, head) as connection:
            seen["scale"] = answered(connection).status
        order(port, "resume")
        while "trained; the page stays at " not in (seen.setdefault("out", "")):
            seen["out"] += capsys.readouterr().out
            time.sleep(0.05)
        with connected(port, request("GET", "/model.safetensors", port)) as connection:
            seen["weights"] = answered(connection).body
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=reader, daemon=True)
    thread.start()
    words = ["serve", "--train", "mlp", "--engine", "numpy", "--batch-size", "8", "--epochs", "12", "--no-open"]
    assert commands.main([*words, "--data-dir", str(folder), "--port", str(port), "--out", "run"]) == 0
    thread.join(5)
    (change,) = json.loads(Path("run/config.json").read_text())["changed_by_hand"]
    assert seen["scale"] == 204 and change["lr_scale"] == 0.5 and change["step"] >= 0
    found, trained = safetensors.numpy.load(seen["weights"]), sn.load_model("run/model.safetensors", "numpy")
    for name, array in trained.parameters().items():
        np.testing.assert_array_equal(found[name], array)
    steps = [snapshot["step"] for snapshot in read_snapshots("run/snapshots.json")["snapshots"]]
    assert steps[:3] == [0, 1, 2] and steps[-1] == 12 * 27
