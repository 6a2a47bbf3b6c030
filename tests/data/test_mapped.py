"""Mapped images are those in memory, read when they are indexed."""

import gzip
import resource
import subprocess
import sys

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import data
from scratchnet.checkpoint.setup import digest
from scratchnet.data import idx, mapped


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (50, 6, 5), np.uint8)


@pytest.fixture
def file(images, tmp_path):
    sn.write_idx(tmp_path / "images", images)
    return tmp_path / "images"


def test_every_way_of_indexing_reads_the_same_images(images, file):
    found, rows = data.MappedImages.of(file), np.array([7, 3, 3, 49])
    for index in (slice(2, 9), slice(None), rows, 11, -1, np.arange(50) > 40):
        np.testing.assert_array_equal(found[index], images[index])
    part, grey = found.subset(rows), found[..., None]
    np.testing.assert_array_equal(part[1:], images[rows][1:])
    np.testing.assert_array_equal(part.subset(np.array([3, 0]))[:], images[[49, 7]])
    np.testing.assert_array_equal(grey.subset(rows)[np.array([2])], images[[3]][..., None])
    np.testing.assert_array_equal(np.asarray(part), images[rows])
    assert (found.min(), found.max()) == (images.min(), images.max())
    assert (found.shape, found.size, found.nbytes, found.dtype) == (images.shape, images.size, images.nbytes, np.uint8)
    assert found.astype(np.uint8) is found


def test_what_is_read_is_a_copy_and_survives_the_pages(images, file, monkeypatch):
    monkeypatch.setattr(mapped, "KEPT", mapped.FOLIO)  # every read gives the pages back
    found = data.MappedImages.of(file)
    first = found[:10]
    first[...] += 1
    np.testing.assert_array_equal(found[:10], images[:10])


def test_training_on_mapped_images_gives_the_same_bits_and_the_same_setup(images, file, engine):
    labels = np.arange(50) % 3
    models = []
    for x in (images, data.MappedImages.of(file)):
        model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(3)], (6, 5, 1), engine=engine)
        model.fit(x, labels, epochs=2, batch_size=16, validation_data=(x, labels), verbose=False)
        models.append(model)
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)
    assert digest(data.MappedImages.of(file)) == digest(images)
    np.testing.assert_array_equal(models[0].predict(data.MappedImages.of(file)), models[0].predict(images))
    assert models[0].evaluate(data.MappedImages.of(file), labels) == models[0].evaluate(images, labels)


def test_a_folder_is_mapped_where_its_files_are_not_packed(images, tmp_path):
    y = (np.arange(50) % 3).astype(np.uint8)
    sn.write_idx_dataset(tmp_path, ((images, y), (images[:9], y[:9])))
    packed = tmp_path / "train-images-idx3-ubyte.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    (x, _), (x_test, _) = data.read_folder(tmp_path, mapped=True)
    assert isinstance(x, data.MappedImages) and isinstance(x_test, np.ndarray)
    (x, _), _ = data.read_folder(tmp_path)
    assert isinstance(x, np.ndarray)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "magic number|two zero bytes"),
        (b"\0\0\x08\x03\0\0\0\x05", "sizes"),
        (b"\0\0\x08\x01\0\0\0\x05abc", "13 bytes in all"),
        (b"<html>....", "two zero bytes"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, said):
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(idx.DataFileError, match=said):
        data.MappedImages.of(path)


def write_large(path, gibibytes):
    """Repeated digits, 28 × 28, a block at a time; how many."""
    block = np.random.default_rng(0).integers(0, 256, (4096, 28, 28), np.uint8)
    blocks = int(gibibytes * 2**30) // block.nbytes + 1
    with open(path, "wb") as file:
        sizes = np.array([len(block) * blocks, 28, 28], ">i4")
        file.write(b"\0\0\x08\x03" + sizes.tobytes())
        for _ in range(blocks):
            file.write(block.data)
    return len(block) * blocks


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="resource is for Unix")
def test_four_gibibytes_are_trained_on_in_less_than_one(tmp_path):
    n = write_large(tmp_path / "images", 4)
    program = f"""
import resource, sys, numpy as np, scratchnet as sn
from scratchnet import data
x = data.MappedImages.of({str(tmp_path / "images")!r})
y = (np.arange({n}) % 4096 % 10).astype(np.uint8)
class Stop(sn.Callback):
    def on_batch_end(self, run, logs):
        if run.batch == 200:
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            sys.exit(0)
model = sn.Sequential([sn.Rescale(), sn.Conv2D(8, 3), sn.ReLU(), sn.Flatten(), sn.Dense(10)], (28, 28, 1))
model.fit(x, y, callbacks=[Stop(), sn.Checkpoint({str(tmp_path / "checkpoint")!r}, every_batches=100)], verbose=False)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    scale = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout.split()[-1]) * scale < 2**30
    assert resource.getpagesize() > 0
