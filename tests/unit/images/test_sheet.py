import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.images.sheet import tile, to_picture


def test_floats_round_to_nearest_and_are_clipped():
    image = np.array([[[0.0, 0.5 / 255 + 1e-4, 1.0], [1.7, -3.0, 0.9999]]], np.float32)
    assert to_picture(image).tolist() == [[0, 1, 255], [255, 0, 255]]


def test_colour_comes_out_channels_last():
    image = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)
    picture = to_picture(image)
    assert picture.shape == (2, 4, 3)
    assert picture[1, 2].tolist() == image[:, 1, 2].tolist()


@given(
    count=st.integers(1, 9),
    columns=st.integers(1, 5),
    channels=st.sampled_from([1, 3]),
    scale=st.integers(1, 3),
    gap=st.integers(0, 2),
)
def test_every_image_stands_in_its_place(count, columns, channels, scale, gap):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, channels, 4, 5), dtype=np.uint8)
    sheet = tile(images, columns, scale=scale, gap=gap, background=7)
    wide, rows = min(columns, count), -(-count // columns)
    height, width = 4 * scale, 5 * scale
    assert sheet.shape[:2] == (rows * (height + gap) - gap, wide * (width + gap) - gap)
    assert sheet.ndim == (2 if channels == 1 else 3)
    left = np.ones(sheet.shape[:2], bool)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        place = np.s_[
            row * (height + gap) : row * (height + gap) + height,
            column * (width + gap) : column * (width + gap) + width,
        ]
        assert np.array_equal(sheet[place][::scale, ::scale], to_picture(image))
        assert np.array_equal(
            sheet[place][scale - 1 :: scale, scale - 1 :: scale], to_picture(image)
        )
        left[place] = False
    assert (sheet[left] == 7).all()


def test_floats_tile_as_their_bytes_do():
    images = np.random.default_rng(0).random((5, 1, 4, 4), dtype=np.float32)
    pixels = np.rint(images * 255).astype(np.uint8)
    assert np.array_equal(tile(images, 3), tile(pixels, 3))


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((0, 1, 4, 4), {"columns": 2}, "images must be"),
        ((2, 2, 4, 4), {"columns": 2}, "images must be"),
        ((2, 4, 4), {"columns": 2}, "images must be"),
        ((2, 1, 4, 4), {"columns": 0}, "columns 0"),
        ((2, 1, 4, 4), {"columns": 1, "scale": 0}, "scale 0"),
        ((2, 1, 4, 4), {"columns": 1, "gap": -1}, "gap -1"),
    ],
)
def test_what_cannot_be_tiled_is_refused(shape, options, message):
    with pytest.raises(ValueError, match=message):
        tile(np.zeros(shape, np.uint8), **options)


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match="an image must be"):
        to_picture(np.zeros((4, 4), np.uint8))
