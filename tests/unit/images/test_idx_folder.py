import gzip
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from explorer.errors import DataError
from explorer.images import dataset
from explorer.images.idx_folder import is_idx_path, load_idx_folder
from explorer.images.registry import load_images
from tests.unit.images.conftest import idx_bytes


@pytest.fixture
def make_idx(tmp_path):
    """Put a set of 30 + 10 images of 12 x 10 pixels into a folder; a part that is None is left out.

    Returns the folder and the arrays by part.
    """

    def make(stem="", test="t10k", suffix=".gz", folder="idx", shape=(12, 10), **parts):
        rng = np.random.default_rng(len(stem))
        arrays = {
            "train-images-idx3": rng.integers(0, 256, (30, *shape), dtype=np.uint8),
            "train-labels-idx1": rng.integers(1, 4, 30, dtype=np.uint8),
            f"{test}-images-idx3": rng.integers(0, 256, (10, *shape), dtype=np.uint8),
            f"{test}-labels-idx1": rng.integers(1, 4, 10, dtype=np.uint8),
        }
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        for name, array in arrays.items():
            content = parts.get(name.replace("-", "_")[:-5], idx_bytes(array))
            if content is not None:
                packed = gzip.compress(content) if suffix else content
                (place / f"{stem}{name}-ubyte{suffix}").write_bytes(packed)
        return place, list(arrays.values())

    return make


@pytest.mark.parametrize("suffix", [".gz", ""])
def test_the_test_images_are_held_out_and_labels_are_classes(make_idx, suffix):
    folder, (train, train_labels, test, test_labels) = make_idx(suffix=suffix)
    seen = []
    image_set = load_idx_folder(folder, progress=lambda *step: seen.append(step))
    assert image_set.name == str(folder)
    assert np.array_equal(image_set.images[:, 0], np.concatenate([train, test]))
    assert image_set.train_index.tolist() == list(range(30))
    assert image_set.held_out_index.tolist() == list(range(30, 40))
    assert image_set.classes == ("1", "2", "3")
    assert np.array_equal(image_set.labels + 1, np.concatenate([train_labels, test_labels]))
    assert (image_set.credit, image_set.licence) == ("", "")
    assert seen[-1] == ("Reading idx", 40, 40)


def test_a_folder_of_idx_files_comes_before_its_images(make_idx):
    folder, (train, *_) = make_idx()
    for number in range(20):
        Image.new("L", (16, 16)).save(folder / f"{number}.png")
    image_set = load_images(str(folder))
    assert np.array_equal(image_set.images[:30, 0], train)
    assert load_images(image_set.name, size=(12, 10)).fingerprint == image_set.fingerprint
    assert load_images(image_set.name, size=(16, 16)).image_shape == (1, 16, 16)


def test_a_folder_of_images_alone_is_none_of_idx_files(make_folder, tmp_path):
    assert not is_idx_path(make_folder())
    assert not is_idx_path(tmp_path / "gone" / "emnist-letters")
    assert not is_idx_path(tmp_path / "pictures" / "a")
    (tmp_path / "._train-images-idx3-ubyte").touch()
    (tmp_path / "my-train-images-idx3-ubyte.png").touch()
    assert not is_idx_path(tmp_path)


def test_a_set_without_labels_is_unlabelled(make_idx):
    folder, _ = make_idx(train_labels=None, t10k_labels=None)
    image_set = load_idx_folder(folder)
    assert image_set.labels is None
    assert image_set.classes == ()
    assert len(image_set.images) == 40


def test_a_set_without_test_images_holds_a_tenth_out(make_idx):
    folder, (train, train_labels, *_) = make_idx(t10k_images=None, t10k_labels=None)
    image_set = load_idx_folder(folder)
    assert np.array_equal(image_set.images[:, 0], train)
    assert np.array_equal(image_set.labels + 1, train_labels)
    assert len(image_set.held_out_index) == 3
    together = np.concatenate([image_set.train_index, image_set.held_out_index])
    assert sorted(together.tolist()) == list(range(30))


def test_emnist_is_turned_upright_and_its_mapping_names_the_classes(make_idx):
    folder, (train, train_labels, test, _) = make_idx("emnist-letters-", "test")
    (folder / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98 \r\n\n26 90 122\n")
    image_set = load_idx_folder(folder)
    assert image_set.image_shape == (1, 10, 12)
    upright = np.concatenate([train, test]).transpose(0, 2, 1)
    assert np.array_equal(image_set.images[:, 0], upright)
    # Label 3 has no line.
    assert image_set.classes == ("Aa", "Bb", "3")
    assert np.array_equal(image_set.labels[:30] + 1, train_labels)
    assert image_set.name == str(folder / "emnist-letters")
    assert load_images(image_set.name).fingerprint == image_set.fingerprint


def test_other_sets_with_a_name_are_not_turned(make_idx):
    folder, (train, *_) = make_idx("kuzushiji-")
    assert np.array_equal(load_idx_folder(folder).images[:30, 0], train)


def test_one_of_several_sets_is_chosen_by_its_name(make_idx):
    make_idx("emnist-letters-", "test")
    folder, (train, *_) = make_idx("emnist-digits-", "test")
    with pytest.raises(
        DataError,
        match=rf"2 sets of IDX files \(emnist-digits, emnist-letters\): .* {folder}/emnist-letters",
    ):
        load_images(str(folder))
    digits = load_images(str(folder / "emnist-digits"))
    assert np.array_equal(digits.images[:30, 0], train.transpose(0, 2, 1))
    letters = load_images(str(folder / "emnist-letters"))
    assert letters.fingerprint != digits.fingerprint
    with pytest.raises(DataError, match=r"There is no data set .*emnist-bymerge"):
        load_images(str(folder / "emnist-bymerge"))
    with pytest.raises(DataError, match="no IDX files whose names start with 'emnist-bymerge'"):
        load_idx_folder(folder / "emnist-bymerge")


def test_an_unpacked_file_comes_before_its_gz(make_idx):
    folder, (train, *_) = make_idx(suffix="")
    make_idx(train_images=b"rubbish")
    assert np.array_equal(load_idx_folder(folder).images[:30, 0], train)


def test_missing_parts_are_named(make_idx):
    folder, _ = make_idx(train_images=None)
    with pytest.raises(DataError, match="has no training images: add a file"):
        load_idx_folder(folder)


def test_labels_for_one_half_alone_are_told(make_idx):
    folder, _ = make_idx(t10k_labels=None)
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz has no file of labels"):
        load_idx_folder(folder)


@pytest.mark.parametrize("suffix", [".gz", ""])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file of bytes with 3 axes: unpack it again"),
        (b"\0\0\x08\x03\0\0\0\x1e\0\0", "is not an IDX file of bytes with 3 axes"),
        (idx_bytes(np.zeros(30, np.uint8)), "is not an IDX file of bytes with 3 axes"),
        (b"\0\0\x0d\x03" + bytes(2000), "is not an IDX file of bytes with 3 axes"),
        (idx_bytes(np.zeros((30, 12, 10), np.uint8))[:-1], "(ends before|can hold)"),
        (idx_bytes(np.zeros((30, 12, 10), np.uint8)) + b"x", "holds more than it declares"),
        (idx_bytes(np.zeros((0, 12, 10), np.uint8)), "holds no images"),
        (idx_bytes(np.zeros((30, 7, 10), np.uint8)), "are 7 x 10 pixels .* are 12 x 10: give"),
    ],
)
def test_a_malformed_file_is_told(make_idx, suffix, content, message):
    folder, _ = make_idx(suffix=suffix, train_images=content)
    with pytest.raises(DataError, match=f"train-images.*{message}"):
        load_idx_folder(folder)


@pytest.mark.parametrize("cut", [1, 5, 40, -4])
def test_a_cut_off_gz_is_told(make_idx, cut):
    folder, _ = make_idx()
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz (cannot be unpacked|is not)"):
        load_idx_folder(folder)


@pytest.mark.parametrize("suffix", [".gz", ""])
def test_a_header_that_lies_takes_no_memory(make_idx, suffix):
    claim = b"".join(n.to_bytes(4, "big") for n in (200_000, 128, 128))
    folder, _ = make_idx(
        suffix=suffix,
        train_images=b"\0\0\x08\x03" + claim + bytes(5000),
        t10k_images=None,
        t10k_labels=None,
    )
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"declares \(200000, 128, 128\) bytes but can hold"):
            load_idx_folder(folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_a_gz_that_unpacks_to_more_than_it_declares_is_not_unpacked_further(make_idx):
    content = idx_bytes(np.zeros((30, 12, 10), np.uint8)) + bytes(2**26)
    folder, _ = make_idx(train_images=content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="holds more than it declares"):
            load_idx_folder(folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**22


def test_limits_hold_for_the_images_together(make_idx, monkeypatch):
    folder, _ = make_idx()
    monkeypatch.setattr(dataset, "MAX_BYTES", 40 * 12 * 10 - 1)
    with pytest.raises(DataError, match="40 images of 12 x 10 x 1 take"):
        load_idx_folder(folder)
    few, _ = make_idx(folder="small", shape=(4, 200))
    with pytest.raises(DataError, match=r"is 4 x 200 pixels .*: resize the images first"):
        load_idx_folder(few)


def test_labels_of_another_number_are_told(make_idx):
    labels = idx_bytes(np.zeros(29, np.uint8))
    folder, _ = make_idx(train_labels=labels)
    with pytest.raises(DataError, match=r"declares 29 labels, but .*train-images.* holds 30 ima"):
        load_idx_folder(folder)


@pytest.mark.parametrize("content", ["1 A\n", "1 65 99999999999\n", "1 55296\n", "1 -4\n", "é"])
def test_a_damaged_mapping_is_told(make_idx, content):
    folder, _ = make_idx("emnist-letters-", "test")
    (folder / "emnist-letters-mapping.txt").write_text(content)
    with pytest.raises(DataError, match=r"emnist-letters-mapping\.txt should hold a label"):
        load_idx_folder(folder)


def test_a_file_that_cannot_be_read_is_named(make_idx):
    folder, _ = make_idx(train_labels=None)
    (folder / "train-labels-idx1-ubyte").mkdir()
    with pytest.raises(
        DataError, match=r"train-labels-idx1-ubyte cannot be read \(it is not a regular"
    ):
        load_idx_folder(folder)
