"""Planes through the latent space."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.errors import LatentError
from explorer.latent.planes import axes_plane, latent_plane, principal_plane
from explorer.latent.projection import fit_projection


def planes(dim, seed):
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(30, dim)) * rng.uniform(0.5, 4.0, dim) + rng.normal(size=dim)
    i, j = rng.choice(dim, 2, replace=False)
    return [
        axes_plane(int(i), int(j), dim),
        principal_plane(codes),
        principal_plane(codes, components=3),
    ]


@given(dim=st.integers(3, 12), seed=st.integers(0, 99))
def test_a_moved_code_lies_at_the_spot_and_keeps_the_rest(dim, seed):
    rng = np.random.default_rng(seed)
    for plane in planes(dim, seed):
        spots, pin = rng.normal(size=(4, len(plane.basis))), rng.normal(size=dim)
        moved = plane.codes(spots, pin)
        assert moved.shape == (4, dim)
        assert moved.dtype == np.float32
        np.testing.assert_allclose(plane.places(moved), spots, atol=1e-5)
        across = (moved - pin) - ((moved - pin) @ plane.basis.T) @ plane.basis
        np.testing.assert_allclose(across, 0.0, atol=1e-5)


@given(dim=st.integers(3, 12), seed=st.integers(0, 99))
def test_a_code_moved_to_its_own_place_is_itself(dim, seed):
    pin = np.random.default_rng(seed).normal(size=dim)
    for plane in planes(dim, seed):
        np.testing.assert_allclose(plane.codes(plane.places(pin[None]), pin)[0], pin, atol=1e-5)


@given(dim=st.integers(3, 12), seed=st.integers(0, 99))
def test_directions_are_orthonormal_and_named(dim, seed):
    for plane in planes(dim, seed):
        np.testing.assert_allclose(
            plane.basis @ plane.basis.T, np.eye(len(plane.basis)), atol=1e-12
        )
        assert len(plane.names) == len(plane.basis)


def test_a_plane_of_axes_is_two_columns():
    codes = np.random.default_rng(0).normal(size=(10, 5)).astype(np.float32)
    plane = axes_plane(3, 1, 5)
    np.testing.assert_array_equal(plane.places(codes), codes[:, [3, 1]])
    assert plane.names == ("z4", "z2")
    moved = plane.codes([[7.25, -0.1]], codes[0])[0]
    np.testing.assert_array_equal(
        moved, [codes[0, 0], -np.float32(0.1), codes[0, 2], 7.25, codes[0, 4]]
    )


def test_principal_axes_are_those_that_the_codes_were_spread_along():
    rng = np.random.default_rng(0)
    frame, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    widths = np.array([9.0, 4.0, 2.0, 0.5, 0.2, 0.1])
    codes = (rng.normal(size=(5000, 6)) * widths) @ frame.T + 3.0
    plane = principal_plane(codes, components=3)
    np.testing.assert_allclose(np.abs(plane.basis @ frame[:, :3]), np.eye(3), atol=0.05)
    np.testing.assert_allclose(plane.centre, codes.mean(axis=0))
    assert (plane.basis[np.arange(3), np.abs(plane.basis).argmax(axis=1)] > 0.0).all()


def test_the_principal_plane_agrees_with_the_map_of_principal_components():
    codes = np.random.default_rng(0).normal(size=(12, 5))
    fitted = fit_projection(codes)
    assert fitted.method == "principal components"
    np.testing.assert_allclose(principal_plane(codes).places(codes), fitted.coordinates, atol=1e-6)


@pytest.mark.parametrize("dim", [1, 2])
def test_a_latent_plane_is_the_latent_space(dim):
    plane = latent_plane(dim)
    codes = np.random.default_rng(0).normal(size=(9, dim)).astype(np.float32)
    fitted = fit_projection(codes)
    np.testing.assert_array_equal(plane.places(codes), fitted.coordinates)
    np.testing.assert_array_equal(plane.codes(fitted.coordinates, codes[0]), codes)
    assert plane.names == ("z1", "z2" if dim == 2 else "")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: axes_plane(0, 5, 5), "no latent axis 5; axes 0 to 4"),
        (lambda: axes_plane(-1, 2, 5), "no latent axis -1"),
        (lambda: axes_plane(2, 2, 5), "axis 2 was given twice"),
        (lambda: axes_plane(0, 1, 1), "no latent axis 1"),
        (lambda: latent_plane(3), "3 axes is no plane"),
        (lambda: principal_plane(np.ones((9, 1))), "2 principal axes were asked for"),
        (lambda: principal_plane(np.ones((9, 2)), 3), "3 principal axes.*1 to 2"),
        (lambda: principal_plane(np.full((9, 4), np.nan)), "9 of 9 codes are not finite"),
        (lambda: axes_plane(0, 1, 3).places(np.ones((2, 4))), "4 latent axes; 3 are needed"),
        (lambda: axes_plane(0, 1, 3).codes(np.ones((2, 3)), np.ones(3)), "spots have 3"),
        (lambda: axes_plane(0, 1, 3).codes(np.ones((2, 2)), np.ones(2)), "pins have 2"),
        (lambda: axes_plane(0, 1, 3).codes([[np.nan, 0]], np.ones(3)), "1 of 1 spots"),
    ],
)
def test_what_is_no_plane_is_told(make, said):
    with pytest.raises(LatentError, match=said):
        make()
