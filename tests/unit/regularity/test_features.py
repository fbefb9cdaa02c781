"""Sets of points held against each other, where the answer is known."""

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.regularity import features as module
from explorer.regularity.features import (
    Comparison,
    Manifold,
    Moments,
    checked_halves,
    frechet_distance,
    resample_counts,
)


def cloud(n=400, dim=6, seed=0, shift=0.0):
    return np.random.default_rng(seed).standard_normal((n, dim)) + shift


def test_identical_sets_hold_each_other():
    points = cloud()
    held = Comparison(Manifold.fit(points), points)
    assert (held.precision, held.recall, held.coverage) == (1.0, 1.0, 1.0)
    # Each ball holds its own point and five others.
    assert held.density == pytest.approx(6 / 5)


def test_sets_far_apart_hold_nothing():
    held = Comparison(Manifold.fit(cloud()), cloud(shift=100.0, seed=1))
    assert (held.precision, held.recall, held.coverage, held.density) == (0.0, 0.0, 0.0, 0.0)


def test_two_sets_of_one_cloud_have_the_expected_density_and_coverage():
    held = Comparison(Manifold.fit(cloud(2000)), cloud(2000, seed=1))
    assert held.density == pytest.approx(1.0, abs=0.06)
    # What Naeem et al. expect of two sets of one size: 1 - 2^-k, about.
    assert held.coverage == pytest.approx(1.0 - 2.0**-5, abs=0.01)


def test_a_lost_half_halves_recall_and_coverage_alone():
    points = cloud(600)
    points[:300] += 50.0
    draws = cloud(600, seed=1)
    held = Comparison(Manifold.fit(points), draws)
    assert held.coverage == pytest.approx(0.5, abs=0.03)
    assert held.recall == pytest.approx(0.5, abs=0.03)
    assert held.precision > 0.9
    assert not held.covered[:300].any()


def test_balls_and_pictures_are_as_brute_force_has_them():
    points, draws = cloud(40, 3), cloud(30, 3, seed=1)
    manifold = Manifold.fit(points)
    distances = np.linalg.norm(points[:, None] - draws[None], axis=2)
    own = np.sort(np.linalg.norm(points[:, None] - points[None], axis=2), axis=1)[:, 5]
    np.testing.assert_allclose(manifold.radii, own, rtol=1e-6)
    np.testing.assert_array_equal(manifold.holds(draws), distances <= own[:, None])
    np.testing.assert_allclose(
        manifold.realism(draws), (own[:, None] / distances).max(axis=0), rtol=1e-6
    )
    half = manifold.denser_half()
    assert len(half.points) == 20
    assert half.radii.max() <= np.median(own) * (1 + 1e-6)


def test_identical_points_hold_themselves():
    points = np.full((12, 4), 0.3, np.float32)
    held = Comparison(Manifold.fit(points), points)
    assert (held.precision, held.recall, held.coverage) == (1.0, 1.0, 1.0)
    assert np.isposinf(Manifold.fit(points).realism(points)).all()
    assert Comparison(Manifold.fit(points), points + 1.0).coverage == 0.0


@pytest.mark.parametrize("sparse", [0.0, 1.1])
def test_resamples_count_as_copies_would(monkeypatch, sparse):
    monkeypatch.setattr(module, "_SPARSE", sparse)
    points, draws = cloud(50, 3), cloud(40, 3, seed=1, shift=0.5)
    held = Comparison(Manifold.fit(points), draws)
    rng = np.random.default_rng(2)
    of_points, of_draws = resample_counts(50, 4, rng), resample_counts(40, 4, rng)
    assert (of_points.sum(axis=0) == 50).all()
    found = [
        held.resampled_precision(of_points, of_draws),
        held.resampled_density(of_points, of_draws),
        held.resampled_coverage(of_points, of_draws),
        held.resampled_recall(of_points, of_draws),
    ]
    around = Manifold.fit(draws).holds(points).T
    for draw in range(4):
        rows = np.repeat(np.arange(50), of_points[:, draw].astype(int))
        columns = np.repeat(np.arange(40), of_draws[:, draw].astype(int))
        inside = held.inside[np.ix_(rows, columns)]
        expected = (
            inside.any(axis=0).mean(),
            inside.sum() / (5 * 40),
            inside.any(axis=1).mean(),
            around[np.ix_(rows, columns)].any(axis=1).mean(),
        )
        np.testing.assert_allclose([one[draw] for one in found], expected, rtol=1e-6)


def test_moments_are_numpys_and_counts_are_copies():
    points = cloud(60, 4)
    found = Moments.of(points)
    np.testing.assert_allclose(found.mean, points.mean(axis=0))
    np.testing.assert_allclose(found.covariance, np.cov(points.T))
    counts = resample_counts(60, 1, np.random.default_rng(0))[:, 0]
    copies = Moments.of(np.repeat(points, counts.astype(int), axis=0))
    weighted = Moments.of(points, counts)
    np.testing.assert_allclose(weighted.covariance, copies.covariance)
    np.testing.assert_allclose(weighted.mean, copies.mean)


def test_shifted_gaussians_are_the_squared_shift_apart():
    points = cloud(300, 5)
    shift = np.array([1.0, -2.0, 0.0, 0.5, 3.0])
    one, other = Moments.of(points), Moments.of(points + shift)
    assert frechet_distance(one, other) == pytest.approx(shift @ shift)
    assert frechet_distance(one, one) == pytest.approx(0.0, abs=1e-9)
    # Two widths about one centre: F (s1 - s2)^2.
    ball = Moments(np.zeros(4), 9.0 * np.eye(4))
    assert frechet_distance(ball, Moments(np.zeros(4), np.eye(4))) == pytest.approx(16.0)


def test_frechet_is_as_the_matrix_root_has_it():
    from scipy.linalg import sqrtm

    one, other = (
        Moments.of(cloud(80, 4)),
        Moments.of(cloud(80, 4, seed=1) @ np.diag([1, 2, 3, 0.5])),
    )
    root = sqrtm(one.covariance @ other.covariance).real
    shift = one.mean - other.mean
    expected = shift @ shift + np.trace(one.covariance + other.covariance - 2.0 * root)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-4)


def test_halves_are_apart_and_depend_on_the_seed_alone():
    one, other = checked_halves(101, 0)
    assert len(one) == len(other) == 50
    assert not set(one) & set(other)
    np.testing.assert_array_equal(one, checked_halves(101, 0)[0])
    assert not np.array_equal(one, checked_halves(101, 1)[0])
    assert len(checked_halves(30_000, 0)[0]) == 5000


def test_too_few_images_are_told():
    with pytest.raises(LatentError, match=r"11 held-out images are too few .* 12 are needed"):
        checked_halves(11, 0)
    with pytest.raises(LatentError, match="5 neighbours"):
        Manifold.fit(cloud(5))


def test_features_that_are_not_finite_are_told():
    points = cloud(20)
    points[3, 0] = np.nan
    with pytest.raises(LatentError, match=r"1 of 20 .* not finite"):
        Manifold.fit(points)
