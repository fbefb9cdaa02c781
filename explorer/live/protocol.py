"""The messages of the live route: little-endian, an eight-byte header before each payload.

Header: kind (uint8), flags (uint8), model tag (uint16), sequence number (uint32). The flag GHOST of
a request is given back: its answer is the picture under the pointer, not the one that is pinned.

Requests:
    DECODE: the code, D float32.
    PICTURE: the row of an encoding, uint32.
    SPOT: x, y float32, a spot on the current view; then, where axes are locked, D float32 more: NaN
        where an axis is free, its value where it is held.
    TRUTH: the code, D float32, about which is asked what is known; then, where it is only a guess
        for a position on the current view, x, y float32 of that.
    VIEW: the name of a view, UTF-8; places and spots are of this view from then on.
    ENCODE: a drawing to be prepared and encoded: width, height, channels (1 or 3) and 0, uint8
        each, then height x width x channels uint8.

Answers:
    DECODE, SPOT: place 3 float32 (the third 0 on a flat view), code D float32, pixels H x W x C
        uint8.
    PICTURE: index uint64, place 3 float32, reconstruction_nll and kl float32 (nats; NaN where
        unknown), code D float32, pixels. Flag REAL: they are the image itself, not a
        reconstruction.
    TRUTH, VIEW: JSON, UTF-8.
    ENCODE: place 3 float32, reconstruction_nll at the mean code and kl float32 (nats; NaN for an
        AE's kl), the labels of the 12 nearest encodings int16 (-1 where there is none), mean and
        log_var D float32 each (NaN for an AE's log_var), the model's input and the reconstruction
        H x W x C uint8 each.
"""

import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import ProtocolError

SUBPROTOCOL = "latent-explorer.v2"
DECODE, PICTURE, SPOT, TRUTH, VIEW, ENCODE = 1, 2, 3, 4, 5, 6
KINDS = (DECODE, PICTURE, SPOT, TRUTH, VIEW, ENCODE)
REAL, GHOST = 1, 2
HEADER = struct.Struct("<BBHI")
PLACE = struct.Struct("<fff")
PICTURE_FACTS = struct.Struct("<Qfffff")  # index, place, reconstruction_nll, kl
DRAWING = struct.Struct("<BBBB")  # width, height, channels, 0
ENCODED_FACTS = struct.Struct("<fffff")  # place, reconstruction_nll, kl
VOTES = 12  # of the nearest encodings
LARGEST_LATENT = 1e6  # far beyond any code, and far below where a decoder overflows
LARGEST_REQUEST = HEADER.size + 4 * (2 + 512)  # bytes: a spot with the largest latent_dim's axes
LARGEST_DRAWING = 160  # pixels a side
LARGEST_ENCODE = HEADER.size + DRAWING.size + 3 * LARGEST_DRAWING**2  # bytes
LONGEST_VIEW = 64  # bytes
VIEW_NAME = re.compile(
    r"map|map-3d|principal|principal-3d|axes:(?:0|[1-9][0-9]{0,2}),(?:0|[1-9][0-9]{0,2})"
    r"|fit:[0-9a-f]{32}"
)

_FLOATS = np.dtype("<f4")


@dataclass(frozen=True, eq=False, slots=True)
class Request:
    """One message from the browser.

    Attributes:
        kind: one of KINDS.
        sequence: the sender's own number, given back in the answer.
        ghost: whether the answer is for the pointer's picture.
        latents: (D,) float32 for DECODE and TRUTH.
        row: for PICTURE.
        spot: (2,) float32 for SPOT; for TRUTH the position that the code was guessed for, or None.
        held: (D,) float32 for SPOT, NaN where an axis is free; None if all are.
        view: for VIEW.
        drawing: (H, W, C) for ENCODE.
    """

    kind: int
    sequence: int
    ghost: bool = False
    latents: NDArray[np.float32] | None = None
    row: int = 0
    spot: NDArray[np.float32] | None = None
    held: NDArray[np.float32] | None = None
    view: str = ""
    drawing: NDArray[np.uint8] | None = None


def read_request(message: bytes, *, tag: int, latent_dim: int, rows: int) -> Request:
    """Read one message without trust.

    Args:
        message: what came.
        tag: of the model that the connection drives.
        latent_dim: its D.
        rows: number of its encodings.

    Returns:
        The request.

    Raises:
        ProtocolError: if the message is short, long, of an unknown kind, not finite, or meant for
            another model.
    """
    largest = LARGEST_ENCODE if message[:1] == bytes([ENCODE]) else LARGEST_REQUEST
    if len(message) > largest:
        raise ProtocolError(f"The frame has {len(message)} bytes; at most {largest} are read.")
    if len(message) < HEADER.size:
        raise ProtocolError(f"The frame has {len(message)} bytes; its header alone has 8.")
    kind, flags, model, sequence = HEADER.unpack_from(message)
    if model != tag:
        raise ProtocolError("The frame is for another model than this connection's: reload.")
    if flags & ~GHOST:
        raise ProtocolError(f"The frame's flags are {flags}; 0 and {GHOST} (ghost) are known.")
    ghost = flags == GHOST
    size = len(message) - HEADER.size
    if kind in (DECODE, TRUTH):
        code = 4 * latent_dim
        guessed = kind == TRUTH and size == code + 8
        if size != code and not guessed:
            more = f", and {code + 8} with the position it was guessed for" if kind == TRUTH else ""
            raise ProtocolError(
                f"The frame carries {size} bytes; a code of {latent_dim} latents has {code}{more}."
            )
        end = HEADER.size + code
        spot = _read_floats(message, end, "position") if guessed else None
        latents = _read_floats(message[:end], HEADER.size, "code")
        return Request(kind, sequence, ghost, latents=latents, spot=spot)
    if kind == SPOT:
        if size not in (8, 8 + 4 * latent_dim):
            raise ProtocolError(
                f"The frame carries {size} bytes; a spot has 8, and {8 + 4 * latent_dim} with the "
                f"held ones of {latent_dim} latents."
            )
        spot = _read_floats(message[: HEADER.size + 8], HEADER.size, "spot")
        held = _read_held(message, HEADER.size + 8) if size > 8 else None
        return Request(kind, sequence, ghost, spot=spot, held=held)
    if kind == PICTURE:
        if size != 4:
            raise ProtocolError(f"A picture request carries 4 bytes; this one has {size}.")
        row = int.from_bytes(message[HEADER.size :], "little")
        if row >= rows:
            raise ProtocolError(f"There is no encoding {row}; the model has {rows}.")
        return Request(kind, sequence, ghost, row=row)
    if kind == VIEW:
        if size > LONGEST_VIEW:
            raise ProtocolError(f"A view's name has at most {LONGEST_VIEW} bytes, not {size}.")
        name = message[HEADER.size :].decode(errors="replace")
        check_view_name(name)
        return Request(kind, sequence, ghost, view=name)
    if kind == ENCODE:
        return Request(kind, sequence, ghost, drawing=_read_drawing(message, HEADER.size))
    raise ProtocolError(
        f"The frame's kind is {kind}; 1 (decode), 2 (picture), 3 (spot), 4 (truth), 5 (view) and 6 "
        "(encode) are known."
    )


def check_view_name(name: str) -> None:
    """Hold a view's name against those that there can be.

    Raises:
        ProtocolError: with the name and what is allowed.
    """
    if not VIEW_NAME.fullmatch(name):
        raise ProtocolError(
            f"There is no view {name[:LONGEST_VIEW]!r}: map, map-3d, principal, principal-3d, "
            "axes:I,J and fit:KEY are known."
        )


def _read_floats(message: bytes, offset: int, what: str) -> NDArray[np.float32]:
    values = np.frombuffer(message, _FLOATS, offset=offset).astype(np.float32)
    # NaN is not below anything, so that one comparison finds it too.
    if not np.abs(values).max() <= LARGEST_LATENT:
        if not np.isfinite(values).all():
            raise ProtocolError(f"The {what} holds values that are not finite.")
        raise ProtocolError(f"The {what} holds values beyond {LARGEST_LATENT:,.0f}.")
    return values


def _read_held(message: bytes, offset: int) -> NDArray[np.float32]:
    held = np.frombuffer(message, _FLOATS, offset=offset).astype(np.float32)
    if (np.abs(held) > LARGEST_LATENT).any():
        raise ProtocolError(f"The held axes have values beyond {LARGEST_LATENT:,.0f}.")
    return held


def _read_drawing(message: bytes, offset: int) -> NDArray[np.uint8]:
    if len(message) < offset + DRAWING.size:
        raise ProtocolError(
            f"The frame carries {len(message) - offset} bytes; a drawing begins with "
            f"{DRAWING.size}: width, height, channels and 0."
        )
    width, height, channels, rest = DRAWING.unpack_from(message, offset)
    if (
        channels not in (1, 3)
        or rest
        or not 1 <= width <= LARGEST_DRAWING
        or not 1 <= height <= LARGEST_DRAWING
    ):
        raise ProtocolError(
            f"The drawing is {width} x {height} pixels of {channels} channels ({rest} after them); "
            f"1 to {LARGEST_DRAWING} a side and 1 or 3 channels (0 after them) are read."
        )
    start = offset + DRAWING.size
    if len(message) - start != height * width * channels:
        raise ProtocolError(
            f"The drawing has {len(message) - start} bytes; {width} x {height} pixels of "
            f"{channels} channels are {height * width * channels}."
        )
    return np.frombuffer(message, np.uint8, offset=start).reshape(height, width, channels)


def answer_header(request: Request, tag: int, *, real: bool = False) -> bytes:
    """The header of the answer to a request."""
    flags = (GHOST if request.ghost else 0) | (REAL if real else 0)
    return HEADER.pack(request.kind, flags, tag, request.sequence)


def write_decoded(
    headers: Sequence[bytes],
    places: NDArray[np.float32],
    latents: NDArray[np.float32],
    pixels: NDArray[np.uint8],
) -> list[bytes]:
    """The answers to a whole batch of DECODE and SPOT.

    Args:
        headers: of each answer.
        places: (B, 3).
        latents: (B, D).
        pixels: (B, H, W, C).
    """
    count = len(headers)
    parts = (
        np.frombuffer(b"".join(headers), np.uint8).reshape(count, HEADER.size),
        places.astype(_FLOATS, order="C", copy=False).view(np.uint8),
        latents.astype(_FLOATS, order="C", copy=False).view(np.uint8),
        pixels.reshape(count, -1),
    )
    return [row.tobytes() for row in np.concatenate(parts, axis=1)]


def write_picture(
    header: bytes,
    *,
    index: int,
    place: Sequence[float],
    nll: float,
    kl: float,
    latents: NDArray[np.float32],
    pixels: bytes,
) -> bytes:
    """The answer to PICTURE.

    Args:
        header: of the answer.
        index: of the image in its data set.
        place: x, y, z on the view.
        nll: reconstruction_nll, nats; NaN where unknown.
        kl: nats; NaN where unknown.
        latents: the code, (D,).
        pixels: H x W x C.
    """
    facts = PICTURE_FACTS.pack(index, *_narrow([*place, nll, kl]))
    return header + facts + latents.astype(_FLOATS).tobytes() + pixels


def write_encoded(
    header: bytes,
    *,
    place: Sequence[float],
    nll: float,
    kl: float,
    labels: NDArray[np.int64],
    mean: NDArray[np.float32],
    log_var: NDArray[np.float32] | None,
    pictures: Sequence[bytes],
) -> bytes:
    """The answer to ENCODE.

    Args:
        header: of the answer.
        place: x, y, z on the view.
        nll: reconstruction_nll at the mean code, nats.
        kl: nats; NaN for an AE.
        labels: of the nearest encodings, at most 12; none where they have none.
        mean: (D,).
        log_var: (D,), or None for an AE.
        pictures: the model's input and its reconstruction, H x W x C each.
    """
    votes = np.full(VOTES, -1, "<i2")
    votes[: len(labels)] = labels
    spread = np.full_like(mean, np.nan) if log_var is None else log_var
    codes = mean.astype(_FLOATS).tobytes() + spread.astype(_FLOATS).tobytes()
    facts = ENCODED_FACTS.pack(*_narrow([*place, nll, kl]))
    return header + facts + votes.tobytes() + codes + b"".join(pictures)


def _narrow(values: Sequence[float]) -> list[float]:
    """Numbers as float32 holds them: what is too large is infinite, which struct refuses to do."""
    with np.errstate(over="ignore"):
        narrow: list[float] = np.array(values, np.float64).astype(np.float32).tolist()
    return narrow


def write_json(header: bytes, content: Mapping[str, Any]) -> bytes:
    """The answer to TRUTH or VIEW."""
    return header + json.dumps(content, allow_nan=False).encode()
