"""The messages of the live route: little-endian, an eight-byte header before each payload.

Header: kind (uint8), flags (uint8), model tag (uint16), sequence number (uint32).

Requests:
    DECODE: the code, D float32.
    PICTURE: the row of an encoding, uint32.

Answers, to either:
    The place of the code on the map, x and y (float32), then the pixels, H x W x C uint8.
    Flag REAL: the picture is the image itself, not a reconstruction.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.errors import ProtocolError

SUBPROTOCOL = "latent-explorer.v1"
DECODE, PICTURE = 1, 2
REAL = 1
HEADER = struct.Struct("<BBHI")
PLACE = struct.Struct("<ff")
LARGEST_LATENT = 1e6  # far beyond any code, and far below where a decoder overflows
LARGEST_REQUEST = HEADER.size + 4 * 512  # bytes: the largest latent_dim's code


@dataclass(frozen=True, eq=False)
class Request:
    """One message from the browser.

    Attributes:
        kind: DECODE or PICTURE.
        sequence: the sender's own number, given back in the answer.
        latents: (D,) float32 for DECODE.
        row: for PICTURE.
    """

    kind: int
    sequence: int
    latents: NDArray[np.float32] | None = None
    row: int = 0


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
    if len(message) > LARGEST_REQUEST:
        raise ProtocolError(
            f"The frame has {len(message)} bytes; at most {LARGEST_REQUEST} are read."
        )
    if len(message) < HEADER.size:
        raise ProtocolError(f"The frame has {len(message)} bytes; its header alone has 8.")
    kind, _flags, model, sequence = HEADER.unpack_from(message)
    if model != tag:
        raise ProtocolError("The frame is for another model than this connection's: reload.")
    size = len(message) - HEADER.size
    if kind == PICTURE:
        if size != 4:
            raise ProtocolError(f"A picture request carries 4 bytes; this one has {size}.")
        row = int.from_bytes(message[HEADER.size :], "little")
        if row >= rows:
            raise ProtocolError(f"There is no encoding {row}; the model has {rows}.")
        return Request(kind, sequence, row=row)
    if kind != DECODE:
        raise ProtocolError(f"The frame's kind is {kind}; 1 (decode) and 2 (picture) are known.")
    if size != 4 * latent_dim:
        raise ProtocolError(
            f"The frame carries {size} bytes; a code of {latent_dim} latents has {4 * latent_dim}."
        )
    latents = np.frombuffer(message, np.dtype("<f4"), offset=HEADER.size).astype(np.float32)
    if not np.isfinite(latents).all():
        raise ProtocolError("The code holds values that are not finite.")
    if np.abs(latents).max() > LARGEST_LATENT:
        raise ProtocolError(f"The code holds values beyond {LARGEST_LATENT:,.0f}.")
    return Request(kind, sequence, latents=latents)


def write_answer(
    request: Request, *, tag: int, place: NDArray[np.float32], pixels: bytes, real: bool
) -> bytes:
    """The answer to a request.

    Args:
        request: what is answered.
        tag: the model's.
        place: (2,), where the code lies on the map.
        pixels: H x W x C uint8.
        real: whether they are the image itself.
    """
    header = HEADER.pack(request.kind, REAL if real else 0, tag, request.sequence)
    return header + PLACE.pack(float(place[0]), float(place[1])) + pixels
