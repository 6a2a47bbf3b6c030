"""The steps of the Dockerfile in a bare Debian, for machines without a container engine. Needs root and debootstrap.

    python tests/container/bare_debian.py MODEL [--base FOLDER] [--keep]

Each stage of the Dockerfile becomes a folder. FROM copies a Debian made by debootstrap, with Python, in place of the
image that is named there; RUN, COPY, ENV, USER and WORKDIR are done in it by chroot, and the second stage gets what it
copies from the first. Then ENTRYPOINT and CMD are started as the user of the image, its HEALTHCHECK is run, and the
served page is asked for a prediction, which must be the model's. pip's settings of this machine are lent to the stages
that run pip, since a container would have the network's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np

import scratchnet as sn

ROOT = Path(__file__).parents[2]
LENT = ("/etc/pip.conf", "/root/.config/pip/pip.conf", "/etc/resolv.conf", "/etc/hosts",
        "/etc/ssl/certs/ca-certificates.crt")  # fmt: skip
TOOLS = ("gcc", "cc", "g++", "clang", "make", "cmake", "ld")


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile as [(instruction, arguments)]."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.strip().partition(" ") for line in joined.splitlines())]


class Stage:
    """A folder that stands for an image."""

    def __init__(self, root: Path):
        self.root, self.user, self.folder = root, "root", "/"
        self.environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root"}

    def command(self, words: list[str]) -> list[str]:
        """A command line that runs in the image."""
        home = "/root" if self.user == "root" else f"/home/{self.user}"
        values = {**self.environment, "HOME": home}
        inner = f"cd {shlex.quote(self.folder)} && exec {shlex.join(words)}"
        settings = [f"{name}={value}" for name, value in values.items()]
        return ["chroot", f"--userspec={self.user}", str(self.root), "env", "-i", *settings, "/bin/sh", "-c", inner]

    def run(self, text: str) -> None:
        """RUN."""
        for path in map(Path, LENT):
            if path.exists():
                target = self.root / str(path).lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-aLT", path, target], check=True)
        subprocess.run(self.command(["/bin/sh", "-c", text]), check=True)

    def copy(self, sources: list[Path], target: str) -> None:
        """COPY."""
        place = self.root / (target if target.startswith("/") else f"{self.folder}/{target}").lstrip("/")
        for source in sources:
            into = place / source.name if source.is_file() else place
            into.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-aT", source, into], check=True)


def build(dockerfile: Path, base: Path, work: Path) -> tuple[Stage, dict[str, list[str]]]:
    """Do all instructions; the last stage, and what is to be started in it."""
    stages: dict[str, Stage] = {}
    lists: dict[str, list[str]] = {}
    stage = Stage(base)
    for word, rest in instructions(dockerfile.read_text()):
        print(f"+ {word} {rest}", flush=True)
        if word == "FROM":
            name = rest.split(" AS ")[-1] if " AS " in rest else f"stage{len(stages)}"
            stage = stages[name] = Stage(work / name)
            subprocess.run(["cp", "-a", base, stage.root], check=True)
        elif word == "RUN":
            stage.run(rest)
        elif word == "COPY":
            *sources, target = [part for part in shlex.split(rest) if not part.startswith("--")]
            origin = re.match(r"--from=(\S+)", rest)
            of = stages[origin[1]].root if origin else ROOT
            stage.copy([of / source.lstrip("/") for source in sources], target)
        elif word == "ENV":
            for setting in shlex.split(rest):
                name, _, value = setting.partition("=")
                stage.environment[name] = value.replace("$PATH", stage.environment["PATH"])
        elif word == "WORKDIR":
            stage.folder = rest
            (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "USER":
            stage.user = rest
        elif word in ("ENTRYPOINT", "CMD"):
            lists[word] = json.loads(rest)
        elif word == "HEALTHCHECK":
            lists[word] = json.loads(rest[rest.index("CMD") + 3 :])
    return stage, lists


def predict(address: str, token: str, x: np.ndarray) -> list[float]:
    """Ask the served page."""
    headers = {"Content-Type": "application/octet-stream", "Cookie": f"scratchnet={token}"}
    request = urllib.request.Request(f"{address}/predict", x.tobytes(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["probabilities"]


def serve(stage: Stage, lists: dict[str, list[str]], model: Path) -> None:
    """Start what the image starts, and ask it."""
    place = stage.root / "model"
    place.mkdir()
    shutil.copy(model, place / "model.safetensors")
    tools = [
        tool for tool in TOOLS if list(stage.root.glob(f"opt/**/bin/{tool}")) + list(stage.root.glob(f"usr/bin/{tool}"))
    ]
    assert not tools, f"build tools in the image: {tools}"
    process = subprocess.Popen(stage.command(lists["ENTRYPOINT"] + lists["CMD"]), stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        print(line, end="", flush=True)
        address, token = re.search(r"(http://[\d.:]+)/\?token=(\S+)", line).groups()
        owner = os.stat(f"/proc/{process.pid}").st_uid
        subprocess.run(stage.command(lists["HEALTHCHECK"]), check=True)
        x = np.random.default_rng(0).integers(0, 256, (28, 28, 1)).astype(np.uint8)
        found, expected = predict(address, token, x), sn.load_model(model).predict(x[None])[0]
        error = float(np.abs(np.array(found) - expected).max())
        print(f"user {owner}, healthy; prediction {np.argmax(found)}, {error:.1e} from the model's at most")
        assert owner != 0 and error < 1e-5
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(10)
        print(f"SIGTERM: exit code {code} after {time.monotonic() - start:.1f} s")
        assert code == 143
    finally:
        process.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description="The steps of the Dockerfile in a bare Debian.")
    parser.add_argument("model", type=Path, help="a model file for images of 28 × 28")
    parser.add_argument("--base", type=Path, help="a Debian with Python made before; default: debootstrap makes one")
    parser.add_argument("--keep", action="store_true", help="keep the folders of the stages")
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="scratchnet-"))
    try:
        base = args.base or work / "base"
        if args.base is None:
            packages = "--include=ca-certificates,python3,python3-venv,python3-pip"
            subprocess.run(["debootstrap", "--variant=minbase", packages, "bookworm", base], check=True)
        serve(*build(ROOT / "Dockerfile", base, work), args.model)
    finally:
        if not args.keep:
            shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
