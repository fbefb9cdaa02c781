"""Paths from one code to another."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes

# Below it, an angle (or what is left to a half turn) gives no plane to turn in.
_PARALLEL = 1e-6


def lerp(start: ArrayLike, end: ArrayLike, steps: int) -> NDArray[np.float32]:
    """The straight line between two codes.

    Args:
        start: a code, (D,).
        end: a code, (D,).
        steps: points on the path, its two ends among them, at least 2.

    Returns:
        (S, D); the first row is `start` and the last is `end`, exactly.

    Raises:
        LatentError: codes of different length or not finite, or fewer than 2 steps.
    """
    first, last = _end_points(start, end, steps)
    along = np.linspace(0.0, 1.0, steps)[:, None]
    return _path((1.0 - along) * first + along * last, first, last)


def slerp(start: ArrayLike, end: ArrayLike, steps: int) -> NDArray[np.float32]:
    """The arc between two codes: at constant speed over the angle between them.

    Samples of N(0, I) in D dimensions lie near a sphere of radius sqrt(D), which the straight line
    between two of them leaves and the arc does not. Between codes of equal norm every point has
    that norm. Where no plane to turn in is given (a zero code, or codes that point the same way or
    opposite ways) the path is the straight line.

    Args:
        start: a code, (D,).
        end: a code, (D,).
        steps: points on the path, its two ends among them, at least 2.

    Returns:
        (S, D); the first row is `start` and the last is `end`, exactly.

    Raises:
        LatentError: codes of different length or not finite, or fewer than 2 steps.

    Source: Shoemake 1985; for latent spaces White 2016, arXiv:1609.04468.
    """
    first, last = _end_points(start, end, steps)
    norms = np.linalg.norm(first), np.linalg.norm(last)
    if min(norms) == 0.0:
        return lerp(first, last, steps)
    unit_first, unit_last = first / norms[0], last / norms[1]
    # arccos of a dot product has no digits left near 0 and pi, which is where the fallback decides.
    angle = 2.0 * np.arctan2(
        np.linalg.norm(unit_first - unit_last), np.linalg.norm(unit_first + unit_last)
    )
    if np.sin(angle) < _PARALLEL:
        return lerp(first, last, steps)
    along = np.linspace(0.0, 1.0, steps)[:, None]
    path = (np.sin((1.0 - along) * angle) * first + np.sin(along * angle) * last) / np.sin(angle)
    return _path(path, first, last)


def _end_points(
    start: ArrayLike, end: ArrayLike, steps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if steps < 2:
        raise LatentError(f"A path needs at least 2 steps, its two ends; {steps} were asked for.")
    first = checked_codes(np.atleast_1d(start)[None], name="start codes")[0]
    last = checked_codes(np.atleast_1d(end)[None], name="end codes", dim=len(first))[0]
    return first, last


def _path(
    points: NDArray[np.float64], first: NDArray[np.float64], last: NDArray[np.float64]
) -> NDArray[np.float32]:
    path = points.astype(np.float32)
    path[0], path[-1] = first, last
    return path
