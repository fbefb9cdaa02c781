import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from explorer.errors import DataError
from explorer.images.animation import to_gif


def frames_of(content):
    gif = Image.open(io.BytesIO(content))
    assert gif.format == "GIF"
    return gif, [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(gif)]


def test_grey_frames_come_back_as_they_were():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 1, 9, 11), dtype=np.uint8)
    gif, frames = frames_of(to_gif(pictures, scale=3, back=False, frame_ms=64))
    assert gif.info["loop"] == 0
    assert gif.info["duration"] == 60
    assert gif.size == (33, 27)
    assert len(frames) == 5
    for frame, picture in zip(frames, pictures, strict=True):
        np.testing.assert_array_equal(frame[::3, ::3, 0], picture[0])


def test_there_and_back_repeats_neither_end():
    pictures = np.linspace(0, 1, 4, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 8, 8))
    _, frames = frames_of(to_gif(pictures, scale=1))
    assert [int(one[0, 0, 0]) for one in frames] == [0, 85, 170, 255, 170, 85]
    _, alone = frames_of(to_gif(pictures[:1], scale=1))
    assert len(alone) == 1


def test_colours_share_one_palette_and_stay_near():
    x = np.linspace(0, 1, 6, dtype=np.float32)
    pictures = np.stack(
        [np.stack(np.broadcast_arrays(x[None, :], 1 - x[:, None], s)) for s in (0.1, 0.5, 0.9)]
    ).astype(np.float32)
    _, frames = frames_of(to_gif(pictures, scale=2, back=False))
    assert len(frames) == 3
    for frame, picture in zip(frames, pictures, strict=True):
        wrong = np.abs(frame[::2, ::2].astype(int) - np.rint(picture * 255).transpose(1, 2, 0))
        assert wrong.mean() < 12


def test_a_path_that_rests_keeps_its_time():
    pictures = np.zeros((4, 1, 8, 8), np.float32)
    pictures[2:] = 1
    gif = Image.open(io.BytesIO(to_gif(pictures, scale=1, back=False, frame_ms=50)))
    total = sum(frame.info["duration"] for frame in ImageSequence.Iterator(gif))
    assert total == 200


@pytest.mark.parametrize(
    ("shape", "settings", "words"),
    [
        ((2, 2, 8, 8), {}, "make no animation"),
        ((0, 1, 8, 8), {}, "make no animation"),
        ((501, 1, 8, 8), {}, "501 frames; at most 500"),
        ((2, 1, 8, 8), {"frame_ms": 5}, "5 ms; 20 to 10,000"),
        ((2, 1, 128, 128), {"scale": 100}, "smaller scale"),
        ((2, 1, 8, 8), {"scale": 0}, "smaller scale"),
    ],
)
def test_what_cannot_be_an_animation_is_told(shape, settings, words):
    with pytest.raises(DataError, match=words):
        to_gif(np.zeros(shape, np.float32), **settings)
