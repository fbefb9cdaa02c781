"""Image files to plain 8-bit pictures, for folders and uploads alike.

Every decoder here reads bytes from strangers, so only the formats named are tried and the size
is checked before a pixel is decoded.
"""

import re
import struct
import zlib
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
FORMATS_IN_WORDS = "PNG, JPEG, WebP, BMP, GIF or TIFF"
MAX_PIXELS = 40_000_000

# What Pillow's decoders raise on damaged files; 6,000 of them raised nothing else.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    ArithmeticError,
    AttributeError,
    struct.error,
    zlib.error,
)

_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_GREY_MODES = ("1", "L", "LA", "La", *_DEEP_MODES)
_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, "mirrored"),
    3: (Image.Transpose.ROTATE_180, "turned by 180°"),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, "turned upside down and mirrored"),
    5: (Image.Transpose.TRANSPOSE, "turned by 90° and mirrored"),
    6: (Image.Transpose.ROTATE_270, "turned by 90° to the right"),
    7: (Image.Transpose.TRANSVERSE, "turned by 90° and mirrored"),
    8: (Image.Transpose.ROTATE_90, "turned by 90° to the left"),
}
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8", b"II*\x00", b"MM\x00*")


class UnreadableImageError(Exception):
    """Why one image cannot be read; who reads it adds its name and raises their own error."""


def open_image(source: BinaryIO) -> Image.Image:
    """Read the header of an image; no pixel is decoded yet.

    Raises:
        UnreadableImageError: not an image of an allowed format, or too many pixels.
    """
    head = source.read(12)
    source.seek(0)
    try:
        image = Image.open(source, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        raise _too_large(int(found[1]) if found else None) from error
    except DECODER_ERRORS as error:
        if head.startswith(_SIGNATURES) or (head[:4] == b"RIFF" and head[8:] == b"WEBP"):
            raise UnreadableImageError(
                "the file is damaged or cut off: save or send it again"
            ) from error
        raise UnreadableImageError(
            f"this is not an image in a format that can be read: save it as {FORMATS_IN_WORDS}"
        ) from error
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(image.width * image.height)
    return image


def decode_image(image: Image.Image) -> None:
    """Decode the pixels in place.

    Raises:
        UnreadableImageError: damaged or cut off.
    """
    try:
        image.load()
    except DECODER_ERRORS as error:
        raise UnreadableImageError(
            "the file is damaged or cut off: save or send it again"
        ) from error


def has_frames(image: Image.Image) -> bool:
    """Whether the file holds more than the one frame that is used."""
    try:
        return bool(getattr(image, "is_animated", False))
    except DECODER_ERRORS:
        return False


def find_turn(image: Image.Image) -> tuple[Image.Transpose, str] | None:
    """How the camera's EXIF orientation asks to turn a decoded image, and its name in words."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except DECODER_ERRORS:
        # A damaged EXIF block says nothing about the pixels.
        return None


def is_deep(image: Image.Image) -> bool:
    """Whether the image has one channel of more than 8 bits."""
    return image.mode in _DEEP_MODES


def is_grey(image: Image.Image) -> bool:
    """Whether the image has no colour by its mode, or by its palette's entries."""
    if image.mode in ("P", "PA"):
        entries = np.array(image.getpalette("RGB") or [0, 0, 0], dtype=np.uint8).reshape(-1, 3)
        return bool((entries == entries[:, :1]).all())
    return image.mode in _GREY_MODES


def largest_value(image: Image.Image) -> float:
    """The largest value of a deep image.

    Raises:
        UnreadableImageError: it has values below 0 or values that are not finite.
    """
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise UnreadableImageError("it has values that are not finite: save it as 8-bit PNG")
    if values.min() < 0:
        raise UnreadableImageError(
            f"it has values below 0 (down to {values.min():g}): save it as 8-bit PNG"
        )
    return float(values.max())


def white_value(mode: str, largest: float) -> float:
    """The value of a deep image that means white.

    Cameras and scanners of 10 to 14 bits store their values in 16; scaled by the full range of
    the type they would come out nearly black.
    """
    if mode == "F" and largest <= 1:
        return 1.0
    for bits in (8, 10, 12, 14, 16):
        if largest < 2**bits:
            return float(2**bits - 1)
    return largest


def to_plain(image: Image.Image, white: float | None = None) -> Image.Image:
    """Convert any mode to 8-bit L, LA, RGB or RGBA.

    Args:
        image: decoded.
        white: the value that means white, for a deep image.
    """
    if is_deep(image):
        if white is None:
            white = white_value(image.mode, largest_value(image))
        values = np.asarray(image)
        # A table needs a fraction of the memory of floats: 40 million pixels may come.
        if values.dtype == np.uint16:
            table = np.minimum(np.rint(np.arange(2**16) * (255 / white)), 255).astype(np.uint8)
            return Image.fromarray(table[values])
        scaled = np.rint(np.clip(values * (255 / white), 0, 255))
        return Image.fromarray(scaled.astype(np.uint8))
    base = "L" if is_grey(image) else "RGB"
    # Pillow turns a palette into grey and alpha by way of RGB, so grey stays exactly grey.
    mode = base + "A" if image.has_transparency_data else base
    return image if image.mode == mode else image.convert(mode)


def over(image: Image.Image, level: int) -> Image.Image:
    """Composite a plain image over one grey level in 0..255; L or RGB."""
    if image.mode not in ("LA", "RGBA"):
        return image
    base = image.mode[:-1]
    canvas = Image.new(base, image.size, level if base == "L" else (level,) * 3)
    canvas.paste(image.convert(base), mask=image.getchannel("A"))
    return canvas


def to_array(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) uint8 of an L or RGB image."""
    return np.array(image, dtype=np.uint8)


def _too_large(pixels: int | None) -> UnreadableImageError:
    size = "more pixels than can be told" if pixels is None else f"{pixels:,} pixels"
    return UnreadableImageError(
        f"the picture has {size}, the limit is {MAX_PIXELS:,}: make it smaller first"
    )
