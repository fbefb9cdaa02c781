"""Prior match against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from explorer.regularity import prior as prior_module
from explorer.regularity.prior import (
    VARIANCE_FLOOR,
    draw_gaussian,
    fit_gaussian,
    fit_noise,
    kl_bias,
    kl_to_standard_normal,
    measure_mmd,
    measure_prior_match,
    mmd_to_standard_normal,
    whiten,
)


def test_kl_agrees_with_the_closed_form_by_determinant():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    mean, covariance = rng.normal(size=5), root @ root.T + 0.1 * np.eye(5)
    _, log_det = np.linalg.slogdet(covariance)
    closed = 0.5 * (np.trace(covariance) + mean @ mean - 5 - log_det)
    assert kl_to_standard_normal(mean, covariance) == pytest.approx(closed, rel=1e-9)


def test_kl_of_one_axis():
    # 0.5 (v + m² - 1 - ln v) for m = 1, v = 4.
    assert kl_to_standard_normal(np.ones(1), np.full((1, 1), 4.0)) == pytest.approx(
        0.5 * (4.0 + 1.0 - 1.0 - np.log(4.0))
    )


@given(
    mean=arrays(np.float64, 3, elements=st.floats(-10, 10)),
    root=arrays(np.float64, (3, 3), elements=st.floats(-10, 10)),
)
def test_kl_is_never_negative_and_always_finite(mean, root):
    kl = kl_to_standard_normal(mean, root @ root.T)
    assert kl >= 0.0
    assert np.isfinite(kl)


def test_a_flat_direction_costs_what_the_floor_says():
    cost = 0.5 * (VARIANCE_FLOOR - 1.0 - np.log(VARIANCE_FLOOR))
    assert cost == pytest.approx(6.4, abs=0.05)
    assert kl_to_standard_normal(np.zeros(2), np.diag([1.0, 0.0])) == pytest.approx(cost)


def test_counts_weigh_as_copies_do():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(6, 3))
    counts = np.array([2, 0, 1, 0, 3, 0])
    weighted, copied = fit_gaussian(codes, counts), fit_gaussian(np.repeat(codes, counts, axis=0))
    np.testing.assert_allclose(weighted[0], copied[0], atol=1e-12)
    np.testing.assert_allclose(weighted[1], copied[1], atol=1e-12)


def test_draws_have_the_moments_they_were_asked_for():
    mean, covariance = np.array([3.0, -1.0]), np.array([[2.0, 0.8], [0.8, 0.5]])
    draws = draw_gaussian(mean, covariance, 100_000, np.random.default_rng(0))
    found = fit_gaussian(draws)
    np.testing.assert_allclose(found[0], mean, atol=0.02)
    np.testing.assert_allclose(found[1], covariance, atol=0.03)


def test_draws_from_a_point_are_the_point():
    code = np.array([0.1, 7.3], np.float32).astype(np.float64)
    draws = draw_gaussian(code, np.zeros((2, 2)), 5, np.random.default_rng(0))
    np.testing.assert_array_equal(draws, np.tile(code, (5, 1)))


def test_draws_from_the_prior_are_at_the_ideal_value():
    codes = np.random.default_rng(0).standard_normal((2000, 8))
    against_prior, _ = measure_prior_match(codes, seed=1)
    assert against_prior.low <= against_prior.ideal == 0.0 <= against_prior.high


@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
@pytest.mark.parametrize(("n", "dim"), [(40, 2), (60, 16), (400, 8)])
def test_the_bias_of_the_kl_is_what_samples_of_this_size_add(scale, n, dim):
    rng = np.random.default_rng(0)
    truth = kl_to_standard_normal(np.zeros(dim), scale**2 * np.eye(dim))
    found = [fit_gaussian(scale * rng.standard_normal((n, dim))) for _ in range(400)]
    added = np.array([kl_to_standard_normal(*one) - truth for one in found])
    corrected = np.mean([kl_bias(covariance, n) for _, covariance in found])
    assert corrected == pytest.approx(added.mean(), abs=4 * added.std() / 20)
    assert corrected > 0.0


def test_a_shifted_and_stretched_cloud_has_its_closed_form():
    codes = 2.0 + 0.5 * np.random.default_rng(0).standard_normal((4000, 3))
    as_built, scale_fair = measure_prior_match(codes, seed=0)
    closed = 0.5 * (0.25 + 4.0 - 1.0 - np.log(0.25))
    assert as_built.low <= closed <= as_built.high
    assert as_built.high - as_built.low < 0.1
    assert (scale_fair.value, scale_fair.low, scale_fair.high) == (0, 0, 0)
    assert "by construction" in scale_fair.fixed
    assert not as_built.fixed


def test_the_interval_is_the_spread_between_samples():
    values, spreads = [], []
    for seed in range(40):
        codes = 1.3 * np.random.default_rng(seed).standard_normal((200, 2))
        measure = measure_prior_match(codes, seed=seed)[0]
        values.append(measure.value)
        spreads.append((measure.high - measure.low) / 3.92)
    assert np.mean(spreads) == pytest.approx(np.std(values), rel=0.3)


def test_fitted_noise_has_the_codes_mean_and_covariance():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((500, 3)) @ rng.standard_normal((3, 3)) * 4 + [5, -2, 0]
    placed = fit_noise(rng.standard_normal((200_000, 3)), codes)
    np.testing.assert_allclose(placed.mean(0), codes.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(placed.T), np.cov(codes.T), rtol=0.05, atol=0.3)


def test_fitted_noise_on_the_priors_own_scale_stays_where_it_was():
    codes = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt(3 / 4)
    noise = np.random.default_rng(1).standard_normal((10, 2))
    np.testing.assert_allclose(fit_noise(noise, codes), noise, atol=1e-12)


def test_whitening_undoes_an_affine_map():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((300, 4))
    moved = codes @ rng.standard_normal((4, 4)) * 7 + rng.standard_normal(4)
    for points in (codes, moved):
        white = whiten(points)
        np.testing.assert_allclose(white.mean(axis=0), 0.0, atol=1e-12)
        np.testing.assert_allclose(np.cov(white.T), np.eye(4), atol=1e-10)
    # The same cloud but for a turn: distances between its points are the same.
    one, other = whiten(codes), whiten(moved)
    np.testing.assert_allclose(
        np.linalg.norm(one[:50] - one[50:100], axis=1),
        np.linalg.norm(other[:50] - other[50:100], axis=1),
        rtol=1e-8,
    )


def test_whitening_leaves_out_what_does_not_vary():
    codes = np.random.default_rng(0).standard_normal((50, 2)) @ np.ones((2, 5))
    assert whiten(codes).shape == (50, 1)
    assert whiten(np.full((50, 3), np.float32(7.3)).astype(np.float64)).shape == (50, 0)


def mmd(codes, seed=0):
    return measure_mmd(np.asarray(codes, np.float64), seed=seed).estimates


@pytest.mark.parametrize("dim", [1, 3, 128])
def test_the_prior_itself_has_no_kernel_distance(dim):
    for measure in mmd(np.random.default_rng(1).standard_normal((800, dim))):
        assert measure.low - 0.001 <= 0.0 <= measure.high + 0.001
        assert measure.value == pytest.approx(0.0, abs=0.005)


def test_a_distant_point_has_the_closed_form_of_its_kernel():
    # Within 1, across 0, the prior's own (1 / 3)^(1 / 2).
    as_built, scale_fair = mmd(np.full((50, 1), 1000.0))
    assert as_built.value == pytest.approx(1.0 + (1.0 / 3.0) ** 0.5)
    assert scale_fair.value == 0.0
    assert "1 directions without any spread" in scale_fair.note


def test_kernel_distance_is_what_training_adds_to_its_loss():
    import torch

    from explorer.models.objectives import mmd_to_prior

    codes = 0.4 + 1.7 * np.random.default_rng(0).standard_normal((200, 5))
    trained = mmd_to_prior(torch.from_numpy(codes)).item()
    assert mmd_to_standard_normal(codes) == pytest.approx(trained, abs=1e-12)
    as_built, scale_fair = mmd(codes)
    assert as_built.value == pytest.approx(trained, abs=1e-12)
    assert as_built.low > 0.0
    assert abs(scale_fair.value) < 0.01


def test_many_codes_are_sub_sampled_and_it_says_so(monkeypatch):
    monkeypatch.setattr(prior_module, "MMD_CODES", 100)
    measure = mmd(np.random.default_rng(0).standard_normal((300, 2)))[0]
    assert measure.n == 100
    assert measure.note == "100 of the 300 codes."
