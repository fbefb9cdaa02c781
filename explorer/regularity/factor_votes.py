"""Known factors against latent axes by votes: the FactorVAE score."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.regularity.bootstrap import open_ended
from explorer.regularity.factor_scores import RESAMPLES, Figure, KnownFactors

VOTES = 1000
# Images a vote; 8 still tell which axis varies least.
VOTERS = 64
FEWEST_VOTERS = 8


def factor_vae_score(
    codes: NDArray[np.float64],
    factors: KnownFactors,
    active: NDArray[np.bool_],
    generator: np.random.Generator,
) -> Figure | None:
    """How often the axis that varies least tells which factor was held still.

    A vote is cast by up to 64 images that share one factor's value (of an amount, its 20th of the
    range): for the axis of the smallest variance, axes having variance 1 over all images. 1,000
    votes of one half of the images say which factor each axis stands for, 1,000 of the other half
    are judged. Of these, the sets of images that share a value are resampled, each with all of its
    votes and among those of its factor: votes of one set are much alike.

    Args:
        codes: of variance 1 along each axis, (N, D).
        factors: of the same images.
        active: axes that may be voted for, (D,); an unused axis does not vary.
        generator: of votes and resamples.

    Returns:
        The figure, or None where no axis is active, there is one factor alone, or no 8 images
        share a value of some factor.

    Source: Kim & Mnih 2018, section 4, arXiv:1802.05983; images of a drawn set instead of images
    drawn on demand.
    """
    count = len(factors.names)
    if count < 2 or not active.any():
        return None
    order = generator.permutation(len(codes))
    used = codes[:, active]
    tables = []
    for half in (order[: len(order) // 2], order[len(order) // 2 :]):
        votes = _votes(used[half], factors.rows(half), generator)
        if votes is None:
            return None
        tables.append(votes)
    learned, judged = tables
    table = np.zeros((used.shape[1], count), np.int64)
    np.add.at(table, (learned.axes, learned.held), 1)
    right = table.argmax(axis=1)[judged.axes] == judged.held
    value = float(right.mean())
    low, high = np.quantile(_resampled_votes(judged, right, generator), (0.025, 0.975))
    low, high = open_ended(min(float(low), value), max(float(high), value), n=VOTES)
    return value, low, high, 1.0 / count


@dataclass(frozen=True, eq=False)
class _Votes:
    """Votes, (VOTES,) each.

    Attributes:
        axes: that varied least.
        held: the factor that was held still.
        sets: which images cast it: those of one value of that factor.
    """

    axes: NDArray[np.int64]
    held: NDArray[np.int64]
    sets: NDArray[np.int64]


def _resampled_votes(
    votes: _Votes, right: NDArray[np.bool_], generator: np.random.Generator
) -> NDArray[np.float64]:
    """The share of right votes when the sets of each factor are drawn anew, (RESAMPLES,)."""
    count = int(votes.sets.max()) + 1
    cast = np.bincount(votes.sets, minlength=count).astype(np.float64)
    hits = np.bincount(votes.sets, right, minlength=count)
    counts = np.zeros((RESAMPLES, count))
    for place in np.unique(votes.held):
        own = np.unique(votes.sets[votes.held == place])
        shares = np.full(len(own), 1.0 / len(own))
        counts[:, own] = generator.multinomial(len(own), shares, size=RESAMPLES)
    shares_right: NDArray[np.float64] = (counts @ hits) / (counts @ cast)
    return shares_right


def _votes(
    codes: NDArray[np.float64], factors: KnownFactors, generator: np.random.Generator
) -> _Votes | None:
    """Votes of some images; None where no 8 of them share a value of some factor."""
    sets: list[NDArray[np.int64]] = []
    places: list[NDArray[np.int64]] = []
    for place, count in enumerate(factors.counts):
        rows = [np.flatnonzero(factors.bins[:, place] == one) for one in range(count)]
        large = [one for one in rows if len(one) >= FEWEST_VOTERS]
        if not large:
            return None
        places.append(len(sets) + np.arange(len(large)))
        sets += large
    held = generator.integers(len(places), size=VOTES)
    axes, cast = np.empty(VOTES, np.int64), np.empty(VOTES, np.int64)
    for vote, place in enumerate(held):
        cast[vote] = generator.choice(places[place])
        rows_here = sets[cast[vote]]
        voters = generator.choice(rows_here, min(VOTERS, len(rows_here)), replace=False)
        axes[vote] = codes[voters].var(axis=0).argmin()
    return _Votes(axes, held, cast)
