"""Axis summaries and samples of the aggregate posterior."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from explorer.errors import LatentError
from explorer.latent.axes import kl_per_axis, sample_aggregate_posterior, summarise_axes


def posterior(n=2000, seed=0):
    """A VAE's: axis 0 informative, axis 1 unused (posterior = prior), axis 2 in between."""
    rng = np.random.default_rng(seed)
    kept = np.array([0.99, 0.0, 0.5])
    mean = np.sqrt(kept) * rng.standard_normal((n, 3))
    log_var = np.log(np.broadcast_to(1.0 - kept, mean.shape))
    return mean.astype(np.float32), log_var.astype(np.float32)


def test_kl_of_the_prior_itself_is_zero():
    assert kl_per_axis(np.zeros((4, 3)), np.zeros((4, 3))).tolist() == np.zeros((4, 3)).tolist()


def test_kl_agrees_with_its_integral():
    mean, log_var = 0.7, -0.8
    z = np.linspace(-12.0, 12.0, 200_001)
    std = math.exp(0.5 * log_var)
    log_q = -0.5 * ((z - mean) / std) ** 2 - math.log(std * math.sqrt(2 * math.pi))
    log_p = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    integral = np.trapezoid(np.exp(log_q) * (log_q - log_p), z)
    assert kl_per_axis([[mean]], [[log_var]])[0, 0] == pytest.approx(integral, rel=1e-6)


@given(
    mean=arrays(np.float64, (3, 2), elements=st.floats(-1e3, 1e3)),
    log_var=arrays(np.float64, (3, 2), elements=st.floats(-30, 30)),
)
def test_kl_is_never_negative(mean, log_var):
    kl = kl_per_axis(mean, log_var)
    assert (kl >= 0.0).all()
    assert np.isfinite(kl).all()


def test_samples_are_one_draw_a_posterior_and_repeat_with_their_seed():
    mean, log_var = posterior(20_000)
    samples = sample_aggregate_posterior(mean, log_var, seed=3)
    assert samples.shape == mean.shape
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, sample_aggregate_posterior(mean, log_var, seed=3))
    assert not np.array_equal(samples, sample_aggregate_posterior(mean, log_var, seed=4))
    # Constructed so that the aggregate posterior is N(0, I) on each axis.
    np.testing.assert_allclose(samples.mean(axis=0), 0.0, atol=0.03)
    np.testing.assert_allclose(samples.var(axis=0), 1.0, atol=0.04)


def test_samples_of_an_ae_are_its_codes():
    codes = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    np.testing.assert_array_equal(sample_aggregate_posterior(codes, None, seed=0), codes)


def test_samples_share_nothing_with_prior_draws_of_the_same_seed():
    flat = np.zeros((1000, 4))
    samples = sample_aggregate_posterior(flat, flat, seed=0)
    prior = np.random.default_rng(0).standard_normal((1000, 4))
    assert abs(np.corrcoef(samples.ravel(), prior.ravel())[0, 1]) < 0.1


def test_vae_axes_are_ordered_by_their_nats():
    mean, log_var = posterior()
    axes = summarise_axes(mean, log_var)
    assert axes.unit == "nats"
    assert axes.order.tolist() == [0, 2, 1]
    assert axes.active.tolist() == [True, False, True]
    # Mutual information of a Gaussian channel: half the log of the variance ratio.
    expected = -0.5 * np.log([0.01, 1.0, 0.5])
    np.testing.assert_allclose(axes.information, expected, atol=0.05)


def test_an_unused_axis_of_a_vae_still_ranges_over_the_prior():
    axes = summarise_axes(*posterior(20_000))
    np.testing.assert_allclose(axes.low, -2.576, atol=0.15)
    np.testing.assert_allclose(axes.high, 2.576, atol=0.15)
    np.testing.assert_allclose(axes.typical, 0.0, atol=0.03)


def test_ae_axes_are_measured_by_their_variance():
    codes = np.random.default_rng(0).normal(size=(500, 3)) * [0.05, 3.0, 1.0]
    axes = summarise_axes(codes, None)
    assert axes.unit == "variance"
    assert axes.order.tolist() == [1, 2, 0]
    assert axes.active.tolist() == [False, True, True]
    # An AE's scale is arbitrary, and so it says nothing about what is active.
    assert summarise_axes(codes * 1e-3, None).active.tolist() == [False, True, True]
    np.testing.assert_allclose(axes.information, codes.var(axis=0), rtol=1e-4)


@pytest.mark.parametrize("constant", [0.0, 7.3, -1e8, 1e30])
def test_a_constant_axis_gets_a_range_that_moves(constant):
    axes = summarise_axes(np.full((50, 1), constant), None)
    low, high = np.float32(axes.low[0]), np.float32(axes.high[0])
    assert low < np.float32(constant) < high
    assert high - low >= 2.0


def test_an_axis_constant_but_for_a_few_images_shows_those():
    codes = np.zeros((1000, 1))
    codes[0] = 5.0
    axes = summarise_axes(codes, None)
    assert (axes.low[0], axes.high[0]) == (0.0, 5.0)


@given(arrays(np.float32, (7, 3), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_a_range_is_never_empty(codes):
    axes = summarise_axes(codes, None)
    assert (axes.low < axes.high).all()
    assert sorted(axes.order.tolist()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("mean", "log_var", "said"),
    [
        ([[np.nan, 0.0], [0.0, 0.0]], None, "1 of 2 posterior means are not finite"),
        ([[0.0]], [[np.inf]], "1 of 1 posterior log variances are not finite"),
        ([[0.0]], [[0.0], [0.0]], r"means have shape \(1, 1\), their log variances \(2, 1\)"),
        ([[0.0]], [[800.0]], "largest log variance is 800"),
        ([0.0, 1.0], None, r"shape \(N, D\)"),
        (np.empty((0, 3)), None, r"shape \(N, D\)"),
        ([["a"]], None, "must be real numbers"),
    ],
)
def test_bad_posteriors_are_told(mean, log_var, said):
    with pytest.raises(LatentError, match=said):
        summarise_axes(mean, log_var)
