"""Whether single latent axes stand for single causes of the images, where these are known."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes
from explorer.regularity.definitions import DEFINITIONS, NO_PRIOR
from explorer.regularity.estimate import Estimate, Findings
from explorer.regularity.factor_forests import forest_figures
from explorer.regularity.factor_scores import (
    Figure,
    KnownFactors,
    axis_parts,
    mutual_information_gap,
    normalised_information,
    separated_attributes,
)
from explorer.regularity.factor_votes import factor_vae_score
from explorer.regularity.information import active_axes

if TYPE_CHECKING:
    from explorer.regularity.subject import ModelUnderTest

# The forests' time grows with images times axes, and 4,000 images tell which axis stands for what.
MOST_IMAGES = 4000
_IMAGE_AXES = 64_000
FEWEST_IMAGES = 20


def measure_factors(subject: "ModelUnderTest") -> Findings:
    """MIG, SAP, DCI and the FactorVAE score of posterior means against the factors of a drawn set.

    Nothing where no factor is known or varies, or where all codes coincide.

    Raises:
        LatentError: fewer than 20 images, or values that are not finite.
    """
    factors = KnownFactors.of(subject.factors)
    if not factors.names:
        return Findings(())
    active = active_axes(subject.mean, variational=subject.log_var is not None)
    return factor_measures(
        subject.mean.astype(np.float64), factors, active, seed=subject.seed, note=subject.note
    )


def factor_measures(
    codes: NDArray[np.float64],
    factors: KnownFactors,
    active: NDArray[np.bool_],
    *,
    seed: int,
    note: str = "",
) -> Findings:
    """The measures of codes against factors (see `measure_factors`).

    The chance level of all but the FactorVAE score is measured: the same figure with the images'
    factors dealt to the codes at random.

    Args:
        codes: posterior means, (N, D).
        factors: of the same images.
        active: the axes that the model uses, (D,).
        seed: of every draw.
        note: what is to be said of the images.

    Raises:
        LatentError: fewer than 20 images, or codes that are not finite.
    """
    points = checked_codes(codes, name="posterior means")
    if len(points) < FEWEST_IMAGES:
        raise LatentError(
            f"There are {len(points)} held-out images; measures of known factors need at least "
            f"{FEWEST_IMAGES}."
        )
    if not (points.std(axis=0) > 0.0).any():
        return Findings(())
    generator = np.random.default_rng([seed, 20])
    most = min(MOST_IMAGES, max(MOST_IMAGES // 4, _IMAGE_AXES // points.shape[1]))
    order = generator.permutation(len(points))[:most]
    points, factors = points[order], factors.rows(order)
    # Each axis by its own deviation: no measure sees the scale, and no sum is lost beside another.
    scale = points.std(axis=0)
    points = (points - points.mean(axis=0)) / np.where(scale > 0.0, scale, 1.0)
    dealt = factors.rows(generator.permutation(len(points)))
    sayings = [note] if note else []
    if len(order) < len(codes):
        sayings.insert(0, f"{len(order):,} of the images.")
    figures: dict[str, Figure | None] = {
        "mig": mutual_information_gap(points, factors, dealt, generator),
        "sap": separated_attributes(points, factors, dealt, generator),
        **forest_figures(points, factors, dealt, generator),
        "factor_vae_score": factor_vae_score(points, factors, active, generator),
    }
    estimates = []
    for key, found in figures.items():
        if found is None:
            continue
        value, low, high, chance = found
        estimates.append(
            Estimate(
                key=key,
                column=NO_PRIOR,
                value=value,
                low=low,
                high=high,
                chance=chance,
                ideal=DEFINITIONS[key].ideal,
                n=len(points),
                seed=seed,
                note=" ".join(sayings),
            )
        )
    return Findings(tuple(estimates), {"factors": _rows(points, factors, dealt)})


def _rows(
    codes: NDArray[np.float64], factors: KnownFactors, dealt: KnownFactors
) -> list[dict[str, Any]]:
    """For each factor the axes that tell most of it, how much, and how much by chance."""
    parts, weights = axis_parts(codes), np.ones(len(codes))
    information = normalised_information(parts, factors, weights)
    chance = normalised_information(parts, dealt, weights).mean(axis=0)
    return [
        {
            "factor": name,
            "chance": float(f"{chance[place]:.4g}"),
            "axes": [
                {"axis": int(axis), "information": float(f"{information[axis, place]:.4g}")}
                for axis in np.argsort(-information[:, place], kind="stable")[:2]
            ],
        }
        for place, name in enumerate(factors.names)
    ]
