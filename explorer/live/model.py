"""A checkpoint opened for live use: its decoder, its encodings and the views of them."""

import math
import os
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import CheckpointError
from explorer.latent.axes import kl_per_axis, sample_aggregate_posterior
from explorer.latent.density import LocalDensity
from explorer.latent.neighbours import nearest
from explorer.latent.prior import radius_quantile
from explorer.latent.projection import Projection, load_projection
from explorer.live.once import once
from explorer.live.readonly import check_writing
from explorer.live.threads import use_one_thread
from explorer.live.values import Values, find_values
from explorer.live.views import FIT, MAP, View, open_fits, open_view
from explorer.models.checkpoint import (
    AXES,
    PROJECTION,
    Encodings,
    load_axis_names,
    load_config,
    load_encodings,
    save_axis_names,
)
from explorer.models.config import CheckpointConfig
from explorer.models.library import list_checkpoints
from explorer.models.pictures import held_out_pictures

if TYPE_CHECKING:
    from explorer.latent.fitting import MapFits
    from explorer.latent.spots import MapSupport
    from explorer.models.codec import Codec


PATIENCE = 2.0  # seconds that a click waits for the real image
MOST_VALUES = 16  # kept of a model: one number an encoding each
MOST_VIEWS = 8  # kept of a model, besides its own map; the one longest unused goes first
_CHUNK = 1 << 16  # codes looked through at once: of a million no float64 copy is made


@dataclass(frozen=True, eq=False, slots=True)
class Cycle:
    """What encode(decode(z)) made of a code.

    Attributes:
        mean: (D,).
        log_var: (D,), or None for an AE.
    """

    mean: NDArray[np.float32]
    log_var: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """The picture of an encoding.

    Attributes:
        pixels: H x W x C uint8.
        real: whether it is the image itself, or its reconstruction.
        nll: reconstruction_nll at the mean code, nats; NaN where the image is not at hand.
        kl: nats; NaN for an AE.
    """

    pixels: bytes
    real: bool
    nll: float
    kl: float


class OpenedModel:
    """What the live route needs of one checkpoint; torch is imported at the first decode.

    Args:
        folder: the checkpoint.
        stamp: the state of its files, so that a retrained checkpoint is another model.
        fits: finds the maps fitted in the app.

    Raises:
        CheckpointError: if config, encodings or projection cannot be used.

    Attributes:
        axis_names: names that users gave to latent axes, by axis from 0.
        axis_names_trouble: why the stored names were not used; None if they were.
    """

    def __init__(
        self,
        folder: Path,
        stamp: tuple[tuple[int, int], ...] = (),
        fits: "Callable[[], MapFits]" = open_fits,
    ) -> None:
        self.folder = folder
        self.stamp = stamp
        self.tag = zlib.crc32(f"{folder}{stamp}".encode()) & 0xFFFF
        self.config: CheckpointConfig = load_config(folder)
        self.encodings: Encodings = load_encodings(folder, self.config)
        self.projection: Projection = load_projection(folder / PROJECTION)
        if len(self.projection.coordinates) != len(self.encodings.mean):
            raise CheckpointError(
                f"{PROJECTION} of {folder.name} places {len(self.projection.coordinates)} codes; "
                f"there are {len(self.encodings.mean)} encodings."
            )
        self.axis_names: dict[int, str] = {}
        self.axis_names_trouble: str | None = None
        self._axis_names_read: tuple[int, ...] | None = (0,)
        self.read_axis_names()
        self._fits = fits
        self._lock = threading.RLock()
        self._views: dict[str, View] = {}
        self._values: dict[str, Values] = {}
        self._busy: dict[str, threading.Lock] = {}

    @property
    def latent_dim(self) -> int:
        """D."""
        return self.config.network.latent_dim

    @once
    def fits(self) -> "MapFits":
        """The maps fitted in the app."""
        return self._fits()

    def view(self, name: str) -> View:
        """One map of the codes, kept for the next time.

        Args:
            name: one that `protocol.check_view_name` lets through.

        Raises:
            LatentError: if this model has no such view.
        """
        with self._lock:
            if name in self._views:
                self._views[name] = self._views.pop(name)
            else:
                fits = self.fits if name.startswith(FIT) else None
                self._views[name] = open_view(name, self.encodings.mean, self.projection, fits)
                others = [kept for kept in self._views if kept != MAP]
                for kept in others[: len(others) - MOST_VIEWS]:
                    del self._views[kept]
            return self._views[name]

    @property
    def placement(self) -> View:
        """Where any code lies on the checkpoint's own map."""
        return self.view(MAP)

    @once
    def codec(self) -> "Codec":
        """The model itself.

        Raises:
            CheckpointError: if the weights cannot be used.
        """
        from explorer.models.codec import Codec

        return Codec.from_folder(self.folder)

    @once
    def density(self) -> LocalDensity:
        """How densely the images' codes lie around a code.

        Samples of the aggregate posterior, not the means: on an axis that a VAE does not use all
        means are 0, and every draw from the prior would lie in a hole. So a hole here is a hole of
        the hole rate (regularity/holes.py).
        """
        encodings = self.encodings
        return LocalDensity(sample_aggregate_posterior(encodings.mean, encodings.log_var, seed=0))

    def cycle(self, latents: NDArray[np.float32]) -> list[Cycle]:
        """Codes decoded and encoded again: (Q, D) -> Q of them."""
        mean, log_var = self.codec.encode(self.codec.decode(latents))
        return [
            Cycle(mean[row], None if log_var is None else log_var[row])
            for row in range(len(latents))
        ]

    def truth(
        self,
        latents: NDArray[np.float32],
        cycle: Cycle,
        *,
        view: View | None = None,
        spot: NDArray[np.float32] | None = None,
    ) -> dict[str, Any]:
        """Diagnostics for a code (D,), as plain values; None for what is not known.

        Where the code is only a guess for a position on a map, "map" says what lies near that
        position. If it is empty, there is no density and no hole: those of the guess, which is
        drawn to where codes are dense, say nothing about the position.

        Args:
            latents: the code.
            cycle: what decoding and encoding made of it.
            view: the map that `spot` is on.
            spot: the position (2,) that the code is a guess for; None for a code of its own.
        """
        distances, rows = self.nearest(latents, 1)
        row = int(rows[0])
        labels = self.encodings.labels
        radius = float(np.linalg.norm(latents.astype(np.float64)))
        sigma = None if cycle.log_var is None else np.exp(0.5 * cycle.log_var.astype(np.float64))
        support = None if view is None or spot is None else view.support(spot)
        density, hole = None, False
        if support is None or not support.empty:
            # An encoded image is not its own neighbour.
            own = row if distances[0] == 0.0 and self.encodings.log_var is None else None
            density, hole = self.density.at(latents, own=own)
        return {
            "map": None if support is None else self._plain(support),
            "density": density,
            "hole": hole,
            "nearest": {
                "row": row,
                "index": int(self.encodings.index[row]),
                "distance": number(distances[0]),
                "label": None if labels is None else int(labels[row]),
            },
            "radius": number(radius),
            "radius_quantile": number(self._radius_quantile(radius)),
            "radius_of": "prior" if self.encodings.log_var is not None else "images",
            "cycle": number(float(np.linalg.norm(cycle.mean.astype(np.float64) - latents))),
            "sigma": None if sigma is None else [number(value) for value in sigma],
        }

    def _plain(self, support: "MapSupport") -> dict[str, Any]:
        labels = self.encodings.labels
        blend = None
        if labels is not None:
            of_rows = labels[support.rows]
            found = {int(one): float(support.weights[of_rows == one].sum()) for one in of_rows}
            blend = sorted(found.items(), key=lambda one: -one[1])
        return {
            "distance": number(support.distance),
            "usual": number(support.usual),
            "empty": support.empty,
            "blend": blend,
        }

    def _radius_quantile(self, radius: float) -> float:
        """The share of prior draws, or of an AE's encoded images, that lie within a radius.

        An AE is not trained towards N(0, I): on its own scale all its codes may lie far outside.
        """
        if self.encodings.log_var is not None:
            return radius_quantile(radius, self.latent_dim)
        return float(np.searchsorted(self._radii, radius, side="right") / len(self._radii))

    @once
    def _radii(self) -> NDArray[np.float64]:
        """Norms of the encodings, ascending, (N,)."""
        mean = self.encodings.mean
        found = np.empty(len(mean))
        for start in range(0, len(mean), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            found[chunk] = np.linalg.norm(mean[chunk].astype(np.float64), axis=1)
        return np.sort(found)

    def nearest(
        self, latents: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k encodings whose mean is nearest to a code (D,): distances and rows, ascending."""
        mean = self.encodings.mean
        distances, rows = np.empty(0, np.float32), np.empty(0, np.int64)
        for start in range(0, len(mean), _CHUNK):
            chunk = mean[start : start + _CHUNK]
            near, where = nearest(latents[None], chunk, min(k, len(chunk)))
            distances = np.concatenate([distances, near[0]])
            rows = np.concatenate([rows, where[0] + start])
            order = np.argsort(distances, kind="stable")[:k]
            distances, rows = distances[order], rows[order]
        return distances, rows

    def picture(self, row: int) -> Picture:
        """The image of an encoding, or its reconstruction where that is not at hand."""
        use_one_thread()
        mean, log_var = self.encodings.mean[row : row + 1], self.encodings.log_var
        kl = math.nan
        if log_var is not None:
            kl = float(kl_per_axis(mean, log_var[row : row + 1]).sum())
        index = self.encodings.index[row : row + 1]
        # While a large set is being read, its reconstruction is better than no answer.
        pictures = held_out_pictures(self.config.data, index, PATIENCE)
        if pictures is None:
            return Picture(self.codec.decode_pixels(mean)[0].tobytes(), False, math.nan, kl)
        images = np.divide(pictures, np.float32(255), dtype=np.float32)
        nll = float(self.codec.reconstruction_nll(images, mean)[0])
        return Picture(pictures[0].transpose(1, 2, 0).tobytes(), True, nll, kl)

    def values(self, what: str) -> Values:
        """One number an encoding, kept for the next time (see `values.find_values`).

        Raises:
            ExplorerError: if this model has no such values.
        """
        with self._lock:
            busy = self._busy.setdefault(what, threading.Lock())
        with busy:
            found = self._values.get(what)
            if found is None:
                found = find_values(self, what)
            with self._lock:
                self._values.pop(what, None)
                self._values[what] = found
                while len(self._values) > MOST_VALUES:
                    del self._values[next(iter(self._values))]
            return found

    def read_axis_names(self) -> None:
        """Read the axes' names, if the file is another one than when it was last read."""
        try:
            found = os.lstat(self.folder / AXES)
        except OSError:
            state = None
        else:
            state = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
        if state == self._axis_names_read:
            return
        self._axis_names_read = state
        try:
            names, trouble = load_axis_names(self.folder, self.latent_dim), None
        except CheckpointError as error:
            names, trouble = {}, str(error)
        self.axis_names, self.axis_names_trouble = names, trouble

    def name_axes(self, names: Mapping[int, str]) -> None:
        """Replace the axes' names, here and in the checkpoint's folder.

        Raises:
            CheckpointError: a name that is not allowed, a folder that cannot be written, or one
                that holds another model by now; or the server is read-only.
        """
        check_writing("Names of axes are not stored")
        found = [one for one in list_checkpoints([self.folder.parent]) if one.folder == self.folder]
        if self.stamp and (not found or found[0].stamp != self.stamp):
            raise CheckpointError(
                f"{self.folder.name} was trained again or deleted: its axes are other ones now. "
                "Open the new one to name them."
            )
        self.axis_names = save_axis_names(self.folder, names, self.latent_dim)
        self.axis_names_trouble = None


def number(value: float) -> float | None:
    """A number for JSON, which has no NaN and no infinity."""
    return float(value) if math.isfinite(value) else None
