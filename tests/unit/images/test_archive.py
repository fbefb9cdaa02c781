import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from explorer.errors import DataError
from explorer.images.archive import load_archive

GREY = np.random.default_rng(0).integers(0, 256, (24, 16, 12), dtype=np.uint8)


@pytest.fixture
def save(tmp_path):
    def save_arrays(**arrays):
        path = tmp_path / "set.npz"
        np.savez_compressed(path, **arrays)
        return path

    return save_arrays


def npy_header(shape, descr="|u1"):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return stream.getvalue()


@pytest.fixture
def save_raw(tmp_path):
    """An .npz whose `images` member is exactly these bytes."""

    def save_bytes(content):
        path = tmp_path / "raw.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("images.npy", content)
        return path

    return save_bytes


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (GREY, (24, 1, 16, 12)),
        (GREY[:, None], (24, 1, 16, 12)),
        (GREY[..., None], (24, 1, 16, 12)),
        (np.stack([GREY] * 3, axis=1), (24, 3, 16, 12)),
        (np.stack([GREY] * 3, axis=-1), (24, 3, 16, 12)),
    ],
)
def test_every_layout_gives_the_same_pixels(save, images, shape):
    image_set = load_archive(save(images=images))
    assert image_set.images.shape == shape
    assert all(np.array_equal(image_set.images[:, c], GREY) for c in range(shape[1]))
    assert image_set.labels is None
    assert image_set.classes == ()
    assert (image_set.credit, image_set.licence) == ("", "")


def test_its_name_loads_it_again(save, monkeypatch, tmp_path):
    save(images=GREY)
    monkeypatch.chdir(tmp_path)
    image_set = load_archive(Path("set.npz"))
    assert image_set.name == str(tmp_path.resolve() / "set.npz")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_round_to_the_nearest_byte(save, dtype):
    image_set = load_archive(save(images=(GREY / 255).astype(dtype)))
    assert np.array_equal(image_set.images[:, 0], GREY)


STEPS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16).repeat(24, axis=0)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (STEPS.astype(np.int64), "int64 from 0 to 255: 255 is read as white"),
        (STEPS.astype(np.int16), "255 is read as white"),
        (STEPS.astype(np.float32), "float32 from 0 to 255: 255 is read as white"),
        (STEPS.astype(np.uint16) * 257, "uint16 from 0 to 65535: 65535 is read as white"),
        (STEPS.astype(np.float32) / 127.5 - 1, "-1 is read as black, 1 as white"),
        (STEPS / 255, None),
        (STEPS, None),
    ],
)
def test_numbers_of_a_plain_range_are_read_by_it_and_it_is_said(save, images, words):
    image_set = load_archive(save(images=images))
    assert np.array_equal(image_set.images[:, 0], STEPS)
    if words is None:
        assert image_set.notes == ()
    else:
        assert words in image_set.notes[0]


def test_a_mask_is_black_and_white(save):
    image_set = load_archive(save(images=STEPS > 99))
    assert np.array_equal(image_set.images[:, 0], np.where(STEPS > 99, 255, 0))


def test_twelve_bits_in_sixteen_are_as_bright_as_in_a_picture(save):
    image_set = load_archive(save(images=STEPS.astype(np.uint16) * 16))
    assert image_set.images.max() >= 254


MASK = np.where(STEPS > 99, 255, 0)


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        ((STEPS > 99).astype(np.uint8), None, MASK),
        ((STEPS > 99).astype(np.int64), None, MASK),
        (STEPS / 8, None, STEPS),
        ((STEPS // 17).astype(np.int32), None, STEPS // 17 * 17),
        (STEPS.astype(np.int32) * 1000, None, STEPS),
        (STEPS.astype(np.int16) - 128, None, STEPS),
        (STEPS.astype(np.int16).astype(np.int8), None, np.roll(STEPS, 128, axis=1)),
        (STEPS / 100 - 1.3, None, STEPS),
        (STEPS * (1.2 / 255), None, None),
        (np.where(STEPS == 255, np.inf, STEPS / 255), None, STEPS),
        (np.where(STEPS == 0, np.nan, STEPS / 255), None, STEPS),
        (STEPS.astype(np.complex64), None, STEPS),
        (STEPS, np.arange(24.0), STEPS),
        (STEPS, np.arange(24) * (1 + 0j), None),
    ],
)
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_each_remedy_that_an_error_gives_gives_the_right_images(save, images, labels, expected):
    more = {} if labels is None else {"labels": labels}
    with pytest.raises(DataError) as caught:
        load_archive(save(images=images, **more))
    name, remedy = re.search(r"e\.g\. (\w+)=(.*)\.$", str(caught.value)).groups()
    arrays = {"images": images, **more}
    mended = {**arrays, name: eval(remedy, {"np": np, "float": float, "bool": bool, **arrays})}
    image_set = load_archive(save(**mended))
    if expected is not None:
        found = image_set.images[:, 0].astype(int)
        if images.dtype == np.int8:
            expected = np.asarray(images, int) + 128
        assert np.abs(found - expected).max() <= 1
    assert image_set.images.max() > 200


def test_integer_labels_are_sorted_as_numbers(save):
    labels = np.resize([10, 2, 30], 24)
    image_set = load_archive(save(images=GREY, labels=labels))
    assert image_set.classes == ("2", "10", "30")
    assert image_set.labels.tolist() == np.resize([1, 0, 2], 24).tolist()


@pytest.mark.parametrize("dtype", ["U", "S"])
def test_strings_are_the_names_of_classes(save, dtype):
    image_set = load_archive(save(images=GREY, labels=np.resize(["dog", "cat"], 24).astype(dtype)))
    assert image_set.classes == ("cat", "dog")
    assert image_set.labels[:2].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": GREY}, r"no array called images \(it has: pictures\)"),
        ({"images": GREY.reshape(24, -1)}, r"shape \(24, 192\): save them as"),
        ({"images": np.zeros((24, 2, 16, 12), np.uint8)}, "without an axis of 1 or 3 channels"),
        ({"images": np.zeros((24, 3, 16, 3), np.uint8)}, "could be the second or the last axis"),
        ({"images": GREY[:19]}, "holds 19 images, but at least 20"),
        ({"images": GREY[:1]}, "holds 1 image, but at least 20"),
        ({"images": np.zeros((24, 16, 7), np.uint8)}, "16 x 7 pixels .* from 8 to 128"),
        ({"images": np.zeros((24, 129, 16), np.uint8)}, "129 x 16 pixels .* from 8 to 128"),
        ({"images": GREY * (1 + 0j)}, "are complex128, but must be numbers"),
        ({"images": GREY / 255 - 0.5}, r"float64 from -0.5 to 0.5, but must be uint8"),
        ({"images": np.full((24, 9, 9), -7.5)}, "all their pixels are alike"),
        ({"images": np.where(GREY > 250, np.nan, 0.5)}, r"not finite \(image \d+\)"),
        ({"images": np.where(GREY > 250, np.inf, 0.5)}, r"not finite \(image \d+\)"),
        ({"images": GREY.astype(object)}, "images in .* Python objects, which only a pickle"),
        ({"images": GREY, "labels": np.zeros(23, int)}, r"shape \(23,\), but there are 24 images"),
        ({"images": GREY, "labels": np.zeros((24, 1), int)}, r"shape \(24, 1\)"),
        ({"images": GREY, "labels": np.zeros(24)}, "labels in .* are float64"),
        ({"images": GREY, "labels": np.array([None] * 24)}, "labels in .* Python objects"),
        ({"images": GREY, "labels": np.array([b"\xff"] * 24)}, "bytes that are not UTF-8"),
    ],
)
def test_a_malformed_archive_is_told(save, arrays, message):
    with pytest.raises(DataError, match=message):
        load_archive(save(**arrays))


def test_a_truncated_archive_is_told(save):
    path = save(images=GREY)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"damaged, cut off or not an \.npz file"):
        load_archive(path)


def test_a_file_that_is_no_archive_is_told(tmp_path):
    path = tmp_path / "set.npz"
    path.write_bytes(b"hello")
    with pytest.raises(DataError, match=r"damaged, cut off or not an \.npz file"):
        load_archive(path)


def test_a_damaged_member_is_told(save):
    path = save(images=GREY)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="damaged"):
        load_archive(path)


def test_a_declared_size_beyond_memory_is_refused_unread(save_raw):
    path = save_raw(npy_header((10**9, 128, 128)) + bytes(100))
    with pytest.raises(DataError, match=r"declares 15258\.8 GiB .* the limit is 4 GiB"):
        load_archive(path)


def test_more_declared_than_held_is_refused_unread(save_raw):
    path = save_raw(npy_header((2**20, 64, 64)) + bytes(100))
    with pytest.raises(DataError, match="declares 4294967296 bytes but holds 100"):
        load_archive(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not numpy at all",
        b"\x93NUMPY\x09\x00" + bytes(60),
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '|u1'}",
        npy_header((-24, 16, 12)) + bytes(24 * 16 * 12),
    ],
)
def test_a_broken_header_is_told(save_raw, content):
    with pytest.raises(DataError, match=r"The header of images in .* cannot be read"):
        load_archive(save_raw(content))


def test_an_array_in_a_folder_of_the_archive_is_not_images(tmp_path):
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sub/images.npy", npy_header((24, 16, 12)))
    with pytest.raises(DataError, match=r"no array called images \(it has: sub/images\)"):
        load_archive(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read \(No such file"):
        load_archive(tmp_path / "gone.npz")


@given(
    hnp.arrays(
        np.uint8,
        st.tuples(st.integers(20, 24), st.integers(8, 10), st.integers(8, 10)),
    )
)
def test_pixels_survive_the_round_trip(tmp_path_factory, images):
    images[0, 0, 0] = 255
    path = tmp_path_factory.mktemp("npz") / "set.npz"
    np.savez(path, images=images)
    image_set = load_archive(path)
    assert np.array_equal(image_set.images[:, 0], images)
    assert len(image_set.held_out_index) == 2
