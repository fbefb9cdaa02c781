"""Local density and holes, where both are known."""

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.latent import density
from explorer.latent.density import LocalDensity
from explorer.regularity import holes


def gaussian(n=6000, dim=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def test_its_hole_is_that_of_the_regularity_report():
    assert (density.NEIGHBOUR, density.QUANTILE) == (holes.NEIGHBOUR, holes.QUANTILE)


def test_in_a_gaussian_density_falls_from_the_centre_outwards():
    local = LocalDensity(gaussian())
    directions = gaussian(300, seed=1)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    shells = [local.percentile(radius * directions).mean() for radius in (0.1, 1, 2, 3, 9)]
    assert (np.diff(shells) < 0.0).all()
    assert shells[0] > 75.0
    assert shells[-1] == 0.0
    assert not local.is_hole(directions).any()
    assert local.is_hole(9.0 * directions).all()


def test_draws_of_the_same_cloud_are_as_dense_as_the_codes():
    local = LocalDensity(gaussian())
    fresh = gaussian(4000, seed=1)
    # Percentiles of draws from the reference's own distribution are uniform.
    np.testing.assert_allclose(
        np.quantile(local.percentile(fresh), [0.1, 0.5, 0.9]), [10, 50, 90], atol=4.0
    )
    assert local.is_hole(fresh).mean() == pytest.approx(0.05, abs=0.012)


def test_between_two_clusters_is_a_hole():
    codes = gaussian(500) * 0.1
    local = LocalDensity(np.concatenate([codes - 5.0, codes + 5.0]))
    np.testing.assert_array_equal(
        local.is_hole([[0.0, 0, 0], [5.0, 5, 5], [-5.0, -5, -5]]), [True, False, False]
    )


def test_every_code_is_measured_without_itself():
    codes = gaussian(900)
    local = LocalDensity(codes)
    every = local.of_codes()
    assert every.dtype == np.float32
    apart = np.sort(np.linalg.norm(codes[:, None].astype(float) - codes[None], axis=2), axis=1)
    sparser = (apart[None, :, 5] >= apart[:, None, 5] - 1e-9).mean(axis=1)
    np.testing.assert_allclose(every, 100.0 * sparser, rtol=1e-6)
    # A code that counted itself would find its fifth neighbour nearer.
    assert (local.percentile(codes) >= every - 1e-4).all()
    assert (local.percentile(codes) > every + 1e-4).mean() > 0.9


def test_a_sample_of_many_codes_stands_for_all_and_repeats_itself(monkeypatch):
    codes = gaussian(9000)
    local = LocalDensity(codes, seed=3)
    every = local.of_codes()
    assert every.shape == (9000,)
    np.testing.assert_allclose(np.quantile(every, [0.1, 0.5, 0.9]), [10, 50, 90], atol=4.0)
    np.testing.assert_array_equal(LocalDensity(codes, seed=3).of_codes(), every)
    assert not np.array_equal(LocalDensity(codes, seed=4).of_codes(), every)
    monkeypatch.setattr(density, "_CHUNK", 5000)
    np.testing.assert_array_equal(local.of_codes(), every)


def test_copies_of_one_code_are_as_dense_as_can_be():
    local = LocalDensity(np.full((50, 4), 0.3, np.float32))
    ask = np.array([[0.3] * 4, [0.4] * 4], np.float32)
    np.testing.assert_array_equal(local.percentile(ask), [100.0, 0.0])
    np.testing.assert_array_equal(local.is_hole(ask), [False, True])
    np.testing.assert_array_equal(local.of_codes(), np.full(50, 100.0))


@pytest.mark.parametrize("n", range(1, 6))
def test_fewer_than_six_codes_have_no_density(n):
    local = LocalDensity(gaussian(n))
    ask = np.full((2, 3), 99.0)
    assert np.isnan(local.percentile(ask)).all()
    assert np.isnan(local.of_codes()).all()
    assert local.of_codes().shape == (n,)
    assert not local.is_hole(ask).any()


def test_six_codes_have_one():
    local = LocalDensity(gaussian(6))
    assert np.isfinite(local.percentile(np.zeros((1, 3)))).all()
    assert local.is_hole(np.full((1, 3), 99.0)).all()


def test_bad_codes_are_told():
    with pytest.raises(LatentError, match="1 of 2 codes are not finite"):
        LocalDensity([[0.0], [np.inf]])
    local = LocalDensity(gaussian(20))
    for ask in (local.percentile, local.is_hole):
        with pytest.raises(LatentError, match="latents have 2 latent axes; 3"):
            ask(np.zeros((1, 2)))
        with pytest.raises(LatentError, match="1 of 1 latents are not finite"):
            ask(np.full((1, 3), np.nan))
