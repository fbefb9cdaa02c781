"""From a spot on the map to a code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from explorer.errors import LatentError
from explorer.latent.projection import load_projection
from explorer.latent.spots import EMPTY_QUANTILE, NEIGHBOURS, SpotCodes
from explorer.models.checkpoint import PROJECTION, load_config, load_encodings
from explorer.models.library import SHIPPED


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


def test_at_the_edge_of_a_map_a_code_is_not_drawn_to_the_middle():
    places, linear = grid(), np.random.default_rng(0).normal(size=(2, 7))
    edge = np.column_stack([np.ones(50), np.linspace(-0.8, 0.8, 50)])
    missed = SpotCodes(places @ linear, places).codes(edge) - edge @ linear
    spacing = 2.0 / 39
    # The weighted mean of the points, which all lie to one side, is off by more than a spacing.
    assert np.linalg.norm(missed, axis=1).max() < 0.4 * spacing * np.linalg.norm(linear, 2)


def clusters(seed, count=300):
    """Six round clusters, ten standard deviations or more apart."""
    rng = np.random.default_rng(seed)
    middles = np.array([[0.0, 0], [10, 0], [0, 12], [11, 11], [22, 0], [21, 12]])
    return (middles[:, None] + rng.normal(size=(6, count, 2))).reshape(-1, 2)


def empties(found, positions):
    return np.array([found.support(one).empty for one in positions])


def test_empty_land_of_a_map_is_said_to_be_empty_and_its_points_are_not():
    places = clusters(0)
    found = SpotCodes(np.zeros((len(places), 4)), places)
    assert not empties(found, places).any()
    # Of further draws from the same clusters fewer than the quantile leaves: it is of five others.
    assert empties(found, clusters(1, 500)).mean() < 1 - EMPTY_QUANTILE
    middles = clusters(2, 500) / 2.0 + clusters(0, 500) / 2.0  # half as wide
    assert empties(found, middles).mean() < 0.001
    rng = np.random.default_rng(2)
    positions = rng.uniform(places.min(axis=0), places.max(axis=0), (1500, 2))
    to_points = np.linalg.norm(positions[:, None] - places, axis=2).min(axis=1)
    assert empties(found, positions[to_points > 1.5]).all()
    assert 0.5 < empties(found, positions).mean() < 0.9


def test_the_empty_sea_of_a_shipped_map_is_said_to_be_empty():
    folder = SHIPPED / "mnist-vae-16"
    codes = load_encodings(folder, load_config(folder)).mean
    places = load_projection(folder / PROJECTION).coordinates
    found = SpotCodes(codes, places)
    rng = np.random.default_rng(0)
    positions = rng.uniform(places.min(axis=0), places.max(axis=0), (1500, 2))
    # Its ten clusters cover about an eighth of the map.
    assert 0.82 < empties(found, positions).mean() < 0.9
    assert not empties(found, places[::20]).any()
    # A pixel or two beside an image, of a map 450 pixels high, is not empty land.
    beside = places[::20] + rng.normal(size=places[::20].shape) * 2 * np.ptp(places[:, 1]) / 450
    assert empties(found, beside).mean() < 0.02


def test_what_is_blended_at_a_position_is_named_with_its_weights():
    places = clusters(0)
    found = SpotCodes(np.zeros((len(places), 4)), places)
    between = found.support([5.0, 0.1])
    assert between.distance == pytest.approx(
        np.linalg.norm(places - [5.0, 0.1], axis=1).min(), rel=1e-9
    )
    assert len(between.rows) == len(between.weights) == NEIGHBOURS
    assert between.weights.sum() == pytest.approx(1.0)
    assert (np.diff(between.weights) <= 1e-12).all()  # the nearest count most
    assert set(between.rows // 300) == {0, 1}  # of the two clusters to either side
    assert set(found.support([0.0, 0.0]).rows // 300) == {0}


def test_points_that_coincide_leave_all_else_empty_and_too_few_leave_it_unknown():
    codes = np.zeros((6, 3))
    copies = SpotCodes(codes, np.ones((6, 2)))
    assert not copies.support([1.0, 1.0]).empty
    assert copies.support([1.0, 1.1]).empty
    for few in range(1, 6):
        alone = SpotCodes(codes[:few], np.ones((few, 2))).support([50.0, 0.0])
        assert not alone.empty
        assert alone.usual == np.inf


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
def test_a_code_lies_within_the_range_of_the_codes_or_a_third_of_it_beyond(places, spots):
    codes = np.random.default_rng(0).normal(size=(40, 3))
    found = SpotCodes(codes, places).codes(spots)
    assert found.shape == (6, 3)
    beyond = np.ptp(codes, axis=0) / 3.0 + 1e-5
    assert (found >= codes.min(axis=0) - beyond).all()
    assert (found <= codes.max(axis=0) + beyond).all()


def test_far_outside_it_stays_near_the_codes_of_the_nearest():
    rng = np.random.default_rng(2)
    places = rng.normal(size=(300, 2))
    codes = places[:, :1] * np.ones(4)
    found = SpotCodes(codes, places).codes([[1e6, 0.0], [1e30, 0.0]])
    rightmost = np.sort(places[:, 0])[-NEIGHBOURS:]
    spread = rightmost[-1] - rightmost[0]
    assert (found > rightmost[0]).all()
    assert (found < rightmost[-1] + spread / 3.0).all()


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


@pytest.mark.parametrize("position", [np.zeros(3), np.full(2, np.nan)])
def test_bad_positions_are_told(position):
    with pytest.raises(LatentError, match="positions"):
        SpotCodes(np.zeros((3, 4)), np.zeros((3, 2))).support(position)
