"""Turning one map onto another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.errors import LatentError
from explorer.latent.alignment import align


def turned(places, seed):
    """The places behind a random rotation (half of them mirrored too) and a shift."""
    rng = np.random.default_rng(seed)
    frame, _ = np.linalg.qr(rng.normal(size=(places.shape[1], places.shape[1])))
    return places @ frame + rng.normal(size=places.shape[1]) * 5.0


def spaced(places):
    return np.linalg.norm(places[:, None] - places[None], axis=2)


@given(n=st.integers(4, 40), dims=st.sampled_from([2, 3]), seed=st.integers(0, 10**6))
def test_a_rotation_mirroring_and_shift_is_undone(n, dims, seed):
    places = np.random.default_rng(seed).normal(size=(n, dims))
    found = align(turned(places, seed + 1), places)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, places, atol=1e-4)


@given(dims=st.sampled_from([2, 3]), onto=st.sampled_from([1, 2, 3, 5]), seed=st.integers(0, 999))
def test_distances_stay_and_the_centres_meet(dims, onto, seed):
    rng = np.random.default_rng(seed)
    places, target = rng.normal(size=(20, dims)) * 3.0, rng.normal(size=(20, onto)) + 8.0
    found = align(places, target)
    assert found.shape == (20, dims)
    np.testing.assert_allclose(spaced(found), spaced(places), atol=1e-4)
    centre = np.pad(target.mean(axis=0), (0, 3))[:dims]
    np.testing.assert_allclose(found.mean(axis=0), centre, atol=1e-4)


def test_nothing_is_scaled():
    places = np.random.default_rng(0).normal(size=(30, 2))
    np.testing.assert_allclose(
        align(turned(places, 1), 10.0 * places), places + 9.0 * places.mean(axis=0), atol=1e-4
    )


def test_a_3d_map_stands_over_the_flat_one():
    places = np.random.default_rng(0).normal(size=(30, 3)) * [5.0, 3.0, 0.5]
    found = align(turned(places, 1), places[:, :2])
    np.testing.assert_allclose(np.abs(found[:, :2] - places[:, :2]).max(), 0.0, atol=0.5)


def test_an_axis_that_the_other_map_lacks_is_not_mirrored():
    flat = np.random.default_rng(0).normal(size=(30, 2))
    solid = np.column_stack([flat, flat[:, 0] ** 2])
    np.testing.assert_allclose(
        align(solid, flat) - align(solid, flat).mean(axis=0),
        align(solid, np.pad(flat, ((0, 0), (0, 1)))) - align(solid, flat).mean(axis=0),
    )
    quarter = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = align(flat @ quarter[:2] + [0.0, 0.0, 0.0], flat)
    np.testing.assert_allclose(found, np.pad(flat, ((0, 0), (0, 1))), atol=1e-5)


def test_a_flat_map_lies_in_the_first_two_axes_of_a_solid_one():
    solid = np.random.default_rng(0).normal(size=(30, 3))
    np.testing.assert_allclose(align(turned(solid[:, :2], 1), solid), solid[:, :2], atol=1e-4)


@pytest.mark.parametrize(
    ("places", "onto"),
    [
        (np.full((5, 2), 3.0), np.arange(10.0).reshape(5, 2)),
        (np.arange(10.0).reshape(5, 2), np.full((5, 2), 3.0)),
        (np.array([[4.0, 4.0]]), np.array([[1.0, 2.0]])),
    ],
)
def test_what_cannot_be_compared_is_moved_alone(places, onto):
    np.testing.assert_allclose(align(places, onto), places - places.mean(0) + onto.mean(0))


def test_a_line_turns_onto_a_line():
    line = np.arange(6.0)[:, None]
    np.testing.assert_allclose(
        align(line * [0.6, 0.8], line * [1.0, 0.0]), line * [1.0, 0.0], atol=1e-5
    )


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_a_map_does_not_matter(scale):
    places = np.random.default_rng(0).normal(size=(30, 2))
    np.testing.assert_allclose(
        align(turned(places, 1) * scale, places * scale) / scale, places, atol=1e-4
    )


def test_bad_places_are_told():
    with pytest.raises(LatentError, match="3 places cannot be aligned with 2"):
        align(np.zeros((3, 2)), np.zeros((2, 2)))
    with pytest.raises(LatentError, match="1 of 1 places are not finite"):
        align([[np.nan, 0.0]], [[0.0, 0.0]])
