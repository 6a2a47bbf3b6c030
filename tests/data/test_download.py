"""Downloads from a loopback server that does everything a mirror can do wrong."""

import errno
import gzip
import hashlib
import os
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

from scratchnet.data import download, mnist
from scratchnet.data.download import DownloadError, fetch_idx
from scratchnet.data.folder import FILES
from scratchnet.data.idx import DataFileError, MissingDataError, read_idx
from scratchnet.data.mnist import load_mnist

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
LABELS = np.arange(20, dtype=np.uint8) % 10


def spelled_out(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


CONTENT = {f"{name}.gz": spelled_out(IMAGES if "images" in name else LABELS) for name in FILES}
SHA256 = {name: hashlib.sha256(CONTENT[f"{name}.gz"]).hexdigest() for name in FILES}


class Mirror(BaseHTTPRequestHandler):
    """The first part of the path says how to misbehave."""

    def do_GET(self):
        _, behaviour, name = self.path.split("/", 2)
        self.server.asked.append((behaviour, name))
        getattr(self, behaviour)(gzip.compress(CONTENT[name.rpartition("/")[2]]))

    def answer(self, body, status=200, length=..., location=None):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length is ... else length))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def good(self, body):
        self.answer(body)

    def packed_again(self, body):
        self.answer(gzip.compress(gzip.decompress(body), compresslevel=1, mtime=12345))

    def without_length(self, body):
        self.answer(body, length=None)

    def moved(self, body):
        self.answer(b"", 302, location="/good/" + self.path.rpartition("/")[2])

    def absent(self, body):
        self.answer(b"no such file", 404)

    def broken(self, body):
        self.answer(b"oops", 500)

    def web_page(self, body):
        self.answer(b"<!DOCTYPE html><html>Please log in</html>")

    def other_content(self, body):
        self.answer(gzip.compress(spelled_out(255 - IMAGES)))

    def two_members(self, body):
        self.answer(body + body)

    def cut_off(self, body):
        self.answer(body[:-9], length=len(body))

    def cut_off_quietly(self, body):
        self.answer(body[:-9])

    def hangs_up(self, body):
        self.connection.close()

    def too_long(self, body):
        comment = b"x" * download.MAX_PACKED + b"\0"  # allowed in gzip's header; flag 16 announces it
        self.answer(body[:3] + b"\x10" + body[4:10] + comment + body[10:])

    def bomb(self, body):
        self.answer(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(10**7)))

    def loop(self, body):
        self.answer(b"", 302, location=self.path)

    def to_a_file(self, body):
        self.answer(b"", 302, location="file:///etc/hostname")

    def silent(self, body):
        time.sleep(2)

    def drip(self, body):
        self.send_response(200)
        self.end_headers()
        for start in range(0, len(body), 300):
            self.wfile.write(body[start : start + 300])
            self.wfile.flush()
            time.sleep(0.05)

    def log_message(self, *_):
        pass


GOOD = ["good", "packed_again", "without_length", "moved"]
BAD = ["absent", "broken", "web_page", "other_content", "two_members", "cut_off"]
BAD += ["cut_off_quietly", "hangs_up", "too_long", "bomb", "loop", "to_a_file", "silent", "drip"]


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that gives up is what these tests are about."""


@pytest.fixture
def server(monkeypatch):
    """A running server; `server.asked` is the list of (behaviour, file) it was asked for."""
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "SCRATCHNET_MNIST_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(download, "MAX_PACKED", 100_000)
    server = QuietServer(("127.0.0.1", 0), Mirror)
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def mirrors(server, monkeypatch):
    """A function that makes these behaviours the public mirrors, and SHA256 the canonical hashes."""

    def mirrors(*behaviours):
        monkeypatch.setattr(mnist, "MIRRORS", tuple(f"{server.url}/{behaviour}/" for behaviour in behaviours))

    monkeypatch.setattr(mnist, "SHA256", SHA256)
    return mirrors


@pytest.mark.parametrize("behaviour", GOOD)
def test_a_good_answer_is_kept_packed_and_whole(behaviour, server, tmp_path):
    folder = tmp_path / "new" / "folder"
    path = fetch_idx(FILES[0], SHA256[FILES[0]], folder, [f"{server.url}/{behaviour}"], "")
    assert [path] == list(folder.iterdir())
    assert path.name == f"{FILES[0]}.gz" and path.read_bytes()[:2] == b"\x1f\x8b"
    assert gzip.decompress(path.read_bytes()) == CONTENT[path.name]


@pytest.mark.parametrize("behaviour", BAD)
def test_any_failure_leads_to_the_next_mirror_and_leaves_nothing(behaviour, server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "SILENCE", 1.0)
    monkeypatch.setattr(download, "PATIENCE", 1.0)
    monkeypatch.setattr(download, "SLOWEST", 20_000.0)
    bad, good = f"{server.url}/{behaviour}/", f"{server.url}/good/"
    with pytest.raises(DownloadError) as caught:
        fetch_idx(FILES[0], SHA256[FILES[0]], tmp_path, [bad], "Take the bus.")
    assert f"{bad}{FILES[0]}.gz: " in str(caught.value) and str(caught.value).endswith("Take the bus.")
    assert list(tmp_path.iterdir()) == []

    path = fetch_idx(FILES[0], SHA256[FILES[0]], tmp_path, [bad, good], "")
    np.testing.assert_array_equal(read_idx(path), IMAGES)


def test_the_final_error_lists_each_mirror_with_its_reason_and_the_way_out(mirrors, server, tmp_path):
    mirrors("absent", "web_page", "other_content")
    with pytest.raises(DownloadError) as caught:
        load_mnist(tmp_path)
    message = str(caught.value)
    reasons = {"absent": "404", "web_page": "perhaps a web page", "other_content": "SHA-256"}
    for behaviour, reason in reasons.items():
        assert any(f"/{behaviour}/" in line and reason in line for line in message.splitlines())
    for needed in (*FILES, str(tmp_path), "SCRATCHNET_DATA", "SCRATCHNET_MNIST_MIRROR"):
        assert needed in message
    assert isinstance(caught.value, MissingDataError) and isinstance(caught.value, OSError)


def test_only_what_is_missing_is_fetched(mirrors, server, tmp_path):
    mirrors("good")
    (tmp_path / FILES[2]).write_bytes(CONTENT[f"{FILES[2]}.gz"])
    (x_train, y_train), (x_test, _) = load_mnist(tmp_path)
    np.testing.assert_array_equal(x_train, IMAGES)
    np.testing.assert_array_equal(y_train, LABELS)
    np.testing.assert_array_equal(x_test, IMAGES)
    assert server.asked == [("good", f"{name}.gz") for name in FILES if name != FILES[2]]
    load_mnist(tmp_path)
    assert len(server.asked) == 3


def test_a_mirror_of_ones_own_is_asked_first(mirrors, server, tmp_path, monkeypatch):
    mirrors("good")
    monkeypatch.setenv("SCRATCHNET_MNIST_MIRROR", f"{server.url}/absent")
    load_mnist(tmp_path)
    assert [behaviour for behaviour, _ in server.asked] == ["absent", "good"] * 4


def test_without_permission_to_download_nobody_is_asked(mirrors, server, tmp_path):
    mirrors("good")
    with pytest.raises(MissingDataError):
        load_mnist(tmp_path, download=False)
    assert server.asked == [] and list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_before_any_mirror_is_asked(mirrors, server, tmp_path):
    mirrors("good")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match=r"cannot write .*SCRATCHNET_DATA"):
        load_mnist(tmp_path / "file" / "mnist")
    assert server.asked == []


def test_a_full_disk_is_told_as_such_and_leaves_no_file(mirrors, tmp_path, monkeypatch):
    mirrors("good")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(os, "fsync", Mock(side_effect=full))
    with pytest.raises(DownloadError, match=f"cannot write .*{FILES[0]}.gz: No space left"):
        load_mnist(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_many_may_download_into_one_folder_at_once(mirrors, tmp_path):
    mirrors("absent", "good")
    with ThreadPoolExecutor(8) as pool:
        for (x_train, _), _ in pool.map(lambda _: load_mnist(tmp_path), range(8)):
            np.testing.assert_array_equal(x_train, IMAGES)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(CONTENT)


def test_the_public_mirrors_are_secure_and_stay_so():
    assert len(mnist.MIRRORS) >= 4
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in mnist.MIRRORS)
    redirect = SimpleNamespace(url="https://a/b", headers={"Location": "HTTP://a/b"})
    with pytest.raises(DataFileError, match="redirected from https"):
        download._stay_secure(redirect)
    for target in ("https://c/d", "/d", "//c/d"):
        download._stay_secure(SimpleNamespace(url="https://a/b", headers={"Location": target}))
    download._stay_secure(SimpleNamespace(url="https://a/b", headers={}))
