"""Sets of pictures held against each other in a feature space: nearness, spread, distance."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import LatentError
from explorer.latent.neighbours import nearest

# Naeem et al. 2020, section 3.3: the value that they recommend.
NEIGHBOUR = 5
# Points a side: the matrix of who lies in whose ball takes N x M bytes.
MOST_POINTS = 5000
_CHUNK = 2_000_000
# Balls of five hold few of thousands; their matrix is multiplied where it is not zero alone.
_SPARSE = 0.05


@dataclass(frozen=True, eq=False)
class Manifold:
    """Where a set of pictures lies: a ball round each, as wide as its fifth neighbour is far.

    Attributes:
        points: features, (N, F).
        radii: (N,).
    """

    points: NDArray[np.float64]
    radii: NDArray[np.float64]

    @classmethod
    def fit(cls, points: NDArray[np.floating], *, k: int = NEIGHBOUR) -> "Manifold":
        """The manifold of pictures.

        Args:
            points: features, (N, F), N more than k.
            k: the neighbour that a ball reaches to, the point itself not counted.

        Raises:
            LatentError: too few points for a k-th neighbour, or features that are not finite.
        """
        distances, _ = nearest(points, points, k, exclude_self=True)
        return cls(points.astype(np.float64), distances[:, -1].astype(np.float64))

    def denser_half(self) -> "Manifold":
        """Without the half of the balls that are widest, which reach far into nowhere."""
        kept = self.radii <= np.median(self.radii)
        return Manifold(self.points[kept], self.radii[kept])

    def realism(self, others: NDArray[np.floating]) -> NDArray[np.float64]:
        """How deep in a ball each of other pictures lies: the largest radius over distance, (M,).

        1 is the surface of the ball that holds it best; what coincides with a point has infinity.

        Source: Kynkäänniemi et al. 2019, equation 3, arXiv:1904.06991.
        """
        points = others.astype(np.float64)
        best = np.empty(len(points))
        rows = max(1, _CHUNK // len(self.points))
        for start in range(0, len(points), rows):
            part = slice(start, start + rows)
            squares = _squares(points[part], self.points)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratios = self.radii / np.sqrt(np.maximum(squares, 0.0))
            # A ball without width holds what coincides with it.
            best[part] = np.nan_to_num(ratios, nan=np.inf, posinf=np.inf).max(axis=1)
        return best

    def holds(self, others: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether each ball holds each of other pictures.

        Args:
            others: features, (M, F).

        Returns:
            (N, M); a picture on a ball's surface is inside.
        """
        points = others.astype(np.float64)
        centre = self.points.mean(axis=0)
        # Radii are float32 and squares cancel: both by less than this, and no picture by more.
        reach = self.radii**2 * (1.0 + 1e-6)
        slack = 1e-12 * max(
            float(((one - centre) ** 2).sum(axis=1).max(initial=0.0))
            for one in (self.points, points)
        )
        inside = np.empty((len(self.points), len(points)), np.bool_)
        rows = max(1, _CHUNK // max(1, len(points)))
        for start in range(0, len(self.points), rows):
            part = slice(start, start + rows)
            squares = _squares(self.points[part], points, centre)
            inside[part] = squares <= reach[part, None] + slack
        return inside


def _squares(
    one: NDArray[np.float64], other: NDArray[np.float64], centre: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Squared distances of points (P, F) and (Q, F), (P, Q); about a centre they keep digits."""
    about = other.mean(axis=0) if centre is None else centre
    first, second = one - about, other - about
    squares: NDArray[np.float64] = -2.0 * (first @ second.T)
    squares += np.einsum("pf,pf->p", first, first)[:, None]
    squares += np.einsum("qf,qf->q", second, second)[None, :]
    return squares


class Comparison:
    """Pictures held against a reference; each figure as it is, and resampled.

    Args:
        reference: where real pictures lie, N of them.
        pictures: features, (M, F).

    Source: Naeem et al. 2020, arXiv:2002.09797; precision and recall as in Kynkäänniemi et al.
    2019, arXiv:1904.06991.
    """

    def __init__(self, reference: Manifold, pictures: NDArray[np.floating]) -> None:
        self._reference = reference
        self._pictures = pictures
        self.inside = reference.holds(pictures)
        self.n, self.m = self.inside.shape

    @cached_property
    def _around(self) -> NDArray[np.bool_]:
        """Whether each picture's own ball holds each of the reference, (N, M)."""
        return Manifold.fit(self._pictures).holds(self._reference.points).T

    @property
    def held(self) -> NDArray[np.bool_]:
        """Whether at least one ball of the reference holds each picture, (M,)."""
        return np.asarray(self.inside.any(axis=0))

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Whether each ball of the reference holds at least one picture, (N,)."""
        return np.asarray(self.inside.any(axis=1))

    @property
    def precision(self) -> float:
        """Share of the pictures that at least one ball of the reference holds."""
        return float(self.held.mean())

    @property
    def coverage(self) -> float:
        """Share of the reference's balls that hold at least one picture."""
        return float(self.covered.mean())

    @property
    def density(self) -> float:
        """How many of the reference's balls hold a picture, on average, over k; may exceed 1."""
        return float(self.inside.sum() / (NEIGHBOUR * self.m))

    @property
    def recall(self) -> float:
        """Share of the reference that at least one ball round a picture holds."""
        return float(self._around.any(axis=1).mean())

    def resampled_precision(
        self, reference: NDArray[np.float32], pictures: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """The precision of each resample, (B,).

        Args:
            reference: how often each of the reference is drawn in each resample, (N, B).
            pictures: the same of the pictures, (M, B).
        """
        return _weighted(_product(self.inside.T, reference) > 0, pictures)

    def resampled_density(
        self, reference: NDArray[np.float32], pictures: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """The density of each resample, (B,); the balls keep their size."""
        return _weighted(_product(self.inside.T, reference), pictures) / NEIGHBOUR

    def resampled_coverage(
        self, reference: NDArray[np.float32], pictures: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """The coverage of each resample, (B,)."""
        return _weighted(_product(self.inside, pictures) > 0, reference)

    def resampled_recall(
        self, reference: NDArray[np.float32], pictures: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """The recall of each resample, (B,)."""
        return _weighted(_product(self._around, pictures) > 0, reference)


def resample_counts(n: int, draws: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """How often each of n cases is drawn in each bootstrap resample, (n, draws)."""
    counts = np.empty((n, draws), np.float32)
    for draw in range(draws):
        counts[:, draw] = np.bincount(generator.integers(n, size=n), minlength=n)
    return counts


def _product(held: NDArray[np.bool_], counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Who holds whom, (P, Q), @ counts (Q, B), without a float copy of all of `held`."""
    if held.mean() < _SPARSE:
        from scipy.sparse import csr_matrix

        return np.asarray(csr_matrix(held, dtype=np.float32) @ counts)
    product = np.empty((len(held), counts.shape[1]), np.float32)
    for start in range(0, len(held), 1000):
        product[start : start + 1000] = held[start : start + 1000].astype(np.float32) @ counts
    return product


def _weighted(values: NDArray[Any], counts: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean of values (P, B) over P, each as often as it was drawn, (B,)."""
    return np.asarray((values * counts).sum(axis=0, dtype=np.float64) / len(values))


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean (F,) and covariance (F, F) of features."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def of(
        cls, features: NDArray[np.floating], counts: NDArray[np.floating] | None = None
    ) -> "Moments":
        """The moments of features (N, F), each counted `counts` (N,) times."""
        points = features.astype(np.float64)
        weights = np.ones(len(points)) if counts is None else counts.astype(np.float64)
        mean = weights @ points / weights.sum()
        # A matrix times itself takes half of the time of a product of two.
        scaled = (points - mean) * np.sqrt(weights)[:, None]
        return cls(mean, scaled.T @ scaled / max(weights.sum() - 1.0, 1.0))

    @cached_property
    def root(self) -> NDArray[np.float64]:
        """The symmetric root of the covariance, (F, F)."""
        variances, vectors = np.linalg.eigh(self.covariance)
        return np.asarray((vectors * np.sqrt(np.maximum(variances, 0.0))) @ vectors.T)


def frechet_distance(one: Moments, other: Moments) -> float:
    """Fréchet distance of two Gaussians, squared: |m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^(1/2)).

    Source: Dowson & Landau 1982; of features of pictures: Heusel et al. 2017, arXiv:1706.08500.
    """
    shift = one.mean - other.mean
    # S1 S2 has the eigenvalues of this symmetric product: no root of a general matrix is needed.
    shared = np.linalg.eigvalsh(one.root @ other.covariance @ one.root)
    distance = (
        shift @ shift
        + np.trace(one.covariance)
        + np.trace(other.covariance)
        - 2.0 * np.sqrt(np.maximum(shared, 0.0)).sum()
    )
    return float(max(distance, 0.0))


def checked_halves(n: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two sets of different images, at most 5,000 each: a reference, and those held against it.

    They depend on n and seed alone, so that models of the same images are measured with the same.

    Raises:
        LatentError: fewer than 12 images.
    """
    least = 2 * (NEIGHBOUR + 1)
    if n < least:
        raise LatentError(
            f"{n} held-out images are too few to hold pictures against: {least} are needed, half "
            f"of them as a reference in which each has a {NEIGHBOUR}th neighbour."
        )
    order = np.random.default_rng([seed, 0x5E7]).permutation(n).astype(np.int64)
    size = min(n // 2, MOST_POINTS)
    return np.sort(order[:size]), np.sort(order[size : 2 * size])
