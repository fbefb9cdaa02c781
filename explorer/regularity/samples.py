"""Whether what a model draws from a prior is as varied, and as real, as the images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.latent.codes import checked_codes
from explorer.regularity.bootstrap import centred_interval, open_ended
from explorer.regularity.features import (
    NEIGHBOUR,
    Comparison,
    Manifold,
    Moments,
    checked_halves,
    frechet_distance,
    resample_counts,
)
from explorer.regularity.measure import (
    AS_BUILT,
    HEADLINE,
    HIGHER,
    LOWER,
    MIXTURE,
    SAMPLES,
    SCALE_FAIR,
    Findings,
    Measure,
)

if TYPE_CHECKING:
    from explorer.regularity.subject import ModelUnderTest

COLUMNS = (AS_BUILT, SCALE_FAIR, MIXTURE)
EXAMPLES = 12
# More would move the ends of the intervals by little.
_RESAMPLES = 500
# Each takes two covariances of 5,000 pictures and their eigenvalues.
_FRECHET_RESAMPLES = 100
_PRIOR = {
    AS_BUILT: "N(0, I)",
    SCALE_FAIR: "N(m, S) fitted to the codes",
    MIXTURE: "a mixture of ten Gaussians fitted to the codes",
}
_STREAM = "samples"


@dataclass(frozen=True)
class Ratio:
    """The coverage ratio with its 95 % interval and its null.

    Attributes:
        value: coverage of prior samples over that of reconstructions.
        low, high: the interval.
        null: the same of pictures that are all alike.
        above, below: the two coverages.
        missed: rows of the reference that reconstructions cover and prior samples do not, those
            that most reconstructions cover first.
        found: how many reconstructions cover each of `missed`.
    """

    value: float
    low: float
    high: float
    null: float
    above: float
    below: float
    missed: NDArray[np.int64]
    found: NDArray[np.int64]


class CoverageRatio:
    """Coverage of prior samples over coverage of reconstructions, of one model's.

    All three are resampled: the reference together for both coverages, the pictures each by
    themselves. The balls keep their size.

    Args:
        reference: features of held-out images, (N, F), N at least 6.
        reconstructions: features of reconstructions of other held-out images, (M, F).
        same: features of one picture, that an unvaried prior would always draw, (1, F).
        generator: of the resamples.

    Raises:
        LatentError: too few images for a fifth neighbour.
    """

    def __init__(
        self,
        reference: NDArray[np.floating[Any]],
        reconstructions: NDArray[np.floating[Any]],
        same: NDArray[np.floating[Any]],
        generator: np.random.Generator,
    ) -> None:
        self._generator = generator
        self._reference = Manifold.fit(reference)
        self._below = Comparison(self._reference, reconstructions)
        self._same = Comparison(self._reference, same).coverage
        self._counts = resample_counts(len(reference), _RESAMPLES, generator)
        pictures = resample_counts(len(reconstructions), _RESAMPLES, generator)
        self._resampled_below = self._below.resampled_coverage(self._counts, pictures)

    @property
    def defined(self) -> bool:
        """Whether reconstructions cover anything, so that there is something to divide by."""
        return self._below.coverage > 0.0

    def of(self, samples: NDArray[np.floating[Any]]) -> Ratio:
        """The ratio of prior samples, features (M, F)."""
        above, below = Comparison(self._reference, samples), self._below.coverage
        pictures = resample_counts(len(samples), _RESAMPLES, self._generator)
        resampled = above.resampled_coverage(self._counts, pictures)
        least = 1.0 / len(self._counts)
        ratios = resampled / np.maximum(self._resampled_below, least)
        value = above.coverage / below
        low, high = centred_interval(value, ratios)
        if value == 0.0:
            high = open_ended(0.0, 0.0, n=len(self._counts))[1] / below
        missed = np.flatnonzero(self._below.covered & ~above.covered)
        found = self._below.inside[missed].sum(axis=1)
        order = np.argsort(-found, kind="stable")
        return Ratio(
            value=value,
            low=max(low, 0.0),
            high=high,
            null=self._same / below,
            above=above.coverage,
            below=below,
            missed=missed[order],
            found=found[order],
        )


def measure_coverage_ratio(subject: "ModelUnderTest") -> Findings:
    """How much of the variety that a model can reconstruct it also draws from a prior.

    Coverage is the share of held-out images whose ball, as wide as their fifth neighbour among the
    held-out images is far, holds at least one picture. One half of the images is that reference;
    the other half's reconstructions, and as many prior samples, are held against it. Nothing where
    reconstructions cover no image, so that there is nothing to divide by.

    The examples are images that reconstructions of other images cover and no prior sample does.

    Raises:
        LatentError: fewer than 12 images, or codes or features that are not finite.

    Source: coverage: Naeem et al. 2020, arXiv:2002.09797; the ratio is our definition.
    """
    reference, others = checked_halves(subject.n, subject.seed)
    ratio = CoverageRatio(
        checked_features(subject.image_features[reference]),
        checked_features(subject.reconstruction_features[others]),
        checked_features(subject.features_of(subject.codes.mean(axis=0, keepdims=True))),
        subject.rng("coverage ratio"),
    )
    if not ratio.defined:
        return Findings(())
    measures, examples = [], []
    for column in COLUMNS:
        found = ratio.of(sample_features(subject, column, len(others)))
        measures.append(
            Measure(
                key="coverage_ratio",
                column=column,
                title="Variety of random draws",
                value=found.value,
                low=found.low,
                high=found.high,
                null=found.null,
                unit="of the coverage of reconstructions",
                better=HIGHER,
                n=len(reference),
                seed=subject.seed,
                student=(
                    "How much of the variety that the model can reconstruct also turns up when it "
                    "decodes random codes; 1 is all of it."
                ),
                researcher=(
                    f"Coverage (k = {NEIGHBOUR}, in features, against held-out images) of decoded "
                    f"draws from {_PRIOR[column]} over that of as many reconstructions of other "
                    "held-out images, so that a blurred decoder is not blamed twice; it sees "
                    "variety, not stray pictures beside it; the null always draws one picture, "
                    "that of the mean code."
                ),
                source="Naeem et al. 2020, arXiv:2002.09797; the ratio is our definition",
                group=HEADLINE,
                headline=True,
                note=feature_note(
                    subject,
                    f"Random draws cover {found.above:.3f} of the images, reconstructions "
                    f"{found.below:.3f}.",
                ),
            )
        )
        examples += [
            {
                "column": column,
                **subject.pointer(int(reference[row])),
                "reconstructions": int(count),
            }
            for row, count in zip(found.missed[:EXAMPLES], found.found[:EXAMPLES], strict=True)
        ]
    return Findings(tuple(measures), {"coverage_ratio": examples})


def sample_features(subject: "ModelUnderTest", column: str, count: int) -> NDArray[np.float64]:
    """Features of what draws from a prior decode to, (count, F); the same draws each time.

    Raises:
        LatentError: features that are not finite.
    """
    return checked_features(subject.features_of(subject.draw(column, count, _STREAM)))


def checked_features(features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The features in float64, (n, F).

    Raises:
        LatentError: some are not finite.
    """
    return checked_codes(features, name="features of decoded pictures")


def feature_note(subject: "ModelUnderTest", *sayings: str) -> str:
    """What is to be said beside a figure: the given, the features it was seen in, the images."""
    words = subject.extractor.note
    parts = [*sayings, words[0].upper() + words[1:] + "." if words else "", subject.note]
    return " ".join(part for part in parts if part)


def measure_samples(subject: "ModelUnderTest") -> Findings:
    """Precision, recall, density, coverage and Fréchet distance of draws from three priors.

    One half of the held-out images is the reference, and as many pictures are drawn. The null of
    each figure is what the other half of the images gives, which are as real and as varied as
    they can be. Images and pictures are resampled.

    Raises:
        LatentError: fewer than 12 images, or codes or features that are not finite.
    """
    reference, others = checked_halves(subject.n, subject.seed)
    images = checked_features(subject.image_features)
    figures = SampleFigures(images[reference], subject.rng("sample figures"))
    null = figures.values(images[others])
    measures: list[Measure] = []
    for column in COLUMNS:
        found = figures.intervals(sample_features(subject, column, len(others)))
        for key, (value, low, high) in found.items():
            title, unit, better, student, researcher, source = _WORDS[key]
            measures.append(
                Measure(
                    key=key,
                    column=column,
                    title=title,
                    value=value,
                    low=low,
                    high=high,
                    null=null[key],
                    unit=unit,
                    better=better,
                    n=len(reference),
                    seed=subject.seed,
                    student=student,
                    researcher=researcher.format(prior=_PRIOR[column], k=NEIGHBOUR),
                    source=source,
                    group=SAMPLES,
                    note=feature_note(subject),
                )
            )
    return Findings(tuple(measures))


_SHARES = ("precision", "recall", "coverage")
_PRDC = "Naeem et al. 2020, arXiv:2002.09797"
_WORDS = {
    "precision": (
        "Real-looking draws",
        "share of random draws",
        HIGHER,
        "How many random codes decode to a picture that lies among the real images.",
        "Share of decoded draws from {prior} inside a {k}th-neighbour ball of a held-out image, in "
        "features; outliers among the images have wide balls and flatter it; the null is what as "
        "many other held-out images give.",
        "Kynkäänniemi et al. 2019, arXiv:1904.06991, with k = 5",
    ),
    "recall": (
        "Images within reach",
        "share of images",
        HIGHER,
        "How many real images lie among the pictures that random codes decode to.",
        "Share of held-out images inside a {k}th-neighbour ball of a decoded draw from {prior}, in "
        "features; draws strewn far apart have wide balls and flatter it; the null is what as many "
        "other held-out images give.",
        "Kynkäänniemi et al. 2019, arXiv:1904.06991, with k = 5",
    ),
    "density": (
        "Draws where images are dense",
        "times that of the images",
        HIGHER,
        "How closely the pictures of random codes keep to where real images crowd; real images "
        "have about 1.",
        "Mean number of held-out images' {k}th-neighbour balls that hold a decoded draw from "
        "{prior}, over {k}; above 1 where draws keep to the densest images and leave out the "
        "rest, so read it with the coverage; the null is what as many other held-out images give.",
        _PRDC,
    ),
    "coverage": (
        "Variety of the images drawn",
        "share of images",
        HIGHER,
        "How many real images have a random draw beside them that looks much like them.",
        "Share of held-out images whose {k}th-neighbour ball, in features, holds at least one of "
        "as many decoded draws from {prior}; the null is what as many other held-out images give.",
        _PRDC,
    ),
    "frechet_distance": (
        "Distance from the images",
        "squared distance of features",
        LOWER,
        "How far the cloud of randomly drawn pictures lies from the cloud of real images, by "
        "their mean and their spread.",
        "Fréchet distance of Gaussians fitted to features of decoded draws from {prior} and of as "
        "many held-out images; biased upwards at finite n, so its null is the distance of two "
        "halves of the images; in this data set's own features, so no published FID.",
        "Dowson & Landau 1982; of features: Heusel et al. 2017, arXiv:1706.08500",
    ),
}


class SampleFigures:
    """Figures of pictures held against one reference.

    Args:
        reference: features of held-out images, (N, F), N at least 6.
        generator: of the resamples.

    Raises:
        LatentError: too few images for a fifth neighbour.
    """

    def __init__(self, reference: NDArray[np.float64], generator: np.random.Generator) -> None:
        self._generator = generator
        self._manifold = Manifold.fit(reference)
        self._counts = resample_counts(len(reference), _RESAMPLES, generator)
        self._moments = Moments.of(reference)
        self._resampled = [
            Moments.of(reference, self._counts[:, draw]) for draw in range(_FRECHET_RESAMPLES)
        ]

    def values(self, pictures: NDArray[np.float64]) -> dict[str, float]:
        """Each figure of pictures, features (M, F), M at least 6."""
        return self._values(Comparison(self._manifold, pictures), pictures)

    def _values(self, held: Comparison, pictures: NDArray[np.float64]) -> dict[str, float]:
        return {
            "precision": held.precision,
            "recall": held.recall,
            "density": held.density,
            "coverage": held.coverage,
            "frechet_distance": frechet_distance(self._moments, Moments.of(pictures)),
        }

    def intervals(self, pictures: NDArray[np.float64]) -> dict[str, tuple[float, float, float]]:
        """Each figure of pictures (M, F), and the two ends of its 95 % interval."""
        held = Comparison(self._manifold, pictures)
        counts = resample_counts(len(pictures), _RESAMPLES, self._generator)
        distances = [
            frechet_distance(reference, Moments.of(pictures, counts[:, draw]))
            for draw, reference in enumerate(self._resampled)
        ]
        resampled = {
            "precision": held.resampled_precision(self._counts, counts),
            "recall": held.resampled_recall(self._counts, counts),
            "density": held.resampled_density(self._counts, counts),
            "coverage": held.resampled_coverage(self._counts, counts),
            "frechet_distance": np.array(distances),
        }
        found = {}
        for key, value in self._values(held, pictures).items():
            low, high = centred_interval(value, resampled[key])
            low = max(low, 0.0)
            if key in _SHARES:
                cases = held.m if key == "precision" else held.n
                low, high = open_ended(low, min(high, 1.0), n=cases)
            found[key] = (value, low, high)
        return found
