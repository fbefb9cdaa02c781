"""How densely codes lie around a code, and whether it lies in a hole."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.latent.codes import checked_codes
from explorer.latent.ranking import Ranking

# The test of regularity/holes.py, for one code at a time: the same neighbour, the same quantile.
NEIGHBOUR = 5
QUANTILE = 0.95
# Codes that stand for all: a percentile of so many has a standard error of at most 0.8 %.
MOST_REFERENCES = 4096
# Offsets of nearest codes held at once: 2 million float64, 16 MB.
_CHUNK = 2_000_000


class LocalDensity:
    """The density of codes at a code, as a percentile of the codes' own.

    Its measure is the distance to the fifth nearest reference code: the farther, the sparser. With
    fewer than six codes there is no such distance for a code itself: every percentile is NaN and
    nothing is a hole.

    Args:
        codes: (N, D).
        seed: of the choice of reference codes, where there are more than 4096.

    Raises:
        LatentError: codes that are not finite.
    """

    def __init__(self, codes: ArrayLike, seed: int = 0) -> None:
        # As given: of a million codes no float64 copy is kept.
        self._codes: NDArray[np.generic] = np.asarray(codes)
        points = checked_codes(codes)
        count = len(points)
        self._rows = np.arange(count)
        if count > MOST_REFERENCES:
            generator = np.random.default_rng(seed)
            self._rows = np.sort(generator.choice(count, MOST_REFERENCES, replace=False))
        self._references = points[self._rows]
        self._dim = points.shape[1]
        self._known = len(self._rows) > NEIGHBOUR
        self._ranking = Ranking(self._references)
        self._own = np.zeros(0)
        self._threshold = np.inf
        if self._known:
            own = np.arange(len(self._rows))
            self._own = np.sort(self._distances(self._references, own))
            # As bootstrap.exceedance_threshold: what a further code exceeds with probability 0.05.
            self._threshold = float(np.quantile(self._own, QUANTILE, method="weibull"))

    def percentile(self, latents: ArrayLike) -> NDArray[np.float64]:
        """The share of codes that lie at least as sparsely, in percent: 100 is the densest.

        Args:
            latents: (Q, D).

        Returns:
            (Q,), 0 to 100; 0 is sparser than every code.

        Raises:
            LatentError: another D than the codes have, or latents that are not finite.
        """
        points = checked_codes(latents, name="latents", dim=self._dim)
        if not self._known:
            return np.full(len(points), np.nan)
        return self._percent(self._distances(points))

    def is_hole(self, latents: ArrayLike) -> NDArray[np.bool_]:
        """Whether a code lies sparser than 95 % of the codes do.

        Args:
            latents: (Q, D).

        Returns:
            (Q,).

        Raises:
            LatentError: another D than the codes have, or latents that are not finite.
        """
        points = checked_codes(latents, name="latents", dim=self._dim)
        if not self._known:
            return np.zeros(len(points), dtype=np.bool_)
        return self._distances(points) > self._threshold

    def at(
        self, latent: NDArray[np.generic], *, own: int | None = None
    ) -> tuple[float | None, bool]:
        """Percentile and hole of one code, (D,); the percentile is None if there is none.

        Args:
            latent: the code.
            own: its row, if it is one of the codes: it is not its own neighbour.

        Raises:
            LatentError: another D than the codes have, or a code that is not finite.
        """
        points = checked_codes(latent[None], name="latents", dim=self._dim)
        if not self._known:
            return None, False
        place = -1 if own is None else int(np.searchsorted(self._rows, own))
        known = 0 <= place < len(self._rows) and self._rows[place] == own
        distances = self._distances(points, np.array([place if known else -1]))
        return float(self._percent(distances)[0]), bool(distances[0] > self._threshold)

    def of_codes(self) -> NDArray[np.float32]:
        """The percentile of every code, none being its own neighbour: (N,)."""
        count = len(self._codes)
        if not self._known:
            return np.full(count, np.nan, dtype=np.float32)
        own = np.full(count, -1)
        own[self._rows] = np.arange(len(self._rows))
        result = np.empty(count, dtype=np.float32)
        step = max(1, _CHUNK // (NEIGHBOUR * self._dim))
        for start in range(0, count, step):
            chunk = slice(start, start + step)
            points = self._codes[chunk].astype(np.float64)
            result[chunk] = self._percent(self._distances(points, own[chunk]))
        return result

    def _distances(
        self, points: NDArray[np.float64], own: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """To the fifth nearest reference: (Q, D) -> (Q,); `own` is not its own neighbour."""
        near = self._ranking.nearest_rows(points, NEIGHBOUR, own=own)
        # Taken again from differences, so that a copy of a code is at distance 0 exactly.
        offsets = self._references[near] - points[:, None, :]
        squares: NDArray[np.float64] = np.einsum("qkd,qkd->qk", offsets, offsets).max(axis=1)
        return np.sqrt(squares)

    def _percent(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        nearer = np.searchsorted(self._own, distances, side="left")
        return 100.0 * (len(self._own) - nearer) / len(self._own)
