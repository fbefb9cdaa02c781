"""A map turned onto another one, so that one's bearings are kept."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes

# A direction with less of the two maps' common extent than this has no side of its own.
_FLAT = 1e-9


def align(places: ArrayLike, onto: ArrayLike) -> NDArray[np.float32]:
    """Places rotated, mirrored and moved as near as they come to others; distances stay.

    A map of which nothing can be compared (all places in one spot) is only moved. In a direction
    in which nothing can be compared (a 3-D map onto a 2-D one has such a one) nothing is mirrored
    that need not be.

    Args:
        places: (N, K).
        onto: places of the same codes, (N, K2); the first K of its axes count, and axes that it
            lacks are zero.

    Returns:
        (N, K).

    Raises:
        LatentError: another number of places, or places that are not finite.

    Source: orthogonal Procrustes: Schönemann 1966.
    """
    moved = checked_codes(places, name="places")
    target = checked_codes(onto, name="places to align with")
    if len(moved) != len(target):
        raise LatentError(
            f"{len(moved)} places cannot be aligned with {len(target)}; they must be as many."
        )
    width = moved.shape[1]
    target = np.pad(target, ((0, 0), (0, max(0, width - target.shape[1]))))[:, :width]
    centre = target.mean(axis=0)
    moved = moved - moved.mean(axis=0)
    # The rotation does not change with the scale, but tiny maps' products would underflow.
    largest = max(float(np.abs(moved).max()), np.finfo(np.float64).tiny)
    reach = max(float(np.abs(target - centre).max()), np.finfo(np.float64).tiny)
    common = (moved / largest).T @ ((target - centre) / reach)
    left, extents, right = np.linalg.svd(common)
    if extents[0] <= _FLAT * len(moved):
        left, right = np.eye(width), np.eye(width)
    elif extents[-1] <= _FLAT * extents[0] and np.linalg.det(left @ right) < 0.0:
        left[:, -1] *= -1.0
    turned: NDArray[np.float64] = moved @ (left @ right) + centre
    return turned.astype(np.float32)
