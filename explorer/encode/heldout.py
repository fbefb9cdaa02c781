"""What a model makes of the images it did not learn from: the scores a new picture is held against.

They lie in the checkpoint folder (heldout.npz), so that whoever has no data set can still ask.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.encode.verdicts import Ranked
from explorer.errors import CheckpointError, LatentError
from explorer.images.complexity import measure_complexity
from explorer.images.dataset import ImageSet
from explorer.latent.neighbours import nearest
from explorer.models.bound import DRAWS, Bounds, measure_bounds
from explorer.models.checkpoint import HELD_OUT, Encodings
from explorer.models.codec import Codec
from explorer.storage import load_arrays, save_arrays

FORMAT = 1
NEIGHBOUR = 5  # as in the hole rate
MOST = 3000  # held-out images with scores
FEWEST = 20
# Larger pictures cost more each, so fewer are scored, though never fewer than this.
_PIXELS, _ENOUGH = 64 * 64 * 3, 500
CHUNK = 100  # images measured at once
# Of the typical distance: what is nearer is the same image, encoded in another batch.
_SAME = 1e-4
# Distances of so many images are taken again when a file is read: of the model's own codes they
# come out as they were but for rounding, of another seed's at least 0.04 of them away (median).
_ASKED, _OFF = 32, 0.02
_LARGEST_FILE = 1 << 24
_SEED = 0x4E1D


@dataclass(frozen=True, eq=False)
class Scores:
    """How unlike the training data images are, by several measures; each (N,) float32.

    Attributes:
        reconstruction_nll: nats, as `measure_bounds` gives it.
        kl: nats, or None for an AE.
        distance: of the posterior mean to its 5th nearest held-out code, itself not counted.
        cycle: |encode(decode(z)) - z| of the posterior mean z.
        complexity: nats that a lossless compressor needs.
    """

    reconstruction_nll: NDArray[np.float32]
    kl: NDArray[np.float32] | None
    distance: NDArray[np.float32]
    cycle: NDArray[np.float32]
    complexity: NDArray[np.float32]

    @property
    def bound(self) -> NDArray[np.float32]:
        """The negative ELBO, whatever beta was trained with; of an AE the reconstruction NLL."""
        return self.reconstruction_nll if self.kl is None else self.reconstruction_nll + self.kl

    def __len__(self) -> int:
        return len(self.distance)

    def of(self, key: str) -> NDArray[np.float32]:
        """The values of one score, by its name.

        Raises:
            LatentError: a name that is none, or the KL of an AE.
        """
        values = getattr(self, key, None) if key in (*_NAMES, "bound") else None
        if not isinstance(values, np.ndarray):
            raise LatentError(f"There is no score {key!r:.40} of this model.")
        return values


_NAMES = ("reconstruction_nll", "kl", "distance", "cycle", "complexity")


@dataclass(frozen=True, eq=False)
class HeldOutScores(Scores):
    """Scores of held-out images.

    Attributes:
        rows: which of the checkpoint's encodings they are, (N,) int64, ascending.
    """

    rows: NDArray[np.int64]

    @cached_property
    def ranked(self) -> dict[str, Ranked]:
        """Each score that there is, sorted."""
        there = [name for name in (*_NAMES, "bound") if name != "kl" or self.kl is not None]
        return {name: Ranked.of(self.of(name)) for name in there}

    def percentile(self, key: str, values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """How many in a hundred held-out images have a smaller value; half of the equal ones.

        Args:
            key: "bound", "reconstruction_nll", "kl", "distance", "cycle" or "complexity".
            values: (Q,).

        Returns:
            (Q,), 0 to 100.

        Raises:
            LatentError: as for `of`.
        """
        self.of(key)  # refuses what is no score
        mine = self.ranked[key].ordered
        below = np.searchsorted(mine, values, side="left")
        return np.asarray(50.0 * (below + np.searchsorted(mine, values, side="right")) / len(mine))


def measure_scores(
    codec: Codec,
    images: NDArray[np.floating[Any]],
    codes: NDArray[np.floating[Any]],
    *,
    bounds: Bounds | None = None,
    same: float = 0.0,
) -> Scores:
    """Score images.

    Args:
        codec: the model.
        images: (N, C, H, W) in [0, 1].
        codes: of the held-out images, (M, D).
        bounds: what `measure_bounds(codec, images)` gives, if it is known.
        same: a held-out code that is at most so far away is the image's own and is passed over.

    Raises:
        CheckpointError: images of another shape.
        LatentError: too few held-out codes.
    """
    found = measure_bounds(codec, images) if bounds is None else bounds
    again, _ = codec.encode(codec.decode(found.mean))
    return Scores(
        reconstruction_nll=found.reconstruction_nll,
        kl=found.kl,
        distance=_distance(found.mean, codes, same),
        cycle=np.linalg.norm(again.astype(np.float64) - found.mean, axis=1).astype(np.float32),
        complexity=measure_complexity(images).astype(np.float32),
    )


def _distance(
    mean: NDArray[np.floating[Any]], codes: NDArray[np.floating[Any]], same: float
) -> NDArray[np.float32]:
    distances, _ = nearest(mean, codes, min(NEIGHBOUR + 1, len(codes)))
    own = (distances[:, 0] <= same).astype(np.int64)
    place = np.minimum(NEIGHBOUR - 1 + own, distances.shape[1] - 1)
    return np.take_along_axis(distances, place[:, None], axis=1)[:, 0]


def same_distance(held_out: HeldOutScores) -> float:
    """How near a code must be to a held-out one to be of the same image."""
    return _SAME * float(np.median(held_out.distance))


def measure_held_out(
    codec: Codec,
    encodings: Encodings,
    images: ImageSet,
    *,
    most: int | None = None,
    progress: Callable[[float], None] = lambda _share: None,
) -> HeldOutScores:
    """Score held-out images, at most so many, drawn by a fixed seed.

    Args:
        codec: the model.
        encodings: the checkpoint's.
        images: the images that it was made for.
        most: how many; None takes 3,000, of more than 64 x 64 pixels in colour fewer, down to 500.
        progress: told the share that is done.

    Raises:
        LatentError: fewer than 20 held-out images.
    """
    count = len(encodings.mean)
    if count < FEWEST:
        raise LatentError(
            f"There are {count} held-out images; to hold a picture against them takes {FEWEST}."
        )
    if most is None:
        share = _PIXELS / math.prod(images.image_shape)
        most = min(MOST, max(_ENOUGH, round(MOST * share)))
    drawn = np.random.default_rng(_SEED).permutation(count)[:most]
    rows = np.sort(drawn).astype(np.int64)
    parts = []
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        pictures = images.floats(encodings.index[some])
        # Each is among the codes, at the distance 0 but for rounding: infinitely near passes it.
        parts.append(measure_scores(codec, pictures, encodings.mean, same=np.inf))
        progress((start + len(some)) / len(rows))
    joined = {
        name: None if codec.kind == "ae" and name == "kl" else _joined(parts, name)
        for name in _NAMES
    }
    return HeldOutScores(rows=rows, **joined)  # type: ignore[arg-type]


def _joined(parts: list[Scores], name: str) -> NDArray[np.float32]:
    joined: NDArray[np.float32] = np.concatenate([part.of(name) for part in parts])
    return joined


def save_held_out(path: Path, held_out: HeldOutScores) -> None:
    """Write heldout.npz.

    Raises:
        CheckpointError: it cannot be written.
    """
    arrays: dict[str, NDArray[Any]] = {
        "settings": np.array([FORMAT, DRAWS, NEIGHBOUR], np.int64),
        "rows": held_out.rows,
        **{name: getattr(held_out, name) for name in _NAMES},
    }
    save_arrays(path, {name: values for name, values in arrays.items() if values is not None})


def load_held_out(folder: Path, kind: str, encodings: Encodings) -> HeldOutScores | None:
    """Read a checkpoint's heldout.npz; None where there is none.

    Args:
        folder: the checkpoint.
        kind: of its model.
        encodings: its own.

    Raises:
        CheckpointError: the file is there, but is damaged, foreign or of another model.
    """
    path = folder / HELD_OUT
    if not os.path.lexists(path):
        return None
    remedy = f"measure it again with python -m explorer.encode.familiarity {folder.name}"
    names = [name for name in _NAMES if name != "kl" or kind != "ae"]
    try:
        arrays = load_arrays(path, required=["settings", "rows", *names], max_bytes=_LARGEST_FILE)
    except CheckpointError as error:
        raise CheckpointError(f"{str(error).removesuffix('.')}: {remedy}.") from error
    trouble = _trouble(arrays, names, len(encodings.mean)) or _foreign(arrays, encodings.mean)
    if trouble:
        raise CheckpointError(f"{HELD_OUT} of {folder.name} {trouble}: {remedy}.")
    scores = {name: arrays[name] if name in names else None for name in _NAMES}
    return HeldOutScores(rows=arrays["rows"], **scores)  # type: ignore[arg-type]


def _foreign(arrays: dict[str, NDArray[Any]], codes: NDArray[np.float32]) -> str:
    """Whether the distances are of other codes, in words; "" if they are of these."""
    some = np.linspace(0, len(arrays["rows"]) - 1, _ASKED).astype(np.int64)
    here = _distance(codes[arrays["rows"][some]], codes, np.inf)
    there = arrays["distance"][some]
    # Where all codes nearly coincide, the distances are rounding alone.
    room = _OFF * np.median(here) + 1e-5 * (1 + np.abs(codes).max())
    if np.median(np.abs(here - there)) <= room:
        return ""
    return "has the distances of another model's codes"


def _trouble(arrays: dict[str, NDArray[Any]], names: list[str], count: int) -> str:
    """What is wrong with the arrays of a file, in words; "" for nothing."""
    settings, rows = arrays["settings"], arrays["rows"]
    if settings.dtype != np.int64 or settings.tolist() != [FORMAT, DRAWS, NEIGHBOUR]:
        return f"was measured in another way ({settings.tolist()!r:.60})"
    if rows.dtype != np.int64 or rows.ndim != 1 or len(rows) < FEWEST:
        return f"has rows of the shape {rows.shape} and type {rows.dtype}"
    if rows[0] < 0 or rows[-1] >= count or (np.diff(rows) <= 0).any():
        return f"has rows that are not some of the {count:,} encodings"
    for name in names:
        values = arrays[name]
        if values.dtype != np.float32 or values.shape != rows.shape:
            return f"has {name} of the shape {values.shape} and type {values.dtype}"
        if not np.isfinite(values).all():
            return f"has {name} that is not finite"
    return ""
