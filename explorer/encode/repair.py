"""Repair: models that were trained to undo damage, given a damaged picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DataError
from explorer.models.codec import Codec
from explorer.models.config import CheckpointConfig
from explorer.models.library import Listing
from explorer.training.config import TrainConfig
from explorer.training.corruption import HIDDEN
from explorer.training.corruption import damage as _damage

NOISE, MASK, DOWNSAMPLE = "noise", "mask", "downsample"
REPAIRS = (NOISE, MASK, DOWNSAMPLE)


@dataclass(frozen=True)
class Repairer:
    """A checkpoint that was trained to undo damage.

    Attributes:
        name: as the library lists it.
        folder: where it lies.
        how: the damage, of `REPAIRS`.
        amount: of the damage that it was trained with: the noise's standard deviation in pixel
            values, the side of the hidden square as a share of the shorter side, or the factor.
    """

    name: str
    folder: Path
    how: str
    amount: float


def find_repairers(
    listings: Sequence[Listing], config: CheckpointConfig | None = None
) -> list[Repairer]:
    """The checkpoints that undo damage, in the listings' order.

    Args:
        listings: where to look.
        config: of a model whose pictures they must take: the same data set and size; None takes
            all.
    """
    found = []
    for listing in listings:
        known = listing.config
        if known is None or known.training.get("corrupt") not in REPAIRS:
            continue
        if config is not None and (known.data.fingerprint, known.data.image_shape) != (
            config.data.fingerprint,
            config.data.image_shape,
        ):
            continue
        how = str(known.training["corrupt"])
        amount = float(known.training.get("corrupt_amount", 0.0)) or TrainConfig(corrupt=how).amount
        found.append(Repairer(listing.name, listing.folder, how, amount))
    return found


def damage(
    images: NDArray[np.floating[Any]], how: str, amount: float, *, seed: int = 0
) -> NDArray[np.float32]:
    """Damage pictures as the trainer does.

    Args:
        images: (N, C, H, W) in [0, 1].
        how: "noise", "mask" (a square, anywhere) or "downsample".
        amount: standard deviation in pixel values, 0 to 10; side of the square as a share of the
            shorter side, 0 to 1; or the whole factor, 1 to 32.
        seed: of the noise and of the square's place.

    Returns:
        (N, C, H, W) in [0, 1].

    Raises:
        DataError: an unknown damage, or an amount out of bounds.
    """
    most = {NOISE: 10.0, MASK: 1.0, DOWNSAMPLE: 32.0}
    if how not in most:
        raise DataError(f"The damage {how!r:.40} is not known; {', '.join(most)} are.")
    least = 1.0 if how == DOWNSAMPLE else 0.0
    if not least <= amount <= most[how] or (how == DOWNSAMPLE and amount != int(amount)):
        kind = "a whole factor" if how == DOWNSAMPLE else "an amount"
        raise DataError(
            f"{how} by {amount:g} is not possible; {kind} from {least:g} to {most[how]:g} is."
        )
    return _damage(images, how, amount, seed=seed)


def hide(images: NDArray[np.floating[Any]], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Hide parts of pictures under the grey that inpainters are trained with.

    Args:
        images: (N, C, H, W) in [0, 1].
        mask: what is hidden, (H, W) or (N, H, W).

    Returns:
        (N, C, H, W).

    Raises:
        DataError: a mask of another size.
    """
    hidden = np.where(_over_channels(mask, images.shape), np.float32(HIDDEN), images)
    return np.asarray(hidden, np.float32)


def repair(
    codec: Codec,
    damaged: NDArray[np.floating[Any]],
    *,
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """What a repairer makes of damaged pictures.

    Args:
        codec: the repairer.
        damaged: (N, C, H, W) in [0, 1].
        mask: what is unknown, (H, W) or (N, H, W): all else stays as it is. None replaces all.

    Returns:
        (N, C, H, W) in [0, 1].

    Raises:
        CheckpointError: pictures of another shape.
        DataError: a mask of another size.
    """
    whole = codec.decode(codec.encode(damaged)[0])
    if mask is None:
        return whole
    return np.where(_over_channels(mask, damaged.shape), whole, damaged).astype(np.float32)


def _over_channels(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask as (1 or N, 1, H, W)."""
    chosen = np.asarray(mask, np.bool_)
    count, _, height, width = shape
    if chosen.shape == (height, width):
        return chosen[None, None]
    if chosen.shape == (count, height, width):
        return chosen[:, None]
    raise DataError(
        f"The mask has the shape {chosen.shape}; pictures of {height} x {width} pixels need "
        f"({height}, {width}), or {count} of them."
    )
