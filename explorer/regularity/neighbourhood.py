"""Whether codes of one class lie together."""

import numpy as np
from numpy.typing import NDArray

from explorer.latent.neighbours import nearest
from explorer.regularity.bootstrap import Interval, jackknife_interval, open_ended
from explorer.regularity.definitions import DEFINITIONS, NO_PRIOR
from explorer.regularity.estimate import Estimate

NEIGHBOURS = 10
GROUPS = 50
# Neighbours looked up, so that a group of them can be left out and ten remain.
_LOOKED_UP = 3 * NEIGHBOURS


def measure_knn_accuracy(
    codes: NDArray[np.float64], labels: NDArray[np.int64], *, seed: int
) -> Estimate:
    """The share of images whose class their 10 nearest other images name.

    The votes of neighbours depend on one another, so the interval is a jackknife: of 50 random
    groups each is left out in turn, as images and as neighbours.

    Args:
        codes: posterior means of held-out images, (N, D), N at least 11.
        labels: their classes, (N,).
        seed: of the groups.

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
    """The accuracy and its 95 % interval.

    Args:
        codes: (N, D), N at least 11.
        labels: (N,).
        generator: of the groups.

    Raises:
        LatentError: fewer than 11 codes.
    """
    n = len(codes)
    count = min(n - 1, _LOOKED_UP)
    _, index = nearest(codes, codes, max(count, NEIGHBOURS), exclude_self=True)
    votes = labels[index]
    right = winners(votes[:, :NEIGHBOURS]) == labels
    value = float(right.mean())
    group = generator.permutation(n) % min(GROUPS, n)
    left_out = np.empty(group.max() + 1)
    for one in range(len(left_out)):
        rows = np.flatnonzero(group != one)
        voters = votes[rows]
        gone = group[index[rows]] == one
        # Those that are left, in the order of their distance; a lost one only where too few are.
        order = np.argsort(gone, axis=1, kind="stable")[:, :NEIGHBOURS]
        kept_votes = np.take_along_axis(voters, order, axis=1)
        left_out[one] = (winners(kept_votes) == labels[rows]).mean()
    found = jackknife_interval(value, left_out, generator)
    low, high = open_ended(max(found.low, 0.0), min(found.high, 1.0), n=n)
    return value, Interval(low, high, found.resamples)


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
