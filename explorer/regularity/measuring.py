"""Every measure of one model, in order, as one report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from explorer.regularity.factors import measure_factors
from explorer.regularity.feature_measures import (
    measure_class_kept,
    measure_linear_probe,
    measure_midpoint_realism,
)
from explorer.regularity.geometry import measure_geometry
from explorer.regularity.holes import Distances, find_holes
from explorer.regularity.information import measure_information
from explorer.regularity.measure import AS_BUILT, MIXTURE, SCALE_FAIR, Findings, Measure
from explorer.regularity.neighbourhood import measure_knn_accuracy
from explorer.regularity.prior import measure_mmd, measure_prior_match
from explorer.regularity.reconstruction import measure_reconstruction
from explorer.regularity.report import RegularityReport, checked_held_out
from explorer.regularity.samples import measure_coverage_ratio, measure_samples
from explorer.regularity.subject import ModelUnderTest

Progress = Callable[[str, float], None]
"""Told what is being measured and the share that is done, 0 to 1; may raise to stop it."""


@dataclass(frozen=True)
class Family:
    """Measures that are taken together.

    Attributes:
        words: what is being measured, for people.
        cost: its share of the time, in seconds on two cores for 10,000 MNIST images.
        measure: takes them.
        headline: whether they are among the eight that are shown first.
    """

    words: str
    cost: float
    measure: Callable[[ModelUnderTest], Findings]
    headline: bool = True


def _encoding(subject: ModelUnderTest) -> Findings:
    checked_held_out(subject.held_out)
    return Findings(())


def _reconstruction(subject: ModelUnderTest) -> Findings:
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


def _neighbours(subject: ModelUnderTest) -> Findings:
    if subject.labels is None:
        return Findings(())
    means = subject.mean.astype(np.float64)
    return Findings((measure_knn_accuracy(means, subject.labels, seed=subject.seed),))


def _prior_match(subject: ModelUnderTest) -> Findings:
    return Findings(measure_prior_match(subject.codes, seed=subject.seed))


def _holes(subject: ModelUnderTest, columns: Sequence[str]) -> Findings:
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


def _gaussian_holes(subject: ModelUnderTest) -> Findings:
    return _holes(subject, (AS_BUILT, SCALE_FAIR))


def _mixture_holes(subject: ModelUnderTest) -> Findings:
    return _holes(subject, (MIXTURE,))


def _information(subject: ModelUnderTest) -> Findings:
    return measure_information(subject.mean, subject.log_var, seed=subject.seed)


def _mmd(subject: ModelUnderTest) -> Findings:
    return measure_mmd(subject.codes, seed=subject.seed)


FAMILIES = (
    Family("encoding and decoding the images", 5.0, _encoding),
    Family("reconstruction", 0.2, _reconstruction),
    Family("neighbours", 2.0, _neighbours),
    Family("prior match", 1.0, _prior_match),
    Family("holes and escapes", 4.0, _gaussian_holes),
    Family("coverage of samples", 7.0, measure_coverage_ratio),
    Family("realism of midpoints", 1.5, measure_midpoint_realism),
    Family("class kept under noise", 2.5, measure_class_kept),
    Family("information in the code", 5.0, _information, headline=False),
    Family("kernel distance from the prior", 1.5, _mmd, headline=False),
    Family("a mixture fitted to the codes", 2.0, _mixture_holes, headline=False),
    Family("samples", 8.5, measure_samples, headline=False),
    Family("linear probe", 1.5, measure_linear_probe, headline=False),
    Family("the decoder's geometry", 3.5, measure_geometry, headline=False),
    Family("known factors", 5.0, measure_factors, headline=False),
)
_FEATURE_COST = 20.0  # as if trained half the time: mostly it is kept from an earlier one


def measure_all(
    subject: ModelUnderTest, *, details: bool = True, progress: Progress | None = None
) -> RegularityReport:
    """Take every measure of a model that can be taken of it.

    Without labels there is neither class nor neighbour accuracy, without known factors no measure
    of them; an AE has no KL.

    Args:
        subject: the model and the images to measure it with.
        details: whether to take more than the headline eight.
        progress: told what is being measured and the share that is done; may raise to stop.

    Raises:
        LatentError: too few images (at least 20, and two more than latent axes), or codes that are
            not finite.
        DataError: images that do not fit the feature space.
    """
    families = [family for family in FAMILIES if family.headline or details]
    whole = _FEATURE_COST + sum(family.cost for family in families)
    done = 0.0

    def tell(words: str, share: float | None = None) -> None:
        if progress is not None:
            progress(words, (done + (share or 0.0) * _FEATURE_COST) / whole)

    # A model that cannot be measured is told before a classifier is trained for it.
    tell(families[0].words)
    findings = [families[0].measure(subject)]
    done += families[0].cost
    tell("loading the feature space")
    subject.load_extractor(tell)
    done += _FEATURE_COST
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
        tuple(_with_note(subject.note, measure) for measure in found.measures),
        n=subject.n,
        seed=subject.seed,
        examples=found.examples,
        inputs=_inputs(subject),
    )


def merge(findings: Sequence[Findings]) -> Findings:
    """The measures one after the other, and the examples of each key likewise."""
    examples: dict[str, list[Any]] = {}
    for one in findings:
        for key, entries in one.examples.items():
            examples.setdefault(key, []).extend(entries)
    return Findings(tuple(measure for one in findings for measure in one.measures), examples)


def _with_note(note: str, measure: Measure) -> Measure:
    if note in measure.note:
        return measure
    return replace(measure, note=" ".join(part for part in (measure.note, note) if part))


def _inputs(subject: ModelUnderTest) -> dict[str, str]:
    """What the figures rest on beside the seed, in words and hashes."""
    accuracy = subject.extractor.accuracy
    features = (
        subject.extractor.note
        if accuracy is None
        else f"a classifier of the same data, right on {100 * accuracy:.1f} % of held-out images"
    )
    return {
        "model": subject.config.name,
        "data": subject.config.data.fingerprint,
        "features": features,
    }
