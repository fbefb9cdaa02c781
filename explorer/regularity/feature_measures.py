"""What a classifier sees between codes and round them, and what a linear one sees in codes."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes
from explorer.regularity.bootstrap import Interval, kept, resampled_cases, share_interval
from explorer.regularity.definitions import DEFINITIONS, NO_PRIOR
from explorer.regularity.estimate import Estimate, Findings
from explorer.regularity.features import Manifold, checked_halves
from explorer.regularity.holes import plain, plain_code
from explorer.regularity.samples import checked_features, feature_note

if TYPE_CHECKING:
    from explorer.regularity.subject import ModelUnderTest

EXAMPLES = 12
NOISE = 0.25
FOLDS = 5
FEWEST_PROBED = 10
# What coincides with an image is infinitely realistic, which no mean or JSON file takes.
MOST_REALISM = 1e3
_TAILS = (0.025, 0.975)
_PROBE_STEPS = 200


def measure_midpoint_realism(subject: "ModelUnderTest") -> Findings:
    """How real the pictures half-way between two codes look, beside the two pictures themselves.

    Realism of a picture p is the largest r(i) / |f(p) - f(i)| over held-out images i, in features
    f, where r(i) is the distance from image i to its fifth neighbour among them; the half of the
    images with the largest r is left out. 1 or more lies within the images. One half of the
    held-out images is that reference; the other half makes pairs, each image in one of them. The
    figure is the median realism of decode((z1 + z2) / 2), posterior means z1 and z2, over that of
    decode(z1) and decode(z2); the pairs are resampled, each as a whole.

    Nothing where the reconstructions have no realism to divide by.

    Raises:
        LatentError: fewer than 12 images, or codes or features that are not finite.

    Source: realism: Kynkäänniemi et al. 2019, equation 3, arXiv:1904.06991 (with k = 3 and the
    same half); the ratio is our definition.
    """
    reference, others = checked_halves(subject.n, subject.seed)
    manifold = Manifold.fit(checked_features(subject.image_features[reference])).denser_half()
    order = subject.rng("midpoints").permutation(len(others))
    pairs = others[order][: len(others) // 2 * 2].reshape(-1, 2)
    middles, blends = _between(subject, pairs)

    def realism(features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        return np.minimum(manifold.realism(checked_features(features)), MOST_REALISM)

    ends = realism(subject.reconstruction_features[pairs.ravel()]).reshape(-1, 2)
    middle, blend = realism(middles), realism(blends)
    below = float(np.median(ends))
    if below == 0.0:
        return Findings(())
    value, found = _median_ratio(middle, ends, subject.rng("midpoint resamples"))
    estimate = Estimate(
        key="midpoint_realism",
        column=NO_PRIOR,
        value=value,
        low=found.low,
        high=found.high,
        chance=float(np.median(blend)) / below,
        ideal=DEFINITIONS["midpoint_realism"].ideal,
        n=len(pairs),
        seed=subject.seed,
        note=feature_note(subject, f"{len(pairs):,} pairs of images."),
        resamples=kept(found.resamples),
    )
    # A pair whose ends are poor already says little of what lies between.
    share = middle / np.maximum(ends.min(axis=1), np.finfo(np.float64).tiny)
    worst = np.argsort(share, kind="stable")[:EXAMPLES]
    examples = [
        {
            "first": subject.pointer(int(pairs[row, 0])),
            "second": subject.pointer(int(pairs[row, 1])),
            "realism": plain(middle[row]),
            "ends": [plain(ends[row, 0]), plain(ends[row, 1])],
        }
        for row in worst
    ]
    return Findings((estimate,), {"midpoint_realism": examples})


def _between(
    subject: "ModelUnderTest", pairs: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features of the decoded midpoints and of the blended reconstructions, of pairs (P, 2)."""
    middles, blends = [], []
    for chunk in subject.chunks(len(pairs)):
        first, second = subject.mean[pairs[chunk, 0]], subject.mean[pairs[chunk, 1]]
        # Halved before they are added: the sum of two large codes may be beyond float32.
        middles.append(subject.features(subject.decode(0.5 * first + 0.5 * second)))
        blend = 0.5 * (subject.decode(first) + subject.decode(second))
        blends.append(subject.features(blend))
    return np.concatenate(middles), np.concatenate(blends)


def _median_ratio(
    middle: NDArray[np.float64], ends: NDArray[np.float64], generator: np.random.Generator
) -> tuple[float, Interval]:
    """median(middle (P,)) / median(ends (P, 2)), and its 95 % interval."""
    value = float(np.median(middle) / np.median(ends))
    tiny = np.finfo(np.float64).tiny
    ratios = np.concatenate(
        [
            np.median(middle[rows], axis=1)
            / np.maximum(np.median(ends[rows].reshape(len(rows), -1), axis=1), tiny)
            for rows in resampled_cases(len(middle), generator)
        ]
    )
    ratios = np.minimum(ratios, MOST_REALISM)
    low, high = np.quantile(ratios, _TAILS)
    return value, Interval(min(float(low), value), max(float(high), value), ratios)


def measure_class_kept(subject: "ModelUnderTest") -> Findings:
    """How often a picture keeps its class when its code is shaken a little.

    The posterior mean z of each image is moved to z + 0.25 s eps, s the standard deviation of the
    codes along each axis and eps ~ N(0, I). The classifier names the classes of both decodings,
    so that an image that it gets wrong, or a reconstruction that it reads as another class, is
    not held against the latent space. The images are resampled. Nothing without a classifier.

    The examples are drawn at random from the images that lost their class.

    Raises:
        LatentError: codes that are not finite.
    """
    before = subject.classes_of(subject.mean)
    if before is None:
        return Findings(())
    generator = subject.rng("class kept")
    noise = generator.standard_normal((subject.n, subject.latent_dim))
    shaken = checked_codes(subject.mean + NOISE * subject.codes.std(axis=0) * noise)
    after = subject.classes_of(shaken)
    assert after is not None
    unchanged = before == after
    found = share_interval(unchanged, generator)
    classes = int(max(before.max(), after.max())) + 1
    shares = [np.bincount(one, minlength=classes) / subject.n for one in (before, after)]
    lost = np.flatnonzero(~unchanged)
    examples = [
        {
            **subject.pointer(int(row)),
            "z": plain_code(shaken[row]),
            "before": int(before[row]),
            "after": int(after[row]),
        }
        for row in generator.permutation(lost)[:EXAMPLES]
    ]
    accuracy = subject.extractor.accuracy
    estimate = Estimate(
        key="class_kept",
        column=NO_PRIOR,
        value=float(unchanged.mean()),
        low=found.low,
        high=found.high,
        chance=float(shares[0] @ shares[1]),
        ideal=DEFINITIONS["class_kept"].ideal,
        n=subject.n,
        seed=subject.seed,
        note=feature_note(
            subject,
            ""
            if accuracy is None
            else f"The classifier is right about {accuracy:.1%} of held-out images.",
        ),
        resamples=kept(found.resamples),
    )
    return Findings((estimate,), {"class_kept": examples})


def measure_linear_probe(subject: "ModelUnderTest") -> Findings:
    """How often a linear classifier tells an image's class from its code.

    Logistic regression on standardised posterior means, in five folds: each image is judged by a
    classifier that was fitted without it. The images are resampled, the classifiers stay. Nothing
    without labels, or with one class.

    Raises:
        LatentError: fewer than 10 images, or codes that are not finite.

    Source: Alain & Bengio 2017, arXiv:1610.01644.
    """
    labels = subject.labels
    if labels is None or len(np.unique(labels)) < 2:
        return Findings(())
    right = probe(subject.mean.astype(np.float64), labels, seed=subject.seed) == labels
    found = share_interval(right, subject.rng("linear probe"))
    _, counts = np.unique(labels, return_counts=True)
    estimate = Estimate(
        key="linear_probe",
        column=NO_PRIOR,
        value=float(right.mean()),
        low=found.low,
        high=found.high,
        chance=float(counts.max() / len(labels)),
        ideal=DEFINITIONS["linear_probe"].ideal,
        n=len(labels),
        seed=subject.seed,
        note=subject.note,
    )
    return Findings((estimate,))


def probe(codes: NDArray[np.float64], labels: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """The class that a linear classifier of the other images gives to each, (N,).

    Args:
        codes: (N, D), N at least 10.
        labels: (N,).
        seed: of the folds.

    Raises:
        LatentError: too few codes, or codes that are not finite.
    """
    points = checked_codes(codes)
    if len(points) < FEWEST_PROBED:
        raise LatentError(
            f"There are {len(points)} held-out images; a linear classifier needs at least "
            f"{FEWEST_PROBED}, to be fitted to some and judged by others."
        )
    # 1 s that only whoever fits a classifier waits for.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    fold = np.random.default_rng([seed, 0xF01D]).permutation(len(points)) % FOLDS
    named = np.empty(len(points), np.int64)
    for one in range(FOLDS):
        held_out, fitted = np.flatnonzero(fold == one), np.flatnonzero(fold != one)
        classes = np.unique(labels[fitted])
        if len(classes) == 1:
            named[held_out] = classes[0]
            continue
        mean, scale = points[fitted].mean(axis=0), points[fitted].std(axis=0)
        scaled = (points - mean) / np.where(scale > 0.0, scale, 1.0)
        classifier = LogisticRegression(max_iter=_PROBE_STEPS)
        with warnings.catch_warnings():
            # Classes that can be told apart without an error have weights that only ever grow.
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier.fit(scaled[fitted], labels[fitted])
        named[held_out] = classifier.predict(scaled[held_out])
    return named
