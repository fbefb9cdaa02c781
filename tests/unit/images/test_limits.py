"""No upload brings the intake down: limits before the work, and what once failed, again."""

import io
import itertools
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.fuzz import PREPARATIONS, TARGETS, make_seeds, mutate, prepare_one
from explorer.errors import UploadError
from explorer.images.batch import Refused, read_batch
from explorer.images.decoding import FEWER_PIXELS, open_image
from explorer.images.frames import count_blocks, count_frames, count_scans
from explorer.images.intake import (
    MAX_BLOCKS,
    MAX_FRAMES,
    MAX_SCANS,
    ModelInput,
    prepare_upload,
)

DIGITS = ModelInput((1, 28, 28), 0.0)
CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
SEEDS = make_seeds()


def saved(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def chunk(kind, content):
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def after_palette(gif):
    return 13 + (3 << ((gif[10] & 7) + 1))


def frames(count):
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (8, 9), dtype=np.uint8)) for _ in range(count)]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_once_failed_is_refused_or_prepared(path):
    data = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata
        for target, preparation in itertools.product(TARGETS, PREPARATIONS):
            for one in read_batch([(path.name, data)], target, preparation):
                assert isinstance(one, Refused) or np.isfinite(one.image).all()


@settings(max_examples=150, deadline=None)
@given(st.integers(10**6, 10**9))
def test_mutated_files_are_prepared_or_refused(number):
    _, data = mutate(SEEDS, number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert prepare_one(number, data) in ("prepared", "refused")


def test_a_mutation_is_known_by_its_number():
    assert mutate(SEEDS, 7) == mutate(SEEDS, 7)
    assert mutate(SEEDS, 7) != mutate(SEEDS, 8)


@pytest.mark.parametrize("file_format", ["GIF", "TIFF", "PNG", "WEBP"])
def test_frames_are_counted_up_to_a_limit(file_format):
    for count in (1, 2, 7):
        first, *more = frames(count)
        data = saved(first, file_format, save_all=True, append_images=more)
        with open_image(io.BytesIO(data)) as image:
            assert count_frames(image, data, 100) == count
            assert count_frames(image, data, 3) == min(count, 4)


def test_too_many_frames_are_refused_with_the_limit():
    first, *more = frames(2)
    data = saved(first, "GIF", save_all=True, append_images=more)
    long = data[:-1] + data[after_palette(data) : -1] * MAX_FRAMES + b";"
    with pytest.raises(UploadError, match="more than 1,000 frames, the limit is 1,000: save"):
        prepare_upload(long, "a.gif", DIGITS)


def test_a_chain_of_pages_that_bites_its_tail_ends():
    data = bytearray(saved(frames(1)[0], "TIFF"))
    (at,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * entries, at)
    with open_image(io.BytesIO(bytes(data))) as image:
        assert count_frames(image, bytes(data), 100) == 1


def test_a_jpeg_of_too_many_scans_is_refused():
    data = saved(frames(1)[0], "JPEG", progressive=True)
    scans = count_scans(data)
    assert 1 < scans < MAX_SCANS
    last = data[data.rindex(b"\xff\xda") : -2]
    long = data[:-2] + last * (MAX_SCANS + 1 - scans) + data[-2:]
    with pytest.raises(UploadError, match="the JPEG has 31 scans, the limit is 30: save it"):
        prepare_upload(long, "a.jpg", DIGITS)


def test_a_video_behind_a_photograph_is_no_scan_of_it():
    data = saved(frames(1)[0], "JPEG")
    video = struct.pack(">I4s", 24, b"ftyp") + b"mp42" + bytes(12) + b"\xff\xda\x00\x08" * 500_000
    assert count_scans(data + video) == count_scans(data) == 1
    assert np.isfinite(prepare_upload(data + video, "motion.jpg", DIGITS).image).all()


def test_a_profile_of_several_segments_holds_no_scans():
    profile = b"\xff\xda\x00\x08\xff\xd9" * 30_000
    data = saved(frames(1)[0], "JPEG", icc_profile=profile)
    assert data.count(b"ICC_PROFILE") > 2
    assert count_scans(data) == 1
    prepare_upload(data, "profile.jpg", DIGITS)


def test_scans_behind_a_filling_byte_or_a_restart_are_counted():
    data = saved(frames(1)[0], "JPEG", restart_marker_blocks=1)
    assert b"\xff\xd0" in data
    start = data.index(b"\xff\xda")
    assert count_scans(data[:start] + b"\xff" * 9 + data[start:]) == 1
    assert count_scans(data[: start + 3]) == 1  # cut off in the midst of a length


def many_blocks(file_format, count):
    data = saved(frames(1)[0], file_format)
    if file_format == "PNG":
        return data[:33] + chunk(b"abCd", b"") * count + data[33:]
    if file_format == "JPEG":
        return data[:2] + b"\xff\xe5\x00\x02" * count + data[2:]
    start = after_palette(data)
    return data[:start] + b"\x21\xfe\x01a\x00" * count + data[start:]


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF"])
def test_endless_metadata_is_refused_before_it_is_read(file_format):
    with pytest.raises(UploadError, match="more than 20,000 blocks beside its pixels, the limit"):
        prepare_upload(many_blocks(file_format, MAX_BLOCKS + 1), "a", DIGITS)
    some = many_blocks(file_format, 50)
    assert 50 <= count_blocks(some, MAX_BLOCKS) < 70
    prepare_upload(some, "a", DIGITS)


def test_bytes_that_belong_to_no_block_count_too():
    jpeg, gif = saved(frames(1)[0], "JPEG"), saved(frames(1)[0], "GIF")
    start = after_palette(gif)
    assert count_blocks(jpeg[:2] + b"\x01" * 500 + jpeg[2:], 1000) > 500
    assert count_blocks(gif[:start] + b"\x01" * 500 + gif[start:], 1000) == 500


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF89a"])
)
def test_blocks_of_anything_are_counted(data, start):
    assert 0 <= count_blocks(start + data, 20) <= 21


@pytest.mark.parametrize("header", [b"P5 #" + b"a" * 2000 + b"\n2 2 255\n", b"P5" + b" " * 2000])
def test_a_pnm_with_an_endless_header_is_refused(header):
    with pytest.raises(UploadError, match="its header is damaged or has over 1,024 bytes"):
        prepare_upload(header + bytes(4), "a", DIGITS)


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_binary_pnm_is_read(mode):
    image = frames(1)[0].convert(mode)
    prepared = prepare_upload(saved(image, "PPM"), "a", ModelInput((1, 8, 9), 0.45))
    assert np.array_equal(np.rint(prepared.image[0] * 255), np.asarray(image.convert("L")))


def test_formats_that_hold_a_picture_several_times_over_have_a_lower_limit():
    side = 5000
    data = saved(Image.new("L", (side, side)), "WEBP", method=0, quality=1)
    assert side**2 > FEWER_PIXELS["WEBP"]
    with pytest.raises(UploadError, match="has 25,000,000 pixels, the limit is 24,000,000"):
        prepare_upload(data, "a", DIGITS)


def test_the_tile_of_a_tiff_is_limited_too():
    data = bytearray(saved(Image.new("L", (32, 32)), "TIFF"))
    (at,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, at)
    for place in range(at + 2, at + 2 + 12 * entries, 12):
        (tag,) = struct.unpack_from("<H", data, place)
        if tag in (278, 279):  # rows and bytes of a strip become the width and height of a tile
            struct.pack_into("<HHII", data, place, tag + 44, 4, 1, 65536)
    with pytest.raises(UploadError, match="has 4,294,967,296 pixels, the limit is 40,000,000"):
        prepare_upload(bytes(data), "a", DIGITS)


def test_large_floats_are_scaled_a_part_at_a_time():
    levels = np.linspace(0, 1, 3000 * 1000, dtype=np.float32).reshape(3000, 1000)
    prepared = prepare_upload(
        saved(Image.fromarray(levels), "TIFF"), "a", ModelInput((1, 96, 32), 0.45)
    )
    rows = prepared.image[0].mean(axis=1)
    assert np.allclose(rows, (np.arange(96) + 0.5) / 96, atol=0.01)
