"""Intervals cover what they say they cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.regularity.bootstrap import (
    centred_interval,
    exceedance_interval,
    exceedance_threshold,
    mean_interval,
    share_interval,
)


def covered(intervals, truth):
    return np.mean([one.low <= truth <= one.high for one in intervals])


def test_mean_interval_covers_the_mean():
    streams = [np.random.default_rng(seed) for seed in range(150)]
    intervals = [mean_interval(stream.exponential(size=200), stream) for stream in streams]
    assert 0.88 <= covered(intervals, 1.0) <= 0.99


def test_share_interval_covers_the_share():
    streams = [np.random.default_rng(seed) for seed in range(300)]
    intervals = [share_interval(stream.random(300) < 0.2, stream) for stream in streams]
    assert 0.91 <= covered(intervals, 0.2) <= 0.99


def test_exceedance_interval_covers_the_null_share():
    streams = [np.random.default_rng(seed) for seed in range(150)]
    intervals = [
        exceedance_interval(
            stream.exponential(size=300), stream.exponential(size=300), 0.95, stream
        )
        for stream in streams
    ]
    assert 0.89 <= covered(intervals, 0.05) <= 1.0


@pytest.mark.parametrize("n", [20, 30, 200])
def test_a_further_draw_exceeds_the_threshold_once_in_twenty(n):
    stream = np.random.default_rng(0)
    exceeded = [
        stream.random() > exceedance_threshold(stream.random(n), 0.95) for _ in range(20_000)
    ]
    assert np.mean(exceeded) == pytest.approx(0.05, abs=0.006)


def test_none_among_thirty_is_not_none_at_all():
    stream = np.random.default_rng(0)
    found = share_interval(np.zeros(30, bool), stream)
    assert (found.low, found.high) == (0.0, pytest.approx(0.1157, abs=1e-4))
    found = share_interval(np.ones(30, bool), stream)
    assert (found.low, found.high) == (pytest.approx(0.8843, abs=1e-4), 1.0)


@settings(deadline=None)  # a thousand resamples each, beside whatever else runs
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    seed=st.integers(0, 10),
)
def test_an_interval_holds_its_figure(values, seed):
    array = np.array(values)
    found = mean_interval(array, np.random.default_rng(seed))
    assert found.low <= array.mean() <= found.high
    low, high = centred_interval(float(array[0]), array)
    assert low <= array[0] <= high


def test_the_same_stream_gives_the_same_interval():
    values = np.random.default_rng(0).normal(size=50)
    first, second = (mean_interval(values, np.random.default_rng(1)) for _ in range(2))
    assert (first.low, first.high, first.kept) == (second.low, second.high, second.kept)
    assert len(first.kept) == 200
