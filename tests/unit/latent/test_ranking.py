"""The nearest codes, fast, are the nearest codes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.latent import ranking
from explorer.latent.neighbours import nearest
from explorer.latent.ranking import Ranking, smallest


@given(n=st.integers(1, 700), dim=st.integers(1, 6), seed=st.integers(0, 10**6), data=st.data())
def test_it_finds_what_the_exact_search_finds(n, dim, seed, data):
    rng = np.random.default_rng(seed)
    codes, queries = rng.normal(size=(n, dim)) + 50.0, rng.normal(size=(5, dim)) + 50.0
    k = data.draw(st.integers(1, min(n, 40)))
    found = Ranking(codes).nearest_rows(queries, k)
    np.testing.assert_array_equal(np.sort(found), np.sort(nearest(queries, codes, k)[1]))


def test_a_row_may_be_left_out():
    codes = np.random.default_rng(0).normal(size=(300, 3))
    own = np.arange(300)
    own[::2] = -1
    found = Ranking(codes).nearest_rows(codes, 1, own=own)[:, 0]
    _, others = nearest(codes, codes, 1, exclude_self=True)
    np.testing.assert_array_equal(found, np.where(own < 0, np.arange(300), others[:, 0]))


def test_many_queries_are_answered_as_each_alone(monkeypatch):
    rng = np.random.default_rng(1)
    codes, queries = rng.normal(size=(100, 4)), rng.normal(size=(23, 4))
    whole = Ranking(codes).nearest_rows(queries, 7)
    monkeypatch.setattr(ranking, "_CHUNK", 300)
    np.testing.assert_array_equal(Ranking(codes).nearest_rows(queries, 7), whole)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_neither_small_nor_large_codes_are_lost(scale):
    codes = np.random.default_rng(0).normal(size=(200, 3)) * scale
    found = Ranking(codes).nearest_rows(codes[:50], 1)[:, 0]
    np.testing.assert_array_equal(found, np.arange(50))


@given(n=st.integers(1, 700), seed=st.integers(0, 10**6), data=st.data())
def test_the_smallest_values_are_found_whatever_ties_there_are(n, seed, data):
    values = np.random.default_rng(seed).integers(0, 9, (4, n)).astype(float)
    k = data.draw(st.integers(1, n))
    columns = smallest(values, k)
    assert all(len(set(row)) == k for row in columns.tolist())
    found = np.sort(np.take_along_axis(values, columns, axis=1), axis=1)
    np.testing.assert_array_equal(found, np.sort(values, axis=1)[:, :k])
