"""How many pictures a file holds, counted from its bytes without decoding any.

Pillow counts the frames of a GIF and of a TIFF by walking through all of them, which a file of
millions would turn into minutes. Here the count ends soon after a limit.
"""

import struct
from typing import Literal

from PIL import Image

from explorer.images.decoding import DECODER_ERRORS

_GIF_COLOURS = 0x80


def count_frames(image: Image.Image, data: bytes, most: int) -> int:
    """Frames or pages of a file, at least 1; of more than `most`, `most` + 1.

    Args:
        image: the opened file.
        data: its bytes.
        most: where counting may end.
    """
    try:
        if image.format == "GIF":
            found = _count_gif(data, most)
        elif image.format == "TIFF":
            found = _count_tiff(data, most)
        else:
            found = int(getattr(image, "n_frames", 1))
    except (IndexError, struct.error, *DECODER_ERRORS):
        # What is damaged behind the first frame does not matter to it.
        return 1
    return max(1, min(found, most + 1))


def count_scans(data: bytes) -> int:
    """Scans of a JPEG: each of them goes through the whole picture, however few bytes it has."""
    return data.count(b"\xff\xda")


def _count_gif(data: bytes, most: int) -> int:
    at = 13 + _palette_bytes(data[10])
    found = 0
    while at < len(data) and found <= most:
        kind = data[at]
        if kind == 0x2C:  # an image
            found += 1
            at = _skip_blocks(data, at + 11 + _palette_bytes(data[at + 9]))
        elif kind == 0x21:  # an extension
            at = _skip_blocks(data, at + 2)
        else:  # the end, or what is none of a GIF
            break
    return found


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & _GIF_COLOURS else 0


def _skip_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def _count_tiff(data: bytes, most: int) -> int:
    order: Literal["<", ">"] = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    count, offset, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    (at,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    seen: set[int] = set()
    while at and at not in seen and len(seen) <= most:
        seen.add(at)
        (entries,) = struct.unpack_from(order + count, data, at)
        (at,) = struct.unpack_from(
            order + offset, data, at + struct.calcsize(order + count) + entries * entry
        )
    return len(seen)
