"""Placing codes on the map."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from explorer.errors import LatentError
from explorer.latent.neighbours import nearest
from explorer.latent.placement import NEIGHBOURS, Placement


def in_hull(point, places, slack):
    """In every direction, the point is no farther out than the farthest of the places."""
    angles = np.linspace(0.0, 2.0 * np.pi, 72, endpoint=False)
    directions = np.column_stack([np.cos(angles), np.sin(angles)])
    return ((directions @ point) <= (directions @ places.T).max(axis=1) + slack).all()


numbers = st.floats(-50, 50, width=32)


@given(
    codes=arrays(np.float32, (20, 3), elements=numbers),
    coordinates=arrays(np.float32, (20, 2), elements=numbers),
    latents=arrays(np.float32, (4, 3), elements=numbers),
)
def test_a_place_lies_within_the_hull_of_all_places(codes, coordinates, latents):
    placed = Placement(codes, coordinates, exact=False).place(latents)
    assert placed.shape == (4, 2)
    assert placed.dtype == np.float32
    assert all(in_hull(point, coordinates, 1e-3) for point in placed.astype(float))


def test_a_place_lies_within_the_hull_of_its_neighbours_places():
    rng = np.random.default_rng(0)
    codes, coordinates = rng.normal(size=(400, 6)), rng.normal(size=(400, 2))
    latents = rng.normal(size=(50, 6))
    placed = Placement(codes, coordinates, exact=False).place(latents)
    _, index = nearest(latents, codes, NEIGHBOURS)
    for point, near in zip(placed.astype(float), index, strict=True):
        assert in_hull(point, coordinates[near], 1e-5)


def test_a_place_has_the_least_summed_distance_to_its_neighbours_places():
    rng = np.random.default_rng(1)
    codes, coordinates = rng.normal(size=(400, 6)), rng.normal(size=(400, 2))
    latents = rng.normal(size=(20, 6))
    placed = Placement(codes, coordinates, exact=False).place(latents)
    _, index = nearest(latents, codes, NEIGHBOURS)

    def summed(points):
        return np.linalg.norm(coordinates[index] - points[:, None], axis=2).sum(axis=1)

    best = summed(placed)
    for shift in rng.normal(scale=0.2, size=(50, 2)):
        assert (best <= summed(placed + shift) + 1e-3).all()


def test_the_majority_wins_between_two_clusters():
    codes = np.linspace(-1.0, 1.0, 15)[:, None] * np.ones(3)
    coordinates = np.where(np.arange(15)[:, None] < 8, [0.0, 0.0], [10.0, 10.0])
    placed = Placement(codes, coordinates, exact=False).place(np.zeros((1, 3)))
    np.testing.assert_allclose(placed, 0.0, atol=0.02)


def test_on_the_latent_plane_a_code_is_its_own_place():
    codes = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    placement = Placement(codes, codes, exact=True)
    assert placement.exact
    latents = np.array([[9.0, -7.5], [0.1, 0.2]], np.float32)
    np.testing.assert_array_equal(placement.place(latents), latents)


def test_a_single_axis_lies_along_x():
    codes = np.linspace(0, 1, 5)[:, None]
    placement = Placement(codes, np.column_stack([codes, np.zeros(5)]), exact=True)
    np.testing.assert_array_equal(placement.place([[3.0]]), [[3.0, 0.0]])


def test_placement_by_neighbours_agrees_with_the_exact_plane():
    rng = np.random.default_rng(0)
    codes = rng.uniform(-1, 1, size=(4000, 2))
    latents = rng.uniform(-0.9, 0.9, size=(100, 2))
    near = Placement(codes, codes, exact=False).place(latents)
    assert np.linalg.norm(near - latents, axis=1).max() < 0.05


def test_known_codes_land_by_themselves_on_a_smooth_map():
    rng = np.random.default_rng(2)
    codes = rng.uniform(-1, 1, size=(3000, 2)) @ rng.normal(size=(2, 5))
    coordinates = codes[:, :2]
    placed = Placement(codes, coordinates, exact=False).place(codes[:200])
    diagonal = np.linalg.norm(np.ptp(coordinates, axis=0))
    assert np.linalg.norm(placed - coordinates[:200], axis=1).max() < 0.05 * diagonal


def test_many_codes_are_placed_as_each_alone(monkeypatch):
    rng = np.random.default_rng(0)
    placement = Placement(rng.normal(size=(50, 4)), rng.normal(size=(50, 2)), exact=False)
    latents = rng.normal(size=(9, 4))
    alone = np.concatenate([placement.place(latent[None]) for latent in latents])
    monkeypatch.setattr("explorer.latent.placement._CHUNK", 2)
    np.testing.assert_allclose(placement.place(latents), alone, atol=1e-6)


def test_a_3d_map_places_in_three_dimensions():
    rng = np.random.default_rng(2)
    codes = rng.uniform(-1, 1, size=(3000, 3)) @ rng.normal(size=(3, 5))
    coordinates = codes[:, :3]
    placement = Placement(codes, coordinates, exact=False)
    placed = placement.place(codes[:200])
    assert placement.dims == 3
    assert placed.shape == (200, 3)
    diagonal = np.linalg.norm(np.ptp(coordinates, axis=0))
    assert np.linalg.norm(placed - coordinates[:200], axis=1).max() < 0.08 * diagonal


def test_a_latent_space_of_three_axes_is_its_own_3d_map():
    codes = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    placement = Placement(codes, codes, exact=True)
    np.testing.assert_array_equal(placement.place([[9.0, -7.5, 0.25]]), [[9.0, -7.5, 0.25]])


def test_of_many_codes_a_fixed_subset_places_nearly_as_all_do(monkeypatch):
    rng = np.random.default_rng(0)
    codes = rng.uniform(-1, 1, size=(9000, 2))
    latents = rng.uniform(-0.9, 0.9, size=(100, 2))
    monkeypatch.setattr("explorer.latent.placement.MOST_KNOWN", 4000)
    placed = Placement(codes, codes, exact=False).place(latents)
    assert np.linalg.norm(placed - latents, axis=1).max() < 0.05
    np.testing.assert_array_equal(Placement(codes, codes, exact=False).place(latents), placed)


@pytest.mark.parametrize("n", [1, 2, 14])
def test_fewer_codes_than_neighbours_do(n):
    codes = np.arange(n, dtype=float)[:, None] * np.ones(3)
    placed = Placement(codes, np.ones((n, 2)), exact=False).place(np.zeros((2, 3)))
    np.testing.assert_array_equal(placed, np.ones((2, 2)))


@pytest.mark.parametrize(
    ("codes", "coordinates", "exact", "said"),
    [
        (np.zeros((3, 4)), np.zeros((2, 2)), False, "3 codes and 2 coordinates"),
        (np.zeros((3, 4)), np.zeros((3, 4)), False, "coordinates have 4 latent axes; 2"),
        (np.zeros((3, 4)), np.zeros((3, 3)), True, "not the latent space of these 4-dim"),
        (np.zeros((3, 4)), np.zeros(3), False, r"coordinates must have shape \(N, D\)"),
        (np.zeros((3, 4)), np.zeros((3, 2)), True, "not the latent plane of these 4-dim"),
        (np.zeros((3, 2)), np.ones((3, 2)), True, "not the latent plane of these 2-dim"),
        (np.full((3, 2), np.nan), np.ones((3, 2)), False, "3 of 3 codes are not finite"),
    ],
)
def test_bad_maps_are_told(codes, coordinates, exact, said):
    with pytest.raises(LatentError, match=said):
        Placement(codes, coordinates, exact=exact)


@pytest.mark.parametrize("latents", [np.zeros((1, 3)), np.full((1, 4), np.nan), np.zeros(4)])
def test_bad_latents_are_told(latents):
    placement = Placement(np.zeros((3, 4)), np.zeros((3, 2)), exact=False)
    with pytest.raises(LatentError, match="latents"):
        placement.place(latents)
