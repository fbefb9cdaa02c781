"""What a folder of images holds, and that nothing of it is lost in silence."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from explorer.errors import DataError
from explorer.images.decoding import has_avif
from explorer.images.folder import load_folder
from explorer.images.intake import ModelInput, prepare_upload
from explorer.images.listing import HELD_OUT, TEST, TRAIN, list_images


def test_a_class_that_is_a_link_to_elsewhere_is_read(make_folder, tmp_path):
    folder = make_folder()
    elsewhere = tmp_path / "elsewhere"
    shutil.move(folder / "b", elsewhere)
    (folder / "b").symlink_to(elsewhere)
    image_set = load_folder(folder)
    assert image_set.classes == ("a", "b")
    assert len(image_set.images) == 24
    assert image_set.notes == ()


def test_links_that_lead_back_or_nowhere_end_and_are_named(make_folder):
    folder = make_folder()
    (folder / "a" / "loop").symlink_to(folder)
    (folder / "twin").symlink_to(folder / "b")
    (folder / "gone").symlink_to(folder / "nowhere")
    listing = list_images(folder)
    assert len(listing.files) == 24
    assert listing.classes == ("a", "b")
    (note,) = [note for note in listing.notes if note.startswith("Links")]
    assert "a/loop, gone, twin" in note


def test_what_is_passed_over_is_told_by_suffix_and_number(make_folder):
    folder = make_folder()
    for name in ("x.heic", "y.HEIC", "notes.txt", "README"):
        (folder / "a" / name).write_text("x")
    (folder / "c").mkdir()
    (folder / "c" / "z.heic").write_text("x")
    (folder / "d").mkdir()
    listing = list_images(folder)
    assert listing.notes == (
        "Passed over, as no image of a format that is read: 3 .heic, 1 .txt, 1 without a suffix.",
        "Subfolders without an image, which make no class: c (1 .heic), d (no files).",
    )


def test_an_image_is_told_by_its_content_where_its_name_says_nothing(make_folder):
    folder = make_folder()
    (folder / "a" / "000.png").rename(folder / "a" / "zero")
    (folder / "a" / "001.png").rename(folder / "a" / "one.scan")
    assert len(list_images(folder).files) == 24


@pytest.mark.parametrize(
    "suffix", [".png", ".jfif", ".webp", ".bmp", ".gif", ".tiff", ".pgm", ".avif"]
)
def test_a_folder_reads_what_an_upload_reads(make_folder, suffix):
    if suffix == ".avif" and not has_avif():
        pytest.skip("this Pillow reads no AVIF")
    folder = make_folder(count=20, classes=None, suffix=suffix)
    assert load_folder(folder).image_shape[1:] == (16, 12)
    content = (folder / f"003{suffix}").read_bytes()
    assert prepare_upload(content, "x", ModelInput((1, 16, 12), 0.0)).image.shape == (1, 16, 12)


def test_a_pipe_is_not_waited_for(make_folder):
    folder = make_folder()
    os.mkfifo(folder / "a" / "pipe.png")
    assert len(list_images(folder).files) == 24


def make_split(make_folder, splits=("train", "val"), classes=("cat", "dog"), count=12):
    folder = make_folder(classes=[f"{split}/{name}" for split in splits for name in classes],
                         count=count)  # fmt: skip
    return folder


def test_split_folders_are_a_split_and_their_subfolders_the_classes(make_folder):
    image_set = load_folder(make_split(make_folder))
    assert image_set.classes == ("cat", "dog")
    assert image_set.labels.tolist() == ([0] * 12 + [1] * 12) * 2
    assert image_set.train_index.tolist() == list(range(24))
    assert image_set.held_out_index.tolist() == list(range(24, 48))
    assert len(image_set.test_index) == 0
    assert image_set.notes == ("Read as a split: train to train on, val held out.",)


def test_a_test_folder_beside_val_is_for_the_final_evaluation(make_folder):
    folder = make_split(make_folder, ("Test", "train", "validation"))
    image_set = load_folder(folder)
    rows = np.concatenate([image_set.train_index, image_set.held_out_index, image_set.test_index])
    assert sorted(rows) == list(range(72))
    assert len(image_set.test_index) == 24
    listing = list_images(folder)
    roles = dict(zip((file.split("/")[0] for file in listing.files), listing.roles, strict=True))
    assert roles == {"train": TRAIN, "validation": HELD_OUT, "Test": TEST}


def test_a_test_folder_without_val_is_held_out(make_folder):
    image_set = load_folder(make_split(make_folder, ("train", "test")))
    assert len(image_set.held_out_index) == 24


def test_split_folders_without_classes_are_a_split_too(make_folder):
    image_set = load_folder(make_folder(classes=("train", "test")))
    assert image_set.labels is None
    assert image_set.held_out_index.tolist() == list(range(12, 24))


def test_test_images_without_classes_are_passed_over_and_named(make_folder):
    folder = make_split(make_folder)
    shutil.copytree(folder / "val" / "cat", folder / "test")
    image_set = load_folder(folder)
    assert len(image_set.images) == 48
    assert "test is passed over: its images lie in no folder of a class." in image_set.notes


def test_split_folders_with_other_classes_each_are_classes_and_it_is_said(make_folder):
    folder = make_folder(classes=("train/cat", "test/steam"))
    image_set = load_folder(folder)
    assert image_set.classes == ("test", "train")
    assert "are read as classes" in image_set.notes[0]


def cut(path):
    path.write_bytes(path.read_bytes()[:-60])


def test_all_bad_files_are_named_at_once(make_folder):
    folder = make_folder()
    for number in range(12):
        cut(folder / "b" / f"{number:03}.png")
    (folder / "a" / "003.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        load_folder(folder)
    words = str(caught.value)
    assert words.startswith(f"13 files of {folder} cannot be used: a/003.png: this is not an image")
    assert "b/008.png" in words
    assert "b/009.png" not in words
    assert "; and 3 more" in words
    assert "--skip-bad" in words


def test_bad_files_are_left_out_when_asked_and_counted(make_folder, tmp_path):
    folder = make_folder()
    cut(folder / "b" / "005.png")
    (folder / "a" / "003.png").write_bytes(b"no picture")
    for _ in range(2):  # decoded, and out of the cache
        image_set = load_folder(folder, skip_bad=True, cache=tmp_path / "cache")
        assert len(image_set.images) == 22
        assert image_set.labels.tolist() == [0] * 11 + [1] * 11
        assert image_set.notes == (
            "Left out, since they cannot be decoded: 2 of 24 files (a/003.png, b/005.png).",
        )
    assert load_folder(folder, skip_bad=True).fingerprint == image_set.fingerprint


def test_a_file_that_is_mended_comes_back(make_folder, tmp_path):
    folder = make_folder()
    content = (folder / "b" / "005.png").read_bytes()
    cut(folder / "b" / "005.png")
    assert len(load_folder(folder, skip_bad=True, cache=tmp_path / "cache").images) == 23
    cut(folder / "a" / "005.png")
    assert len(load_folder(folder, skip_bad=True, cache=tmp_path / "cache").images) == 22
    assert len(list((tmp_path / "cache").glob("*.bad.json"))) == 1
    (folder / "b" / "005.png").write_bytes(content)
    assert len(load_folder(folder, skip_bad=True, cache=tmp_path / "cache").images) == 23


def test_a_class_whose_files_are_all_bad_is_named(make_folder):
    folder = make_folder(count=20)
    (folder / "c").mkdir()
    Image.new("L", (12, 16)).save(folder / "c" / "x.png")
    cut(folder / "c" / "x.png")
    image_set = load_folder(folder, skip_bad=True)
    assert image_set.classes == ("a", "b")
    assert any("No image is left of c" in note for note in image_set.notes)
