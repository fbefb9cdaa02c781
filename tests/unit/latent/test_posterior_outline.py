import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import LatentError
from explorer.latent.axes import sample_aggregate_posterior
from explorer.latent.planes import axes_plane, principal_plane
from explorer.latent.posterior import posterior_ellipse


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_outline_is_that_many_deviations_out(seed):
    rng = np.random.default_rng(seed)
    mean, log_var = rng.standard_normal(4), rng.uniform(-4, 1, 4)
    plane = principal_plane(rng.standard_normal((30, 4)))
    outline = posterior_ellipse(mean, log_var, plane.centre, plane.basis, deviations=1.5)
    assert outline.shape == (96, 2)
    np.testing.assert_array_equal(outline[0], outline[-1])
    covariance = plane.basis @ np.diag(np.exp(log_var)) @ plane.basis.T
    away = outline - plane.places(mean[None])[0]
    squares = np.einsum("pi,ij,pj->p", away, np.linalg.inv(covariance), away)
    np.testing.assert_allclose(squares, 1.5**2, rtol=1e-3)


def test_two_deviations_hold_86_percent_of_the_draws():
    mean, log_var = np.array([1.0, 0.0, 3.0]), np.array([-1.0, 0.5, -3.0])
    plane = axes_plane(0, 2, 3)
    outline = posterior_ellipse(mean, log_var, plane.centre, plane.basis)
    draws = sample_aggregate_posterior(
        np.tile(mean, (20_000, 1)), np.tile(log_var, (20_000, 1)), seed=0
    )
    radii = np.abs(outline - mean[[0, 2]]).max(axis=0)
    inside = (((draws[:, [0, 2]] - mean[[0, 2]]) / radii) ** 2).sum(axis=1) < 1
    assert inside.mean() == pytest.approx(1 - np.exp(-2), abs=0.01)


def test_an_autoencoder_has_a_point():
    outline = posterior_ellipse(np.array([1.0, 2.0]), None, np.zeros(2), np.eye(2))
    np.testing.assert_allclose(outline, np.tile([1.0, 2.0], (96, 1)))


def test_what_cannot_be_drawn_is_told():
    with pytest.raises(LatentError, match="2 points at 2"):
        posterior_ellipse(np.zeros(2), np.zeros(2), np.zeros(2), np.eye(2), points=2)
    with pytest.raises(LatentError, match="too wide to draw from"):
        posterior_ellipse(np.zeros(2), np.full(2, 1500.0), np.zeros(2), np.eye(2))
    with pytest.raises(LatentError, match="axes of the view have 3"):
        posterior_ellipse(np.zeros(2), None, np.zeros(2), np.ones((2, 3)))
