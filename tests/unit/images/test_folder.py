import shutil

import numpy as np
import pytest
from PIL import Image

from explorer.errors import DataError
from explorer.images.folder import load_folder


def test_subfolders_are_classes_in_the_order_of_their_names(make_folder):
    folder = make_folder()
    image_set = load_folder(folder)
    assert image_set.images.shape == (24, 1, 16, 12)
    assert image_set.classes == ("a", "b")
    assert image_set.labels.tolist() == [0] * 12 + [1] * 12
    assert image_set.name == str(folder.resolve())
    assert np.array_equal(image_set.images[12, 0], np.asarray(Image.open(folder / "b" / "000.png")))


def test_images_in_the_folder_itself_are_unlabelled(make_folder):
    image_set = load_folder(make_folder(count=20, classes=None))
    assert image_set.labels is None
    assert image_set.classes == ()
    assert len(image_set.images) == 20


def test_images_below_a_class_belong_to_it(make_folder):
    folder = make_folder()
    (folder / "a" / "deeper").mkdir()
    shutil.copy(folder / "b" / "000.png", folder / "a" / "deeper" / "x.png")
    assert load_folder(folder).labels.tolist() == [0] * 13 + [1] * 12


def test_hidden_and_other_files_are_ignored(make_folder):
    folder = make_folder()
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    (folder / "a" / ".hidden.png").write_bytes(b"x")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x.png").write_bytes(b"x")
    (folder / "empty").mkdir()
    assert load_folder(folder).classes == ("a", "b")


def test_the_split_is_a_tenth_and_stable(make_folder):
    folder = make_folder()
    first, second = load_folder(folder), load_folder(folder)
    assert len(first.held_out_index) == 2
    assert np.array_equal(first.held_out_index, second.held_out_index)
    assert first.fingerprint == second.fingerprint


def test_progress_counts_files(make_folder):
    seen = []
    load_folder(make_folder(), progress=lambda *step: seen.append(step))
    assert seen[-1] == ("Reading pictures", 24, 24)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".webp", ".bmp", ".gif", ".tif"])
def test_every_format_is_read(make_folder, suffix):
    image_set = load_folder(make_folder(count=20, classes=None, suffix=suffix))
    assert image_set.image_shape[1:] == (16, 12)


def test_one_colour_image_makes_the_set_colour(make_folder):
    folder = make_folder()
    grey = load_folder(folder).images
    Image.new("RGB", (12, 16), (255, 0, 9)).save(folder / "b" / "000.png")
    images = load_folder(folder).images
    assert images.shape == (24, 3, 16, 12)
    assert images[12, :, 0, 0].tolist() == [255, 0, 9]
    assert all(np.array_equal(images[0, c], grey[0, 0]) for c in range(3))


def test_a_grey_palette_and_black_and_white_stay_grey(make_folder):
    folder = make_folder()
    Image.new("L", (12, 16), 77).convert("P").save(folder / "a" / "000.png")
    Image.new("1", (12, 16), 1).save(folder / "a" / "001.png")
    image_set = load_folder(folder)
    assert image_set.image_shape == (1, 16, 12)
    assert (image_set.images[0] == 77).all()
    assert (image_set.images[1] == 255).all()


@pytest.mark.parametrize(("top", "white"), [(65535, 65535), (4000, 4095), (900, 1023)])
def test_deep_images_share_the_scale_of_their_real_depth(make_folder, top, white):
    folder = make_folder(count=20, classes=None)
    for number in range(20):
        level = top if number == 7 else top // 2
        Image.fromarray(np.full((16, 12), level, np.uint16)).save(folder / f"{number:03}.png")
    image_set = load_folder(folder)
    assert image_set.image_shape[0] == 1
    assert image_set.images[7, 0, 0, 0] == round(255 * top / white)
    assert image_set.images[0, 0, 0, 0] == round(255 * (top // 2) / white)


def test_transparency_lies_over_white(make_folder):
    folder = make_folder(count=20, classes=None, mode="RGBA")
    Image.new("RGBA", (12, 16), (0, 0, 0, 0)).save(folder / "000.png")
    assert (load_folder(folder).images[0] == 255).all()


def test_the_camera_orientation_is_applied(make_folder):
    folder = make_folder(count=20, classes=None, suffix=".jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((12, 16), np.uint8)
    pixels[:, :8] = 255
    Image.fromarray(pixels).save(folder / "000.jpg", exif=exif)
    image = load_folder(folder).images[0, 0]
    assert image.shape == (16, 12)
    assert image[:7].min() > 200
    assert image[9:].max() < 50


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_folders_picture_comes_out_upright(make_folder, orientation, suffix):
    folder = make_folder(count=20, classes=None)
    upright = np.full((16, 12), 230, np.uint8)
    upright[:6, :8] = 20
    stored = Image.fromarray(upright)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    if orientation in undo:
        stored = stored.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    (folder / "000.png").unlink()
    stored.save(folder / f"000{suffix}", exif=exif)
    image = load_folder(folder).images[0, 0].astype(int)
    assert np.abs(image - upright).mean() < 20


def test_a_size_crops_the_centre_and_resizes(make_folder):
    folder = make_folder(count=20, classes=None, suffix=".jpg")
    pixels = np.zeros((300, 900, 3), np.uint8)
    pixels[:, 300:600] = 255
    Image.fromarray(pixels).save(folder / "000.jpg")
    image_set = load_folder(folder, size=(32, 32))
    assert image_set.image_shape == (3, 32, 32)
    assert image_set.images[0, :, 2:-2, 2:-2].min() > 250


def test_two_sizes_without_one_asked_for_name_both_files(make_folder):
    folder = make_folder()
    Image.new("L", (13, 16)).save(folder / "b" / "003.png")
    with pytest.raises(
        DataError, match=r"b/003\.png is 16 x 13 .*a/000\.png is 16 x 12: give --size HxW"
    ):
        load_folder(folder)
    assert load_folder(folder, size=(16, 12)).image_shape == (1, 16, 12)


@pytest.mark.parametrize("size", [(7, 12), (16, 129)])
def test_sides_beyond_the_limits_are_refused(make_folder, size):
    folder = make_folder(size=size)
    with pytest.raises(DataError, match=f"{size[0]} x {size[1]} .* from 8 to 128: give --size"):
        load_folder(folder)
    with pytest.raises(DataError, match=f"{size[0]} x {size[1]} .*: choose another --size"):
        load_folder(folder, size=size)


def test_no_images_are_told(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"holds no images \(it holds 1 \.txt\): put PNG"):
        load_folder(tmp_path)


def test_too_few_images_are_told(make_folder):
    with pytest.raises(DataError, match="holds 18 images, but at least 20"):
        load_folder(make_folder(count=9))


def test_both_layouts_at_once_are_refused(make_folder):
    folder = make_folder()
    Image.new("L", (12, 16)).save(folder / "stray.png")
    with pytest.raises(DataError, match=r"in itself \(stray\.png\) and in subfolders \(a\)"):
        load_folder(folder)


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_broken_image_is_named(make_folder, content):
    folder = make_folder()
    path = folder / "b" / "005.png"
    path.write_bytes(path.read_bytes()[:120] if content is None else content)
    with pytest.raises(DataError, match=r"b/005\.png cannot be used: .*, or remove it"):
        load_folder(folder)


def test_negative_values_are_told(make_folder):
    folder = make_folder(count=20, classes=None, suffix=".tif")
    Image.fromarray(np.full((16, 12), -2.5, np.float32)).save(folder / "003.tif")
    with pytest.raises(DataError, match=r"003\.tif cannot be used: it has values below 0"):
        load_folder(folder)


def test_a_dangling_link_is_named(make_folder):
    folder = make_folder()
    (folder / "a" / "gone.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(DataError, match=r"gone\.png cannot be read \(No such file"):
        load_folder(folder)
