"""Intervals by resampling."""

import numpy as np
from numpy.typing import NDArray

# The ends of the interval then move by about 3 % of its width from seed to seed.
RESAMPLES = 1000
LEVEL = 0.95
_TAILS = ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0)


def mean_interval(
    values: NDArray[np.float64], generator: np.random.Generator
) -> tuple[float, float]:
    """The 95 % percentile interval of a mean; the values are resampled.

    Args:
        values: (N,).
        generator: of the resamples.

    Source: Efron 1979.
    """
    n = len(values)
    means = [values[generator.integers(n, size=n)].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, _TAILS)
    # Equal values have means that differ in the last bit.
    return min(float(low), float(values.mean())), max(float(high), float(values.mean()))


def share_interval(hits: NDArray[np.bool_], generator: np.random.Generator) -> tuple[float, float]:
    """The 95 % percentile interval of a share; the cases are resampled.

    Args:
        hits: whether each case counts, (N,).
        generator: of the resamples.
    """
    # The hits of a resample are a binomial draw: no case needs to be drawn by itself.
    shares = generator.binomial(len(hits), hits.mean(), size=RESAMPLES) / len(hits)
    return open_ended(*np.quantile(shares, _TAILS), n=len(hits))


def exceedance_interval(
    distances: NDArray[np.float64],
    reference: NDArray[np.float64],
    quantile: float,
    generator: np.random.Generator,
) -> tuple[float, float]:
    """The 95 % percentile interval of the share of distances beyond a quantile of the reference.

    Distances and reference are resampled, each by itself, so that the interval knows that the
    threshold was estimated too.

    Args:
        distances: (M,).
        reference: (N,).
        quantile: of the reference, 0 to 1.
        generator: of the resamples.
    """
    ordered_distances, ordered_reference = np.sort(distances), np.sort(reference)
    m, n = len(distances), len(reference)
    shares = np.empty(RESAMPLES)
    for draw in range(RESAMPLES):
        threshold = exceedance_threshold(ordered_reference[generator.integers(n, size=n)], quantile)
        beyond = m - np.searchsorted(ordered_distances, threshold, side="right")
        shares[draw] = generator.binomial(m, beyond / m) / m
    return open_ended(*np.quantile(shares, _TAILS), n=m)


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
    onto it, they say how it would vary between samples of this N; its own bias is in its null.

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
    n = len(values)
    medians = np.median(values[generator.integers(n, size=(RESAMPLES, n))], axis=1)
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
    n = len(above)
    ratios = np.empty(RESAMPLES)
    for draw in range(RESAMPLES):
        cases = generator.integers(n, size=n)
        ratios[draw] = above[cases].mean() / max(below[cases].mean(), np.finfo(np.float64).tiny)
    low, high = np.quantile(ratios, _TAILS)
    value = float(above.mean() / below.mean())
    return min(float(low), value), max(float(high), value)
