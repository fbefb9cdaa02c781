"""What Ghosh et al. found of AEs and VAEs, held against the figures of a pair."""

from collections.abc import Sequence
from dataclasses import dataclass

from explorer.regularity.definitions import AS_BUILT, MIXTURE, NO_PRIOR, SCALE_FAIR
from explorer.regularity.estimate import Estimate
from explorer.regularity.verdict import judge

AGREES, DIFFERS, TIE = "as published", "differs here", "a tie here"
FRECHET, ERROR = "frechet_distance", "reconstruction_mse"


@dataclass(frozen=True)
class Claim:
    """One published finding and how a pair stands to it.

    Attributes:
        published: the finding.
        here: the pair's figures, in words.
        verdict: "as published", "differs here" or "a tie here".
    """

    published: str
    here: str
    verdict: str


def hold_against_published(ae: Sequence[Estimate], vae: Sequence[Estimate]) -> list[Claim]:
    """The findings of the paper's table 1 that these reports have the figures for.

    An AE's prior is one Gaussian fitted to its codes, a VAE's is its own, as in the paper. Our
    distances are measured in features of our classifiers: they are no FIDs, and only the order
    compares.

    Args:
        ae: the measures of the AE's report.
        vae: those of the VAE's.

    Returns:
        At most three claims: reconstruction, draws from one Gaussian, what a mixture mends.

    Source: Ghosh et al. 2020, "From Variational to Deterministic Autoencoders", table 1,
    arXiv:1903.12436.
    """
    claims = []
    error = _pair(ae, vae, ERROR, NO_PRIOR, NO_PRIOR)
    if error:
        claims.append(
            Claim(
                "The AE reconstructs better.",
                f"Squared error a pixel: AE {_shown(error[0])}, VAE {_shown(error[1])}.",
                _verdict(error, ae_wins=True),
            )
        )
    single = _pair(ae, vae, FRECHET, SCALE_FAIR, AS_BUILT)
    if single:
        claims.append(
            Claim(
                "Drawn from one Gaussian, the AE's pictures are worse.",
                f"Fréchet distance: AE, a Gaussian fitted to its codes, {_shown(single[0])}; VAE, "
                f"N(0, I), {_shown(single[1])}.",
                _verdict(single, ae_wins=False),
            )
        )
    mixed = _pair(ae, vae, FRECHET, MIXTURE, MIXTURE)
    if single and mixed and min(_ends(one)[0] for one in mixed) > 0:
        gains = [before.value / after.value for before, after in zip(single, mixed, strict=True)]
        spans = [_span(before, after) for before, after in zip(single, mixed, strict=True)]
        claims.append(
            Claim(
                "A mixture of ten Gaussians fitted to the codes mends the AE most.",
                f"The distance falls {gains[0]:.1f} times for the AE (to {_shown(mixed[0])}), "
                f"{gains[1]:.1f} times for the VAE (to {_shown(mixed[1])}).",
                AGREES
                if spans[0][0] > spans[1][1]
                else DIFFERS
                if spans[1][0] > spans[0][1]
                else TIE,
            )
        )
    return claims


def _pair(
    ae: Sequence[Estimate], vae: Sequence[Estimate], key: str, ae_column: str, vae_column: str
) -> tuple[Estimate, Estimate] | None:
    found = [
        next((one for one in measures if (one.key, one.column) == (key, column)), None)
        for measures, column in ((ae, ae_column), (vae, vae_column))
    ]
    one, other = found
    return None if one is None or other is None else (one, other)


def _verdict(pair: tuple[Estimate, Estimate], *, ae_wins: bool) -> str:
    best = judge(pair).best
    if best is None:
        return TIE
    return AGREES if (best == 0) == ae_wins else DIFFERS


def _span(before: Estimate, after: Estimate) -> tuple[float, float]:
    """The least and the most that a distance can have fallen, by both intervals' ends."""
    (low, high), (least, most) = (_ends(one) for one in (before, after))
    return low / most, high / least


def _ends(measure: Estimate) -> tuple[float, float]:
    """The interval; the figure itself where there is none."""
    if measure.low is None or measure.high is None:
        return measure.value, measure.value
    return measure.low, measure.high


def _shown(measure: Estimate) -> str:
    return f"{measure.value:.3g}"
