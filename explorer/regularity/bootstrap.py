"""Intervals by resampling."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The ends of the interval then move by about 3 % of its width from seed to seed.
RESAMPLES = 1000
# Their correlation with another model's is known to 0.07 at worst, which is all they are kept for.
KEPT = 200
LEVEL = 0.95
# Cases held at once, 8 MB.
_CASES = 1_000_000
_TAILS = ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0)


@dataclass(frozen=True, eq=False)
class Interval:
    """A 95 % interval and the resamples that it was made from.

    Attributes:
        low, high: its ends.
        resamples: the value of each resample, (B,).
    """

    low: float
    high: float
    resamples: NDArray[np.float64]

    @property
    def kept(self) -> tuple[float, ...]:
        """The resamples that go into a report (see `Estimate.resamples`)."""
        return kept(self.resamples)


def kept(resamples: NDArray[np.floating[Any]]) -> tuple[float, ...]:
    """As many resamples as a report keeps, with the digits that count.

    Args:
        resamples: (B,).
    """
    return tuple(float(f"{value:.6g}") for value in resamples[:KEPT])


def mean_interval(values: NDArray[Any], generator: np.random.Generator) -> Interval:
    """The 95 % percentile interval of a mean; the values are resampled.

    Args:
        values: (N,).
        generator: of the resamples.

    Source: Efron 1979.
    """
    means = np.concatenate(
        [values[cases].mean(axis=1) for cases in resampled_cases(len(values), generator)]
    )
    low, high = np.quantile(means, _TAILS)
    # Equal values have means that differ in the last bit.
    return Interval(
        min(float(low), float(values.mean())), max(float(high), float(values.mean())), means
    )


def share_interval(hits: NDArray[np.bool_], generator: np.random.Generator) -> Interval:
    """The 95 % percentile interval of a share; the cases are resampled.

    Args:
        hits: whether each case counts, (N,).
        generator: of the resamples.
    """
    found = mean_interval(hits.astype(np.float64), generator)
    return Interval(*open_ended(found.low, found.high, n=len(hits)), found.resamples)


def exceedance_interval(
    distances: NDArray[np.float64],
    reference: NDArray[np.float64],
    quantile: float,
    generator: np.random.Generator,
) -> Interval:
    """The 95 % percentile interval of the share of distances beyond a quantile of the reference.

    Distances and reference are resampled, each by itself, so that the interval knows that the
    threshold was estimated too.

    Args:
        distances: (M,).
        reference: (N,).
        quantile: of the reference, 0 to 1.
        generator: of the resamples.
    """
    m, n = len(distances), len(reference)
    thresholds = np.concatenate(
        [
            np.quantile(reference[cases], quantile, axis=1, method="weibull")
            for cases in resampled_cases(n, generator)
        ]
    )
    shares, done = np.empty(RESAMPLES), 0
    for cases in resampled_cases(m, generator):
        part = slice(done, done + len(cases))
        shares[part] = (distances[cases] > thresholds[part, None]).mean(axis=1)
        done += len(cases)
    return Interval(*open_ended(*np.quantile(shares, _TAILS), n=m), shares)


def resampled_cases(n: int, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Which of n cases each resample draws, some resamples at a time, (b, n)."""
    at_once = max(1, _CASES // n)
    for start in range(0, RESAMPLES, at_once):
        yield generator.integers(n, size=(min(at_once, RESAMPLES - start), n))


def exceedance_threshold(reference: NDArray[np.float64], quantile: float) -> float:
    """The value that a further draw from the reference exceeds with probability 1 - quantile.

    Source: expectation of order statistics, plotting position i / (n + 1): Weibull 1939. numpy's
    default position would be exceeded by 8 % of draws instead of 5 % at n = 30.
    """
    return float(np.quantile(reference, quantile, method="weibull"))


def centred_interval(value: float, resampled: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % interval of a biased figure: the spread of the resamples, about the figure.

    A resample of N cases holds about 0.63 N distinct ones, so a figure that is biased at small N
    is biased once more in every resample, and their percentiles would lie beside the figure. Moved
    onto it, they say how it would vary between samples of this N.

    Args:
        value: the figure.
        resampled: the figure of each resample, (B,).
    """
    low, high = np.quantile(resampled - resampled.mean(), _TAILS)
    return value + min(float(low), 0.0), value + max(float(high), 0.0)


def open_ended(low: float, high: float, *, n: int) -> tuple[float, float]:
    """An interval of a share that is not a point where every resample says 0, or every one 1.

    None among n cases does not say that there are none: the other end is then the exact bound.

    Source: Clopper & Pearson 1934, for 0 and n hits of n.
    """
    bound = _TAILS[0] ** (1.0 / n)
    if high == 0.0:
        return 0.0, 1.0 - bound
    if low == 1.0:
        return bound, 1.0
    return float(low), float(high)


def median_interval(
    values: NDArray[np.float64], generator: np.random.Generator
) -> tuple[float, float]:
    """The 95 % percentile interval of a median; the values are resampled.

    Args:
        values: (N,).
        generator: of the resamples.
    """
    medians = np.concatenate(
        [np.median(values[cases], axis=1) for cases in resampled_cases(len(values), generator)]
    )
    low, high = np.quantile(medians, _TAILS)
    middle = float(np.median(values))
    return min(float(low), middle), max(float(high), middle)


def ratio_interval(
    above: NDArray[np.float64], below: NDArray[np.float64], generator: np.random.Generator
) -> tuple[float, float]:
    """The 95 % percentile interval of a ratio of means; the cases are resampled, each as a whole.

    Args:
        above: of each case, (N,).
        below: of each case, (N,); their mean is above 0.
        generator: of the resamples.
    """
    tiny = np.finfo(np.float64).tiny
    ratios = np.concatenate(
        [
            above[cases].mean(axis=1) / np.maximum(below[cases].mean(axis=1), tiny)
            for cases in resampled_cases(len(above), generator)
        ]
    )
    low, high = np.quantile(ratios, _TAILS)
    value = float(above.mean() / below.mean())
    return min(float(low), value), max(float(high), value)
