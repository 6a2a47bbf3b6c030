"""Downloads from a loopback server that does everything a mirror can do wrong."""

import builtins
import errno
import gzip
import os
import random
import shutil
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from scratchnet.data import download, mnist
from scratchnet.data.download import DownloadError, fetch_idx
from scratchnet.data.folder import FILES
from scratchnet.data.idx import MissingDataError, read_idx
from scratchnet.data.mnist import load_mnist
from tests.data.mirror import CONTENT, GOOD, IMAGES, LABELS, LIMIT, REASONS, SHA256, serving

NAME = FILES[0]


@pytest.fixture(autouse=True)
def only_this_server(monkeypatch):
    """No proxy stands between, and nobody needs long to find out that a mirror is slow."""
    for variable in ("http_proxy", "https_proxy", "all_proxy", "scratchnet_mnist_mirror"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    monkeypatch.setattr(download, "MAX_PACKED", LIMIT)
    monkeypatch.setattr(download, "SILENCE", 1.5)
    monkeypatch.setattr(download, "PATIENCE", 0.5)
    monkeypatch.setattr(download, "SLOWEST", 100.0)


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def mirrors(server, monkeypatch):
    """A function that makes these behaviours the public mirrors, and SHA256 the canonical hashes."""

    def mirrors(*behaviours):
        monkeypatch.setattr(mnist, "MIRRORS", tuple(server.mirror(behaviour) for behaviour in behaviours))

    monkeypatch.setattr(mnist, "SHA256", SHA256)
    return mirrors


def reasons_in(error):
    """mirror -> reason, as the message of a DownloadError lists them."""
    lines = str(error).splitlines()
    assert lines[0] == f"no mirror gave {NAME}.gz:"
    return dict(line.strip().split(f"{NAME}.gz: ") for line in lines[1:-1])


# One mirror


@pytest.mark.parametrize("behaviour", GOOD)
def test_a_good_answer_is_kept_packed_and_whole(behaviour, server, tmp_path):
    folder = tmp_path / "new" / "folder"
    path = fetch_idx(NAME, SHA256[NAME], folder, [server.mirror(behaviour).rstrip("/")], "")
    assert [path] == list(folder.iterdir())
    assert path.name == f"{NAME}.gz" and path.read_bytes()[:2] == b"\x1f\x8b"
    assert gzip.decompress(path.read_bytes()) == CONTENT[path.name]


@pytest.mark.parametrize("behaviour", REASONS)
def test_D6_a_bad_answer_has_one_short_reason_and_leads_to_the_next_mirror(behaviour, server, tmp_path):
    bad, good = server.mirror(behaviour), server.mirror("good")
    with pytest.raises(DownloadError) as caught:
        fetch_idx(NAME, SHA256[NAME], tmp_path, [bad], "Take the bus.")
    ((mirror, reason),) = reasons_in(caught.value).items()
    assert mirror == bad and REASONS[behaviour] in reason and len(reason) < 110
    assert str(caught.value).endswith("\nTake the bus.")
    assert list(tmp_path.iterdir()) == []
    path = fetch_idx(NAME, SHA256[NAME], tmp_path, [bad, good], "")
    np.testing.assert_array_equal(read_idx(path), IMAGES)


# Many, one after the other


def test_D6_three_hundred_faults_never_leave_bad_bytes_and_each_is_told(server, tmp_path):
    """Three bad answers or fewer, and behind them a good one in two of three cases."""
    rng = random.Random(0)
    bad = [behaviour for behaviour in REASONS if behaviour not in ("silent", "drip")]
    rows = [rng.sample(bad, rng.choice([1, 1, 2, 3])) + rng.choice([[], ["good"], ["moved"]]) for _ in range(170)]
    rows += [[behaviour, "good"] for behaviour in ("silent", "drip", "drip") for _ in range(4)]

    def download_one(number):
        row, folder = rows[number], tmp_path / str(number)
        try:
            path = fetch_idx(NAME, SHA256[NAME], folder, [server.mirror(behaviour) for behaviour in row], "")
        except DownloadError as error:
            assert row[-1] in REASONS, row
            told = reasons_in(f"{error}.")
            assert list(told) == [server.mirror(behaviour) for behaviour in row]
            assert all(REASONS[behaviour] in told[server.mirror(behaviour)] for behaviour in row)
            assert list(folder.iterdir()) == []
        else:
            assert row[-1] not in REASONS, row
            assert list(folder.iterdir()) == [path]
            assert gzip.decompress(path.read_bytes()) == CONTENT[path.name]
        return sum(behaviour in REASONS for behaviour in row)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(download_one, range(len(rows)))) >= 300


def test_the_final_error_lists_each_mirror_and_the_way_out(mirrors, server, tmp_path):
    mirrors("absent", "web_page", "other_content")
    with pytest.raises(DownloadError) as caught:
        load_mnist(tmp_path)
    message = str(caught.value)
    assert len(message.splitlines()) == 5
    for needed in (*FILES, str(tmp_path), "SCRATCHNET_DATA", "SCRATCHNET_MNIST_MIRROR", "HTTPS_PROXY"):
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
    monkeypatch.setenv("SCRATCHNET_MNIST_MIRROR", server.mirror("absent").rstrip("/"))
    load_mnist(tmp_path)
    assert [behaviour for behaviour, _ in server.asked] == ["absent", "good"] * 4


def test_without_permission_to_download_nobody_is_asked(mirrors, server, tmp_path):
    mirrors("good")
    with pytest.raises(MissingDataError):
        load_mnist(tmp_path, download=False)
    assert server.asked == [] and list(tmp_path.iterdir()) == []


def test_many_may_download_into_one_folder_at_once(mirrors, tmp_path):
    mirrors("absent", "good")
    with ThreadPoolExecutor(8) as pool:
        for (x_train, _), _ in pool.map(lambda _: load_mnist(tmp_path), range(8)):
            np.testing.assert_array_equal(x_train, IMAGES)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(CONTENT)


# Secure


def test_the_public_mirrors_are_secure():
    assert len(mnist.MIRRORS) >= 4
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in mnist.MIRRORS)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A fresh certificate of 127.0.0.1 that only those trust who are told to -> paths of it and its key."""
    if not shutil.which("openssl"):
        pytest.skip("needs the command openssl to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -keyout key -out cert"
    command += " -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:true"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True, timeout=60)
    return folder / "cert", folder / "key"


@pytest.fixture
def secure_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with serving(context) as server:
        yield server


def test_D6_an_unknown_certificate_is_not_trusted(secure_server, tmp_path):
    with pytest.raises(DownloadError, match="a certificate that cannot be trusted"):
        fetch_idx(NAME, SHA256[NAME], tmp_path, [secure_server.mirror("good")], "")
    assert secure_server.asked == []


def test_D6_nobody_is_sent_from_https_to_http(secure_server, server, certificate, tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    for behaviour in ("good", "moved"):
        fetch_idx(NAME, SHA256[NAME], tmp_path / behaviour, [secure_server.mirror(behaviour)], "")
    monkeypatch.setattr(
        "tests.data.mirror.Mirror.moved",
        lambda self, body: self.answer(b"", 302, location=f"{server.mirror('good')}{NAME}.gz"),
    )
    with pytest.raises(DownloadError, match=": redirected from https to http\n"):
        fetch_idx(NAME, SHA256[NAME], tmp_path / "to http", [secure_server.mirror("moved")], "")
    assert server.asked == []


# A folder that cannot hold them


def test_D8_a_folder_that_cannot_be_made_is_told_before_any_mirror_is_asked(mirrors, server, tmp_path):
    mirrors("good")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match=r"cannot write .*SCRATCHNET_DATA"):
        load_mnist(tmp_path / "file" / "mnist")
    assert server.asked == []


def refuse_parts(monkeypatch, number):
    """Opening a file for writing in the data folder fails, as with a read-only file system."""
    really_open = builtins.open

    def refuse(path, mode="r", *rest, **options):
        if "x" in mode or "w" in mode:
            raise OSError(number, os.strerror(number), str(path))
        return really_open(path, mode, *rest, **options)

    monkeypatch.setattr(builtins, "open", refuse)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_D8_a_read_only_folder_without_files_names_the_variable_and_asks_nobody(
    number, mirrors, server, tmp_path, monkeypatch
):
    mirrors("good")
    refuse_parts(monkeypatch, number)
    with pytest.raises(DownloadError, match=rf"cannot write {tmp_path}.*: {os.strerror(number)}\. .*SCRATCHNET_DATA"):
        load_mnist(tmp_path)
    assert server.asked == [] and list(tmp_path.iterdir()) == []


def test_D8_a_read_only_folder_with_good_files_works(mirrors, server, tmp_path, monkeypatch):
    mirrors("good")
    load_mnist(tmp_path)
    server.asked.clear()
    refuse_parts(monkeypatch, errno.EROFS)
    for path in (*tmp_path.iterdir(), tmp_path):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (x_train, _), _ = load_mnist(tmp_path)
    np.testing.assert_array_equal(x_train, IMAGES)
    assert server.asked == []


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_D8_a_full_disk_is_told_with_path_and_bytes_and_leaves_no_file(step, mirrors, tmp_path, monkeypatch):
    mirrors("good")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if step == "write":
        if not Path("/dev/full").exists():
            pytest.skip("needs /dev/full")
        really_open = builtins.open
        monkeypatch.setattr(
            builtins,
            "open",
            lambda path, mode="r", *rest, **named: (
                really_open("/dev/full", "wb") if mode == "xb" else really_open(path, mode, *rest, **named)
            ),
        )
    else:
        monkeypatch.setattr(os, step, Mock(side_effect=full))
    needed = f"{len(gzip.compress(CONTENT[f'{NAME}.gz'])):,}"
    said = rf"cannot write {tmp_path}/{NAME}.gz: No space left on device \({needed} bytes needed\)"
    with pytest.raises(DownloadError, match=said):
        load_mnist(tmp_path)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
