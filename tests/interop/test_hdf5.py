"""The reader of HDF5: what Keras writes is read to the bit, and everything else is refused with its reason."""

from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.interop import hdf5_writer
from scratchnet.interop.hdf5 import Group, open_hdf5
from scratchnet.interop.hdf5_writer import write_hdf5
from scratchnet.saving import ModelFileError
from tests.interop.samples import names, sample

TREES = st.recursive(
    st.builds(
        lambda shape, kind, seed: np.random.default_rng(seed).normal(size=shape).astype(kind),
        st.lists(st.integers(0, 4), max_size=4), st.sampled_from(["f2", "f4", "f8"]), st.integers(0, 1000),
    ),
    lambda members: st.dictionaries(st.text("abcé_0", min_size=1, max_size=9), members, max_size=12),
    max_leaves=30,
).filter(lambda tree: isinstance(tree, dict))  # fmt: skip


def everything(group):
    """All members, read."""
    return {name: everything(member) if isinstance(member := group.find(name), Group) else member for name in group}


def same(one, other):
    """Whether two trees have the same names, types, shapes and bits."""
    if isinstance(one, dict) != isinstance(other, dict):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


# what is read


def test_arrays_of_every_type_and_shape_that_the_hdf5_library_wrote_are_read():
    root = open_hdf5(sample("accepted.h5"))
    content = json.loads(sample("accepted.json"))
    assert len(content) == 44
    for path, (kind, shape, values) in content.items():
        found = root.find(path)
        assert (found.dtype, found.shape) == (np.dtype(f"<{kind}"), tuple(shape))
        np.testing.assert_array_equal(found.ravel(), np.asarray(values, kind))
    assert root.find("compact").tolist() == [1, 2, 3]
    assert [float(root.find(f"many/{i:02}")) for i in range(20)] == list(range(20))


def test_attributes_are_numbers_texts_or_lists_of_texts():
    root = open_hdf5(sample("accepted.h5"))
    assert root.attribute("text") == "α text"
    assert root.attribute("bytes") == "some bytes"
    assert root.attribute("texts") == ["", "one", "two " * 100]
    assert root.attribute("fixed") == ["a", "bcd"]
    assert root.attribute("number") == np.float32(2.5)
    assert root.attribute("numbers").tolist() == [0, 1, 2]
    assert root.attribute("none").size == 0
    assert root.find("many").attribute("long") == "x" * 100_000
    assert root.attribute("absent") is None


def test_a_path_that_is_not_there_is_none():
    root = open_hdf5(write_hdf5({"a": {"b": np.ones(2)}}))
    assert root.find("a/c") is None
    assert root.find("a/b/c") is None
    assert root.group("a/b") is None
    assert root.find("") is None


def test_arrays_are_views_of_the_file():
    content = write_hdf5({"a": np.ones((100, 100))})
    array = open_hdf5(content).find("a")
    assert not array.flags.writeable and np.shares_memory(array, np.frombuffer(content, np.uint8))


@given(TREES)
def test_what_is_written_is_read(tree):
    assert same(everything(open_hdf5(write_hdf5(tree))), tree)


@given(TREES)
def test_the_hdf5_library_reads_what_is_written(tree):
    h5py = pytest.importorskip("h5py")

    def read(group):
        return {name: read(member) if isinstance(member, h5py.Group) else member[()] for name, member in group.items()}

    assert same(read(h5py.File(io.BytesIO(write_hdf5(tree)))), tree)


def test_groups_with_an_index_of_two_levels_are_read(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "many.h5", "w") as file:
        for i in range(3000):
            file[f"a{i}"] = i
    root = open_hdf5((tmp_path / "many.h5").read_bytes())
    assert list(root) == sorted(f"a{i}" for i in range(3000))
    assert [int(root.find(f"a{i}")) for i in range(3000)] == list(range(3000))


# what is refused

REASONS = {
    "soft_link": "'layers': 'a' is a soft link",
    "external_link": "links of the newer kind, which can lead to other files",
    "external_storage": "external storage: its data is in another file",
    "chunks": "stored in chunks",
    "resizable": "stored in chunks",
    "gzip": r"filters \(compression\)",
    "virtual": r"stored in other files \(virtual\)",
    "reference": "references to objects",
    "big_endian": "not little-endian",
    "bfloat16": r"opaque bytes \(bfloat16",
    "compound": "compounds",
    "complex": "compounds",
    "boolean": "enumerations",
    "texts": "an array of texts",
    "committed_type": "a message that several objects share",
    "ordered": "newer layout .* libver='latest'.* Save the model again",
    "never_written": "not all in the file",
    "latest": "superblock of version 3: .* libver='latest'.* Save the model again with Keras",
    "v108": "superblock of version 2: .* libver='latest'.* Save the model again with Keras",
    "user_block": "not an HDF5 file",
    "hard_link": "belongs to two parts, or a part contains itself",
}


def test_there_is_a_sample_of_everything_that_is_refused():
    assert sorted(names("refused")) == sorted(f"refused/{name}.h5" for name in REASONS)


@pytest.mark.parametrize("name", REASONS)
def test_what_keras_does_not_write_is_refused_with_its_name(name):
    with pytest.raises(ModelFileError, match=REASONS[name]):
        everything(open_hdf5(sample(f"refused/{name}.h5")))


@pytest.mark.parametrize("name", ["sequential.weights.h5", "keras22.h5"])
def test_a_file_that_was_cut_off_is_refused_at_every_length(name):
    content = sample(name)
    for length in range(0, len(content), 13):
        with pytest.raises(ModelFileError, match=r"cut off|not an HDF5 file"):
            open_hdf5(content[:length])


def patched(content, old, new):
    """The file with these bytes, which are in it once, replaced."""
    assert content.count(old) == 1 and len(old) == len(new)
    return content.replace(old, new)


def two_arrays():
    """A file with two arrays, and the places of their data."""
    content = write_hdf5({"a": np.full(64, 1.5), "b": np.full(64, 2.5)})
    return content, *(content.index(np.full(64, value).tobytes()) for value in (1.5, 2.5))


def test_a_shape_that_does_not_match_the_bytes_in_the_file_is_refused_before_memory_is_asked_for():
    content, _, _ = two_arrays()
    shape = struct.pack("<BB6xQ", 1, 1, 64)
    place = content.index(shape)
    for size in (63, 65, 1 << 40, (1 << 61) + 64, (1 << 64) - 1):
        changed = content[:place] + struct.pack("<BB6xQ", 1, 1, size) + content[place + len(shape) :]
        with pytest.raises(ModelFileError, match=rf"'a': float64 \({size},\) takes .* bytes; the file has 512 for it"):
            everything(open_hdf5(changed))


def test_an_array_may_not_reach_over_the_end_of_the_file():
    content, _, b = two_arrays()
    for place in (len(content) - 511, 1 << 40, (1 << 64) - 512):
        with pytest.raises(ModelFileError, match="'b': cut off: 512 bytes of an array are not all in the file"):
            everything(open_hdf5(patched(content, struct.pack("<QQ", b, 512), struct.pack("<QQ", place, 512))))


def test_arrays_that_share_their_bytes_are_refused_when_together_they_exceed_the_file(monkeypatch):
    append, places = hdf5_writer.append, {}

    def append_once(content, part):
        if len(part) < 4096:
            return append(content, part)
        if part not in places:
            places[part] = append(content, part)
        return places[part]

    monkeypatch.setattr(hdf5_writer, "append", append_once)
    content = write_hdf5({f"a{i}": np.ones(512) for i in range(9)})
    assert len(content) < 2 * 4096
    with pytest.raises(ModelFileError, match="'a1': damaged: arrays and texts take more bytes than the file has"):
        everything(open_hdf5(content))


def test_an_index_that_contains_itself_is_refused():
    content = write_hdf5({"a": np.ones(2)})
    node = content.index(b"TREE")
    deep = bytearray(content)
    deep[node + 5] = 1  # not a leaf: its child is an index node
    deep[node + 32 : node + 40] = struct.pack("<Q", node)
    with pytest.raises(ModelFileError, match="belongs to two parts, or a part contains itself"):
        open_hdf5(bytes(deep))


def test_a_group_that_contains_itself_is_refused():
    content = write_hdf5({"g": {"a": np.ones(2)}})
    root, header = struct.unpack("<Q", content[64:72])[0], content.rindex(b"SNOD") + 16
    changed = bytearray(content)
    changed[header : header + 8] = struct.pack("<Q", root)
    with pytest.raises(ModelFileError, match=r"'g': damaged: byte .* belongs to two parts"):
        everything(open_hdf5(bytes(changed)))


def test_a_header_that_continues_in_itself_is_refused():
    content = write_hdf5({"a": np.ones(2)})
    place = content.index(struct.pack("<HHB3x", 0x08, 24, 0))  # the message with the array's place
    message = struct.pack("<HHB3xQQ", 0x10, 24, 0, place, 32)
    changed = content[:place] + message + content[place + len(message) :]
    count = changed.rindex(struct.pack("<BxHII", 1, 3, 1, 88), 0, place)
    changed = changed[: count + 2] + struct.pack("<H", 60000) + changed[count + 4 :]
    with pytest.raises(ModelFileError, match=r"'a': damaged: byte .* belongs to two parts, or a part contains itself"):
        everything(open_hdf5(changed))


def test_an_index_with_more_parts_than_any_file_of_keras_is_refused(monkeypatch):
    content = write_hdf5({f"a{i}": np.ones(2) for i in range(300)})
    monkeypatch.setattr("scratchnet.interop.hdf5_source.READ_LIMIT", 500)
    with pytest.raises(ModelFileError, match="more parts than a Keras file has"):
        open_hdf5(content)


def test_a_name_without_an_end_is_refused():
    content = write_hdf5({"a" * 2000: np.ones(2)})
    with pytest.raises(ModelFileError, match="a name without an end"):
        open_hdf5(content)
