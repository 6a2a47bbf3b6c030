"""The bytes of a model file: what they may say, and what is refused before anything is allocated."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.numpy import load, save

from scratchnet.saving import container
from scratchnet.saving.container import ModelFileError, header_length, parse_header, parse_json, read_container


def written(path, header, data=b""):
    """A container with this header, a dict or a finished text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def test_what_the_official_library_writes_is_read_with_its_types_and_shapes(tmp_path, rng):
    arrays = {
        "a.W": rng.standard_normal((3, 4)).astype("f4"), "b": np.arange(5), "flags": np.array([True, False]),
        "zero": np.zeros(()), "none": np.zeros((0, 3), "u1"), "half": np.ones(3, "f2"),
        "word": np.array([2**64 - 1], "u8"),
    }  # fmt: skip
    (tmp_path / "m").write_bytes(save(arrays, {"note": "hello"}))
    mine, metadata = read_container(tmp_path / "m")
    assert metadata == {"note": "hello"} and mine.keys() == arrays.keys()
    for name, array in arrays.items():
        assert mine[name].dtype == array.dtype and mine[name].flags.writeable
        np.testing.assert_array_equal(mine[name], array, strict=True)


REFUSED = {  # header, data, what the error says
    "a gap before": ({"a": entry(offsets=(8, 16))}, 16, "a begins at byte 8, expected 0: gap or overlap"),
    "a gap between": ({"a": entry(), "b": entry(offsets=(12, 20))}, 20, "b begins at byte 12, expected 8"),
    "an overlap": ({"a": entry(), "b": entry(offsets=(4, 12))}, 12, "b begins at byte 4, expected 8"),
    "the same place twice": ({"a": entry(), "b": entry()}, 8, "b begins at byte 0, expected 8"),
    "bytes left over": ({"a": entry()}, 9, "cut off, or too long: 9 bytes of arrays, expected 8"),
    "bytes missing": ({"a": entry()}, 7, "cut off, or too long: 7 bytes of arrays, expected 8"),
    "no arrays but bytes": ({}, 1, "too long"),
    "a shape too large": ({"a": entry(shape=(2**40, 2**40))}, 8, "does not take the 8 bytes it is given"),
    "a product that wraps in 64 bits": ({"a": entry(shape=(2**32, 2**32))}, 8, "does not take the 8 bytes"),
    "a size beyond all": ({"a": entry(shape=(2**64,))}, 8, "a must have a shape of at most 8 sizes and two offsets"),
    "a negative size": ({"a": entry(shape=(-1, -2))}, 8, "a must have a shape"),
    "a size that is true": ({"a": entry(shape=(True, 2))}, 8, "a must have a shape"),
    "a fractional size": ({"a": entry(shape=(2.0,))}, 8, "a must have a shape"),
    "too many axes": ({"a": entry(shape=[1] * 8 + [2])}, 8, "a must have a shape of at most 8 sizes"),
    "offsets in reverse": ({"a": entry(offsets=(8, 0))}, 8, "does not take the -8 bytes"),
    "one offset": ({"a": entry(offsets=(8,))}, 8, "two offsets"),
    "an unknown type": ({"a": entry("OBJECT")}, 8, "a has dtype 'OBJECT', which is not one of BOOL, U8"),
    "a type that is a list": ({"a": entry(["F32"])}, 8, "a has dtype"),
    "something more": ({"a": entry(url="http://127.0.0.1/")}, 8, "dtype, shape and data_offsets, and nothing else"),
    "an entry that is a number": ({"a": 3}, 0, "a must have dtype"),
    "a path as a name": ({"../a": entry()}, 8, "'../a' is not an array's name"),
    "a name with an escape code": ({"\x1b[2J": entry()}, 8, r"'\\x1b\[2J' is not an array's name"),
    "no name": ({"": entry()}, 8, "'' is not an array's name"),
    "a long name": ({"a" * 201: entry()}, 8, "at most 200"),
    "metadata that is no text": ({"__metadata__": {"a": 1}}, 0, "__metadata__ must hold texts by name"),
    "metadata that is a list": ({"__metadata__": []}, 0, "__metadata__ must hold texts by name"),
    "a list": ([1], 0, "its header is not an object"),
    "too many arrays": ({f"a{i}": entry(shape=(0,), offsets=(0, 0)) for i in range(4097)}, 0, "4,097 arrays, where"),
    "one key twice": (b'{"a": {}, "a": {}}', 0, "the key 'a' stands twice"),
    "NaN": (b'{"a": NaN}', 0, "NaN is no number"),
    "infinity": (b'{"a": -Infinity}', 0, "-Infinity is no number"),
    "nested without end": (b"[" * 100_000, 0, "nested too deeply"),
    "objects without end": (b'{"a":' * 50_000, 0, "nested too deeply"),
    "a hundred thousand lists": (b'{"a": [' + b"[]," * 100_001 + b"0]}", 0, "too many parts"),
    "a number of 5,000 digits": (b'{"a": ' + b"1" * 5000 + b"}", 0, "the header is not valid: Exceeds the limit"),
    "not UTF-8": (b'{"\xff": 1}', 0, "the header is not valid: 'utf-8' codec"),
    "not JSON": (b"{]", 0, "the header is not valid"),
    "something behind the JSON": (b"{} x", 0, "the header is not valid: Extra data"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_header_that_cannot_be_true_is_refused(tmp_path, case):
    header, size, message = REFUSED[case]
    with pytest.raises(ModelFileError, match=message):
        read_container(written(tmp_path / "m", header, bytes(size)))


@pytest.mark.parametrize("length", [0, 1, 20, 2**31, 2**63, 2**64 - 1])
def test_the_length_of_the_header_is_believed_only_if_the_file_has_it(length):
    with pytest.raises(ModelFileError, match=r"not a safetensors file, or cut off \(27 bytes\)"):
        header_length(length.to_bytes(8, "little"), 27)
    assert header_length((19).to_bytes(8, "little"), 27) == 19


def test_a_long_header_is_refused_before_it_is_read(tmp_path):
    with open(tmp_path / "m", "wb") as file:
        file.write((1 << 30).to_bytes(8, "little"))
        file.truncate((1 << 30) + 8)  # a hole: a gigabyte that takes no room on the disk
    with pytest.raises(ModelFileError, match="a header of 1,073,741,824 bytes, where 1,048,576 are allowed"):
        read_container(tmp_path / "m")


def test_a_file_of_terabytes_is_refused_before_it_is_read(tmp_path):
    written(tmp_path / "m", {"a": entry("U8", (1 << 40,), (0, 1 << 40))})
    with open(tmp_path / "m", "r+b") as file:
        try:
            file.truncate((1 << 40) + (tmp_path / "m").stat().st_size)
        except OSError:
            pytest.skip("this file system has no holes of that size")
    with pytest.raises(ModelFileError, match="are more than a model file may have"):
        read_container(tmp_path / "m")


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = written(tmp_path / "m", {"a": entry("U8", (10**6,), (0, 10**6))}, bytes(10**6))
    check = container.check_layout

    def shrink(*arguments):
        path.write_bytes(path.read_bytes()[:-3])
        return check(*arguments)

    monkeypatch.setattr(container, "check_layout", shrink)
    with pytest.raises(ModelFileError, match="became shorter"):
        read_container(path)


def test_brackets_in_texts_are_no_nesting():
    names = ["[", "{", "](", "}{"] * 5
    assert parse_json(json.dumps({"names": names})) == {"names": names}


# anything at all

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2**70)
    | st.floats()
    | st.sampled_from(["F32", "U8", "", "a"])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
sizes = st.lists(st.integers(-1, 9) | st.sampled_from([2**31, 2**48, 2**63]), max_size=4)
entries = st.fixed_dictionaries({
    "dtype": st.sampled_from(["F32", "F64", "U8", "F16"]) | values,
    "shape": sizes | values,
    "data_offsets": st.lists(st.integers(-1, 99), min_size=2, max_size=2) | values,
})  # fmt: skip
headers = st.dictionaries(
    st.sampled_from(["a", "b.W", "__metadata__"]) | st.text(max_size=4), entries | values, max_size=4
)


def check_header(tmp_path, header, size):
    """Refused by a ModelFileError, or read; and what is read here is never refused by the official library."""
    path = written(tmp_path / "m", header, bytes(size))
    try:
        arrays, _ = read_container(path)
    except ModelFileError:
        return
    try:
        theirs = load(path.read_bytes())
    except SafetensorError as error:
        pytest.fail(f"refused by the official library: {error}")
    assert {name: a.shape for name, a in arrays.items()} == {name: a.shape for name, a in theirs.items()}


@given(header=headers | values, size=st.integers(0, 40))
def test_any_header_is_refused_or_read_as_the_official_library_reads_it(tmp_path_factory, header, size):
    check_header(tmp_path_factory.getbasetemp(), header, size)


@pytest.mark.long
@settings(max_examples=20_000)
@given(header=headers | values, size=st.integers(0, 40))
def test_very_many_headers_are_refused_or_read_as_the_official_library_reads_them(tmp_path_factory, header, size):
    check_header(tmp_path_factory.getbasetemp(), header, size)


@given(st.binary(max_size=200))
def test_any_bytes_are_no_header_or_a_header(content):
    try:
        entries, metadata = parse_header(content)
    except ModelFileError:
        return
    assert isinstance(entries, list) and isinstance(metadata, dict)
