import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from explorer.images.complexity import measure_complexity

BYTE = 8 * np.log(2)


def png_data_length(picture):
    """Bytes of a PNG's image data, less zlib's own header and checksum."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=9)
    content, at, total = file.getvalue(), 8, 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 4])
        if content[at + 4 : at + 8] == b"IDAT":
            total += length
        at += 12 + length
    return total - 6


def test_blank_is_simpler_than_a_digit_and_noise_is_worst():
    rng = np.random.default_rng(0)
    blank = np.full((1, 28, 28), 0.4, np.float32)
    stroke = np.zeros((1, 28, 28), np.float32)
    stroke[0, 5:22, 12:15] = 1.0
    noise = rng.random((1, 28, 28)).astype(np.float32)
    lengths = measure_complexity(np.stack([blank, stroke, stroke * 0.3, noise]))
    assert lengths[0] < lengths[1] < lengths[3]
    # What there is to describe does not depend on its contrast.
    assert lengths[2] == pytest.approx(lengths[1], abs=3 * BYTE)
    # Noise cannot be compressed: 8 bits a pixel, and a few bytes.
    assert 784 * BYTE <= lengths[3] < 795 * BYTE


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_as_short_as_a_png(channels):
    rng = np.random.default_rng(1)
    x, y = np.meshgrid(np.arange(40), np.arange(30))
    for picture in (
        (3 * x + 2 * y) % 256,
        np.where((x - 20) ** 2 + (y - 15) ** 2 < 60, 200, 30),
        rng.integers(0, 256, (30, 40)),
    ):
        image = np.repeat(picture.astype(np.uint8)[None], channels, axis=0)
        stored = image[0] if channels == 1 else image.transpose(1, 2, 0)
        ours = measure_complexity(image[None])[0] / BYTE
        assert ours <= png_data_length(np.ascontiguousarray(stored)) + 1e-9


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), channels=st.sampled_from([1, 3]))
def test_floats_and_bytes_and_company_make_no_difference(seed, channels):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (3, channels, 8, 9), dtype=np.uint8)
    lengths = measure_complexity(pixels)
    assert (lengths > 0).all()
    np.testing.assert_array_equal(lengths, measure_complexity(pixels.astype(np.float32) / 255))
    np.testing.assert_array_equal(lengths[1:2], measure_complexity(pixels[1:2]))
