"""Data files that are cut off, flipped, forged or no files at all: one clear error, little memory, no waiting.

The functions that do the work take no fixtures, for some also run in a process of their own: under `python -O`,
where no assert is left, and where the memory that the process needs can be told from pytest's.
"""

import gzip
import os
import random
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scratchnet.data import idx
from scratchnet.data.folder import FILES, load_idx_dataset, write_idx_dataset
from scratchnet.data.idx import DataFileError, MissingDataError, decode_idx, idx_sha256, read_idx

ROOT = Path(__file__).parents[2]
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
RNG = random.Random(0)
NOISE = RNG.randbytes(90_000)  # which gzip cannot pack


def header(code=8, *sizes):
    return bytes([0, 0, code, len(sizes)]) + b"".join(struct.pack(">I", size) for size in sizes)


LABELS = header(8, 10_000) + bytes(RNG.choices(range(10), k=10_000))  # as long as MNIST's test labels
IMAGES = header(8, 40, 28, 28) + RNG.randbytes(40 * 28 * 28)


def decode(content):
    return decode_idx(BytesIO(content), len(content), "the file")


def refused(content):
    """The message of the DataFileError that these bytes must raise."""
    with pytest.raises(DataFileError) as caught:
        decode(content)
    assert not isinstance(caught.value, MissingDataError)
    message = str(caught.value)
    assert message.startswith("the file: expected ") and ", found " in message
    return message


# D2: wild headers


def ten_thousand_wild_headers(folder):
    """Write and read them -> how many were arrays. Whatever is read is what was written."""
    rng = random.Random(0)
    sizes = [0, 1, 2, 3, 255, 2**15, 2**16, 2**20, 2**30, 2**31 - 1, 2**31, 2**32 - 1]
    path, arrays = Path(folder, "a"), 0
    for _ in range(10_000):
        code = rng.choice([*TYPES, *TYPES, rng.randrange(256)])
        rank = rng.choice([0, 1, 1, 2, 3, 4, 8, 70, rng.randrange(256)])
        head = bytearray(header(code, *(rng.choice(sizes[: rng.randrange(1, 13)]) for _ in range(rank))))
        if rng.random() < 0.2:
            head[rng.randrange(len(head))] = rng.randrange(256)
        content = bytes(head[: rng.randrange(len(head) + 1)] if rng.random() < 0.1 else head)
        content += bytes(rng.choice([0, 1, 2, 6, 24, 48, 1000]))
        path.unlink(missing_ok=True)  # to write a new file is much faster than to change one
        path.write_bytes(gzip.compress(content, 1) if rng.random() < 0.5 else content)
        try:
            array = read_idx(path)
        except DataFileError:
            continue
        arrays += 1
        code = next(code for code, entry in TYPES.items() if array.dtype == np.dtype(entry))
        if content != header(code, *array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes():
            raise SystemExit(f"{content!r} was read as {array!r}")
    return arrays


def in_a_process_of_its_own(program, folder, *options):
    """Run a program in this module's names; it prints a number -> that number, and the MiB it needed."""
    pytest.importorskip("resource")
    program = f"""
import resource
from tests.data.test_idx_faults import *
needed = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
folder, before = sys.argv[1], needed()
print({program}, needed() - before)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *options, "-c", program, str(folder)]
    done = subprocess.run(command, env=environment, cwd=ROOT, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result, mebibytes = done.stdout.split()
    return int(result), float(mebibytes)


def test_D2_ten_thousand_wild_headers_are_arrays_or_one_error_and_cost_little(tmp_path):
    arrays, mebibytes = in_a_process_of_its_own("ten_thousand_wild_headers(folder)", tmp_path, "-O")
    assert 100 < arrays < 5000
    assert mebibytes < 16


def fuzzed(content):
    """Any bytes are an array or a DataFileError, and an array has the bytes' own meaning."""
    try:
        array = decode(content)
    except DataFileError:
        return
    plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    assert plain[-array.nbytes or len(plain) :] == array.astype(array.dtype.newbyteorder(">")).tobytes()


bytes_of_files = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda code, sizes, rest, pack: (gzip.compress if pack else bytes)(header(code, *sizes) + rest),
        st.sampled_from([*TYPES, 0, 0x0A, 255]),
        st.lists(st.sampled_from([0, 1, 2, 3, 2**16, 2**31 - 1, 2**31, 2**32 - 1]), max_size=70),
        st.binary(max_size=30),
        st.booleans(),
    ),
)
KEPT = [  # what a former reader stumbled over
    header(8, *[2**31 - 1] * 9, 0),  # nothing at all, in a shape that NumPy cannot hold
    header(8, *[1] * 65) + b"x",  # a rank that NumPy does not have
    gzip.compress(b""),
    b"\x1f\x8b",
]


@given(bytes_of_files)
@example(KEPT[0])
@example(KEPT[1])
@example(KEPT[2])
@example(KEPT[3])
def test_D2_any_bytes_are_an_array_or_one_error(content):
    fuzzed(content)


@pytest.mark.long
@settings(max_examples=20_000)
@given(bytes_of_files)
def test_D2_any_bytes_are_an_array_or_one_error_for_long(content):
    fuzzed(content)


# D3: cut off, and too long


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gz"])
def test_D3_labels_cut_off_at_every_length_are_refused(pack):
    whole = pack(LABELS)
    assert decode(whole).tolist() == list(LABELS[8:])
    for length in range(len(whole)):
        refused(whole[:length])


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gz"])
def test_D3_images_cut_off_at_two_thousand_lengths_are_refused(pack):
    whole = pack(IMAGES)
    for length in random.Random(1).choices(range(len(whole)), k=2000):
        refused(whole[:length])


def test_D3_a_file_on_the_disk_is_refused_like_its_bytes(tmp_path):
    for whole in (LABELS, gzip.compress(LABELS)):
        for length in range(0, len(whole), 97):
            path = tmp_path / f"{len(whole)}-{length}"
            path.write_bytes(whole[:length])
            with pytest.raises(DataFileError, match=f"{path}: expected .*, found "):
                read_idx(path)


@pytest.mark.parametrize(
    "tail", [b"\0", b"x", bytes(1000), gzip.compress(b""), gzip.compress(LABELS)],
    ids=["zero", "letter", "zeros", "empty member", "second member"],
)  # fmt: skip
def test_D3_anything_after_the_data_is_refused(tail):
    refused(LABELS + tail)
    refused(gzip.compress(LABELS) + tail)  # a second member, or what a lenient reader would overlook
    refused(gzip.compress(LABELS + tail))


# D4: flipped bits


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_D4_no_flipped_bit_of_a_packed_file_changes_what_is_read():
    whole, meaningless = gzip.compress(LABELS), 0
    for bit in random.Random(2).sample(range(8 * len(whole)), 5000):
        try:
            assert decode(flipped(whole, bit)).tolist() == list(LABELS[8:])
            meaningless += bit >= 80  # the time of writing and the like stand before
        except DataFileError:
            pass
    assert meaningless <= 7  # bits that fill deflate's last byte


def test_D4_every_flipped_bit_of_a_raw_file_is_refused_or_changes_its_hash():
    known = idx_sha256(decode(LABELS))
    for bit in random.Random(3).sample(range(8 * len(LABELS)), 5000):
        try:
            assert idx_sha256(decode(flipped(LABELS, bit))) != known
        except DataFileError:
            assert bit < 64  # of the header


# D5: bombs, and what is no file


def long_bomb(head):
    """About 1 MiB of gzip that unpack to `head` and 1 GiB of zeros, put together in no time."""
    packer = zlib.compressobj(9, wbits=-15)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)  # the same for every MiB
    return gzip.compress(b"")[:10] + start + 1024 * again + packer.flush() + struct.pack("<II", 0, len(head))


BOMBS = {  # why it is refused -> the file
    "found more data": gzip.compress(header(8, 10) + bytes(10_000_000)),
    "found 0x00": long_bomb(b""),
    "found more data ": long_bomb(header(8, 10)),
    "which cannot hold as many": gzip.compress(header(8, 2**29)),
    "-1 among them": long_bomb(header(8, 2**32 - 1)),
    "at most 1073741824 bytes": long_bomb(header(8, 40_000, 40_000)),
    "less than pictures or labels need": long_bomb(header(8, 2**30)),  # not even a lie
    "in gzip's own header": gzip.compress(b"")[:3] + b"\x10" + bytes(6) + b"x" * 3_000_000,
}


class Counting:
    """zlib.decompressobj that counts what comes out of it."""

    inflated = 0

    def __init__(self, wbits):
        self.inflater = zlib.decompressobj(wbits)

    def decompress(self, *arguments):
        piece = self.inflater.decompress(*arguments)
        Counting.inflated += len(piece)
        return piece

    def __getattr__(self, name):
        return getattr(self.inflater, name)


@pytest.mark.parametrize("reason", BOMBS)
def test_D5_a_bomb_is_refused_before_a_mebibyte_of_it_is_inflated(reason, monkeypatch):
    monkeypatch.setattr(idx, "zlib", SimpleNamespace(decompressobj=Counting, error=zlib.error))
    monkeypatch.setattr(Counting, "inflated", 0)
    message = refused(BOMBS[reason])
    assert reason.strip() in message or reason == "in gzip's own header"
    assert Counting.inflated < 2**20


def read_all_bombs(folder):
    """How many of the bombs in a folder are refused."""
    count = 0
    for path in Path(folder).iterdir():
        try:
            read_idx(path)
        except DataFileError:
            count += 1
    return count


def test_D5_all_bombs_together_need_little_memory(tmp_path):
    for number, bomb in enumerate(BOMBS.values()):
        (tmp_path / str(number)).write_bytes(bomb)
    read, mebibytes = in_a_process_of_its_own("read_all_bombs(folder)", tmp_path, "-O")
    assert read == len(BOMBS)
    assert mebibytes < 8


def test_D5_a_blank_page_is_no_bomb(tmp_path):
    write_idx_dataset(tmp_path, [(np.zeros((60_000, 28, 28), np.uint8), np.zeros(60_000, np.uint8))] * 2)
    assert load_idx_dataset(tmp_path)[0][0].shape == (60_000, 28, 28)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs")
def test_D5_what_is_not_a_regular_file_is_refused_without_waiting(tmp_path):
    loop, fifo = tmp_path / "loop", tmp_path / "fifo"
    loop.symlink_to(loop)
    os.mkfifo(fifo)
    for path in (tmp_path, loop, fifo, fifo / "inside", "/dev/zero", "nul\0character"):
        with pytest.raises(DataFileError, match="expected a re"):
            read_idx(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs")
@pytest.mark.parametrize("name", FILES)
def test_D5_whatever_lies_in_place_of_a_file_is_told_by_its_name(name, tmp_path):
    pair = np.zeros((4, 5, 5), np.uint8), np.zeros(4, np.uint8)
    write_idx_dataset(tmp_path, (pair, pair))
    path = tmp_path / f"{name}.gz"
    replacements = {
        "perhaps a web page": lambda: path.write_bytes(b"<!DOCTYPE html><html>Please log in</html>"),
        "found 0 and the end of the file": lambda: path.write_bytes(b""),
        "a directory or a device": lambda: os.mkfifo(path),
        "a directory or a device.": path.mkdir,
        "a directory or a device. ": lambda: path.symlink_to("/dev/zero"),
        f"there is no {name}": lambda: path.symlink_to(path),
    }
    for reason, replace in replacements.items():
        path.rmdir() if path.is_dir() else path.unlink()
        replace()
        with pytest.raises(DataFileError) as caught:
            load_idx_dataset(tmp_path)
        assert name in str(caught.value) and reason.strip() in str(caught.value)
