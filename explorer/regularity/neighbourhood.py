"""Whether codes of one class lie together."""

import numpy as np
from numpy.typing import NDArray

from explorer.latent.neighbours import nearest
from explorer.regularity.bootstrap import Interval
from explorer.regularity.definitions import DEFINITIONS, NO_PRIOR
from explorer.regularity.estimate import Estimate

NEIGHBOURS = 10
SUBSETS = 200
# Of the images: smaller subsets are less like the whole, larger ones too much like each other.
_SHARE = 0.2
# With fewer images a fifth of them has too few neighbours to vote.
_FEWEST = 15 * NEIGHBOURS
# How much wider than of independent votes, at most, as simulated where classes mix entirely.
_WIDEST = 1.5


def measure_knn_accuracy(
    codes: NDArray[np.float64], labels: NDArray[np.int64], *, seed: int
) -> Estimate:
    """The share of images whose class their 10 nearest other images name.

    Neighbours vote for each other, so that right answers come in clusters and the share varies more
    than that of as many coins. How much more is measured on 200 random fifths of the images, in
    which the neighbours are found again; a simulation of the coverage is a test.

    Args:
        codes: posterior means of held-out images, (N, D), N at least 11.
        labels: their classes, (N,).
        seed: of the subsets.

    Raises:
        LatentError: fewer than 11 codes.
    """
    value, found = knn_accuracy(codes, labels, np.random.default_rng([seed, 2]))
    _, counts = np.unique(labels, return_counts=True)
    return Estimate(
        key="knn_accuracy",
        column=NO_PRIOR,
        value=value,
        low=found.low,
        high=found.high,
        chance=float(counts.max() / len(labels)),
        ideal=DEFINITIONS["knn_accuracy"].ideal,
        n=len(labels),
        seed=seed,
        resamples=found.kept,
    )


def knn_accuracy(
    codes: NDArray[np.float64], labels: NDArray[np.int64], generator: np.random.Generator
) -> tuple[float, Interval]:
    """The accuracy and its 95 % interval: Wilson's, of as many independent votes as they are worth.

    Args:
        codes: (N, D), N at least 11.
        labels: (N,).
        generator: of the subsets.

    Raises:
        LatentError: fewer than 11 codes.

    Source: Wilson 1927; effective number of cases: Kish 1965, section 8.2 (design effect).
    """
    n = len(codes)
    looked_up = NEIGHBOURS if n < _FEWEST else min(n - 1, int(1.8 * NEIGHBOURS / _SHARE))
    _, index = nearest(codes, codes, looked_up, exclude_self=True)
    votes = labels[index]
    value = float((winners(votes[:, :NEIGHBOURS]) == labels).mean())
    if n < _FEWEST:
        return value, Interval(*wilson_interval(value, n / _WIDEST), np.empty(0))
    size = round(_SHARE * n)
    shares = np.empty(SUBSETS)
    for draw in range(SUBSETS):
        rows = generator.permutation(n)[:size]
        away = np.ones(n, np.bool_)
        away[rows] = False
        order = np.argsort(away[index[rows]], axis=1, kind="stable")[:, :NEIGHBOURS]
        voters = np.take_along_axis(votes[rows], order, axis=1)
        shares[draw] = (winners(voters) == labels[rows]).mean()
    mean = float(shares.mean())
    independent = mean * (1.0 - mean) / size
    inflation = 1.0
    if independent > 0.0:
        # Subsets of one sample vary less than samples do: by 1 - size / N where every image counts
        # for itself, not at all where it is the neighbours that count. Half-way between.
        inflation = max(float(shares.var(ddof=1)) / independent / (1.0 - 0.5 * _SHARE), 1.0)
    low, high = wilson_interval(value, n / inflation)
    spread = float(shares.std(ddof=1))
    scale = 0.0 if spread == 0.0 else (high - low) / (2 * 1.96 * spread)
    return value, Interval(low, high, value + scale * (shares - mean))


def wilson_interval(share: float, n: float) -> tuple[float, float]:
    """The 95 % score interval of a share of n independent cases.

    Source: Wilson 1927.
    """
    z = 1.959964
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return min(max(float(centre - reach), 0.0), share), max(min(float(centre + reach), 1.0), share)


def knn_labels(
    codes: NDArray[np.float64], labels: NDArray[np.int64], *, k: int
) -> NDArray[np.int64]:
    """The class that most of a code's k nearest other codes have; ties go to the nearest.

    Args:
        codes: (N, D).
        labels: (N,).
        k: neighbours, at most N - 1.

    Returns:
        (N,).

    Raises:
        LatentError: k out of range.
    """
    _, index = nearest(codes, codes, k, exclude_self=True)
    return winners(labels[index])


def winners(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The vote that most agree with, (N,), of votes (N, K) in order; ties go to the first."""
    agreeing = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    winner = agreeing.argmax(axis=1)
    return np.take_along_axis(votes, winner[:, None], axis=1)[:, 0]
