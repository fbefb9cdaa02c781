"""How many parts a file holds, counted from its bytes without decoding any.

Pillow walks in Python through the frames of a GIF or a TIFF, and through the blocks of metadata
before a picture. A file of 20 MB has room for millions of them, which took it 13 seconds and
500 MB. Here each count ends soon after a limit.
"""

import re
import struct
from typing import Literal

from PIL import Image

from explorer.images.decoding import DECODER_ERRORS

_GIF_COLOURS = 0x80
# Of a JPEG, but for those inside compressed pixels: a stuffed FF, a filling FF, a restart.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])", re.DOTALL)
_SCAN, _END, _START = 0xDA, 0xD9, 0xD8


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
    """Scans of a JPEG: each of them goes through the whole picture, however few bytes it has.

    A profile or a thumbnail in a segment, and a video behind the picture's end, hold the same two
    bytes as a scan's start without being one. So the segments are walked as the decoder does.
    """
    at, found = 0, 0
    while marker := _JPEG_MARKER.search(data, at):
        kind, at = marker[1][0], marker.end()
        if kind == _END:
            break
        if kind == _START:  # alone, without a length
            continue
        found += kind == _SCAN
        if at + 2 > len(data):
            break
        (length,) = struct.unpack_from(">H", data, at)
        at += max(2, length)
    return found


def count_blocks(data: bytes, most: int) -> int:
    """Blocks that come before the pixels of a PNG, JPEG or GIF; of more than `most`, `most` + 1.

    A byte that belongs to no block counts as one, for Pillow looks at each.

    Args:
        data: the file's bytes.
        most: where counting may end.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _count_chunks(data, most)
        if data.startswith(b"\xff\xd8"):
            return _count_segments(data, most)
        if data.startswith(b"GIF8"):
            return _count_extensions(data, most)
    except (IndexError, struct.error):
        pass  # cut off, which the decoder will notice
    return 0


def _count_chunks(data: bytes, most: int) -> int:
    at, found = 8, 0
    while at < len(data) and found <= most:
        at += 12 + int(struct.unpack_from(">I", data, at)[0])
        found += 1
    return found


def _count_segments(data: bytes, most: int) -> int:
    at, found = 2, 0
    while found <= most:
        found += 1
        kind = data[at + 1]
        if data[at] != 0xFF or kind in (0x00, 0xFF):
            at += 1
        elif kind == _SCAN:  # the first one
            break
        elif 0xD0 <= kind <= 0xD9 or kind == 0x01:  # alone, without a length
            at += 2
        else:
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return found


def _count_extensions(data: bytes, most: int) -> int:
    at, found = 13 + _palette_bytes(data[10]), 0
    while at < len(data) and data[at] not in (0x2C, 0x3B) and found <= most:
        found += 1
        at = _skip_blocks(data, at + 2) if data[at] == 0x21 else at + 1
    return found


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
