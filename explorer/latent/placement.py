"""Where a code lies on the map."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes
from explorer.latent.ranking import Ranking

NEIGHBOURS = 15
# Of a larger map a subset stands for all: ranking a million codes takes longer than a frame.
MOST_KNOWN = 100_000
# Keeps the subset apart from any that a caller draws with the same seed.
_STREAM = 0x91
# Leaves 99 % of random sets within 0.04 % of the map's diagonal of their true median, at 5
# microseconds an iteration.
_ITERATIONS = 24
# A place closer than this share of the map's diagonal counts as met, which keeps 1/distance finite.
_MET = 1e-4
# Codes placed at once when there are many: their neighbours' places take 12 MB.
_CHUNK = 32_768


class Placement:
    """Places any code on a map of known codes, in two or three dimensions.

    On the latent plane (D <= 2) a code's place is the code itself, and so it is on a 3-D map that
    is the latent space (D <= 3). On any other map it is the geometric median of the places of its
    15 nearest codes: an approximation, which agrees with UMAP's own transform to half a percent of
    the map's diagonal and, unlike a mean, does not fall into the empty land between two clusters.
    Of more than 100,000 codes a fixed subset stands for all.

    Args:
        codes: the codes that the map shows, (N, D).
        coordinates: their places on it, (N, 2) or (N, 3).
        exact: the map is the latent space itself.

    Raises:
        LatentError: shapes that disagree, values that are not finite, or `exact` for a map that
            is not the latent space.

    Attributes:
        exact: whether a place is the code itself or an approximation.
        dims: of the map, 2 or 3.
    """

    def __init__(self, codes: ArrayLike, coordinates: ArrayLike, *, exact: bool) -> None:
        known = checked_codes(codes)
        given: NDArray[np.generic] = np.asarray(coordinates)
        self.dims = 3 if given.ndim == 2 and given.shape[1] == 3 else 2
        places = checked_codes(given, name="coordinates", dim=self.dims)
        if len(known) != len(places):
            raise LatentError(
                f"There are {len(known)} codes and {len(places)} coordinates; each code needs one."
            )
        self.exact = exact
        self._dim = known.shape[1]
        if exact:
            if self._dim > self.dims or not np.allclose(self._as_place(known), places, rtol=1e-5):
                what = "latent plane" if self.dims == 2 else "latent space"
                raise LatentError(
                    f"The map is not the {what} of these {self._dim}-dimensional codes, so places "
                    "on it cannot be exact."
                )
            return
        self._met_squared = (_MET * float(np.linalg.norm(np.ptp(places, axis=0)))) ** 2
        if len(known) > MOST_KNOWN:
            rows = _subset(len(known))
            known, places = known[rows], places[rows]
        self._places = places
        self._ranking = Ranking(known)
        self._neighbours = min(NEIGHBOURS, len(known))

    def place(self, latents: ArrayLike) -> NDArray[np.float32]:
        """The places of codes on the map.

        Args:
            latents: codes, (Q, D).

        Returns:
            (Q, 2) or (Q, 3), within the convex hull of the places of each code's nearest codes.

        Raises:
            LatentError: another D than the map's codes have, or codes that are not finite.

        Source: Weiszfeld 1937, for the geometric median.
        """
        points = checked_codes(latents, name="latents", dim=self._dim)
        if self.exact:
            return self._as_place(points).astype(np.float32)
        result = np.empty((len(points), self.dims), dtype=np.float32)
        for start in range(0, len(points), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            near = self._ranking.nearest_rows(points[chunk], self._neighbours)
            result[chunk] = self._median(self._places[near])
        return result

    def _as_place(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.pad(codes, ((0, 0), (0, self.dims - codes.shape[1])))

    def _median(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """The geometric medians, (Q, 2 or 3), of sets of places, (Q, K, 2 or 3)."""
        # The coordinate-wise median already lies with the majority; from the mean, between two
        # clusters, the iteration would set out in empty land.
        median: NDArray[np.float64] = np.sort(places, axis=1)[:, places.shape[1] // 2]
        if self._met_squared == 0.0:
            return median
        for _ in range(_ITERATIONS):
            away = places - median[:, None]
            weights = 1.0 / np.sqrt(np.einsum("qkc,qkc->qk", away, away) + self._met_squared)
            weights /= weights.sum(axis=1, keepdims=True)
            median = np.einsum("qk,qkc->qc", weights, places)
        return median


def _subset(count: int) -> NDArray[np.int64]:
    """MOST_KNOWN of the rows, evenly spread over the data: one at random of each stretch."""
    ends = np.linspace(0, count, MOST_KNOWN + 1).astype(np.int64)
    return np.random.default_rng(_STREAM).integers(ends[:-1], ends[1:])
