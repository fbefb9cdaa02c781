"""Fitted maps on the disk."""

import hashlib
import json
import os
import re
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import CheckpointError, LatentError
from explorer.latent.projection import MOST_MAPPED, MapRequest
from explorer.storage import load_arrays, save_arrays

FORMAT = 1
MOST_KEPT = 50
MOST_HELD = 8  # maps in memory, where none can be written
_KEY = re.compile(r"[0-9a-f]{32}")
# The first half of a key is the codes', so that their maps can be listed.
_HALF = 16
_MAX_BYTES = 4 * 3 * MOST_MAPPED + 10_000


class MapCache:
    """A folder of fitted maps, the 50 used last.

    A file that is damaged, foreign or of another format gives no map, is named by `damaged_for`,
    and is written anew when its map is fitted again.

    Args:
        folder: it is made when the first map is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, tuple[NDArray[np.float32], MapRequest]] = {}

    def key(self, codes: ArrayLike, onto: ArrayLike, request: MapRequest) -> str:
        """What a map is known by: 16 hexadecimal digits of its codes, 16 of its settings."""
        settings = json.dumps([FORMAT, version("umap-learn"), request.fields()], sort_keys=True)
        source = _digest_of(codes, onto)
        return source[:_HALF] + hashlib.sha256(f"{source}{settings}".encode()).hexdigest()[:_HALF]

    def load(self, key: str) -> tuple[NDArray[np.float32], MapRequest] | None:
        """A map and what gave it, or None where there is none that can be read.

        Raises:
            LatentError: what no map can be known by.
        """
        # A key may come out of an address, and becomes a file's name.
        if not _KEY.fullmatch(key):
            raise LatentError(
                f"A fitted map is known by 32 hexadecimal digits, not by {key[:40]!r}."
            )
        path = self._path(key)
        try:
            kept = _read(path)
        except (CheckpointError, LatentError):
            return self._held.get(key)
        with suppress(OSError):
            os.utime(path)
        return kept

    def save(self, key: str, places: NDArray[np.float32], request: MapRequest) -> None:
        """Keep a map, and give up those that were not used for longest.

        Raises:
            CheckpointError: it cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"{self._folder} cannot be made: {error.strerror or error}; fitted maps are kept "
                "there. Set EXPLORER_CACHE to a folder that can be written to."
            ) from error
        arrays = {
            "coordinates": places,
            "request": np.array(json.dumps(request.fields(), sort_keys=True)),
            "format": np.array(FORMAT),
        }
        save_arrays(self._path(key), arrays)
        for path in self._newest("*.npz")[MOST_KEPT:]:
            path.unlink(missing_ok=True)

    def hold(self, key: str, places: NDArray[np.float32], request: MapRequest) -> None:
        """Keep a map in memory, as long as this process lives, where it cannot be written."""
        self._held[key] = (places, request)
        while len(self._held) > MOST_HELD:
            del self._held[next(iter(self._held))]

    def stored_for(self, codes: ArrayLike, onto: ArrayLike) -> dict[str, MapRequest]:
        """The maps that are kept of these codes: what gave each, by key, the newest first."""
        half = _digest_of(codes, onto)[:_HALF]
        found = {
            key: request
            for key, (_, request) in list(self._held.items())[::-1]
            if key.startswith(half)
        }
        for path in self._newest(f"{half}*.npz"):
            with suppress(CheckpointError, LatentError):
                found[path.stem] = _read(path)[1]
        return {key: request for key, request in found.items() if _KEY.fullmatch(key)}

    def damaged_for(self, codes: ArrayLike, onto: ArrayLike) -> list[str]:
        """Why maps of these codes that are kept cannot be read, the newest first."""
        troubles = []
        for path in self._newest(f"{_digest_of(codes, onto)[:_HALF]}*.npz"):
            try:
                _read(path)
            except (CheckpointError, LatentError) as error:
                troubles.append(str(error))
        return troubles

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.npz"

    def _newest(self, pattern: str) -> list[Path]:
        dated = []
        for path in self._folder.glob(pattern):
            # Another server may have given it up just now.
            with suppress(FileNotFoundError):
                dated.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(dated, reverse=True)]


def _digest_of(codes: ArrayLike, onto: ArrayLike) -> str:
    digest = hashlib.sha256()
    for array in (codes, onto):
        numbers = np.ascontiguousarray(array, dtype="<f4")
        digest.update(f"{numbers.shape}".encode())
        digest.update(numbers.data)
    return digest.hexdigest()


def _read(path: Path) -> tuple[NDArray[np.float32], MapRequest]:
    arrays = load_arrays(path, required=("coordinates", "request", "format"), max_bytes=_MAX_BYTES)
    places, text, known = arrays["coordinates"], arrays["request"], arrays["format"]
    if known.shape != () or known.dtype.kind not in "iu" or int(known) != FORMAT:
        raise CheckpointError(f"{path} has another format than {FORMAT}.")
    if text.shape != () or text.dtype.kind != "U":
        raise CheckpointError(f"{path}: 'request' must be one text.")
    try:
        request = MapRequest.from_fields(json.loads(str(text)))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: 'request' is not JSON: {error}.") from error
    shape = (len(places) if places.ndim else 0, request.components)
    if places.shape != shape or places.dtype != np.float32 or not np.isfinite(places).all():
        raise CheckpointError(f"{path}: 'coordinates' must be finite float32 of shape {shape}.")
    return places, request
