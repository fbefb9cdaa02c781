"""The interval of a difference, where the answer is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.regularity.definitions import HIGHER, LOWER, NEAR_IDEAL
from explorer.regularity.difference import (
    Interval,
    compare_estimates,
    compare_trainings,
    holm,
    mover,
    training_interval,
)
from tests.unit.regularity.reports import estimate, resampled

KEYS = {HIGHER: "knn_accuracy", LOWER: "reconstruction_mse", NEAR_IDEAL: "hole_rate"}
SHARES = st.floats(0, 1).map(lambda value: round(value, 4))


@st.composite
def intervals(draw):
    low, value, high = sorted(draw(st.tuples(SHARES, SHARES, SHARES)))
    return value, low, high


@given(intervals(), intervals(), st.floats(-1, 1))
def test_exchanging_the_two_turns_the_interval_about_zero(one, other, correlation):
    first, second = Interval(*one), Interval(*other)
    there = mover(first, second, correlation)
    back = mover(second, first, correlation)
    assert (there.value, there.low, there.high) == pytest.approx(
        (-back.value, -back.high, -back.low)
    )
    assert there.p == pytest.approx(back.p)
    assert there.low <= there.value <= there.high
    # The level at which the interval ends at 0 is the p-value.
    if abs(there.p - 0.05) > 1e-6:
        assert there.holds_zero == (there.p > 0.05)


@pytest.mark.parametrize("key", KEYS.values())
@given(intervals(), intervals())
def test_estimates_compare_the_same_way_round_for_every_direction(key, one, other):
    first, second = (estimate(key, value, low=low, high=high) for value, low, high in (one, other))
    there, back = compare_estimates(first, second), compare_estimates(second, first)
    assert there.value == pytest.approx(-back.value)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    same = compare_estimates(first, first)
    assert (same.value, same.holds_zero) == (0.0, True)


def test_symmetric_intervals_give_the_textbook_difference():
    found = mover(Interval(5.0, 4.0, 6.0), Interval(2.0, 1.0, 3.0), 0.5)
    assert found.high - found.value == pytest.approx(1.0)  # sqrt(1 + 1 - 2 * 0.5)
    assert found.p == pytest.approx(math.erfc(3 * 1.959964 / math.sqrt(2)))


def test_the_interval_of_a_paired_difference_covers_it_and_is_narrower():
    rng = np.random.default_rng(0)
    covered, paired, alone = 0, [], []
    for _ in range(300):
        shared, own, other = rng.standard_normal((3, 400)) * [[1.0], [0.3], [0.3]]
        ends = 0.5 + 0.1 * (shared + own), 0.52 + 0.1 * (shared + other)
        rows = rng.integers(400, size=(200, 400))
        pair = []
        for values in ends:
            resamples = values[rows].mean(axis=1)
            low, high = np.quantile(resamples, [0.025, 0.975])
            value = float(values.mean())
            pair.append(
                estimate(
                    "knn_accuracy", value, low=min(low, value), high=max(high, value), n=400,
                    resamples=tuple(resamples.tolist()),
                )
            )  # fmt: skip
        found = compare_estimates(pair[1], pair[0])
        covered += found.low <= 0.02 <= found.high
        paired.append(found.high - found.low)
        loose = compare_estimates(pair[1], pair[0], same_images=False)
        alone.append(loose.high - loose.low)
    assert 0.91 <= covered / 300 <= 0.985
    assert np.mean(paired) < 0.6 * np.mean(alone)


def test_other_images_seeds_or_numbers_are_not_paired():
    noise = np.random.default_rng(1).standard_normal(200)
    one, other = (resampled(estimate("knn_accuracy", value), noise, 0.01) for value in (0.8, 0.81))
    assert compare_estimates(one, other).correlation == pytest.approx(1.0)
    assert compare_estimates(one, other, same_images=False).correlation == 0
    assert compare_estimates(one, replace(other, seed=1)).correlation == 0
    assert compare_estimates(one, replace(other, n=999)).correlation == 0
    assert compare_estimates(one, replace(other, resamples=())).correlation == 0


@pytest.mark.parametrize(
    ("one", "other", "better"),
    [
        ((0.10, 0.087, 0.107), (0.0, 0.0, 0.0004), 0),  # as far on the other side
        ((0.036, 0.030, 0.043), (0.057, 0.051, 0.063), 0),
        ((0.052, 0.048, 0.056), (0.029, 0.026, 0.032), 1),
        ((0.29, 0.24, 0.35), (0.09, 0.06, 0.13), -1),
    ],
)
def test_near_the_ideal_it_is_the_distance_from_it_that_counts(one, other, better):
    pair = [estimate("escape_rate", value, low=low, high=high) for value, low, high in (one, other)]
    found = compare_estimates(*pair)
    assert (0 if found.holds_zero else math.copysign(1, found.value)) == better


def test_beyond_the_ideal_value_counts_as_the_ideal_value():
    found = compare_estimates(
        estimate("coverage_ratio", 1.6, 0.1), estimate("coverage_ratio", 1.0, 0.01)
    )
    assert found.value == 0
    assert found.holds_zero


def test_what_cannot_be_judged_is_not():
    assert compare_estimates(estimate("active_units", 3.0), estimate("active_units", 5.0)) is None
    bare = replace(estimate("knn_accuracy", 0.5), low=None, high=None)
    assert compare_estimates(bare, estimate("knn_accuracy", 0.9)) is None
    fixed = estimate("prior_match", 0.0, 0.0, column="scale-fair")
    assert compare_estimates(fixed, fixed) is None


def test_trainings_are_compared_by_welchs_test():
    found = compare_trainings([0.9, 0.92, 0.91], [0.7, 0.74, 0.72], direction=HIGHER, ideal=1.0)
    # scipy.stats.ttest_ind(..., equal_var=False).confidence_interval()
    assert found.value == pytest.approx(0.19)
    assert (found.low, found.high) == pytest.approx((0.148446, 0.231554), abs=1e-5)
    assert found.p < 0.01
    same = compare_trainings([0.9, 0.9, 0.9], [0.9, 0.9, 0.9], direction=HIGHER, ideal=None)
    assert same.holds_zero


def test_the_interval_over_trainings_is_students():
    found = training_interval([1.0, 2.0, 3.0])
    assert (found.value, found.high - found.value) == pytest.approx((2.0, 4.302653 / math.sqrt(3)))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_only_ever_raises_p_values_and_keeps_their_order(values):
    adjusted = holm(values)
    assert all(after >= before for before, after in zip(values, adjusted, strict=True))
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
