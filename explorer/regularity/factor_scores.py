"""Known factors against latent axes: how far the best axis is above the second, MIG and SAP."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.images.dataset import Factor
from explorer.latent.codes import checked_codes
from explorer.regularity.bootstrap import centred_interval

BINS = 20
RESAMPLES = 200
Figure = tuple[float, float, float, float]
"""A value, the two ends of its 95 % interval, and its null."""


@dataclass(frozen=True, eq=False)
class KnownFactors:
    """Factors as whole numbers, and which of them are amounts.

    Attributes:
        names: K of them.
        values: amounts as they are, choices as their index, (N, K).
        bins: choices as their index, amounts by the 20 equal parts of their range, (N, K).
        counts: of the bins of each, (K,).
        discrete: whether each is a choice, (K,).
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    bins: NDArray[np.int64]
    counts: NDArray[np.int64]
    discrete: NDArray[np.bool_]

    @classmethod
    def of(cls, factors: tuple[Factor, ...]) -> "KnownFactors":
        """The factors that vary; those of one value alone cannot be told from anything.

        Raises:
            LatentError: values that are not finite.
        """
        kept = [one for one in factors if len(np.unique(one.values)) > 1]
        if not kept:
            nothing = np.empty((0, 0))
            none = np.empty(0, np.int64)
            return cls((), nothing, nothing.astype(np.int64), none, none.astype(np.bool_))
        values = checked_codes(np.column_stack([one.values for one in kept]), name="factor values")
        columns = [
            np.unique(values[:, place], return_inverse=True)[1]
            if one.discrete
            else binned(values[:, place])
            for place, one in enumerate(kept)
        ]
        return cls(
            tuple(one.name for one in kept),
            values,
            np.column_stack(columns).astype(np.int64),
            np.array([column.max() + 1 for column in columns], np.int64),
            np.array([one.discrete for one in kept]),
        )

    def rows(self, where: NDArray[np.int64]) -> "KnownFactors":
        """The same of some images."""
        return KnownFactors(
            self.names, self.values[where], self.bins[where], self.counts, self.discrete
        )


def binned(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Numbers (N,) by the 20 equal parts of their range, 0 to 19; all 0 where they coincide."""
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros(len(values), np.int64)
    share = (values - low) / (high - low)
    parts: NDArray[np.int64] = np.minimum((share * BINS).astype(np.int64), BINS - 1)
    return parts


def axis_parts(codes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Each axis of codes (N, D) as `binned` has it, (N, D)."""
    return np.column_stack([binned(axis) for axis in codes.T])


def gap(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the best axis is above the second, of scores (..., D, K): (..., K)."""
    if scores.shape[-2] == 1:
        only: NDArray[np.float64] = scores[..., 0, :]
        return only
    ordered = np.sort(scores, axis=-2)
    difference: NDArray[np.float64] = ordered[..., -1, :] - ordered[..., -2, :]
    return difference


def mutual_information_gap(
    codes: NDArray[np.float64],
    factors: KnownFactors,
    dealt: KnownFactors,
    generator: np.random.Generator,
) -> Figure:
    """MIG: mean over factors of the gap of the axes' I(z_d; v) / H(v); the images are resampled.

    Axes and amounts are cut into 20 equal parts of their range.

    Source: Chen et al. 2018, section 4, arXiv:1802.04942, with the bins of Locatello et al. 2019,
    arXiv:1811.12359.
    """
    parts = axis_parts(codes)
    n = len(codes)
    value = _mig(parts, factors, np.ones(n))
    resampled = np.array(
        [
            _mig(parts, factors, generator.multinomial(n, np.full(n, 1.0 / n)).astype(np.float64))
            for _ in range(RESAMPLES)
        ]
    )
    return limited(value, resampled, _mig(parts, dealt, np.ones(n)))


def _mig(parts: NDArray[np.int64], factors: KnownFactors, weights: NDArray[np.float64]) -> float:
    information = normalised_information(parts, factors, weights)
    return float(gap(information).mean())


def normalised_information(
    parts: NDArray[np.int64], factors: KnownFactors, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """I(z_d; v_k) / H(v_k), (D, K), of parts (N, D), each image counted `weights` (N,) times."""
    dim, total = parts.shape[1], weights.sum()
    found = np.empty((dim, len(factors.names)))
    drawn = np.flatnonzero(weights)
    counted, shares = parts[drawn], weights[drawn] / total
    for place, count in enumerate(factors.counts):
        cells = BINS * count
        index = counted * count + factors.bins[drawn, place][:, None]
        index += np.arange(dim) * cells
        sums = np.bincount(index.ravel(), np.repeat(shares, dim), minlength=dim * cells)
        table = sums.astype(np.float64).reshape(dim, BINS, count)
        along_factor = _entropy(table[0].sum(axis=0))
        mutual = along_factor + _entropy(table.sum(axis=2)) - _entropy(table.reshape(dim, cells))
        found[:, place] = np.maximum(mutual, 0.0) / along_factor if along_factor > 0.0 else 0.0
    return found


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy along the last axis, nats."""
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0.0)
    found: NDArray[np.float64] = -(shares * logs).sum(axis=-1)
    return found


def limited(value: float, resampled: NDArray[np.float64], null: float) -> Figure:
    """A figure from 0 to 1 with the interval of its resamples and its null."""
    low, high = centred_interval(value, resampled)
    return value, max(low, 0.0), min(max(high, value), 1.0), null


def separated_attributes(
    codes: NDArray[np.float64],
    factors: KnownFactors,
    dealt: KnownFactors,
    generator: np.random.Generator,
) -> Figure:
    """SAP: mean over factors of the gap of how well each axis by itself predicts the factor.

    An amount is predicted as well as its squared correlation with the axis; a choice as well as a
    linear support vector machine on that axis names it (balanced classes, C = 0.01), fitted to
    one half of the images. The other half is what everything is judged by, and is resampled.

    Source: Kumar et al. 2018, section 3, arXiv:1711.00848, settings of Locatello et al. 2019,
    arXiv:1811.12359.
    """
    order = generator.permutation(len(codes))
    fitted, judged = order[: len(order) // 2], order[len(order) // 2 :]
    hits, dealt_hits = (_axis_hits(codes, one, fitted, judged) for one in (factors, dealt))
    n = len(judged)
    own, null = (
        _sap(codes[judged], one.values[judged], right, np.ones(n))
        for one, right in ((factors, hits), (dealt, dealt_hits))
    )
    resampled = np.array(
        [
            _sap(
                codes[judged],
                factors.values[judged],
                hits,
                generator.multinomial(n, np.full(n, 1.0 / n)).astype(np.float64),
            )
            for _ in range(RESAMPLES)
        ]
    )
    return limited(own, resampled, null)


def _axis_hits(
    codes: NDArray[np.float64],
    factors: KnownFactors,
    fitted: NDArray[np.int64],
    judged: NDArray[np.int64],
) -> dict[int, NDArray[np.float64]]:
    """Whether each axis by itself names each choice rightly, (M, D) by the place of the choice."""
    # 1 s that only whoever has factors waits for.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    found = {}
    for place in np.flatnonzero(factors.discrete):
        truth = factors.bins[:, place]
        right = np.zeros((len(judged), codes.shape[1]))
        for axis in range(codes.shape[1]):
            column = codes[:, [axis]]
            if len(np.unique(truth[fitted])) < 2:
                named = np.full(len(judged), truth[fitted][0])
            else:
                machine = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    machine.fit(column[fitted], truth[fitted])
                named = machine.predict(column[judged])
            right[:, axis] = named == truth[judged]
        found[int(place)] = right
    return found


def _sap(
    codes: NDArray[np.float64],
    values: NDArray[np.float64],
    hits: dict[int, NDArray[np.float64]],
    weights: NDArray[np.float64],
) -> float:
    shares = weights / weights.sum()
    scores = _squared_correlation(codes, values, shares)
    for place, right in hits.items():
        scores[:, place] = shares @ right
    return float(gap(scores).mean())


def _squared_correlation(
    codes: NDArray[np.float64], values: NDArray[np.float64], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of each axis with each factor, (D, K), 0 where one of them does not vary."""
    centred = codes - shares @ codes
    about = values - shares @ values
    weighted = centred * shares[:, None]
    covariance = weighted.T @ about
    below = np.outer(
        np.einsum("nd,nd->d", weighted, centred), np.einsum("n,nk,nk->k", shares, about, about)
    )
    found: NDArray[np.float64] = np.divide(
        covariance**2, below, out=np.zeros_like(below), where=below > 1e-12
    )
    return found
