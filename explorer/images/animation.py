"""A path as an animated GIF."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from explorer.errors import DataError
from explorer.images.sheet import to_picture

MOST_FRAMES = 500
MOST_PIXELS = 1 << 26  # of all pictures together, enlarged; the way back shows them again
LEAST_MS, MOST_MS = 20, 10_000  # browsers slow down what is faster than 20 ms


def to_gif(
    pictures: NDArray[np.floating[Any]] | NDArray[np.uint8],
    *,
    frame_ms: int = 60,
    scale: int = 8,
    back: bool = True,
) -> bytes:
    """Pictures as a GIF that repeats for ever.

    Grey pictures keep all their levels; of colours GIF has 256, chosen once for all frames, so
    that nothing flickers.

    Args:
        pictures: (S, C, H, W), C 1 or 3, floats in [0, 1] or uint8, 1 to 500 of them.
        frame_ms: how long each is seen, 20 to 10,000 milliseconds; GIF counts in tens.
        scale: each pixel becomes scale x scale pixels.
        back: whether the frames between the ends come once more in reverse, so that the path
            does not jump back to its start.

    Raises:
        DataError: another shape, too many or too large frames, or a time out of bounds.
    """
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3) or 0 in pictures.shape:
        raise DataError(
            f"Pictures of the shape {pictures.shape} make no animation; (S, 1 or 3, H, W) do."
        )
    if not LEAST_MS <= frame_ms <= MOST_MS:
        raise DataError(f"A frame of {frame_ms} ms; {LEAST_MS} to {MOST_MS:,} ms are allowed.")
    count, _, height, width = pictures.shape
    if count > MOST_FRAMES:
        raise DataError(f"An animation of {count} frames; at most {MOST_FRAMES} are allowed.")
    if scale < 1 or count * height * width * scale**2 > MOST_PIXELS:
        raise DataError(
            f"{count} frames of {width} x {height} pixels, each {scale} times as large, take too "
            f"much room: at most {MOST_PIXELS:,} pixels together. Take a smaller scale."
        )
    frames = _frames(pictures, scale)
    if back:
        frames += frames[-2:0:-1]
    file = io.BytesIO()
    # Frames that look alike are stored as one that lasts longer; none gets a palette of its own.
    frames[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=frames[1:],
        duration=10 * round(frame_ms / 10),
        loop=0,
        optimize=False,
        disposal=1,
    )
    return file.getvalue()


def _frames(
    pictures: NDArray[np.floating[Any]] | NDArray[np.uint8], scale: int
) -> list[Image.Image]:
    plain = [to_picture(picture) for picture in pictures]
    if plain[0].ndim == 2:
        small = [Image.fromarray(one) for one in plain]
    else:
        # One sheet of all frames gives the palette that they share.
        sheet = Image.fromarray(np.concatenate(plain, axis=0))
        palette = sheet.quantize(256, method=Image.Quantize.MEDIANCUT)
        small = [
            Image.fromarray(one).quantize(palette=palette, dither=Image.Dither.NONE)
            for one in plain
        ]
    height, width = plain[0].shape[:2]
    size = (width * scale, height * scale)
    return [one.resize(size, Image.Resampling.NEAREST) for one in small]
