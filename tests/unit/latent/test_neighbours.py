"""Exact nearest codes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from explorer.errors import LatentError
from explorer.latent import neighbours
from explorer.latent.neighbours import nearest


def brute_force(queries, codes, exclude_self=False):
    distances = np.linalg.norm(queries[:, None].astype(float) - codes[None].astype(float), axis=2)
    if exclude_self:
        np.fill_diagonal(distances, np.inf)
    return distances


numbers = st.floats(-100, 100, width=32)


@given(
    queries=arrays(np.float32, (4, 3), elements=numbers),
    codes=arrays(np.float32, (9, 3), elements=numbers),
    k=st.integers(1, 9),
)
def test_agrees_with_brute_force(queries, codes, k):
    distances, index = nearest(queries, codes, k)
    all_distances = brute_force(queries, codes)
    np.testing.assert_allclose(
        distances, np.sort(all_distances, axis=1)[:, :k], rtol=1e-5, atol=1e-5
    )
    # Below float32's least normal number a distance has few digits left to agree in.
    np.testing.assert_allclose(
        distances,
        np.take_along_axis(all_distances, index, axis=1),
        rtol=1e-5,
        atol=np.finfo(np.float32).tiny,
    )
    assert all(len(set(row)) == k for row in index.tolist())
    assert (np.diff(distances, axis=1) >= 0.0).all()


@given(arrays(np.float32, (8, 2), elements=numbers))
def test_no_code_is_its_own_neighbour_even_among_duplicates(codes):
    distances, index = nearest(codes, codes, 7, exclude_self=True)
    assert (index != np.arange(8)[:, None]).all()
    expected = np.sort(brute_force(codes, codes, exclude_self=True), axis=1)[:, :7]
    np.testing.assert_allclose(distances, expected, rtol=1e-5, atol=1e-5)


def test_chunks_give_what_one_piece_gives(monkeypatch):
    codes = np.random.default_rng(0).normal(size=(300, 5))
    whole = nearest(codes, codes, 4, exclude_self=True)
    monkeypatch.setattr(neighbours, "_CHUNK", 300 * 7)
    pieces = nearest(codes, codes, 4, exclude_self=True)
    np.testing.assert_array_equal(whole[0], pieces[0])
    np.testing.assert_array_equal(whole[1], pieces[1])


def test_equal_distances_stand_in_the_order_of_their_index():
    _, index = nearest(np.zeros((1, 2)), [[0, 1], [1, 0], [0, -1], [0, 0]], 4)
    assert index.tolist() == [[3, 0, 1, 2]]


def test_small_distances_far_from_the_origin_keep_their_digits():
    codes = (np.arange(6.0)[:, None] * 1e-3 + 1e4) * np.ones(16)
    distances, index = nearest(codes[:1], codes, 3)
    assert index.tolist() == [[0, 1, 2]]
    np.testing.assert_allclose(distances[0], [0.0, 4e-3, 8e-3], rtol=1e-6)


def test_types():
    distances, index = nearest(np.zeros((2, 1), np.float32), np.ones((3, 1), np.float32), 2)
    assert distances.dtype == np.float32
    assert index.dtype == np.int64
    assert distances.shape == index.shape == (2, 2)


@pytest.mark.parametrize(
    ("queries", "codes", "k", "exclude_self", "said"),
    [
        (np.zeros((2, 3)), np.zeros((5, 3)), 6, False, "5 codes allow 1 to 5"),
        (np.zeros((5, 3)), np.zeros((5, 3)), 5, True, "5 codes allow 1 to 4"),
        (np.zeros((2, 3)), np.zeros((5, 3)), 0, False, "0 neighbours"),
        (np.zeros((2, 3)), np.zeros((5, 3)), 1, True, "2 queries and 5 codes"),
        (np.zeros((2, 2)), np.zeros((5, 3)), 1, False, "queries have 2 latent axes; 3"),
        (np.full((2, 3), np.nan), np.zeros((5, 3)), 1, False, "2 of 2 queries are not finite"),
        (np.zeros((2, 3)), np.full((5, 3), np.inf), 1, False, "5 of 5 codes are not finite"),
        (np.zeros((2, 3)), np.full((5, 3), 1e39), 1, False, "beyond float32"),
    ],
)
def test_bad_questions_are_told(queries, codes, k, exclude_self, said):
    with pytest.raises(LatentError, match=said):
        nearest(queries, codes, k, exclude_self=exclude_self)
