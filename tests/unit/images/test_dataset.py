import hashlib
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.images import dataset
from explorer.images.dataset import ImageSet, split_images


def make_set(images, labels=None, train=None):
    count = len(images)
    return ImageSet(
        name="test",
        images=images,
        labels=labels,
        classes=(),
        train_index=np.arange(count - 1) if train is None else train,
        held_out_index=np.array([count - 1]),
        credit="",
        licence="",
    )


def test_floats_are_exact_at_both_ends():
    images = np.zeros((4, 1, 8, 8), np.uint8)
    images[2] = 255
    floats = make_set(images).floats(np.array([2, 0]))
    assert floats.dtype == np.float32
    assert floats.shape == (2, 1, 8, 8)
    assert floats[0].min() == 1
    assert floats[1].max() == 0


def test_fingerprint_names_its_algorithm_and_sees_pixels_shape_and_labels():
    images = np.arange(4 * 64, dtype=np.int64).astype(np.uint8).reshape(4, 1, 8, 8)
    labels = np.zeros(4, np.int64)
    other = images.copy()
    other[3, 0, 7, 7] ^= 1
    prints = [
        make_set(images).fingerprint,
        make_set(images, labels).fingerprint,
        make_set(images, labels + 1).fingerprint,
        make_set(other).fingerprint,
        make_set(images.reshape(4, 1, 4, 16)).fingerprint,
    ]
    assert len(set(prints)) == len(prints)
    assert prints[0].startswith("blake2b:")
    assert prints[0] == make_set(images.copy()).fingerprint


def test_fingerprint_stays_the_same_between_versions():
    images = np.arange(2 * 64, dtype=np.uint8).reshape(2, 1, 8, 8)
    expected = "blake2b:af4cf4d94d7588993e73c6580ac22def"
    assert make_set(images, np.array([0, 1])).fingerprint == expected


@pytest.mark.parametrize("chunk", [1, 700, 64 * 40, 2**24])
@pytest.mark.parametrize("labelled", [True, False])
def test_chunks_change_neither_the_fingerprint_nor_the_background(chunk, labelled, monkeypatch):
    rng = np.random.default_rng(3)
    # Every second row of a larger array: not contiguous.
    images = rng.integers(0, 256, (80, 3, 8, 9), dtype=np.uint8)[::2]
    labels = rng.integers(0, 5, 40) if labelled else None
    train = rng.permutation(40)[:33]
    whole = hashlib.blake2b(digest_size=16)
    whole.update(f"(40, 3, 8, 9) {'labelled' if labelled else 'unlabelled'}\n".encode())
    whole.update(images.tobytes() + (labels.astype("<i8").tobytes() if labelled else b""))
    inside = np.zeros((8, 9), bool)
    inside[1:-1, 1:-1] = True
    border = images[train][:, :, ~inside].astype(np.int64)
    monkeypatch.setattr(dataset, "_CHUNK_BYTES", chunk)
    image_set = make_set(images, labels, train)
    assert image_set.fingerprint == f"blake2b:{whole.hexdigest()}"
    assert image_set.background == int(border.sum()) / (255 * border.size)


def test_mapped_images_are_never_in_memory_as_a_whole(tmp_path):
    path = tmp_path / "images.npy"
    shape = (8192, 1, 128, 128)
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    image_set = make_set(np.lib.format.open_memmap(path, mode="c"))
    tracemalloc.start()
    try:
        assert image_set.fingerprint.startswith("blake2b:")
        assert image_set.background == 0
        assert type(image_set.floats(np.array([5, 8000]))) is np.ndarray
        assert type(image_set.floats(slice(10, 20))) is np.ndarray
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert image_set.images.nbytes == 2**27
    assert peak < 2**26


def test_a_trusted_fingerprint_stays_with_its_pixels():
    image_set = make_set(np.zeros((4, 1, 8, 8), np.uint8))
    image_set.trust_fingerprint("blake2b:known")
    assert image_set.fingerprint == "blake2b:known"
    other = replace(image_set, images=np.ones((4, 1, 8, 8), np.uint8))
    assert other.fingerprint == make_set(other.images).fingerprint


def test_most_sets_have_no_rows_for_a_final_test():
    image_set = make_set(np.zeros((4, 1, 8, 8), np.uint8))
    assert image_set.test_index.tolist() == []
    assert image_set.test_index.dtype == np.int64


def test_background_is_the_border_of_the_training_images_alone():
    images = np.zeros((3, 1, 8, 8), np.uint8)
    images[:, :, 1:-1, 1:-1] = 200
    images[0, :, 0] = 255
    images[2] = 255
    # 8 of 28 border pixels of one of two training images; the third is held out.
    assert make_set(images).background == pytest.approx(8 / 56)


def test_wrong_arrays_are_refused():
    with pytest.raises(ValueError, match="must be uint8"):
        make_set(np.zeros((4, 1, 8, 8), np.float32))
    with pytest.raises(ValueError, match=r"must be \(N, 1 or 3, H, W\)"):
        make_set(np.zeros((4, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="labels for 4 images"):
        make_set(np.zeros((4, 1, 8, 8), np.uint8), np.zeros(3, np.int64))


@given(st.integers(2, 3000), st.floats(0, 1))
def test_a_split_holds_every_image_once_and_has_two_sides(count, share):
    train, held_out = split_images(count, share)
    assert len(train) >= 1
    assert len(held_out) >= 1
    assert np.array_equal(np.sort(np.concatenate([train, held_out])), np.arange(count))
    assert np.array_equal(train, split_images(count, share)[0])


def test_the_split_never_changes():
    assert split_images(20, 0.2)[1].tolist() == [1, 3, 8, 17]
