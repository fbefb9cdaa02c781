"""Whether what a model draws from a prior is as varied, and as real, as the images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.latent.codes import checked_codes
from explorer.regularity.bootstrap import centred_interval, kept, mean_interval, open_ended
from explorer.regularity.definitions import AS_BUILT, DEFINITIONS, MIXTURE, SCALE_FAIR
from explorer.regularity.estimate import Estimate, Findings
from explorer.regularity.features import (
    Comparison,
    Manifold,
    Moments,
    checked_halves,
    frechet_distance,
    resample_counts,
)

if TYPE_CHECKING:
    from explorer.regularity.subject import ModelUnderTest

COLUMNS = (AS_BUILT, SCALE_FAIR, MIXTURE)
EXAMPLES = 12
# More would move the ends of the intervals by little.
_RESAMPLES = 500
# Each takes two covariances of 5,000 pictures and their eigenvalues.
_FRECHET_RESAMPLES = 100
_STREAM = "samples"
# Subsets by which the interval of the coverage ratio is widened.
_SUBSETS, _SUBSET_SHARE, _FEWEST_SUBSET, _MOST_SUBSET = 60, 0.2, 30, 400
# As simulated for clouds of four dimensions.
_USUAL_INFLATION = 1.8


@dataclass(frozen=True)
class Ratio:
    """The coverage ratio with its 95 % interval and its chance level.

    Attributes:
        value: coverage of prior samples over that of reconstructions.
        low, high: the interval.
        chance: the same of pictures that are all alike.
        above, below: the two coverages.
        missed: rows of the reference that reconstructions cover and prior samples do not, those
            that most reconstructions cover first.
        found: how many reconstructions cover each of `missed`.
    """

    value: float
    low: float
    high: float
    chance: float
    above: float
    below: float
    missed: NDArray[np.int64]
    found: NDArray[np.int64]


class CoverageRatio:
    """Coverage of prior samples over coverage of reconstructions, of one model's.

    Which images are covered is resampled, for each coverage by itself, and the interval widened:
    one picture covers several images at once. How much wider is measured on random fifths of images
    and pictures, in which nothing else changes; a resample would hold 0.63 of them and cover less.
    How often the interval holds is simulated in a test.

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
        self._points = checked_features(reference)
        self._again = checked_features(reconstructions)
        self._reference = Manifold.fit(reference)
        self._below = Comparison(self._reference, reconstructions)
        self._same = Comparison(self._reference, same).coverage
        self._resampled_below = mean_interval(self._below.covered, generator).resamples

    @property
    def defined(self) -> bool:
        """Whether reconstructions cover anything, so that there is something to divide by."""
        return self._below.coverage > 0.0

    def of(self, samples: NDArray[np.floating[Any]]) -> Ratio:
        """The ratio of prior samples, features (M, F)."""
        above, below = Comparison(self._reference, samples), self._below.coverage
        least = 1.0 / above.n
        resampled = mean_interval(above.covered, self._generator).resamples
        ratios = resampled / np.maximum(self._resampled_below, least)
        value = above.coverage / below
        wider = np.sqrt(self._inflation(checked_features(samples)))
        low, high = centred_interval(value, value + wider * (ratios - ratios.mean()))
        if value == 0.0:
            high = open_ended(0.0, 0.0, n=above.n)[1] / below
        missed = np.flatnonzero(self._below.covered & ~above.covered)
        found = self._below.inside[missed].sum(axis=1)
        order = np.argsort(-found, kind="stable")
        return Ratio(
            value=value,
            low=max(low, 0.0),
            high=high,
            chance=self._same / below,
            above=above.coverage,
            below=below,
            missed=missed[order],
            found=found[order],
        )

    def _inflation(self, samples: NDArray[np.float64]) -> float:
        """How much larger the ratio's variance is than if images were covered one by one, >= 1."""
        size = min(round(_SUBSET_SHARE * min(len(self._points), len(samples))), _MOST_SUBSET)
        if size < _FEWEST_SUBSET:
            return _USUAL_INFLATION
        ratios, expected = [], []
        for _ in range(_SUBSETS):
            points, again, drawn = (
                one[self._generator.permutation(len(one))[:size]]
                for one in (self._points, self._again, samples)
            )
            manifold = Manifold.fit(points)
            above, below = (Comparison(manifold, one).coverage for one in (drawn, again))
            if above > 0.0 and below > 0.0:
                ratios.append(above / below)
                # Of a ratio of two shares, each of so many cases.
                expected.append((1 / above + 1 / below - 2) * (above / below) ** 2 / size)
        if len(ratios) < _SUBSETS // 2 or not np.mean(expected) > 0.0:
            return _USUAL_INFLATION
        share = size / len(self._points)
        found = float(np.var(ratios, ddof=1) / np.mean(expected)) / (1.0 - 0.5 * share)
        return max(found, 1.0)


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
    estimates, examples = [], []
    for column in COLUMNS:
        found = ratio.of(sample_features(subject, column, len(others)))
        estimates.append(
            Estimate(
                key="coverage_ratio",
                column=column,
                value=found.value,
                low=found.low,
                high=found.high,
                chance=found.chance,
                ideal=DEFINITIONS["coverage_ratio"].ideal,
                n=len(reference),
                seed=subject.seed,
                note=feature_note(
                    subject,
                    f"Prior samples cover {found.above:.3f} of the images, reconstructions "
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
    return Findings(tuple(estimates), {"coverage_ratio": examples})


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

    One half of the held-out images is the reference, and as many pictures are drawn. The ideal
    value of each is what the other half of the images gives, which are as real and as varied as
    they can be. Images and pictures are resampled.

    Raises:
        LatentError: fewer than 12 images, or codes or features that are not finite.
    """
    reference, others = checked_halves(subject.n, subject.seed)
    images = checked_features(subject.image_features)
    figures = SampleFigures(images[reference], subject.rng("sample figures"))
    ideal = figures.values(images[others])
    estimates: list[Estimate] = []
    for column in COLUMNS:
        found = figures.intervals(sample_features(subject, column, len(others)))
        for key, (value, low, high, resamples) in found.items():
            estimates.append(
                Estimate(
                    key=key,
                    column=column,
                    value=value,
                    low=low,
                    high=high,
                    chance=None,
                    ideal=ideal[key],
                    n=len(reference),
                    seed=subject.seed,
                    note=feature_note(subject),
                    # The others enter no comparison of models.
                    resamples=kept(resamples) if key == "frechet_distance" else (),
                )
            )
    return Findings(tuple(estimates))


_SHARES = ("precision", "recall", "coverage")


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

    def intervals(
        self, pictures: NDArray[np.float64]
    ) -> dict[str, tuple[float, float, float, NDArray[np.float64]]]:
        """Each figure of pictures (M, F), the ends of its 95 % interval, and its resamples (B,)."""
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
            moved = resampled[key] - resampled[key].mean() + value
            found[key] = (value, low, high, moved)
        return found
