"""Radii under the prior."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.errors import LatentError
from explorer.latent.prior import radius_quantile


@given(radius=st.floats(0, 40))
def test_with_one_axis_it_is_the_two_sided_normal(radius):
    assert radius_quantile(radius, 1) == pytest.approx(math.erf(radius / math.sqrt(2)), abs=1e-12)


@given(radius=st.floats(0, 40))
def test_with_two_axes_it_is_rayleigh(radius):
    assert radius_quantile(radius, 2) == pytest.approx(-math.expm1(-(radius**2) / 2), abs=1e-12)


@pytest.mark.parametrize("dim", [3, 16, 200])
def test_it_is_the_share_of_draws_within_the_radius(dim):
    norms = np.linalg.norm(np.random.default_rng(0).normal(size=(20_000, dim)), axis=1)
    for radius in np.quantile(norms, [0.05, 0.5, 0.95]):
        assert radius_quantile(radius, dim) == pytest.approx((norms <= radius).mean(), abs=0.012)


def test_its_ends():
    assert radius_quantile(0.0, 16) == 0.0
    assert radius_quantile(math.inf, 16) == 1.0
    assert radius_quantile(1e300, 16) == 1.0


@pytest.mark.parametrize(
    ("radius", "dim", "said"),
    [(-1.0, 3, "radius is -1.0"), (math.nan, 3, "radius is nan"), (1.0, 0, "latent_dim is 0")],
)
def test_what_has_no_quantile_is_told(radius, dim, said):
    with pytest.raises(LatentError, match=said):
        radius_quantile(radius, dim)
