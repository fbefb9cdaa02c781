import io
import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from explorer.errors import UploadError
from explorer.images.decoding import FORMATS_IN_WORDS, has_avif, looks_like_image, read_formats
from explorer.images.intake import MAX_BYTES, ModelInput, prepare_upload
from explorer.images.preparation import Preparation

DIGITS = ModelInput((1, 28, 28), 0.0)
DARK_DIGITS = ModelInput((1, 28, 28), 1.0)
GARMENTS = ModelInput((1, 28, 28), 0.05)
FACES = ModelInput((1, 32, 24), 0.45)
COLOUR = ModelInput((3, 32, 32), 0.5)
AVIF = has_avif()


def drawing(size=(400, 300), ink=0, paper=255, mode="L", pen=16):
    image = Image.new(mode, size, paper)
    width, height = size
    points = [
        (0.3 * width, 0.2 * height),
        (0.65 * width, 0.2 * height),
        (0.45 * width, 0.8 * height),
    ]
    ImageDraw.Draw(image).line(points, fill=ink, width=pen, joint="curve")
    return image


def titles(prepared):
    return [step.title for step in prepared.steps]


def detail(prepared, title):
    return next(step.detail for step in prepared.steps if step.title == title)


def png_chunk(kind, content):
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png_header(width, height):
    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", size) + png_chunk(b"IDAT", b"")


@pytest.fixture
def photographed(encode):
    """A dark pen on unevenly lit paper, grainy, on its side, as a phone stores it."""
    light = 0.9 - 0.4 * np.linspace(0, 1, 800) - 0.1 * np.linspace(0, 1, 600)[:, None]
    ink = 1 - np.asarray(drawing((800, 600))) / 255
    grain = np.random.default_rng(0).normal(0, 0.02, light.shape)
    levels = np.clip(light * (1 - 0.8 * ink) + grain, 0, 1)
    rgb = np.rint(255 * levels[..., None] * (1, 0.97, 0.9)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(rgb).transpose(Image.Transpose.ROTATE_90)
    return encode(turned, "JPEG", quality=85, exif=exif)


def test_a_photographed_digit_becomes_what_the_model_knows(photographed, encode):
    prepared = prepare_upload(photographed, "IMG_1.jpg", DIGITS)
    assert titles(prepared) == [
        "As uploaded",
        "Turned upright",
        "Made grey",
        "Inverted",
        "Contrast stretched",
        "Cropped and centred",
        "Model input",
    ]
    assert detail(prepared, "As uploaded") == "JPEG, 600 × 800 pixels, mode RGB"
    assert "turned by 90° to the right" in detail(prepared, "Turned upright")
    assert "varied by" in detail(prepared, "Contrast stretched")
    clean = prepare_upload(encode(drawing((800, 600), ink=255, paper=0)), "clean.png", DIGITS)
    assert np.abs(prepared.image - clean.image).mean() < 0.03
    assert prepared.image.shape == (1, 28, 28)
    assert prepared.image.dtype == np.float32
    assert prepared.image[0, :3].max() < 0.1
    assert prepared.image.max() == 1


def test_the_four_polarities_agree(encode):
    dark_on_light = encode(drawing())
    light_on_dark = encode(drawing(ink=255, paper=0))
    reference = prepare_upload(dark_on_light, "a", DIGITS)
    assert "Inverted" in titles(reference)
    same = prepare_upload(light_on_dark, "a", DIGITS)
    assert "Inverted" not in titles(same)
    assert np.allclose(reference.image, same.image)
    for data, inverted in ((dark_on_light, False), (light_on_dark, True)):
        dark = prepare_upload(data, "a", DARK_DIGITS)
        assert ("Inverted" in titles(dark)) is inverted
        assert np.allclose(dark.image, 1 - reference.image, atol=1e-6)


@pytest.mark.parametrize("target", [DIGITS, GARMENTS, FACES, COLOUR])
def test_a_picture_of_the_models_size_keeps_its_pixels(encode, target):
    channels, height, width = target.image_shape
    pixels = np.zeros((height, width, channels), np.uint8)
    pixels[6:20, 8:14] = np.random.default_rng(0).integers(90, 256, (14, 6, channels))
    prepared = prepare_upload(encode(pixels[..., 0] if channels == 1 else pixels), "a", target)
    assert np.array_equal(np.rint(prepared.image * 255), pixels.transpose(2, 0, 1))


def test_the_margin_is_the_datas_own(encode):
    digit = prepare_upload(encode(drawing()), "a", DIGITS).image[0]
    garment = prepare_upload(encode(drawing()), "a", GARMENTS).image[0]
    assert digit[:3].max() < 0.1
    assert garment[0].max() > 0.2


def test_faces_are_neither_inverted_nor_stretched(encode):
    pixels = np.full((64, 96), 230, np.uint8)
    pixels[16:48, 32:64] = 100
    prepared = prepare_upload(encode(pixels), "a", FACES)
    assert titles(prepared) == ["As uploaded", "Cropped and resized", "Model input"]
    assert prepared.image.shape == (1, 32, 24)
    assert prepared.image[0, 16, 12] == pytest.approx(100 / 255, abs=0.01)
    assert prepared.image[0, 0, 0] == pytest.approx(230 / 255, abs=0.01)


def test_a_colour_model_gets_colour(encode):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 20:60] = (200, 100, 0)
    prepared = prepare_upload(encode(pixels), "a", COLOUR)
    assert prepared.image.shape == (3, 32, 32)
    assert np.allclose(prepared.image[:, 16, 16] * 255, (200, 100, 0), atol=1)
    assert "the middle cropped" in detail(prepared, "Cropped and resized")
    grey = prepare_upload(encode(drawing()), "a", COLOUR)
    assert "Made colour" in titles(grey)
    assert np.array_equal(grey.image[0], grey.image[2])


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_format_gives_the_same_digit(encode, file_format, mode):
    reference = prepare_upload(encode(drawing()), "a", DIGITS).image
    image = drawing().convert(mode)
    prepared = prepare_upload(encode(image, file_format), "wrong.name", DIGITS)
    assert np.abs(prepared.image - reference).mean() < 0.02
    assert detail(prepared, "As uploaded").startswith(file_format)


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "LAB", "YCbCr"])
def test_every_mode_gives_the_same_digit(encode, mode):
    reference = prepare_upload(encode(drawing()), "a", DIGITS).image
    image = drawing()
    if mode == "LAB":
        neutral = Image.new("L", image.size, 128)
        image = Image.merge("LAB", (image, neutral, neutral))
    elif mode == "1":
        image = image.convert("1")
    else:
        image = image.convert("RGB").convert(mode)
    prepared = prepare_upload(encode(image, "TIFF"), "a", DIGITS)
    assert np.abs(prepared.image - reference).mean() < 0.02
    assert "Colours converted" in titles(prepared)


@pytest.mark.parametrize(
    ("top", "white"), [(65535, "65535"), (4095, "4095"), (3000, "4095"), (255, "255")]
)
def test_deep_images_are_scaled_by_their_real_depth(encode, top, white):
    levels = np.asarray(drawing(), np.float64) / 255
    deep = np.rint(levels * top).astype(np.uint16)
    prepared = prepare_upload(encode(deep), "a", FACES)
    assert (
        detail(prepared, "Brightness scaled")
        == f"values up to {top} scaled so that {white} is white"
    )
    assert np.median(prepared.image) == pytest.approx(top / int(white), abs=0.01)
    digit = prepare_upload(encode(deep), "a", DIGITS).image
    assert np.abs(digit - prepare_upload(encode(drawing()), "a", DIGITS).image).mean() < 0.02


def deep_png(values, colour_type, *more):
    """16 bits a channel, as Pillow does not write them: (H, W) or (H, W, channels)."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def test_16_bits_in_colour_and_with_transparency_are_read():
    ramp = np.tile(np.linspace(0, 65535, 24).astype(np.uint16), (32, 1))
    opaque = np.full_like(ramp, 65535)
    wanted = prepare_upload(deep_png(ramp, 0), "a", FACES).image
    assert np.allclose(wanted[0, 0], np.linspace(0, 1, 24), atol=0.005)
    colour = prepare_upload(deep_png(np.stack([ramp] * 3, -1), 2), "a", FACES)
    assert np.allclose(colour.image, wanted, atol=0.01)
    clear = prepare_upload(deep_png(np.stack([ramp, opaque], -1), 4), "a", FACES)
    assert np.allclose(clear.image, wanted, atol=0.01)


def test_the_transparent_value_of_a_16_bit_picture_is_clear():
    values = np.full((32, 24), 65535, np.uint16)
    values[:16] = 1000
    data = deep_png(values, 0, (b"tRNS", struct.pack(">H", 1000)))
    prepared = prepare_upload(data, "a", FACES, Preparation(ground="light"))
    assert "Transparency filled" in titles(prepared)
    assert prepared.image.min() == 1


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("target", [DIGITS, FACES])
def test_an_alpha_channel_through_which_nothing_shines_changes_nothing(encode, mode, target):
    plain = prepare_upload(encode(drawing().convert(mode.removesuffix("A"))), "a", target)
    prepared = prepare_upload(encode(drawing().convert(mode)), "a", target)
    assert titles(prepared) == titles(plain)
    assert "ground" not in {one.choice for one in prepared.decisions}
    np.testing.assert_array_equal(prepared.image, plain.image)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_the_transparent_colour_of_a_picture_is_clear(encode, mode):
    image = drawing().point(lambda level: 40 if level else 0).convert("RGB")
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    colour = image.getpixel((0, 0))
    prepared = prepare_upload(encode(image, transparency=colour), "a", DIGITS)
    assert "Transparency filled" in titles(prepared)
    reference = prepare_upload(encode(drawing()), "a", DIGITS).image
    assert np.abs(prepared.image - reference).mean() < 0.03


def test_a_jpeg_for_the_press_keeps_its_brightness(encode):
    image = drawing().convert("RGB").convert("CMYK")
    prepared = prepare_upload(encode(image, "JPEG", quality=95), "a", FACES)
    assert detail(prepared, "Colours converted") == "from CMYK to colour"
    assert np.median(prepared.image) == pytest.approx(1, abs=0.02)


def test_float_images_are_read(encode):
    levels = np.asarray(drawing(), np.float32) / 255
    prepared = prepare_upload(encode(levels, "TIFF"), "a", FACES)
    assert prepared.image.max() == 1
    with pytest.raises(UploadError, match="values that are not finite"):
        prepare_upload(encode(np.where(levels > 0, np.nan, levels), "TIFF"), "a", FACES)
    with pytest.raises(UploadError, match=r"values below 0 \(down to -1\)"):
        prepare_upload(encode(levels - 1, "TIFF"), "a", FACES)


@pytest.mark.parametrize("ink", [(0, 0, 0), (255, 255, 255), (250, 220, 0)])
@pytest.mark.parametrize("target", [DIGITS, DARK_DIGITS])
def test_strokes_on_transparent_ground_stay_visible(encode, ink, target):
    opaque = prepare_upload(encode(drawing()), "a", target).image
    image = drawing(ink=(*ink, 255), paper=(*ink, 0), mode="RGBA")
    prepared = prepare_upload(encode(image), "a", target)
    assert "Transparency filled" in titles(prepared)
    assert np.abs(prepared.image - opaque).mean() < 0.03


def test_half_transparent_grey_keeps_its_colour_depth(encode):
    image = drawing(ink=(0, 255), paper=(0, 0), mode="LA")
    prepared = prepare_upload(encode(image), "a", DIGITS)
    assert "Made grey" not in titles(prepared)
    assert prepared.image.max() == 1


def test_the_first_frame_of_an_animation_is_used_and_said(encode):
    frames = [drawing(), Image.new("L", (400, 300), 255)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    prepared = prepare_upload(data, "a.gif", DIGITS)
    assert "it holds 2 frames, the first one is used" in detail(prepared, "As uploaded")
    assert prepared.image.max() == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(encode, orientation):
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    reference = prepare_upload(encode(drawing()), "a", DIGITS).image
    image = drawing() if orientation == 1 else drawing().transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    prepared = prepare_upload(encode(image, "PNG", exif=exif), "a", DIGITS)
    assert np.abs(prepared.image - reference).mean() < 0.01
    assert ("Turned upright" in titles(prepared)) is (orientation != 1)


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("target", [DIGITS, DARK_DIGITS, GARMENTS, FACES, COLOUR])
def test_a_blank_image_says_that_it_is_blank(encode, level, target):
    prepared = prepare_upload(encode(Image.new("L", (60, 40), level)), "a", target)
    assert "the upload is blank" in detail(prepared, "Model input")
    assert prepared.image.shape == target.image_shape
    assert np.isfinite(prepared.image).all()


def test_a_wholly_transparent_image_is_blank(encode):
    prepared = prepare_upload(encode(Image.new("RGBA", (60, 40))), "a", DIGITS)
    assert "blank" in detail(prepared, "Model input")


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (2, 2)])
@pytest.mark.parametrize("target", [DIGITS, GARMENTS, FACES, COLOUR])
def test_odd_sizes_come_through(encode, size, target):
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    prepared = prepare_upload(encode(pixels), "a", target)
    assert prepared.image.shape == target.image_shape
    assert all(max(step.picture.shape[:2]) <= 256 for step in prepared.steps)


def test_step_pictures_are_small_and_plain(photographed):
    for step in prepare_upload(photographed, "a", DIGITS).steps:
        assert max(step.picture.shape[:2]) <= 256
        assert step.picture.dtype == np.uint8
        assert step.picture.ndim == 2 or step.picture.shape[2] == 3


def test_the_name_is_shortened_and_stripped_of_its_path(encode):
    data = encode(drawing())
    assert prepare_upload(data, "../../etc/a\x00\nb.png", DIGITS).name == "ab.png"
    assert prepare_upload(data, "C:\\pictures\\seven.png", DIGITS).name == "seven.png"
    assert len(prepare_upload(data, "x" * 500 + ".png", DIGITS).name) <= 60
    assert prepare_upload(data, "", DIGITS).name == "The upload"


def test_nothing_is_written_to_disk(photographed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepare_upload(photographed, "a.jpg", DIGITS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"a\.png: the file is empty \(0 bytes\): choose another one\."),
        (b"hello, this is text", "not an image in a format that can be read: save it as PNG"),
        (b"%PDF-1.7 ...", "this is a PDF document, which cannot be read: export it as PNG"),
        (b"<svg xmlns='x'></svg>", "this is an SVG drawing, which cannot be read"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<svg>", "this is an SVG drawing"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "this is a HEIC picture"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00", "this is a HEIC picture"),
        (b"\x00\x00\x00\x20ftypavif\x00\x00", "damaged or cut off" if AVIF else "an AVIF picture"),
        (b"P2 2 2 255 0 1 2 3", "this is a PNM picture written as text, which cannot be read"),
        (b"PK\x03\x04\x14\x00", "this is a ZIP archive, which cannot be read"),
        (b"\x89PNG\r\n\x1a\n", "damaged or cut off: save or send it again"),
        (b"\xff\xd8\xff\xe0", "damaged or cut off: save or send it again"),
        (b"8BPS\x00\x01", "not an image in a format that can be read"),
        (png_header(7000, 6000), r"the picture has 42,000,000 pixels, the limit is 40,000,000"),
        (png_header(12000, 10000), "the picture has 120,000,000 pixels, the limit"),
        (png_header(60000, 60000), "the picture has 3,600,000,000 pixels, the limit"),
    ],
)
def test_what_cannot_be_used_is_told(data, message):
    with pytest.raises(UploadError, match=message):
        prepare_upload(data, "a.png", DIGITS)


def test_too_many_bytes_are_refused_unread():
    with pytest.raises(UploadError, match=r"the file has 20\.0 MiB, the limit is 20 MiB"):
        prepare_upload(bytes(MAX_BYTES + 1), "a.png", DIGITS)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_truncated_file_is_told(encode, file_format):
    data = encode(
        np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), file_format
    )
    with pytest.raises(UploadError, match="damaged or cut off"):
        prepare_upload(data[: len(data) // 2], "a", DIGITS)


# Pillow warns of odd metadata, which damage makes of sound metadata.
@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_raise_nothing_but_upload_errors(data):
    file_format = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"]))
    buffer = io.BytesIO()
    drawing((32, 24), pen=3).save(buffer, file_format)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        prepared = prepare_upload(bytes(content), "a", GARMENTS)
    except UploadError:
        return
    assert prepared.image.shape == (1, 28, 28)
    assert np.isfinite(prepared.image).all()


def bmp(bits, compression=0, masks=b"", rows=None):
    rows = bytes((8 * bits + 31) // 32 * 4 * 8) if rows is None else rows
    header = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, bits, compression, 0, 0, 0, 0, 0)
    start = 14 + len(header) + len(masks)
    return struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + header + masks + rows


@pytest.mark.parametrize(
    "data",
    [bmp(2), bmp(16, 3, struct.pack("<III", 0xF00, 0xF0, 0xF)), bmp(24, 4), bmp(0, 5, rows=b"PNG")],
    ids=["2 bits", "bit fields", "run lengths in colour", "a PNG inside"],
)
def test_a_sound_file_of_an_unread_variant_is_not_called_damaged(data):
    with pytest.raises(UploadError, match="this variant of BMP cannot be read") as caught:
        prepare_upload(data, "a.bmp", DIGITS)
    assert "damaged" not in str(caught.value)
    assert "export it as PNG" in str(caught.value)
    with pytest.raises(UploadError, match="cut off: save or send it again"):
        prepare_upload(bmp(24)[:-9], "a.bmp", DIGITS)


def test_the_formats_that_refusals_name_are_those_that_are_read(encode):
    suffixes = {"PNM": "PPM", "WebP": "WEBP"}
    named = re.split(r", | or ", FORMATS_IN_WORDS)
    assert {suffixes.get(name, name) for name in named} == set(read_formats())
    for name in named:
        data = encode(drawing(), suffixes.get(name, name))
        assert looks_like_image(data[:4096])
        assert prepare_upload(data, "a", DIGITS).image.max() > 0.5
    with pytest.raises(UploadError, match=f"save it as {FORMATS_IN_WORDS}"):
        prepare_upload(b"some words", "a", DIGITS)


def test_floats_a_little_over_white_do_not_become_black(encode):
    levels = np.tile(np.linspace(0, 1.02, 64, dtype=np.float32), (64, 1))
    prepared = prepare_upload(encode(levels, "TIFF"), "a.tif", FACES)
    assert np.ptp(prepared.image) > 0.5
