"""What Ghosh et al. found of AEs and VAEs, held against the figures of a pair."""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from explorer.regularity.definitions import AS_BUILT, MIXTURE, NO_PRIOR, SCALE_FAIR
from explorer.regularity.difference import (
    LEVEL,
    Difference,
    Interval,
    compare_estimates,
    holm,
    interval_of,
    mover,
)
from explorer.regularity.estimate import Estimate

AGREES, DIFFERS, TIE = "as published", "differs here", "a tie here"
UNCLEAR = "not clear here"
FRECHET, ERROR = "frechet_distance", "reconstruction_mse"


@dataclass(frozen=True)
class Claim:
    """One published finding and how a pair stands to it.

    Attributes:
        published: the finding.
        here: the pair's figures, in words.
        verdict: "as published", "differs here", "a tie here" (the 95 % interval of the difference
            holds 0) or "not clear here" (it does not, but not all claims of the table can be kept).
    """

    published: str
    here: str
    verdict: str


def hold_against_published(ae: Sequence[Estimate], vae: Sequence[Estimate]) -> list[Claim]:
    """The findings of the paper's table 1 that these reports have the figures for.

    An AE's prior is one Gaussian fitted to its encodings, a VAE's is its own, as in the paper. Our
    distances are measured in features of our classifiers: they are no FIDs, and only the order
    compares, between models of one data set.

    Args:
        ae: the estimates of the AE's report.
        vae: those of the VAE's.

    Returns:
        At most three claims: reconstruction, samples from one Gaussian, what a mixture improves.

    Source: Ghosh et al. 2020, "From Variational to Deterministic Autoencoders", table 1,
    arXiv:1903.12436.
    """
    claims: list[tuple[str, str, Difference]] = []
    error = _pair(ae, vae, ERROR, NO_PRIOR, NO_PRIOR)
    if error and (difference := compare_estimates(*error)):
        here = f"Squared error per pixel: AE {_shown(error[0])}, VAE {_shown(error[1])}."
        claims.append(("The AE reconstructs better.", here, difference))
    single = _pair(ae, vae, FRECHET, SCALE_FAIR, AS_BUILT)
    if single and (difference := compare_estimates(single[1], single[0])):
        here = (
            "Fréchet distance of samples: AE, from a Gaussian fitted to its encodings, "
            f"{_shown(single[0])}; VAE, from N(0, I), {_shown(single[1])}."
        )
        claims.append(("From one Gaussian, the AE's samples are worse.", here, difference))
    mixed = _pair(ae, vae, FRECHET, MIXTURE, MIXTURE)
    falls = single and mixed and [_fall(*two) for two in zip(single, mixed, strict=True)]
    if falls and mixed and falls[0] and falls[1]:
        gains = [math.exp(one.value) for one in falls if one]
        claims.append(
            (
                "A mixture of ten Gaussians fitted to the encodings improves the AE most.",
                f"The distance falls by a factor of {gains[0]:.1f} for the AE (to "
                f"{_shown(mixed[0])}), of {gains[1]:.1f} for the VAE (to {_shown(mixed[1])}).",
                mover(falls[0], falls[1]),
            )
        )
    adjusted = holm([difference.p for _, _, difference in claims])
    return [
        Claim(published, here, _verdict(difference, p))
        for (published, here, difference), p in zip(claims, adjusted, strict=True)
    ]


def _verdict(difference: Difference, adjusted: float) -> str:
    """Of a difference that is positive where the pair is as published."""
    if difference.holds_zero:
        return TIE
    if adjusted >= LEVEL:
        return UNCLEAR
    return AGREES if difference.value > 0 else DIFFERS


def _fall(before: Estimate, after: Estimate) -> Interval | None:
    """The logarithm of how many times a distance falls; None where one may be 0 or has no ends."""
    logs = []
    for estimate in (before, after):
        interval = interval_of(estimate)
        if interval is None or interval.low <= 0:
            return None
        logs.append(Interval(*(math.log(one) for one in astuple(interval))))
    # Two priors of one model: their samples are drawn apart, so the two are not paired.
    change = mover(logs[0], logs[1])
    return Interval(change.value, change.low, change.high)


def _pair(
    ae: Sequence[Estimate], vae: Sequence[Estimate], key: str, ae_column: str, vae_column: str
) -> tuple[Estimate, Estimate] | None:
    found = [
        next((one for one in measures if (one.key, one.column) == (key, column)), None)
        for measures, column in ((ae, ae_column), (vae, vae_column))
    ]
    one, other = found
    return None if one is None or other is None else (one, other)


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.3g}"
