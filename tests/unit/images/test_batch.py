"""Many files and archives of them: none is lost for another's sake, and no number is believed."""

import io
import struct
import tracemalloc
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from explorer.images import batch
from explorer.images.batch import MAX_ENTRIES, Refused, Upload, read_batch, unpack_uploads
from explorer.images.decoding import FORMATS_IN_WORDS
from explorer.images.intake import MAX_BYTES, ModelInput, PreparedImage
from explorer.images.preparation import Preparation

DIGITS = ModelInput((1, 28, 28), 0.0)


def picture(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (28, 28), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pack(entries, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def reasons(files):
    return {one.name: one.reason for one in unpack_uploads(files) if isinstance(one, Refused)}


def test_one_bad_file_does_not_lose_the_others():
    files = [
        ("a.png", picture(1)),
        ("b.png", b"no picture"),
        ("c.png", picture(2)),
        ("d.jpg", b""),
        ("e", picture(3)),
    ]
    found = list(read_batch(files, DIGITS))
    assert [isinstance(one, PreparedImage) for one in found] == [True, False, True, False, True]
    assert found[1] == Refused(
        "b.png",
        f"this is not an image in a format that can be read: save it as {FORMATS_IN_WORDS}.",
        path="b.png",
    )
    assert found[3].reason == "the file is empty (0 bytes): choose another one."


def test_an_archive_is_told_by_its_bytes_and_its_folders_are_gone_through():
    data = pack([("x/", b""), ("x/1.png", picture(1)), ("x/y/2.txt", picture(2)), ("3", b"?")])
    found = list(read_batch([("pictures.png", data), ("last.png", picture())], DIGITS))
    assert [one.name for one in found] == [
        "pictures.png › 1.png",
        "pictures.png › 2.txt",
        "pictures.png › 3",
        "last.png",
    ]
    assert [isinstance(one, Refused) for one in found] == [False, False, True, False]
    paths = [one.path for one in unpack_uploads([("up/pictures.png", data)])]
    assert paths == [f"up/pictures.png/{inside}" for inside in ("x/1.png", "x/y/2.txt", "3")]


def test_the_choices_hold_for_all():
    (found,) = read_batch([("a.zip", pack([("1.png", picture())]))], DIGITS, Preparation(turn="90"))
    assert found.preparation == Preparation(turn="90")


def test_files_are_taken_one_at_a_time():
    taken = []

    def files():
        for number in range(3):
            taken.append(number)
            yield f"{number}.png", picture(number)

    walk = read_batch(files(), DIGITS)
    next(walk)
    assert taken == [0]


def test_a_systems_notes_are_skipped_and_counted_once():
    entries = [("1.png", picture()), (".DS_Store", b"x"), ("a/Thumbs.db", b"x"), ("a/._1.png", b"")]
    entries += [(f"__MACOSX/._{number}.png", b"x") for number in range(MAX_ENTRIES)]
    found = list(unpack_uploads([("a.zip", pack(entries))]))
    skipped = [one for one in found if isinstance(one, Refused)]
    assert [one.skipped for one in skipped] == [True]
    assert "503 of the archive's files are notes of a system" in skipped[0].reason
    assert [one.name for one in found if isinstance(one, Upload)] == ["a.zip › 1.png"]


def test_archives_in_archives_are_not_opened():
    inner = pack([("1.png", picture())])
    found = reasons([("a.zip", pack([("inner.zip", inner), ("2.png", picture())]))])
    assert found == {"a.zip › inner.zip": "it is an archive in an archive, which is not opened."}


def test_encrypted_entries_are_told():
    data = bytearray(pack([("1.png", picture())], zipfile.ZIP_STORED))
    data[data.find(b"PK\x03\x04") + 6] |= 1
    data[data.find(b"PK\x01\x02") + 8] |= 1
    assert "it is encrypted" in reasons([("a.zip", bytes(data))])["a.zip › 1.png"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_without_a_bound_is_not_unpacked(compression):
    found = reasons([("a.zip", pack([("1.png", bytes(10**6))], compression))])
    assert f"number {compression}" in found["a.zip › 1.png"]


def test_too_many_entries_are_refused_with_the_number_and_the_limit():
    entries = [(f"{number}.png", b"") for number in range(MAX_ENTRIES + 1)]
    found = reasons([("a.zip", pack(entries))])
    assert found == {"a.zip": "the archive holds 501 files, the limit is 500: split it."}
    assert len(list(unpack_uploads([("a.zip", pack(entries[1:]))]))) == MAX_ENTRIES


def test_a_long_list_is_refused_before_it_is_read():
    entries = [(f"{number:0200}.png", b"") for number in range(5000)]
    found = reasons([("a.zip", pack(entries))])["a.zip"]
    assert "the archive's list of files has 1," in found
    assert "the limit is 1,000 KiB for 500 files" in found


def test_a_list_hidden_behind_zip64_is_refused():
    data = pack([("1.png", picture())])
    start = len(data) - 22
    hidden = data[:start] + b"PK\x06\x07" + bytes(16) + data[start:]
    assert "is one of ZIP64" in reasons([("a.zip", hidden)])["a.zip"]


def test_an_entry_too_large_is_refused_by_what_it_declares():
    found = reasons([("a.zip", pack([("1.png", bytes(MAX_BYTES + 1)), ("2.png", picture())]))])
    assert found == {
        "a.zip › 1.png": "it has 20.0 MiB or more when unpacked, the limit is 20 MiB: save it "
        "smaller."
    }


def lie(data, size):
    """The archive with another size declared for its only entry, at both places."""
    changed = bytearray(data)
    struct.pack_into("<L", changed, data.find(b"PK\x03\x04") + 22, size)
    struct.pack_into("<L", changed, data.find(b"PK\x01\x02") + 24, size)
    return bytes(changed)


@pytest.mark.parametrize("size", [0, 10, 1000, 2**31])
def test_a_lying_size_does_not_help(size):
    """A bomb of 64 MB in 64 kB, whatever it says that it holds."""
    data = lie(pack([("1.png", bytes(64 * 2**20))]), size)
    assert len(data) < 2**17
    tracemalloc.start()
    found = list(unpack_uploads([("a.zip", data)]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [type(one) for one in found] == [Refused]
    assert peak < 2 * MAX_BYTES


def test_all_that_is_unpacked_together_is_limited(monkeypatch):
    monkeypatch.setattr(batch, "MAX_EXPANDED_BYTES", 3 * 2**20)
    entries = [(f"{number}.png", bytes([number]) * 2**20) for number in range(5)]
    found = list(unpack_uploads([("a.zip", pack(entries))]))
    assert [isinstance(one, Refused) for one in found] == [False, False, False, True, True]
    assert "over 3 MiB when unpacked, which is the limit" in found[3].reason


def test_an_archive_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(batch, "MAX_ARCHIVE_BYTES", 2**10)
    data = pack([("1.png", picture())], zipfile.ZIP_STORED) + bytes(2**10)
    assert "the archive has 0.0 MiB, the limit is" in reasons([("a.zip", data)])["a.zip"]


def test_an_empty_archive_says_so():
    assert "holds no files" in reasons([("a.zip", pack([]))])["a.zip"]
    assert "holds no files" in reasons([("a.zip", pack([("x/", b"")]))])["a.zip"]


def test_a_damaged_entry_is_told_and_the_next_one_read():
    data = bytearray(pack([("1.png", picture(1)), ("2.png", picture(2))], zipfile.ZIP_STORED))
    data[60] ^= 1
    found = list(unpack_uploads([("a.zip", bytes(data))]))
    assert [isinstance(one, Refused) for one in found] == [True, False]
    assert "damaged in the archive" in found[0].reason


def test_a_cut_off_archive_is_told():
    data = pack([("1.png", picture())])
    assert "damaged or cut off" in reasons([("a.zip", data[:-30])])["a.zip"]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_archives_raise_nothing(data):
    content = bytearray(pack([("1.png", picture(1)), ("b/2.png", b"hello" * 50)]))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(len(content) // 2, len(content)))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's, of names met twice
        for one in read_batch([("a.zip", bytes(content))], DIGITS):
            assert isinstance(one, PreparedImage | Refused)


def test_raw_deflate_alone_is_no_archive():
    (only,) = unpack_uploads([("a.zip", zlib.compress(b"x"))])
    assert isinstance(only, Upload)
