"""Prior draws where no codes are, and codes where no prior draws are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.latent.neighbours import nearest
from explorer.regularity.bootstrap import Interval, exceedance_interval, exceedance_threshold
from explorer.regularity.definitions import AS_BUILT, FAR_SHARE, MIXTURE, SCALE_FAIR
from explorer.regularity.estimate import Estimate
from explorer.regularity.mixture import Mixture
from explorer.regularity.prior import draw_gaussian, fit_gaussian

# The fifth neighbour, not the first: a single stray code does not fill a hole.
NEIGHBOUR = 5
QUANTILE = 1.0 - FAR_SHARE


@dataclass(frozen=True, eq=False)
class Distances:
    """How far points lie from a cloud, (M,) each.

    Attributes:
        fifth: distance to the fifth nearest of the cloud.
        first: distance to the nearest.
        nearest: which one that is.
    """

    fifth: NDArray[np.float64]
    first: NDArray[np.float64]
    nearest: NDArray[np.int64]

    @classmethod
    def between(
        cls, points: NDArray[np.float64], among: NDArray[np.float64], *, exclude_self: bool = False
    ) -> "Distances":
        """Of points (M, D) from a cloud (N, D).

        Raises:
            LatentError: too few in the cloud for a fifth neighbour.
        """
        distances, index = nearest(points, among, NEIGHBOUR, exclude_self=exclude_self)
        wide = distances.astype(np.float64)
        return cls(wide[:, -1], wide[:, 0], index[:, 0])


@dataclass(frozen=True, eq=False)
class Holes:
    """Hole rate and escape rate under one prior, and the points behind them.

    Attributes:
        hole_rate, escape_rate: the estimates.
        draws: from the prior, (N, D).
        from_draws: how far each draw lies from the codes.
        from_codes: how far each code lies from the draws.
    """

    hole_rate: Estimate
    escape_rate: Estimate
    draws: NDArray[np.float64]
    from_draws: Distances
    from_codes: Distances

    def examples(
        self, codes: NDArray[np.float64], pointer: Callable[[int], dict[str, Any]], most: int = 12
    ) -> dict[str, list[Any]]:
        """The draws farthest from every code, and the codes farthest from every draw.

        Args:
            codes: as measured, (N, D).
            pointer: what leads to the image of a code, by its row.
            most: how many of each.
        """
        column = self.hole_rate.column
        worst = np.argsort(-self.from_draws.fifth, kind="stable")[:most]
        gone = np.argsort(-self.from_codes.fifth, kind="stable")[:most]
        return {
            "hole_rate": [
                {
                    "column": column,
                    "z": plain_code(self.draws[row]),
                    "fifth": plain(self.from_draws.fifth[row]),
                    "distance": plain(self.from_draws.first[row]),
                    "nearest": pointer(int(self.from_draws.nearest[row])),
                }
                for row in worst
            ],
            "escape_rate": [
                {
                    "column": column,
                    **pointer(int(row)),
                    "z": plain_code(codes[row]),
                    "fifth": plain(self.from_codes.fifth[row]),
                }
                for row in gone
            ],
        }


def measure_holes(
    codes: NDArray[np.float64], *, column: str, seed: int
) -> tuple[Estimate, Estimate]:
    """Hole rate and escape rate under one prior (see `find_holes`).

    Args:
        codes: aggregate posterior samples of a VAE, codes of an AE, (N, D), N at least 20.
        column: "as built" (prior N(0, I)) or "scale-fair" (prior N(m, S) fitted to the codes).
        seed: of the prior draws and the resamples.

    Raises:
        LatentError: too few codes for a fifth neighbour.
    """
    found = find_holes(codes, column=column, seed=seed)
    return found.hole_rate, found.escape_rate


def find_holes(
    codes: NDArray[np.float64],
    *,
    column: str,
    seed: int,
    own: Distances | None = None,
    mixture: Mixture | None = None,
) -> Holes:
    """Hole rate and escape rate under one prior; neither is to be read without the other.

    As many prior draws as codes. The hole rate is the share of prior draws whose fifth nearest
    code is farther off than for 95 % of the codes themselves; the escape rate is the same test of
    the codes against the prior draws. Where codes and prior agree, both are 0.05.

    The distances of the tested points and those behind the threshold are resampled; neighbours are
    not found anew, since a copy of a code would be its own neighbour.

    Args:
        codes: aggregate posterior samples of a VAE, codes of an AE, (N, D), N at least 20.
        column: "as built" (prior N(0, I)), "scale-fair" (prior N(m, S) fitted to the codes) or
            "mixture" (ten Gaussians fitted to them), which is no headline.
        seed: of the prior draws and the resamples.
        own: the codes' distances from each other, where they are known already.
        mixture: for its column, and needed there.

    Raises:
        LatentError: too few codes for a fifth neighbour.
    """
    n = len(codes)
    # The two Gaussian priors had their streams before there was a mixture.
    generator = np.random.default_rng([seed, 4, (AS_BUILT, SCALE_FAIR, MIXTURE).index(column)])
    draws = _draw_prior(codes, column, mixture, generator)
    if own is None:
        own = Distances.between(codes, codes, exclude_self=True)
    from_draws = Distances.between(draws, codes)
    from_codes = Distances.between(codes, draws)
    among_draws = Distances.between(draws, draws, exclude_self=True)

    def estimate(key: str, points: Distances, cloud: Distances) -> Estimate:
        value, found = _far_share(points, cloud, generator)
        return Estimate(
            key=key,
            column=column,
            value=value,
            low=found.low,
            high=found.high,
            chance=None,
            ideal=FAR_SHARE,
            n=n,
            seed=seed,
            resamples=found.kept,
        )

    return Holes(
        estimate("hole_rate", from_draws, own),
        estimate("escape_rate", from_codes, among_draws),
        draws,
        from_draws,
        from_codes,
    )


def _draw_prior(
    codes: NDArray[np.float64],
    column: str,
    mixture: Mixture | None,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """As many draws from a column's prior as there are codes, (N, D)."""
    n, dim = codes.shape
    if column == MIXTURE:
        assert mixture is not None
        return mixture.sample(n, generator)
    if column == SCALE_FAIR:
        return draw_gaussian(*fit_gaussian(codes), n, generator)
    return draw_gaussian(np.zeros(dim), np.eye(dim), n, generator)


def plain(value: float) -> float:
    """A float32's worth of digits, for JSON."""
    return float(f"{value:.7g}")


def plain_code(code: NDArray[np.floating[Any]]) -> list[float]:
    """A code (D,) as numbers for JSON."""
    return [plain(value) for value in code]


def _far_share(
    points: Distances, own: Distances, generator: np.random.Generator
) -> tuple[float, Interval]:
    """The share of points that lie farther from a cloud than 95 % of the cloud lies from itself."""
    value = float((points.fifth > exceedance_threshold(own.fifth, QUANTILE)).mean())
    found = exceedance_interval(points.fifth, own.fifth, QUANTILE, generator)
    return value, Interval(min(found.low, value), max(found.high, value), found.resamples)
