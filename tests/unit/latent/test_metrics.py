"""Exact neighbours by any metric, held against every pair's distance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from explorer.latent import metrics
from explorer.latent.metrics import METRICS, compared, neighbourhoods

SCIPY = {"manhattan": "cityblock"}


@pytest.mark.parametrize("metric", METRICS)
@given(n=st.integers(3, 60), dim=st.integers(3, 8), seed=st.integers(0, 10**6))
def test_neighbours_are_the_nearest_by_the_metric(metric, n, dim, seed):
    codes = np.random.default_rng(seed).normal(size=(n, dim)) + 0.3
    index, reach = neighbourhoods(compared(codes, metric), 3, metric)
    apart = cdist(codes, codes, SCIPY.get(metric, metric))
    np.testing.assert_allclose(reach, np.sort(apart, axis=1)[:, :3], atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(apart, index, axis=1), reach, atol=1e-5)
    np.testing.assert_array_equal(index[:, 0], np.arange(n))


@pytest.mark.parametrize("metric", METRICS)
def test_many_codes_are_searched_as_few_are_and_progress_grows_to_one(metric, monkeypatch):
    codes = compared(np.random.default_rng(0).normal(size=(300, 5)), metric)
    whole = neighbourhoods(codes, 10, metric)
    monkeypatch.setattr(metrics, "_CHUNK", 9000)
    monkeypatch.setattr("explorer.latent.neighbours._CHUNK", 9000)
    shares = []
    pieces = neighbourhoods(codes, 10, metric, shares.append)
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(shares, np.arange(1, 11) / 10)


@pytest.mark.parametrize(
    ("metric", "odd"), [("cosine", [0.0, 0.0, 0.0]), ("correlation", [0.7, 0.7, 0.7])]
)
def test_a_code_without_a_direction_is_as_far_as_one_at_a_right_angle(metric, odd):
    codes = np.concatenate([np.random.default_rng(0).normal(size=(20, 3)), [odd, odd]])
    points = compared(codes, metric)
    np.testing.assert_array_equal(points[-1], points[-2])
    _, reach = neighbourhoods(points[:-1], 21, metric)
    np.testing.assert_allclose(reach[-1, 1:], 1.0, atol=1e-6)


def test_directions_do_not_change_with_the_length_of_a_code():
    codes = np.random.default_rng(0).normal(size=(9, 4))
    for metric in ("cosine", "correlation"):
        np.testing.assert_allclose(
            compared(codes, metric), compared(codes * 1e20, metric), atol=1e-12
        )
