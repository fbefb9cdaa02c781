"""Whether two estimates differ: the interval of their difference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from explorer.regularity.definitions import DESCRIBES, HIGHER, LOWER, NEAR_IDEAL
from explorer.regularity.estimate import Estimate

LEVEL = 0.05
_Z = 1.959963984540054  # half of a 95 % interval in standard errors
FEWEST_TRAININGS = 3


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How much better one model is than another in a metric.

    Attributes:
        value: positive where the first is the better one, in the unit of the metric; of distances
            from the ideal value where near that is better.
        low, high: its 95 % interval.
        p: two-sided p-value, of one comparison.
        correlation: of the two estimates, 0 where they were not paired.
    """

    value: float
    low: float
    high: float
    p: float
    correlation: float = 0.0

    @property
    def holds_zero(self) -> bool:
        """Whether the interval allows no difference at all."""
        return self.low <= 0.0 <= self.high


def compare_estimates(
    first: Estimate, second: Estimate, *, same_images: bool = True
) -> Difference | None:
    """The difference of two estimates of one metric, with the interval of the difference.

    Each interval's own margins are combined (MOVER), with the correlation of the resamples where
    the two were measured on the same images with the same seed. Where near the ideal value is
    better, distances from it are compared; elsewhere a value beyond its ideal counts as the ideal.

    Args:
        first: the one.
        second: the other, of the same key.
        same_images: whether both were measured on the same images.

    Returns:
        None where neither side is better, where a value holds by construction, or where an
        interval is missing.

    Source: Zou & Donner 2008, Statistics in Medicine 27, 1693-1702, equation 5 with correlation
    as in Zou 2007, Psychological Methods 12, 399-413.
    """
    if first.key != second.key or first.fixed or second.fixed:
        return None
    good = _good(first), _good(second)
    if good[0] is None or good[1] is None:
        return None
    return mover(good[0], good[1], _correlation(first, second) if same_images else 0.0)


def mover(first: Interval, second: Interval, correlation: float = 0.0) -> Difference:
    """The interval of a difference from those of its two parts, which need not be symmetric.

    Args:
        first: with its interval; the more, the better.
        second: what is taken from it.
        correlation: of the two values, -1 to 1.

    Source: see `compare_estimates`.
    """
    value = first.value - second.value
    down = _margin(first.value - first.low, second.high - second.value, correlation)
    up = _margin(first.high - first.value, second.value - second.low, correlation)
    # The interval is scaled until its end meets 0: the level at which it does is the p-value.
    margin = down if value > 0 else up
    if value == 0.0:
        p = 1.0
    else:
        p = math.erfc(_Z * abs(value) / margin / math.sqrt(2.0)) if margin > 0 else 0.0
    return Difference(value, value - down, value + up, p, correlation)


def compare_trainings(
    first: Sequence[float], second: Sequence[float], *, direction: str, ideal: float | None
) -> Difference:
    """The difference of the means of two sets of trainings, each with a seed of its own.

    Args:
        first: the value of each training, at least two.
        second: of each training of the other.
        direction: of the metric, one that has a better side.
        ideal: as in `compare_estimates`.

    Source: Welch 1947, Biometrika 34.
    """
    from scipy.special import stdtr, stdtrit

    good = [
        np.array([_goodness(value, direction, ideal) for value in values])
        for values in (first, second)
    ]
    value = float(good[0].mean() - good[1].mean())
    parts = [float(values.var(ddof=1)) / len(values) for values in good]
    error = math.sqrt(sum(parts))
    if error <= 1e-12 * max(float(np.abs(values).max()) for values in good):
        return Difference(value, value, value, 1.0 if value == 0.0 else 0.0)
    freedom = error**4 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, good, strict=True)
    )
    margin = float(stdtrit(freedom, 1 - LEVEL / 2)) * error
    p = 2.0 * float(stdtr(freedom, -abs(value) / error))
    return Difference(value, value - margin, value + margin, p)


def training_interval(values: Sequence[float]) -> Interval:
    """The mean over trainings with its 95 % t interval.

    Args:
        values: of each training, at least two.

    Source: Student 1908.
    """
    from scipy.special import stdtrit

    found = np.array(values, dtype=np.float64)
    count = len(found)
    margin = float(stdtrit(count - 1, 1 - LEVEL / 2)) * float(found.std(ddof=1)) / math.sqrt(count)
    mean = float(found.mean())
    return Interval(mean, mean - margin, mean + margin)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number: below 0.05, all such claims together err with 5 %.

    Source: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    worst = 0.0
    for rank, place in enumerate(order.tolist()):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = worst
    return adjusted


def beats_chance(interval: Interval | None, estimate: Estimate) -> bool:
    """Whether all of an interval is better than the chance level; True where there is none."""
    if estimate.chance is None:
        return True
    if interval is None:
        return False
    if estimate.definition.direction == HIGHER:
        return interval.low > estimate.chance
    if estimate.definition.direction == LOWER:
        return interval.high < estimate.chance
    if estimate.ideal is None:
        return False
    distance = fold(interval, estimate.ideal)
    return distance.high < abs(estimate.chance - estimate.ideal)


def interval_of(estimate: Estimate) -> Interval | None:
    """The estimate's own interval; None where it has none."""
    if estimate.low is None or estimate.high is None:
        return None
    return Interval(estimate.value, estimate.low, estimate.high)


def fold(interval: Interval, ideal: float) -> Interval:
    """An interval as distances from an ideal value."""
    ends = abs(interval.low - ideal), abs(interval.high - ideal)
    within = interval.low <= ideal <= interval.high
    return Interval(abs(interval.value - ideal), 0.0 if within else min(ends), max(ends))


def _good(estimate: Estimate) -> Interval | None:
    """The interval on a scale on which more is better; None where neither side is."""
    interval, direction = interval_of(estimate), estimate.definition.direction
    if interval is None or direction == DESCRIBES:
        return None
    if direction == NEAR_IDEAL:
        if estimate.ideal is None:
            return None
        far = fold(interval, estimate.ideal)
        return Interval(-far.value, -far.high, -far.low)
    ends = sorted(
        _goodness(value, direction, estimate.ideal) for value in (interval.low, interval.high)
    )
    return Interval(_goodness(interval.value, direction, estimate.ideal), *ends)


def _goodness(value: float, direction: str, ideal: float | None) -> float:
    if direction == HIGHER:
        return value if ideal is None else min(value, ideal)
    if direction == LOWER:
        return -value if ideal is None else -max(value, ideal)
    assert ideal is not None
    return -abs(value - ideal)


def _correlation(first: Estimate, second: Estimate) -> float:
    """Of the two estimates, from resamples of the same images; 0 where they are none."""
    same = (first.n, first.seed) == (second.n, second.seed)
    count = len(first.resamples)
    if not same or count < FEWEST_TRAININGS or count != len(second.resamples):
        return 0.0
    pairs = np.array(
        [
            [_goodness(value, one.definition.direction, one.ideal) for value in one.resamples]
            for one in (first, second)
        ]
    )
    spread = pairs.std(axis=1)
    if not spread.min() > 1e-9 * max(1e-300, float(np.abs(pairs).max())):
        return 0.0
    return float(np.clip(np.corrcoef(pairs)[0, 1], -1.0, 1.0))


def _margin(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one**2 + other**2 - 2.0 * correlation * one * other))
