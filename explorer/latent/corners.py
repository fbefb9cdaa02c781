"""Between several codes: the plane of two to five corners, and the path through them all."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes
from explorer.latent.interpolation import lerp, slerp

FEWEST, MOST = 2, 5
# Twice the area of a triangle below which a spot lies on the line through two corners.
_ON_EDGE = 1e-9
# Of spherical means: below it a sum of directions has none itself; steps, and when they end.
_NO_MEAN, _ROUNDS, _SETTLED = 1e-6, 60, 1e-10


def corner_places(count: int) -> NDArray[np.float64]:
    """Where the corners lie: a line, or a regular polygon, within the unit square.

    The square (count 4) has its corners in the square's own, first the lower left, then the lower
    right, the upper right and the upper left. Others start at the top and go clockwise.

    Args:
        count: 2 to 5.

    Returns:
        (K, 2).

    Raises:
        LatentError: another count.
    """
    if count not in range(FEWEST, MOST + 1):
        raise LatentError(f"{count} corners were given; {FEWEST} to {MOST} are possible.")
    if count == 2:
        return np.array([[0.0, 0.5], [1.0, 0.5]])
    if count == 4:
        return np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    angles = np.pi / 2 - 2 * np.pi * np.arange(count) / count
    return 0.5 + 0.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def corner_weights(count: int, spots: ArrayLike) -> NDArray[np.float64]:
    """How much of each corner there is at spots of the plane.

    Two corners share by the place along their line; three by barycentric coordinates; four
    bilinearly; five by Wachspress's coordinates, their generalisation (of a triangle they are
    barycentric, of a square bilinear). A spot outside is moved to the nearest place inside.

    Args:
        count: corners, 2 to 5.
        spots: (Q, 2).

    Returns:
        (Q, K), >= 0, with the sum 1; 1 at the corner itself. The corners' places, so weighted,
        give the spot.

    Raises:
        LatentError: another count, or spots that are not finite.

    Source: Wachspress 1975; Meyer et al. 2002, "Generalized barycentric coordinates on irregular
    polygons", for this form.
    """
    corners = corner_places(count)
    places = _move_inside(corners, checked_codes(spots, name="spots", dim=2))
    if count == 2:
        return np.stack([1 - places[:, 0], places[:, 0]], axis=1)
    if count == 4:
        x, y = places.T
        return np.stack([(1 - x) * (1 - y), x * (1 - y), x * y, (1 - x) * y], axis=1)
    # Each corner's weight: the triangle with its neighbours, times those of the spot with every
    # edge that does not touch it. Written as products, nothing is divided by 0 on an edge.
    following = np.roll(corners, -1, axis=0)
    edges = np.abs(_cross(corners - places[:, None], following - places[:, None]))  # (Q, K)
    edges[edges < _ON_EDGE] = 0.0
    around = np.abs(_cross(corners - np.roll(corners, 1, axis=0), following - corners))
    numbers = np.arange(count)
    weights = np.stack(
        [
            around[one] * edges[:, (numbers != one) & (numbers != (one - 1) % count)].prod(axis=1)
            for one in numbers
        ],
        axis=1,
    )
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def blend(corners: ArrayLike, weights: ArrayLike) -> NDArray[np.float32]:
    """Codes mixed of several: weights @ corners.

    A - B + C is the weights 1, -1, 1; the mean of K codes 1 / K each.

    Args:
        corners: codes (K, D).
        weights: (Q, K), or (K,) for one mixture.

    Returns:
        (Q, D), or (D,) for one mixture.

    Raises:
        LatentError: shapes that disagree, or values that are not finite.
    """
    codes = checked_codes(corners)
    given: NDArray[np.float64] = np.asarray(weights, dtype=np.float64)
    shares = checked_codes(np.atleast_2d(given), name="weights", dim=len(codes))
    mixed = checked_codes(shares @ codes, name="mixed codes").astype(np.float32)
    return mixed[0] if given.ndim == 1 else mixed


def arc_weights(corners: ArrayLike, weights: ArrayLike) -> NDArray[np.float64]:
    """What weights become when the mixture is to move along arcs about the origin, as slerp does.

    The directions of the corners are averaged on the sphere; the mean direction is a sum of them,
    and the codes are summed alike. So of two corners this is slerp exactly, and of corners with
    equal norms every mixture has that norm. Where the mean of directions is not defined (a corner
    at the origin, or corners that lie all around it) the weights stay as they are: lerp.

    Args:
        corners: codes (K, D).
        weights: (Q, K), >= 0, with the sum 1.

    Returns:
        (Q, K), for `blend`; their sum is not 1.

    Raises:
        LatentError: shapes that disagree, or values that are not finite.

    Source: Buss & Fillmore 2001, "Spherical averages and applications to spherical splines and
    interpolation", algorithm A1.
    """
    codes = checked_codes(corners)
    shares = checked_codes(weights, name="weights", dim=len(codes))
    norms: NDArray[np.float64] = np.linalg.norm(codes, axis=1)
    if not norms.all():
        return shares
    units = codes / norms[:, None]
    found = shares.copy()
    for row, share in enumerate(shares):
        mean = share @ units
        length = np.linalg.norm(mean)
        if length < _NO_MEAN:
            continue
        mean /= length
        for _ in range(_ROUNDS):
            cosines, stretch = _angles(units, mean)
            step = (share * stretch) @ (units - cosines[:, None] * mean)
            size = float(np.linalg.norm(step))
            if size < _SETTLED:
                break
            mean = np.cos(size) * mean + np.sin(size) * step / size
            mean /= np.linalg.norm(mean)
        cosines, stretch = _angles(units, mean)
        whole = float(share @ (stretch * cosines))
        if whole > _NO_MEAN:
            found[row] = share * stretch / whole
    return found


def corner_grid(count: int, side: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A grid over the plane of the corners, row by row from the top.

    Args:
        count: corners, 2 to 5; two have one row.
        side: spots a row, and rows, at least 2.

    Returns:
        spots (Q, 2), and whether each lies within the corners, (Q,).

    Raises:
        LatentError: another count, or fewer than 2 a side.
    """
    corners = corner_places(count)
    if side < 2:
        raise LatentError(f"A grid of {side} spots a side has no corners; at least 2 are needed.")
    along = np.linspace(0, 1, side)
    down = np.array([0.5]) if count == 2 else along[::-1]
    spots = np.stack(np.meshgrid(along, down), axis=2).reshape(-1, 2)
    inside = np.abs(_move_inside(corners, spots) - spots).max(axis=1) < _ON_EDGE
    return spots, inside


def route(
    codes: ArrayLike, steps: int, *, how: str = "lerp", closed: bool = False
) -> NDArray[np.float32]:
    """The path through several codes, one after the other.

    Args:
        codes: (K, D), at least 2.
        steps: points of each leg, its two ends among them, at least 2.
        how: "lerp" (straight) or "slerp" (along the arc about the origin).
        closed: whether it returns to the first.

    Returns:
        (S, D): each code once (the first also last, if closed), exactly, and what lies between.

    Raises:
        LatentError: fewer than 2 codes, another way, fewer than 2 steps, or codes that are not
            finite.
    """
    stops = checked_codes(codes)
    ways = {"lerp": lerp, "slerp": slerp}
    if how not in ways:
        raise LatentError(f"A path by {how!r:.40} is not known; lerp and slerp are.")
    if len(stops) < 2:
        raise LatentError("A path needs at least 2 codes; 1 was given.")
    ends = np.concatenate([stops[1:], stops[:1]]) if closed else stops[1:]
    legs = [ways[how](one, other, steps) for one, other in zip(stops, ends, strict=False)]
    return np.concatenate([leg if not number else leg[1:] for number, leg in enumerate(legs)])


def _angles(
    units: NDArray[np.float64], mean: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosine of the angle to the mean of each direction, and angle / sine: (K,) each."""
    # As in slerp: arccos has no digits left near 0.
    angles = 2 * np.arctan2(
        np.linalg.norm(units - mean, axis=1), np.linalg.norm(units + mean, axis=1)
    )
    sines = np.sin(angles)
    # At the mean itself it is 1; a direction opposite to it pulls nowhere.
    stretch = np.where(angles < _NO_MEAN, 1.0, angles / np.maximum(sines, _NO_MEAN))
    return np.cos(angles), stretch


def _cross(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0])


def _move_inside(corners: NDArray[np.float64], spots: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest place within the corners' polygon, (Q, 2)."""
    if len(corners) in (2, 4):
        places = np.clip(spots, 0.0, 1.0)
        if len(corners) == 2:
            places[:, 1] = 0.5
        return places
    following = np.roll(corners, -1, axis=0)
    edges = following - corners
    # Clockwise: inside lies to the right of every edge.
    sides = _cross(edges, spots[:, None] - corners)
    outside: NDArray[np.bool_] = np.asarray((sides > 0).any(axis=1))
    share = ((spots[:, None] - corners) * edges).sum(axis=2) / (edges**2).sum(axis=1)
    onto = corners + np.clip(share, 0, 1)[:, :, None] * edges
    nearest = ((onto - spots[:, None]) ** 2).sum(axis=2).argmin(axis=1)
    moved = onto[np.arange(len(spots)), nearest]
    return np.where(outside[:, None], moved, spots)
