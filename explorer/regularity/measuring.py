"""Every metric of one model, in order, as one report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from explorer.regularity.definitions import AS_BUILT, MIXTURE, SCALE_FAIR
from explorer.regularity.estimate import Estimate, Findings
from explorer.regularity.factors import measure_factors
from explorer.regularity.feature_measures import (
    measure_class_kept,
    measure_linear_probe,
    measure_midpoint_realism,
)
from explorer.regularity.geometry import measure_geometry
from explorer.regularity.holes import Distances, find_holes
from explorer.regularity.information import measure_information
from explorer.regularity.neighbourhood import measure_knn_accuracy
from explorer.regularity.prior import measure_mmd, measure_prior_match
from explorer.regularity.reconstruction import measure_reconstruction
from explorer.regularity.report import RegularityReport
from explorer.regularity.samples import measure_coverage_ratio, measure_samples
from explorer.regularity.subject import EncodedImages, ModelUnderTest, checked_held_out

Progress = Callable[[str, float], None]
"""Told what is being measured and the share that is done, 0 to 1; may raise to stop it."""


@dataclass(frozen=True)
class Family:
    """Metrics that are estimated together.

    Attributes:
        words: what is being measured, for people.
        cost: its share of the time, in seconds on two cores for 10,000 MNIST images.
        measure: estimates them.
        headline: whether they are among the eight that are shown first.
        decodes: whether it needs the decoder, or what images look like, beside the encodings.
    """

    words: str
    cost: float
    measure: Callable[[Any], Findings]
    headline: bool = True
    decodes: bool = False


def _encoding(subject: EncodedImages) -> Findings:
    checked_held_out(subject.held_out)
    return Findings(())


def _reconstruction(subject: EncodedImages) -> Findings:
    found = subject.held_out
    return Findings(
        measure_reconstruction(
            found.reconstruction_nll.astype(np.float64),
            found.reconstruction_mse.astype(np.float64),
            null_nll=float(found.null_nll),
            null_mse=float(found.null_mse),
            seed=subject.seed,
        )
    )


def _neighbours(subject: EncodedImages) -> Findings:
    if subject.labels is None:
        return Findings(())
    means = subject.mean.astype(np.float64)
    return Findings((measure_knn_accuracy(means, subject.labels, seed=subject.seed),))


def _prior_match(subject: EncodedImages) -> Findings:
    return Findings(measure_prior_match(subject.codes, seed=subject.seed))


def _holes(subject: EncodedImages, columns: Sequence[str]) -> Findings:
    own = Distances.between(subject.codes, subject.codes, exclude_self=True)
    findings = []
    for column in columns:
        mixture = subject.mixture if column == MIXTURE else None
        found = find_holes(
            subject.codes, column=column, seed=subject.seed, own=own, mixture=mixture
        )
        examples = found.examples(subject.codes, subject.pointer)
        findings.append(Findings((found.hole_rate, found.escape_rate), examples))
    return merge(findings)


def _gaussian_holes(subject: EncodedImages) -> Findings:
    return _holes(subject, (AS_BUILT, SCALE_FAIR))


def _mixture_holes(subject: EncodedImages) -> Findings:
    return _holes(subject, (MIXTURE,))


def _information(subject: EncodedImages) -> Findings:
    return measure_information(subject.mean, subject.log_var, seed=subject.seed)


def _mmd(subject: EncodedImages) -> Findings:
    return measure_mmd(subject.codes, seed=subject.seed)


FAMILIES = (
    Family("encoding and decoding the images", 5.0, _encoding),
    Family("reconstruction", 0.2, _reconstruction),
    Family("neighbours", 2.0, _neighbours),
    Family("prior match", 1.0, _prior_match),
    Family("holes and escapes", 4.0, _gaussian_holes),
    Family("coverage of samples", 7.0, measure_coverage_ratio, decodes=True),
    Family("realism of midpoints", 1.5, measure_midpoint_realism, decodes=True),
    Family("class kept under noise", 2.5, measure_class_kept, decodes=True),
    Family("information in the code", 5.0, _information, headline=False),
    Family("kernel distance from the prior", 1.5, _mmd, headline=False),
    Family("a mixture fitted to the codes", 2.0, _mixture_holes, headline=False),
    Family("samples", 8.5, measure_samples, headline=False, decodes=True),
    Family("linear probe", 1.5, measure_linear_probe, headline=False, decodes=True),
    Family("the decoder's geometry", 3.5, measure_geometry, headline=False, decodes=True),
    Family("known factors", 5.0, measure_factors, headline=False, decodes=True),
)
HEADLINE_FAMILIES = tuple(family for family in FAMILIES if family.headline)
ENCODING_FAMILIES = tuple(family for family in HEADLINE_FAMILIES if not family.decodes)
"""What can be measured of encodings and reconstruction errors alone, in seconds."""
_FEATURE_COST = 20.0  # as if trained half the time: mostly it is kept from an earlier one


def measure_all(
    subject: EncodedImages,
    *,
    families: Sequence[Family] = FAMILIES,
    progress: Progress | None = None,
) -> RegularityReport:
    """Estimate every metric of some families that can be had of a model.

    Without labels there is neither class nor neighbour accuracy, without known factors no metric
    of them; an AE has no KL.

    Args:
        subject: what is measured: a `ModelUnderTest` where a family decodes.
        families: which metrics, in order; the first one checks the encodings.
        progress: told what is being measured and the share that is done; may raise to stop.

    Raises:
        LatentError: too few images (at least 20, and two more than latent axes), or codes that are
            not finite.
        DataError: images that do not fit the feature space.
    """
    decodes = any(family.decodes for family in families)
    feature_cost = _FEATURE_COST if decodes else 0.0
    whole = feature_cost + sum(family.cost for family in families)
    done = 0.0

    def tell(words: str, share: float | None = None) -> None:
        if progress is not None:
            progress(words, (done + (share or 0.0) * feature_cost) / whole)

    # A model that cannot be measured is told before a classifier is trained for it.
    tell(families[0].words)
    findings = [families[0].measure(subject)]
    done += families[0].cost
    if decodes:
        assert isinstance(subject, ModelUnderTest)
        tell("loading the feature space")
        subject.load_extractor(tell)
        done += feature_cost
    # Thousands of small products: beside other work on the machine, a second thread that waits
    # by spinning makes them two to four times slower.
    with threadpool_limits(1, user_api="blas"):
        for family in families[1:]:
            tell(family.words)
            findings.append(family.measure(subject))
            done += family.cost
    found = merge(findings)
    if progress is not None:
        progress("measured", 1.0)
    return RegularityReport(
        tuple(_with_note(subject.note, one) for one in found.estimates),
        n=subject.n,
        seed=subject.seed,
        examples=found.examples if decodes else {},
        inputs=subject.inputs() if decodes else {},
    )


def merge(findings: Sequence[Findings]) -> Findings:
    """The estimates one after the other, and the examples of each key likewise."""
    examples: dict[str, list[Any]] = {}
    for one in findings:
        for key, entries in one.examples.items():
            examples.setdefault(key, []).extend(entries)
    return Findings(tuple(one for part in findings for one in part.estimates), examples)


def _with_note(note: str, estimate: Estimate) -> Estimate:
    if note in estimate.note:
        return estimate
    return replace(estimate, note=" ".join(part for part in (estimate.note, note) if part))
