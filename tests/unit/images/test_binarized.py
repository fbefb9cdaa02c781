import hashlib
from dataclasses import replace

import numpy as np
import pytest

from explorer.errors import DataError, DataNotAtHandError
from explorer.images.binarized import BINARIZED_MNIST, BinarizedPart, load_binarized

COUNTS = {"train": 30, "valid": 12, "test": 7}
PACKED = "binarized_mnist_packed.npz"


@pytest.fixture
def bits():
    """Pixels 0 and 1 by part, (N, 784)."""
    rng = np.random.default_rng(2)
    return {name: rng.integers(0, 2, (n, 784), dtype=np.uint8) for name, n in COUNTS.items()}


@pytest.fixture
def source(bits, mirror):
    """A small set of its own at a server of this machine, as the text that is published."""
    parts = {
        name: BinarizedPart(len(rows), hashlib.md5(np.packbits(rows, axis=1)).hexdigest())
        for name, rows in bits.items()
    }
    mirror.files = {f"binarized_mnist_{name}.amat": text(rows) for name, rows in bits.items()}
    return replace(BINARIZED_MNIST, parts=parts, mirrors=(mirror.url,))


def text(rows):
    return "".join(" ".join(map(str, row)) + " \n" for row in rows.tolist()).encode()


def save(folder, bits, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    packed = {name: np.packbits(rows, axis=1) for name, rows in bits.items()}
    np.savez_compressed(folder / PACKED, **(packed | changes))


def test_the_three_official_parts_are_kept_apart(tmp_path, bits, source):
    save(tmp_path, bits)
    image_set = load_binarized(tmp_path, source=source, allow_download=False)
    assert image_set.name == "binarized-mnist"
    assert image_set.images.shape == (49, 1, 28, 28)
    assert image_set.images.dtype == np.uint8
    pixels = image_set.images.reshape(49, 784)
    assert np.array_equal(pixels[image_set.train_index], bits["train"] * 255)
    assert np.array_equal(pixels[image_set.held_out_index], bits["valid"] * 255)
    assert np.array_equal(pixels[image_set.test_index], bits["test"] * 255)
    assert image_set.test_index.dtype == np.int64
    assert image_set.labels is None
    assert image_set.classes == ()


def test_the_published_set_has_seventy_thousand_images():
    counts = {name: part.count for name, part in BINARIZED_MNIST.parts.items()}
    assert counts == {"train": 50_000, "valid": 10_000, "test": 10_000}
    assert len({part.md5 for part in BINARIZED_MNIST.parts.values()}) == 3
    assert all(mirror.endswith("/") for mirror in BINARIZED_MNIST.mirrors)


def test_it_is_fetched_once_and_kept_packed(tmp_path, bits, source, mirror):
    seen = []
    folder = tmp_path / "set"
    first = load_binarized(folder, source=source, progress=lambda *step: seen.append(step))
    assert mirror.asked == [f"binarized_mnist_{name}.amat" for name in COUNTS]
    assert [path.name for path in folder.iterdir()] == [PACKED]
    size = len(mirror.files["binarized_mnist_test.amat"])
    assert seen[-1] == ("Binarized MNIST: binarized_mnist_test.amat", size, size)
    second = load_binarized(folder, source=source, allow_download=False)
    assert second.fingerprint == first.fingerprint
    assert np.array_equal(first.images[:30].reshape(30, 784), bits["train"] * 255)


def test_other_ends_of_lines_are_read(tmp_path, bits, source, mirror):
    first = load_binarized(tmp_path / "one", source=source)
    mirror.files = {
        name: content.replace(b" \n", b"\r\n") for name, content in mirror.files.items()
    }
    assert load_binarized(tmp_path / "two", source=source).fingerprint == first.fingerprint


def test_without_download_it_is_not_at_hand(tmp_path, source, mirror):
    with pytest.raises(DataNotAtHandError, match=f"{PACKED} is missing; allow the download"):
        load_binarized(tmp_path, source=source, allow_download=False)
    assert mirror.asked == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: None, "failed .*404"),
        (lambda content: b"<html>1</html>", "sent a file that holds more than 0 and 1"),
        (lambda content: content.replace(b"0", b"2", 1), "sent a file that holds more than 0"),
        (lambda content: content.replace(b"0", b"1", 1), "packed pixels have the MD5 .*, not"),
        (lambda content: content[:-3], "sent a file of 9407 pixels, not 9408"),
        (lambda content: content.replace(b" ", b"") + b"01", "of more than 12 images"),
        (lambda content: content * 2, "it sends more than 19,008 bytes"),
    ],
)
def test_a_mirror_that_sends_something_else_is_told(tmp_path, source, mirror, change, message):
    name = "binarized_mnist_valid.amat"
    changed = change(mirror.files.pop(name))
    if changed is not None:
        mirror.files[name] = changed
    with pytest.raises(DataError, match=f"(?s){message}.*or put {PACKED} into"):
        load_binarized(tmp_path / "set", source=source)
    assert list((tmp_path / "set").iterdir()) == []


def test_a_mirror_that_does_not_end_is_given_up(tmp_path, source, mirror):
    mirror.files["binarized_mnist_train.amat"] = b"0 " * 2**22
    seen = []
    with pytest.raises(DataError, match=r"failed \(it sends more than 47,520 bytes"):
        load_binarized(tmp_path, source=source, progress=lambda *step: seen.append(step[1]))
    assert all(done < 2**20 for done in seen)
    assert list(tmp_path.iterdir()) == []


def test_the_next_mirror_serves_when_one_fails(tmp_path, source, mirror):
    mirror.files |= {f"good-{name}": content for name, content in mirror.files.items()}
    mirror.cut = {"binarized_mnist_train.amat"}
    both = replace(source, mirrors=(mirror.url, f"{mirror.url}good-"))
    assert len(load_binarized(tmp_path, source=both).images) == 49
    assert mirror.asked[:2] == ["binarized_mnist_train.amat", "good-binarized_mnist_train.amat"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": np.zeros((7, 98), np.uint8)}, "test in .* is not what was published: its MD5"),
        ({"test": np.zeros((7, 97), np.uint8)}, r"test in .* is uint8 of shape \(7, 97\), but"),
        ({"test": np.zeros((7, 98), np.int8)}, r"test in .* is int8 of shape"),
        ({"more": np.zeros(3, np.uint8)}, "holds 'more'"),
        ({"train": np.zeros((30, 980), np.uint8)}, "are left for it"),
    ],
)
def test_a_file_that_holds_something_else_says_to_delete_it(
    tmp_path, bits, source, changes, message
):
    save(tmp_path, bits, **changes)
    with pytest.raises(DataError, match=f"{message}.*delete it, and it is downloaded again"):
        load_binarized(tmp_path, source=source)


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path, source):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be saved in .*set EXPLORER_DATA"):
        load_binarized(tmp_path / "file" / "set", source=source)
