"""Prior draws where no codes are, and codes where no prior draws are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.latent.neighbours import nearest
from explorer.regularity.bootstrap import exceedance_interval, exceedance_threshold
from explorer.regularity.measure import (
    AS_BUILT,
    HEADLINE,
    NEAR_NULL,
    OUR_DEFINITION,
    SCALE_FAIR,
    Measure,
)
from explorer.regularity.prior import draw_gaussian, fit_gaussian

# The fifth neighbour, not the first: a single stray code does not fill a hole.
NEIGHBOUR = 5
QUANTILE = 0.95
NULL = 1.0 - QUANTILE


def measure_holes(codes: NDArray[np.float64], *, column: str, seed: int) -> tuple[Measure, Measure]:
    """Hole rate and escape rate under one prior; neither is to be read without the other.

    As many prior draws as codes. The hole rate is the share of prior draws whose fifth nearest
    code is farther off than for 95 % of the codes themselves; the escape rate is the same test of
    the codes against the prior draws. Where codes and prior agree, both are 0.05.

    The distances of the tested points and those behind the threshold are resampled; neighbours are
    not found anew, since a copy of a code would be its own neighbour.

    Args:
        codes: aggregate posterior samples of a VAE, codes of an AE, (N, D), N at least 20.
        column: "as built" (prior N(0, I)) or "scale-fair" (prior N(m, S) fitted to the codes).
        seed: of the prior draws and the resamples.

    Raises:
        LatentError: too few codes for a fifth neighbour.
    """
    n, dim = codes.shape
    generator = np.random.default_rng([seed, 4, int(column == SCALE_FAIR)])
    if column == SCALE_FAIR:
        mean, covariance = fit_gaussian(codes)
    else:
        mean, covariance = np.zeros(dim), np.eye(dim)
    draws = draw_gaussian(mean, covariance, n, generator)
    prior = {AS_BUILT: "N(0, I)", SCALE_FAIR: "N(m, S) fitted to the codes"}[column]

    hole = far_share(draws, codes, generator)
    escape = far_share(codes, draws, generator)
    hole_rate = Measure(
        key="hole_rate",
        column=column,
        title="Holes",
        value=hole.value,
        low=hole.low,
        high=hole.high,
        null=NULL,
        unit="share of prior draws",
        better=NEAR_NULL,
        n=n,
        seed=seed,
        student=(
            "How many random codes fall where no image has its code, so that the decoder must "
            "guess; 0.05 is what a cloud without holes gives."
        ),
        researcher=(
            f"P(z ~ {prior}: distance to the 5th nearest code exceeds the 95th percentile of the "
            "codes' own, leave-one-out), codes being aggregate-posterior samples; a cloud wider "
            "than the prior hides its holes, so read it with the escape rate."
        ),
        source=OUR_DEFINITION,
        group=HEADLINE,
        headline=True,
    )
    escape_rate = Measure(
        key="escape_rate",
        column=column,
        title="Escapes",
        value=escape.value,
        low=escape.low,
        high=escape.high,
        null=NULL,
        unit="share of codes",
        better=NEAR_NULL,
        n=n,
        seed=seed,
        student=(
            "How many images have their code where random codes never fall, so that such images "
            "are never drawn; 0.05 is what a cloud that fits the prior gives."
        ),
        researcher=(
            f"P(code: distance to the 5th nearest of as many draws from {prior} exceeds the 95th "
            "percentile of the draws' own, leave-one-out); a cloud much smaller than the prior "
            "never escapes, so read it with the hole rate."
        ),
        source=OUR_DEFINITION,
        group=HEADLINE,
        headline=True,
    )
    return hole_rate, escape_rate


@dataclass(frozen=True)
class Share:
    """A share of points, 0 to 1, with its 95 % interval."""

    value: float
    low: float
    high: float


def far_share(
    points: NDArray[np.float64], among: NDArray[np.float64], generator: np.random.Generator
) -> Share:
    """The share of points that lie farther from a cloud than 95 % of the cloud lies from itself.

    Far is the distance to the fifth nearest of the cloud.

    Args:
        points: (M, D).
        among: the cloud, (N, D), N at least 20.
        generator: of the resamples.

    Raises:
        LatentError: too few in the cloud for a fifth neighbour.
    """
    distances = _fifth(points, among, exclude_self=False)
    own = _fifth(among, among, exclude_self=True)
    value = float((distances > exceedance_threshold(own, QUANTILE)).mean())
    low, high = exceedance_interval(distances, own, QUANTILE, generator)
    return Share(value, min(low, value), max(high, value))


def _fifth(
    points: NDArray[np.float64], among: NDArray[np.float64], *, exclude_self: bool
) -> NDArray[np.float64]:
    distances, _ = nearest(points, among, NEIGHBOUR, exclude_self=exclude_self)
    return distances[:, -1].astype(np.float64)
