"""From a spot on the map to a code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from explorer.errors import LatentError
from explorer.latent.spots import NEIGHBOURS, SpotCodes


def grid(side=40):
    line = np.linspace(-1.0, 1.0, side)
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def test_a_linear_map_is_inverted():
    rng = np.random.default_rng(0)
    places, linear = grid(), rng.normal(size=(2, 7))
    spots = rng.uniform(-0.8, 0.8, size=(200, 2))
    found = SpotCodes(places @ linear, places).codes(spots)
    assert found.dtype == np.float32
    spacing = 2.0 / 39
    # A weighted mean of a linear function is off by the weights' own imbalance, well within one
    # spacing of the grid.
    assert (np.linalg.norm(found - spots @ linear, axis=1)).max() < 0.3 * spacing * np.linalg.norm(
        linear, 2
    )
    on_points = SpotCodes(places @ linear, places).codes(places[820:821])
    np.testing.assert_allclose(on_points[0], places[820] @ linear, atol=1e-5)


def test_a_path_over_the_map_has_no_jumps():
    rng = np.random.default_rng(1)
    places, codes = rng.normal(size=(500, 2)), rng.normal(size=(500, 6))
    found = SpotCodes(codes, places)

    def longest(steps):
        path = found.codes(np.linspace([-3.0, -2.0], [3.0, 2.5], steps))
        return np.linalg.norm(np.diff(path, axis=0), axis=1).max()

    # The longest step of a continuous path shrinks with the steps; a jump would stay.
    assert longest(40_000) < 0.15 * longest(2_000)
    assert longest(40_000) < 0.01


@given(
    places=arrays(np.float32, (40, 2), elements=st.floats(-5, 5, width=32)),
    spots=arrays(np.float32, (6, 2), elements=st.floats(-(2.0**126), 2.0**126, width=32)),
)
def test_a_code_lies_within_the_range_of_the_codes(places, spots):
    codes = np.random.default_rng(0).normal(size=(40, 3))
    found = SpotCodes(codes, places).codes(spots)
    assert found.shape == (6, 3)
    assert (found >= codes.min(axis=0) - 1e-5).all()
    assert (found <= codes.max(axis=0) + 1e-5).all()


def test_far_outside_it_is_the_mean_of_the_nearest():
    rng = np.random.default_rng(2)
    places = rng.normal(size=(300, 2))
    codes = places[:, :1] * np.ones(4)
    found = SpotCodes(codes, places).codes([[1e6, 0.0], [1e30, 0.0]])
    rightmost = np.sort(places[:, 0])[-NEIGHBOURS:]
    assert (found > rightmost[0]).all()
    assert (found < rightmost[-1]).all()


def test_points_that_coincide_give_the_mean_of_their_codes():
    codes = np.random.default_rng(3).normal(size=(NEIGHBOURS, 5))
    found = SpotCodes(codes, np.ones((NEIGHBOURS, 2))).codes([[1.0, 1.0], [2.0, 0.0]])
    np.testing.assert_allclose(found, np.tile(codes.mean(axis=0), (2, 1)), atol=1e-6)


def test_one_code_is_every_spots():
    found = SpotCodes([[1.0, 2.0, 3.0]], [[0.0, 0.0]]).codes([[0.0, 0.0], [5.0, 5.0]])
    np.testing.assert_array_equal(found, [[1.0, 2.0, 3.0]] * 2)


def test_few_codes_do():
    codes, places = np.eye(3), np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = SpotCodes(codes, places).codes(places)
    np.testing.assert_array_equal(found.argmax(axis=1), [0, 1, 2])


@pytest.mark.parametrize(
    ("codes", "places", "said"),
    [
        (np.zeros((3, 4)), np.zeros((2, 2)), "3 codes and 2 coordinates"),
        (np.zeros((3, 4)), np.zeros((3, 3)), "coordinates have 3 latent axes; 2"),
        (np.full((3, 2), np.nan), np.ones((3, 2)), "3 of 3 codes are not finite"),
    ],
)
def test_bad_maps_are_told(codes, places, said):
    with pytest.raises(LatentError, match=said):
        SpotCodes(codes, places)


@pytest.mark.parametrize("spots", [np.zeros((1, 3)), np.full((1, 2), np.inf), np.zeros(2)])
def test_bad_spots_are_told(spots):
    with pytest.raises(LatentError, match="spots"):
        SpotCodes(np.zeros((3, 4)), np.zeros((3, 2))).codes(spots)
