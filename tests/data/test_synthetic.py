"""Synthetic digits: kept like MNIST, the same for the same arguments, and neither trivial nor hopeless."""

import numpy as np
import pytest

from scratchnet.data import synthetic
from scratchnet.data.folder import FILES, load_idx_dataset
from scratchnet.data.idx import read_idx
from scratchnet.data.mnist import is_mnist
from scratchnet.data.synthetic import CHARACTERS, FONTS, PENS, load_synthetic


def small(folder, **changes):
    return load_synthetic(**{"n_train": 60, "n_test": 20, "data_dir": folder, **changes})


def flat(dataset):
    return [array for pair in dataset for array in pair]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(flat(a), flat(b), strict=True))


def test_they_have_the_shapes_and_types_of_mnist(tmp_path):
    (x_train, y_train), (x_test, y_test) = dataset = small(tmp_path)
    assert x_train.shape == (60, 28, 28) and x_test.shape == (20, 28, 28)
    assert all(array.dtype == np.uint8 for array in flat(dataset))
    assert np.bincount(y_train).tolist() == [6] * 10 and np.bincount(y_test).tolist() == [2] * 10
    assert y_train.tolist() != sorted(y_train)
    assert not is_mnist(dataset)


def test_they_are_white_on_black_in_the_middle(tmp_path):
    (x, _), _ = small(tmp_path)
    frame = np.concatenate([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], axis=1)
    assert frame.mean() < 10
    assert (x[:, 4:24, 4:24].max(axis=(1, 2)) > 150).all()


def test_they_lie_in_real_files_in_a_folder_of_their_own(tmp_path):
    dataset = small(tmp_path)
    (folder,) = tmp_path.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == sorted(["classes.txt", *(f"{name}.gz" for name in FILES)])
    assert same(dataset, load_idx_dataset(folder))


def test_the_same_arguments_give_the_same_digits_and_another_seed_others(tmp_path):
    assert same(small(tmp_path / "a", seed=3), small(tmp_path / "b", seed=3))
    assert not same(small(tmp_path / "a", seed=3), small(tmp_path / "a", seed=4))


def test_no_two_images_are_alike_also_between_training_and_test(tmp_path):
    (x_train, _), (x_test, _) = load_synthetic(n_train=500, n_test=500, data_dir=tmp_path)
    assert len({image.tobytes() for image in (*x_train, *x_test)}) == 1000


def test_they_are_made_once_and_again_only_when_damaged(tmp_path, monkeypatch):
    first = small(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(synthetic, "_draw_glyphs", lambda _: pytest.fail("drew them again"))
        assert same(first, small(tmp_path))

    path = next(tmp_path.glob(f"*/{FILES[2]}.gz"))
    whole = path.read_bytes()
    for damage in (whole[:-1], b"", whole.replace(whole[100:104], b"oops")):
        path.write_bytes(damage)
        assert same(first, small(tmp_path))
        assert path.read_bytes() == whole


def test_where_nothing_can_be_kept_they_are_made_all_the_same(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.warns(UserWarning, match="cannot keep the synthetic digits"):
        dataset = small(tmp_path / "file")
    assert same(dataset, small(tmp_path))


def test_size_classes_and_channels_are_free(tmp_path):
    (x, y), _ = small(tmp_path, size=40, classes=34, channels=3)
    assert x.shape == (60, 40, 40, 3) and set(y) == set(range(34))
    assert not np.array_equal(x[..., 0], x[..., 1])
    (x, y), _ = small(tmp_path, size=8, classes=2)
    assert x.shape == (60, 8, 8) and set(y) == {0, 1}


def test_every_font_draws_every_character_and_no_two_alike():
    glyphs = synthetic._draw_glyphs(CHARACTERS)
    assert [len(versions) for versions in glyphs] == [len(FONTS) * len(PENS)] * len(CHARACTERS)
    for versions in zip(*glyphs, strict=True):
        images = np.array([np.asarray(image) for image in versions])
        assert len({image.tobytes() for image in images}) == len(CHARACTERS)
        assert (images.max(axis=(1, 2)) == 255).all()
        assert images[:, [0, -1]].max() == images[:, :, [0, -1]].max() == 0


def test_the_nearest_mean_of_a_class_is_often_right_and_often_wrong(tmp_path):
    (x_train, y_train), (x_test, y_test) = load_synthetic(n_train=1500, n_test=500, data_dir=tmp_path)
    means = np.stack([x_train[y_train == label].mean(axis=0) for label in range(10)])
    distance = np.square(x_test[:, None] - means).sum(axis=(2, 3))
    assert 0.5 < (distance.argmin(axis=1) == y_test).mean() < 0.9


@pytest.mark.parametrize(
    "wrong", [{"n_train": 0}, {"n_test": 0}, {"seed": -1}, {"size": 7}, {"classes": 35}, {"channels": 0}]
)
def test_arguments_out_of_range_are_named(wrong, tmp_path):
    with pytest.raises(ValueError, match=f"expected {next(iter(wrong))} from"):
        small(tmp_path, **wrong)
    assert list(tmp_path.iterdir()) == []


def test_the_files_are_not_packed_twice_differently(tmp_path):
    for folder in ("a", "b"):
        small(tmp_path / folder)
    a, b = (sorted((tmp_path / folder).glob("*/*.gz")) for folder in "ab")
    assert [path.read_bytes() for path in a] == [path.read_bytes() for path in b]
    assert read_idx(a[0]).dtype == np.uint8
