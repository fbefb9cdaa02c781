"""A checkpoint opened for live use: its decoder, its encodings and their places on the map."""

import json
import struct
import zlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from explorer.errors import CheckpointError
from explorer.latent.placement import Placement
from explorer.latent.projection import Projection, load_projection
from explorer.models.checkpoint import PROJECTION, Encodings, load_config, load_encodings
from explorer.models.config import CheckpointConfig
from explorer.models.pictures import held_out_pictures

if TYPE_CHECKING:
    from explorer.models.codec import Codec


PATIENCE = 2.0  # seconds that a click waits for the real image


class OpenedModel:
    """What the live route needs of one checkpoint; torch is imported at the first decode.

    Args:
        folder: the checkpoint.
        stamp: the state of its files, so that a retrained checkpoint is another model.

    Raises:
        CheckpointError: if config, encodings or projection cannot be used.
    """

    def __init__(self, folder: Path, stamp: tuple[tuple[int, int], ...] = ()) -> None:
        self.folder = folder
        self.tag = zlib.crc32(f"{folder}{stamp}".encode()) & 0xFFFF
        self.config: CheckpointConfig = load_config(folder)
        self.encodings: Encodings = load_encodings(folder, self.config)
        self.projection: Projection = load_projection(folder / PROJECTION)
        if len(self.projection.coordinates) != len(self.encodings.mean):
            raise CheckpointError(
                f"{PROJECTION} of {folder.name} places {len(self.projection.coordinates)} codes; "
                f"there are {len(self.encodings.mean)} encodings."
            )

    @property
    def latent_dim(self) -> int:
        """D."""
        return self.config.network.latent_dim

    @cached_property
    def placement(self) -> Placement:
        """Where any code lies on the map."""
        return Placement(
            self.encodings.mean,
            self.projection.coordinates,
            exact=self.projection.method == "latent plane" and self.latent_dim <= 2,
        )

    @cached_property
    def codec(self) -> "Codec":
        """The model itself.

        Raises:
            CheckpointError: if the weights cannot be used.
        """
        from explorer.models.codec import Codec

        return Codec.from_folder(self.folder)

    def picture(self, row: int) -> tuple[bytes, bool]:
        """The image of an encoding, H x W x C uint8, and whether it is the real one."""
        index = self.encodings.index[row : row + 1]
        # While a large set is being read, its reconstruction is better than no answer.
        pictures = held_out_pictures(self.config.data, index, PATIENCE)
        if pictures is not None:
            return pictures[0].transpose(1, 2, 0).tobytes(), True
        return self.codec.decode_pixels(self.encodings.mean[row : row + 1])[0].tobytes(), False

    @cached_property
    def points(self) -> bytes:
        """Everything the browser's map needs.

        A JSON header behind its length (uint32), padded to four bytes, then, little-endian:
        coordinates (N, 2) float32, codes (N, D) float32, labels (N,) int32 (-1 where there are
        none), index (N,) int32.
        """
        count = len(self.encodings.mean)
        header = json.dumps({"count": count, "latent_dim": self.latent_dim}).encode()
        header += b" " * (-len(header) % 4)
        labels = self.encodings.labels
        parts: list[NDArray[np.generic]] = [
            self.projection.coordinates.astype("<f4"),
            self.encodings.mean.astype("<f4"),
            (np.full(count, -1) if labels is None else labels).astype("<i4"),
            self.encodings.index.astype("<i4"),
        ]
        return struct.pack("<I", len(header)) + header + b"".join(part.tobytes() for part in parts)
