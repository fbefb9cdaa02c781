"""Image files to plain 8-bit pictures, for folders and uploads alike.

Every decoder here reads bytes from strangers, so only the formats named are tried and the size
is checked before a pixel is decoded.
"""

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

HEAD_BYTES = 4096  # of a file, which tell what it is
MAX_PIXELS = 40_000_000
# Their decoders hold a picture several times over: 40 million pixels took 590 MB.
FEWER_PIXELS = {"WEBP": 24_000_000, "AVIF": 24_000_000}

# What Pillow's decoders raise on damaged files; benchmarks/fuzz.py found nothing else.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    MemoryError,
    Image.DecompressionBombError,
    struct.error,
    zlib.error,
)

# Its warnings of large or odd files come before our own sentence and say less.
warnings.filterwarnings("ignore", module=r"PIL\.")

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
_FOREIGN = (
    (re.compile(rb"\A.{4}ftyp(hei|hev|mif|msf)", re.DOTALL), "a HEIC picture"),
    (re.compile(rb"\A\s*%PDF-"), "a PDF document"),
    (re.compile(rb"\A\s*(\xef\xbb\xbf)?\s*<.{0,2000}<?svg[\s>]", re.DOTALL), "an SVG drawing"),
    (re.compile(rb"\AP[123]\s"), "a PNM picture written as text"),
    (re.compile(rb"\APK(\x03\x04|\x05\x06)"), "a ZIP archive"),
)
# A header may hold comments of any length, which Pillow reads byte by byte.
_PNM = re.compile(rb"P[456](\s+|#[^\n]*\n)")
_PNM_HEADER = re.compile(rb"P[456]((\s|#[^\n]*\n)+\d+){2,3}\s")
_LONGEST_PNM_HEADER = 1024
_AVIF = re.compile(rb"\A.{4}ftyp(avif|avis)", re.DOTALL)
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8", b"II*\x00", b"MM\x00*")
_KINDS = (
    (b"\x89PNG", "PNG"), (b"\xff\xd8", "JPEG"), (b"BM", "BMP"), (b"GIF", "GIF"), (b"RIFF", "WebP"),
    (b"II", "TIFF"), (b"MM", "TIFF"),
)  # fmt: skip
_TIFF_TILE = (322, 323)
# Of a deep image, looked at in parts: 16 MB of the widest values.
_STRIP_PIXELS = 2_000_000


class UnreadableImageError(Exception):
    """Why one image cannot be read; who reads it adds its name and raises their own error."""


def has_avif() -> bool:
    """Whether this Pillow reads AVIF, which phones and websites use."""
    return bool(features.check("avif"))


FORMATS_IN_WORDS = f"PNG, JPEG, WebP, BMP, GIF, TIFF{', AVIF' if has_avif() else ''} or PNM"


def read_formats() -> tuple[str, ...]:
    """What is read, of folders, uploads and files on a command line alike: Pillow's names."""
    formats = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
    return (*formats, "AVIF") if has_avif() else formats


def looks_like_image(head: bytes) -> bool:
    """Whether a file that begins so is of a format that is read, whatever its name."""
    if head.startswith(_SIGNATURES):
        return not head.startswith(b"BM") or head[6:10] == bytes(4)
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return webp or bool(_PNM_HEADER.match(head)) or (has_avif() and bool(_AVIF.match(head)))


def check_head(head: bytes) -> None:
    """See by the beginning of a file that it is not of a kind that is known and not read.

    Raises:
        UnreadableImageError: what it is.
    """
    foreign = _FOREIGN if has_avif() else (*_FOREIGN, (_AVIF, "an AVIF picture"))
    for pattern, what in foreign:
        if pattern.match(head):
            raise UnreadableImageError(
                f"this is {what}, which cannot be read: export it as PNG or JPEG"
            )
    if _PNM.match(head) and not _PNM_HEADER.match(head[:_LONGEST_PNM_HEADER]):
        raise UnreadableImageError(
            f"its header is damaged or has over {_LONGEST_PNM_HEADER:,} bytes, which is the limit: "
            "save it again, as PNG"
        )


def open_image(source: BinaryIO) -> Image.Image:
    """Read the header of an image; no pixel is decoded yet.

    Args:
        source: the file.

    Raises:
        UnreadableImageError: not an image of a format that is read, or too many pixels.
    """
    head = source.read(HEAD_BYTES)
    source.seek(0)
    check_head(head)
    formats = read_formats()
    try:
        image = Image.open(source, formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        raise _too_large(int(found[1]) if found else None, MAX_PIXELS) from error
    except DECODER_ERRORS as error:
        known = head.startswith(_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        if known or ("AVIF" in formats and head[4:12] in (b"ftypavif", b"ftypavis")):
            kind = next((name for start, name in _KINDS if head.startswith(start)), "AVIF")
            raise UnreadableImageError(_why_not_read(kind, error)) from error
        raise UnreadableImageError(
            f"this is not an image in a format that can be read: save it as {FORMATS_IN_WORDS}"
        ) from error
    most = FEWER_PIXELS.get(image.format or "", MAX_PIXELS)
    # A tile may be far larger than the picture that is cut from it.
    for pixels in (image.width * image.height, _tile_pixels(image)):
        if pixels > most:
            image.close()
            raise _too_large(pixels, most)
    return image


def _why_not_read(kind: str, error: Exception) -> str:
    """What is wrong with a file of a known format, as far as its decoder tells."""
    words = str(error)
    unsupported = re.search(r"unsupported|not supported|cannot handle", words, re.IGNORECASE)
    if unsupported:
        told = re.sub(rf"unsupported |{kind} |[()]", "", words, flags=re.IGNORECASE)
        return f"this variant of {kind} cannot be read ({told}): export it as PNG"
    cut = re.search(r"truncated|not enough", words, re.IGNORECASE)
    if cut or kind in ("PNG", "JPEG", "GIF"):
        return "the file is damaged or cut off: save or send it again"
    # Pillow reads some kinds of the others only, and says no more than that it failed.
    return (
        f"the file is damaged or cut off, or a variant of {kind} that cannot be read: save or "
        "send it again, or export it as PNG"
    )


def _tile_pixels(image: Image.Image) -> int:
    """Pixels of a TIFF's tile; 0 where there are none."""
    tags: Any = getattr(image, "tag_v2", {})
    try:
        width, height = (int(tags.get(tag, 0)) for tag in _TIFF_TILE)
    except DECODER_ERRORS:
        return 0
    return width * height


def decode_image(image: Image.Image) -> None:
    """Decode the pixels in place.

    Raises:
        UnreadableImageError: damaged or cut off.
    """
    try:
        image.load()
    except DECODER_ERRORS as error:
        kind = {"WEBP": "WebP", "PPM": "PNM"}.get(image.format or "", image.format or "it")
        raise UnreadableImageError(_why_not_read(kind, error)) from error


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


def _strips(image: Image.Image) -> Iterator[tuple[int, NDArray[Any]]]:
    """The values of an image, some rows at a time, each with its first row.

    Floats of 40 million pixels would take several times the memory of the picture itself.
    """
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        part = image.crop((0, top, image.width, min(top + rows, image.height)))
        yield top, np.asarray(part)


def largest_value(image: Image.Image) -> float:
    """The largest value of a deep image.

    Raises:
        UnreadableImageError: it has values below 0 or values that are not finite.
    """
    lowest, highest = np.inf, -np.inf
    for _, values in _strips(image):
        if not np.isfinite(values).all():
            raise UnreadableImageError("it has values that are not finite: save it as 8-bit PNG")
        lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
    if lowest < 0:
        raise UnreadableImageError(
            f"it has values below 0 (down to {lowest:g}): save it as 8-bit PNG"
        )
    return highest


def white_value(mode: str, largest: float) -> float:
    """The value of a deep image that means white.

    Cameras and scanners of 10 to 14 bits store their values in 16; scaled by the full range of
    the type they would come out nearly black.
    """
    # Sharpening and resizing go a little over white; scaled by 255 such a picture would be black.
    if mode == "F" and largest <= 2:
        return max(1.0, largest)
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
        # A PNG may name one of its values as the transparent one.
        clear = image.info.get("transparency")
        plain = Image.new("LA" if isinstance(clear, int) else "L", image.size)
        for top, values in _strips(image):
            strip = Image.fromarray(
                np.rint(np.clip(values * (255 / white), 0, 255)).astype(np.uint8)
            )
            if isinstance(clear, int):
                alpha = np.where(values == clear, 0, 255).astype(np.uint8)
                strip = Image.merge("LA", (strip, Image.fromarray(alpha)))
            plain.paste(strip, (0, top))
        return plain
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


def _too_large(pixels: int | None, most: int) -> UnreadableImageError:
    size = "more pixels than can be told" if pixels is None else f"{pixels:,} pixels"
    return UnreadableImageError(
        f"the picture has {size}, the limit is {most:,}: make it smaller first"
    )
