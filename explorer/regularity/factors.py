"""Whether single latent axes stand for single causes of the images, where these are known."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes
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
from explorer.regularity.measure import FACTORS, HIGHER, NO_PRIOR, Findings, Measure

if TYPE_CHECKING:
    from explorer.regularity.subject import ModelUnderTest

# The forests' time grows with images times axes, and 4,000 images tell which axis stands for what.
MOST_IMAGES = 4000
_IMAGE_AXES = 64_000
FEWEST_IMAGES = 20


@dataclass(frozen=True)
class _Words:
    """What a measure is called and how it is explained, as in `Measure`."""

    title: str
    unit: str
    student: str
    researcher: str
    source: str


_DEALT = "the null deals the images' factors to the codes anew"
_DCI = "Eastwood & Williams 2018, openreview.net/forum?id=By-7dz-AZ"
_WORDS = {
    "mig": _Words(
        "One axis a cause",
        "share of a cause's entropy",
        "How much more the best latent axis tells about a cause of the picture, such as a size, "
        "than the second best; 1 is an axis of its own for every cause.",
        "Mutual information gap: mean over factors of (I(z_a; v) - I(z_b; v)) / H(v), a and b the "
        "two most informative axes, posterior means and amounts cut into 20 equal parts of their "
        "range; biased upwards at finite N in each I, less so in the gap; " + _DEALT + ".",
        "Chen et al. 2018, arXiv:1802.04942; binned as in Locatello et al. 2019, arXiv:1811.12359",
    ),
    "sap": _Words(
        "One axis predicts a cause",
        "difference of scores",
        "How much better a cause of the picture can be read off the best latent axis than off the "
        "second best.",
        "Separated attribute predictability: mean over factors of the gap between the two best "
        "axes, scored by squared correlation for amounts and by a linear SVM's held-out accuracy "
        "for choices; blind to relations that are not straight; " + _DEALT + ".",
        "Kumar et al. 2018, arXiv:1711.00848",
    ),
    "disentanglement": _Words(
        "Axes of one cause",
        "1 - entropy, normalised",
        "How far each latent axis is about one cause of the picture alone; 1 is entirely.",
        "DCI disentanglement: 1 - entropy (base K) of an axis's importances over factors, weighted "
        "by its total, importances of random forests of 30 trees on posterior means, five folds; "
        "the interval is the folds' jackknife; " + _DEALT + ".",
        _DCI,
    ),
    "completeness": _Words(
        "Causes in one axis",
        "1 - entropy, normalised",
        "How far each cause of the picture is held by one latent axis alone; 1 is entirely.",
        "DCI completeness: 1 - entropy (base D) of a factor's importances over axes, from the same "
        "forests; it rises with unused axes, which leave the entropy and raise its bound; the "
        "interval is the folds' jackknife; " + _DEALT + ".",
        _DCI,
    ),
    "informativeness": _Words(
        "Causes told by the code",
        "R², and share of choices",
        "How well the causes of a picture can be told from its code, whichever axes hold them; 1 "
        "is without error.",
        "DCI informativeness: mean over factors of the forests' held-out R² (amounts, at least 0) "
        "or accuracy (choices), five folds; it says nothing of disentanglement by itself; "
        + _DEALT
        + ".",
        _DCI + "; R² and accuracy in place of their error",
    ),
    "factor_vae_score": _Words(
        "Which cause was held still",
        "share of votes",
        "How often one can tell which cause a group of pictures has in common by the latent axis "
        "that varies least among their codes.",
        "FactorVAE score: held-out accuracy of a majority vote from the active axis of least "
        "normalised variance to the factor held still, groups of up to 64 held-out images, amounts "
        "held to a 20th of their range; lenient, since a factor may have several axes; the null is "
        "one over the number of factors.",
        "Kim & Mnih 2018, arXiv:1802.05983",
    ),
}


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

    The null of all but the FactorVAE score is measured: the same figure with the images' factors
    dealt to the codes anew.

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
    measures = []
    for key, found in figures.items():
        if found is None:
            continue
        words = _WORDS[key]
        value, low, high, null = found
        measures.append(
            Measure(
                key=key,
                column=NO_PRIOR,
                title=words.title,
                value=value,
                low=low,
                high=high,
                null=null,
                unit=words.unit,
                better=HIGHER,
                n=len(points),
                seed=seed,
                student=words.student,
                researcher=words.researcher,
                source=words.source,
                group=FACTORS,
                note=" ".join(sayings),
            )
        )
    return Findings(tuple(measures), {"factors": _rows(points, factors, dealt)})


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
