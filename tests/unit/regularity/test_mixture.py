"""A mixture of Gaussians on codes whose mixture is known."""

import numpy as np
import pytest

from explorer.errors import LatentError
from explorer.regularity.mixture import fit_mixture


def clusters(n=900, scale=1.0, shift=0.0):
    rng = np.random.default_rng(0)
    centres = np.array([[-10.0, 0.0], [10.0, 0.0], [0.0, 15.0]])
    codes = centres[rng.integers(0, 3, n)] + rng.standard_normal((n, 2)) * [0.5, 2.0]
    return scale * codes + shift


def test_known_clusters_are_found():
    mixture = fit_mixture(clusters(), seed=0, components=3)
    order = np.argsort(mixture.means[:, 0])
    np.testing.assert_allclose(
        mixture.means[order], [[-10, 0], [0, 15], [10, 0]], atol=0.5
    )  # 2 / sqrt(300) is 0.12
    np.testing.assert_allclose(mixture.weights, 1 / 3, atol=0.06)
    covariances = mixture.roots @ mixture.roots.transpose(0, 2, 1)
    np.testing.assert_allclose(covariances[:, 0, 0], 0.25, rtol=0.25)
    np.testing.assert_allclose(covariances[:, 1, 1], 4.0, rtol=0.25)


def test_samples_lie_where_the_codes_lie():
    codes = clusters()
    drawn = fit_mixture(codes, seed=0).sample(20_000, np.random.default_rng(1))
    np.testing.assert_allclose(drawn.mean(axis=0), codes.mean(axis=0), atol=0.3)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), rtol=0.05, atol=1.0)
    # One Gaussian of this mean and covariance would put a fifth of its draws between the three.
    middle = np.hypot(drawn[:, 0], drawn[:, 1] - 5.0) < 4.0
    assert middle.mean() < 0.01


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_scale_and_shift_of_the_codes_do_not_matter(scale):
    plain = fit_mixture(clusters(), seed=0)
    moved = fit_mixture(clusters(scale=scale, shift=3.0 * scale), seed=0)
    np.testing.assert_allclose(moved.weights, plain.weights, atol=1e-4)
    np.testing.assert_allclose(moved.means, scale * (plain.means + 3.0), rtol=1e-3)


@pytest.mark.parametrize(
    "codes",
    [
        np.full((50, 3), 7.25),
        np.zeros((1, 2)),
        np.repeat([[1.0, 2.0], [3.0, 4.0]], 30, axis=0),
        np.arange(5.0)[:, None],
        np.random.default_rng(0).standard_normal((60, 128)),
    ],
    ids=["identical", "one", "two places", "five on a line", "more axes than codes"],
)
def test_degenerate_codes_still_give_draws(codes):
    drawn = fit_mixture(codes, seed=0).sample(100, np.random.default_rng(0))
    assert drawn.shape == (100, codes.shape[1])
    assert np.isfinite(drawn).all()
    spread = np.ptp(codes, axis=0)
    assert (drawn >= codes.min(axis=0) - 5 * spread - 1e-6).all()
    assert (drawn <= codes.max(axis=0) + 5 * spread + 1e-6).all()


def test_the_same_seed_gives_the_same_draws():
    first, second = (
        fit_mixture(clusters(), seed=2).sample(10, np.random.default_rng(3)) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_codes_that_are_not_finite_are_told():
    with pytest.raises(LatentError, match="1 of 30 codes are not finite"):
        fit_mixture(np.r_[np.zeros((29, 2)), [[np.nan, 0.0]]], seed=0)
