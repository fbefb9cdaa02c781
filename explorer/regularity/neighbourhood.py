"""Whether codes of one class lie together."""

import numpy as np
from numpy.typing import NDArray

from explorer.latent.neighbours import nearest
from explorer.regularity.bootstrap import share_interval
from explorer.regularity.measure import HEADLINE, HIGHER, NO_PRIOR, Measure

NEIGHBOURS = 10


def measure_knn_accuracy(
    codes: NDArray[np.float64], labels: NDArray[np.int64], *, seed: int
) -> Measure:
    """The share of images whose class their 10 nearest other images name.

    Which images were named rightly is resampled; the neighbours are not found anew, since a copy
    of an image would be its own nearest neighbour.

    Args:
        codes: posterior means of held-out images, (N, D), N at least 11.
        labels: their classes, (N,).
        seed: of the resamples.

    Raises:
        LatentError: fewer than 11 codes.
    """
    right = knn_labels(codes, labels, k=NEIGHBOURS) == labels
    low, high = share_interval(right, np.random.default_rng([seed, 2]))
    _, counts = np.unique(labels, return_counts=True)
    return Measure(
        key="knn_accuracy",
        column=NO_PRIOR,
        title="Class of the neighbours",
        value=float(right.mean()),
        low=low,
        high=high,
        null=float(counts.max() / len(labels)),
        unit="share of images",
        better=HIGHER,
        n=len(labels),
        seed=seed,
        student=(
            "How often the class of an image can be told from the 10 images nearest to it in the "
            "latent space, though the model never saw a class."
        ),
        researcher=(
            "Leave-one-out 10-nearest-neighbour accuracy among held-out posterior means, "
            "Euclidean, ties to the class met first; the null is the largest class's share."
        ),
        source="Cover & Hart 1967; leave-one-out among held-out codes is our choice",
        group=HEADLINE,
        headline=True,
    )


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
    votes = labels[index]
    # How many of the k agree with each vote; argmax takes the first of the largest, and the
    # votes stand in the order of their distance.
    agreeing = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    winner = agreeing.argmax(axis=1)
    return np.take_along_axis(votes, winner[:, None], axis=1)[:, 0]
