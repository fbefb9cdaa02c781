"""The code of a spot on the map: the way back from a projection, and what lies near it."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

# These three and _REACH are, of 50 settings tried on five shipped maps, among those that come
# nearer to left-out codes than the weighted mean and take shorter steps on every one. More
# neighbours are smoother and farther off; a longer reach is nearer and jumps more.
NEIGHBOURS = 32
# Of the distance to the farthest neighbour.
_BANDWIDTH = 0.4
# Of the neighbours' mean variance on the map: keeps the slope finite where they lie on a line.
_RIDGE = 0.3
# How far the slope is followed, in root mean square distances of the neighbours from their mean:
# beyond them, in empty land, it would lead to codes that no image is near.
_REACH = 0.5
# A position is empty if its nearest point lies farther away than five others do from this share of
# the map's points. Not one other: UMAP puts points in clumps, and the gaps of a few pixels between
# these, in the middle of a cluster, would be empty land.
OTHERS = 5
EMPTY_QUANTILE = 0.99
# Points that stand for all in that: the quantile is within 0.2 % of theirs.
_MOST_REFERENCES = 4096


@dataclass(frozen=True, eq=False, slots=True)
class MapSupport:
    """What lies near a position on a map.

    Attributes:
        distance: to the nearest point, in the map's units.
        usual: within which 99 % of the map's points have five others; infinite where there are not
            so many.
        rows: of the points whose codes are blended there, nearest first, (K,).
        weights: of each in the blend, which sum to 1, (K,).
    """

    distance: float
    usual: float
    rows: NDArray[np.int64]
    weights: NDArray[np.float64]

    @property
    def empty(self) -> bool:
        """Whether no image lies near on the map."""
        return self.distance > self.usual


class SpotCodes:
    """Finds a code for any spot on a map of known codes.

    From a map to codes there is only a guess. This one is a local linear regression of the codes of
    the 32 nearest points on their positions, with Gaussian weights. Its width goes with the
    distance to the 32nd neighbour, so that it follows how dense the map is, and the weights reach
    zero there, so that the code does not jump where one neighbour gives way to another. Outside the
    points the slope is followed half their spread far: the code stays near the nearest ones'.

    The guess is drawn to the middle of its neighbours, where codes are dense. So whether a position
    is empty is told by `support`, from the map, and never by the density at the guessed code.

    Args:
        codes: the codes that the map shows, (N, D).
        coordinates: their places on it, (N, 2).

    Raises:
        LatentError: shapes that disagree, or values that are not finite.

    Source: Cleveland 1979, locally weighted regression.
    """

    def __init__(self, codes: ArrayLike, coordinates: ArrayLike) -> None:
        # Rounded to what decoders take: half the memory of a million codes.
        self._codes = checked_codes(codes).astype(np.float32)
        self._places = checked_codes(coordinates, name="coordinates", dim=2)
        if len(self._codes) != len(self._places):
            raise LatentError(
                f"There are {len(self._codes)} codes and {len(self._places)} coordinates; each "
                "code needs one."
            )

    @cached_property
    def _tree(self) -> "cKDTree":
        # The first paint must not wait for scipy.
        from scipy.spatial import cKDTree

        return cKDTree(self._places)

    @cached_property
    def _usual(self) -> float:
        """The distance within which 99 % of the points have five others."""
        count = len(self._places)
        if count <= OTHERS:
            return np.inf
        rows = np.arange(count)
        if count > _MOST_REFERENCES:
            rows = np.random.default_rng(0).choice(count, _MOST_REFERENCES, replace=False)
        # The nearest of a point is itself, or one that coincides with it.
        distances, _ = self._tree.query(self._places[rows], [1 + OTHERS])
        return float(np.quantile(distances[:, 0], EMPTY_QUANTILE, method="weibull"))

    def codes(self, spots: ArrayLike) -> NDArray[np.float32]:
        """The codes of spots on the map.

        Args:
            spots: (Q, 2).

        Returns:
            (Q, D), each within the codes of the spot's nearest points, or beyond them by at most a
            third of their range in each axis.

        Raises:
            LatentError: spots of another shape or not finite.
        """
        points = checked_codes(spots, name="spots", dim=2)
        _, rows, weights = self._near(points)
        codes, places = self._codes[rows], self._places[rows]
        mean: NDArray[np.float64] = np.einsum("qk,qkd->qd", weights, codes)
        middle = np.einsum("qk,qkc->qc", weights, places)
        away = places - middle[:, None]
        weighted = weights[:, :, None] * away
        scatter = np.einsum("qkc,qke->qce", weighted, away)
        spread = np.trace(scatter, axis1=1, axis2=2)
        shared = np.einsum("qkc,qkd->qcd", weighted, codes - mean[:, None])
        # Where all neighbours coincide there is no slope, and any number serves to divide 0 by.
        ridge = np.where(spread > 0.0, 0.5 * _RIDGE * spread, 1.0)
        scatter[:, [0, 1], [0, 1]] += ridge[:, None]
        offset = points - middle
        length = np.hypot(offset[:, 0], offset[:, 1])
        reach = _REACH * np.sqrt(spread)
        offset *= np.minimum(1.0, reach / np.where(length > 0.0, length, 1.0))[:, None]
        steps = np.linalg.solve(scatter, offset[:, :, None])
        found: NDArray[np.float64] = mean + np.einsum("qc,qcd->qd", steps[:, :, 0], shared)
        return found.astype(np.float32)

    def support(self, position: ArrayLike) -> MapSupport:
        """What lies near a position on the map.

        Args:
            position: (2,).

        Raises:
            LatentError: a position of another shape or not finite.
        """
        points = checked_codes(np.asarray(position)[None], name="positions", dim=2)
        distances, rows, weights = self._near(points)
        return MapSupport(float(distances[0, 0]), self._usual, rows[0], weights[0])

    def _near(
        self, points: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
        """Distances, rows and weights of the nearest points: (Q, 2) -> (Q, K) each."""
        neighbours = min(NEIGHBOURS, len(self._places))
        # A list of ranks keeps the last axis, also where there is one neighbour alone.
        distances, rows = self._tree.query(points, list(range(1, neighbours + 1)))
        reach = distances[:, -1:]
        # Where all are equally far (copies of one code, or no digits left far out) all count.
        share = distances / np.where(reach > 0.0, reach, 1.0)
        edge = np.exp(-0.5 / _BANDWIDTH**2)
        weights = np.maximum(np.exp(-0.5 * (share / _BANDWIDTH) ** 2) - edge, 0.0)
        weights = np.where(weights.sum(axis=1, keepdims=True) > 0.0, weights, 1.0)
        weights /= weights.sum(axis=1, keepdims=True)
        return distances, rows, weights
