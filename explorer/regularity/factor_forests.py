"""Known factors against latent axes by random forests: disentanglement, completeness, and more."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from explorer.regularity.factor_scores import RESAMPLES, Figure, KnownFactors, limited

FOLDS = 5
TREES = 30
_SMALLEST_LEAF = 5
# Student's t for the 95 % interval of a jackknife over five folds: 4 degrees of freedom.
_STUDENT_T = 2.776


def forest_figures(
    codes: NDArray[np.float64],
    factors: KnownFactors,
    dealt: KnownFactors,
    generator: np.random.Generator,
) -> dict[str, Figure | None]:
    """DCI: disentanglement, completeness and informativeness by random forests, in five folds.

    The importances are those of all folds together. The intervals of the first two are the
    jackknife's, each fold left out in turn; for the third, the images are resampled.

    Returns:
        Each figure by its key; None for a disentanglement of one factor and a completeness of one
        axis, which could not but be 1.

    Source: Eastwood & Williams 2018, openreview.net/forum?id=By-7dz-AZ.
    """
    fold = generator.permutation(len(codes)) % FOLDS
    importances, scores = _forests(codes, factors, fold, range(FOLDS), generator)
    dealt_importances, dealt_scores = _forests(codes, dealt, fold, (0,), generator)
    whole, null = importances.mean(axis=0), dealt_importances.mean(axis=0)
    figures: dict[str, Figure | None] = {}
    for key, of, defined in (
        ("disentanglement", disentanglement, len(factors.names) > 1),
        ("completeness", completeness, codes.shape[1] > 1),
    ):
        # Each fold's forests were fitted to all images but its own: the jackknife's replicates.
        value, left_out = of(whole), np.array([of(one) for one in importances])
        error = np.sqrt((FOLDS - 1) / FOLDS * ((left_out - left_out.mean()) ** 2).sum())
        reach = _STUDENT_T * error
        figures[key] = (
            (value, max(value - reach, 0.0), min(value + reach, 1.0), of(null)) if defined else None
        )
    n = len(codes)
    resampled = np.empty(RESAMPLES)
    for draw in range(RESAMPLES):
        weights = generator.multinomial(n, np.full(n, 1.0 / n)).astype(np.float64)
        resampled[draw] = _informativeness(scores, factors, weights)
    tested = (fold == 0).astype(np.float64)
    figures["informativeness"] = limited(
        _informativeness(scores, factors, np.ones(n)),
        resampled,
        _informativeness(dealt_scores, dealt, tested),
    )
    return figures


def _forests(
    codes: NDArray[np.float64],
    factors: KnownFactors,
    fold: NDArray[np.int64],
    folds: Sequence[int],
    generator: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Importances of the axes for the factors, (folds, D, K), and predictions (N, K)."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    importances = np.zeros((len(folds), codes.shape[1], len(factors.names)))
    predicted = np.zeros(factors.values.shape)
    for turn, one in enumerate(folds):
        fitted, judged = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
        for place, discrete in enumerate(factors.discrete):
            target = factors.bins if discrete else factors.values
            kind = RandomForestClassifier if discrete else RandomForestRegressor
            forest = kind(
                TREES,
                min_samples_leaf=_SMALLEST_LEAF,
                max_features=1.0,
                random_state=int(generator.integers(2**31)),
            )
            forest.fit(codes[fitted], target[fitted, place])
            importances[turn, :, place] = forest.feature_importances_
            predicted[judged, place] = forest.predict(codes[judged])
    return importances, predicted


def disentanglement(importances: NDArray[np.float64]) -> float:
    """How much each axis is for one factor alone, axes weighted by their importance; 0 to 1.

    Args:
        importances: of axes for factors, (D, K), K at least 2.
    """
    return _concentration(importances)


def completeness(importances: NDArray[np.float64]) -> float:
    """How much each factor is in one axis alone, factors weighted by their importance; 0 to 1.

    Args:
        importances: of axes for factors, (D, K), D at least 2.
    """
    return _concentration(importances.T)


def _concentration(importances: NDArray[np.float64]) -> float:
    """1 - entropy along the last axis, in units of the largest possible, weighted by the sums."""
    totals = importances.sum(axis=1)
    # Forests that never split, of factors that no axis tells anything of.
    if totals.sum() == 0.0 or importances.shape[1] < 2:
        return 0.0
    used = totals > 0.0
    shares = importances[used] / totals[used, None]
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0.0)
    entropy = -(shares * logs).sum(axis=1) / np.log(importances.shape[1])
    return float(np.clip((1.0 - entropy) @ (totals[used] / totals.sum()), 0.0, 1.0))


def _informativeness(
    predicted: NDArray[np.float64], factors: KnownFactors, weights: NDArray[np.float64]
) -> float:
    """Mean over factors of the share of choices named rightly, or of an amount's R²."""
    shares = weights / weights.sum()
    found = np.empty(len(factors.names))
    for place, discrete in enumerate(factors.discrete):
        given = predicted[:, place]
        if discrete:
            found[place] = shares @ (given == factors.bins[:, place])
            continue
        truth = factors.values[:, place]
        spread = shares @ (truth - shares @ truth) ** 2
        error = shares @ (truth - given) ** 2
        found[place] = max(1.0 - error / spread, 0.0) if spread > 0.0 else 0.0
    return float(found.mean())
