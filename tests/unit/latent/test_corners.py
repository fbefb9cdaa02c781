import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import LatentError
from explorer.latent.corners import (
    arc_weights,
    blend,
    corner_grid,
    corner_places,
    corner_weights,
    route,
)
from explorer.latent.interpolation import lerp, slerp

COUNTS = st.integers(2, 5)


@settings(deadline=None)
@given(count=COUNTS, seed=st.integers(0, 10_000))
def test_weights_are_shares_that_give_the_spot_back(count, seed):
    corners = corner_places(count)
    inside = np.random.default_rng(seed).dirichlet(np.ones(count) * 0.4, 50) @ corners
    weights = corner_weights(count, inside)
    assert weights.shape == (50, count)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights @ corners, inside, atol=1e-9)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_a_corner_is_itself_and_an_edge_is_between_its_two(count):
    corners = corner_places(count)
    np.testing.assert_allclose(corner_weights(count, corners), np.eye(count), atol=1e-9)
    middle = (corners[0] + corners[1]) / 2
    expected = np.zeros(count)
    expected[:2] = 0.5
    np.testing.assert_allclose(corner_weights(count, [middle])[0], expected, atol=1e-9)
    centre = corner_weights(count, [corners.mean(axis=0)])[0]
    np.testing.assert_allclose(centre, 1 / count)


@settings(deadline=None)
@given(
    count=COUNTS,
    spot=st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
)
def test_a_spot_anywhere_gets_shares_of_a_place_inside(count, spot):
    weights = corner_weights(count, [spot])[0]
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)


def test_weights_move_smoothly_over_an_edge():
    corners = corner_places(5)
    middle = corners[[1, 2]].mean(axis=0)
    outward = middle - 0.5
    near = corner_weights(5, middle + np.array([[-1e-4], [0], [1e-4]]) * outward)
    assert np.abs(np.diff(near, axis=0)).max() < 1e-3


def test_four_corners_are_bilinear():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((4, 6))
    x, y = 0.3, 0.8
    lower = (1 - x) * codes[0] + x * codes[1]
    upper = (1 - x) * codes[3] + x * codes[2]
    found = blend(codes, corner_weights(4, [(x, y)]))
    np.testing.assert_allclose(found[0], (1 - y) * lower + y * upper, rtol=1e-6)


def test_arithmetic_is_a_blend():
    a, b, c = np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32)
    np.testing.assert_allclose(blend([a, b, c], [1, -1, 1]), a - b + c, rtol=1e-5)
    np.testing.assert_array_equal(blend([a, b, c], [1, -1, 0]), blend([a, b, c], [[1, -1, 0]])[0])


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_a_grid_knows_what_lies_inside(count):
    spots, inside = corner_grid(count, 9)
    assert len(spots) == (9 if count == 2 else 81)
    assert inside.all() == (count in (2, 4))
    assert inside.any()
    moved = corner_weights(count, spots[inside]) @ corner_places(count)
    np.testing.assert_allclose(moved, spots[inside], atol=1e-8)
    assert spots[0, 1] == (0.5 if count == 2 else 1.0)  # from the top


@settings(deadline=None)
@given(
    count=st.integers(2, 5),
    steps=st.integers(2, 6),
    how=st.sampled_from(["lerp", "slerp"]),
    closed=st.booleans(),
)
def test_a_route_passes_every_code_once(count, steps, how, closed):
    codes = np.random.default_rng(count).standard_normal((count, 4)).astype(np.float32)
    path = route(codes, steps, how=how, closed=closed)
    legs = count if closed else count - 1
    assert path.shape == (legs * (steps - 1) + 1, 4)
    stops = path[:: steps - 1]
    np.testing.assert_array_equal(stops[:count], codes)
    if closed:
        np.testing.assert_array_equal(stops[-1], codes[0])
    way = lerp if how == "lerp" else slerp
    np.testing.assert_array_equal(path[:steps], way(codes[0], codes[1], steps))


def test_what_has_no_plane_and_no_path_is_told():
    with pytest.raises(LatentError, match="6 corners were given; 2 to 5"):
        corner_places(6)
    with pytest.raises(LatentError, match="1 spots a side"):
        corner_grid(3, 1)
    with pytest.raises(LatentError, match="at least 2 codes"):
        route(np.zeros((1, 2)), 3)
    with pytest.raises(LatentError, match="lerp and slerp are"):
        route(np.zeros((2, 2)), 3, how="wiggle")
    with pytest.raises(LatentError, match="weights have 2"):
        blend(np.zeros((3, 2)), [1, 1])


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), dim=st.integers(2, 16))
def test_of_two_corners_arcs_are_slerp(seed, dim):
    corners = np.random.default_rng(seed).normal(size=(2, dim))
    share = np.linspace(0, 1, 7)
    arcs = arc_weights(corners, np.stack([1 - share, share], axis=1))
    np.testing.assert_allclose(
        blend(corners, arcs), slerp(corners[0], corners[1], 7), rtol=1e-4, atol=1e-4
    )


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 5))
def test_arcs_between_corners_of_one_norm_keep_that_norm(seed, count):
    generator = np.random.default_rng(seed)
    # About one side of the sphere, where a mean direction is defined.
    corners = generator.normal(size=(count, 8)) + 2
    corners *= 3 / np.linalg.norm(corners, axis=1, keepdims=True)
    weights = generator.dirichlet(np.ones(count), 20)
    mixed = blend(corners, arc_weights(corners, weights))
    np.testing.assert_allclose(np.linalg.norm(mixed, axis=1), 3, rtol=1e-5)
    assert (np.linalg.norm(blend(corners, weights), axis=1) < 3 + 1e-5).all()


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_arcs_end_at_the_corners(count):
    corners = np.random.default_rng(count).normal(size=(count, 4))
    np.testing.assert_allclose(arc_weights(corners, np.eye(count)), np.eye(count), atol=1e-9)


@pytest.mark.parametrize("corners", [[[0.0, 0.0], [1.0, 2.0]], [[1.0, 0.0], [-1.0, 0.0]]])
def test_where_no_mean_direction_is_the_mixture_is_straight(corners):
    np.testing.assert_array_equal(arc_weights(corners, [[0.5, 0.5]]), [[0.5, 0.5]])
