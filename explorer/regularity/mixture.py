"""A mixture of Gaussians fitted to codes: a richer prior, made after the training."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.latent.codes import checked_codes

COMPONENTS = 10
# Added to every variance, as a share of the codes' mean variance: a component of a few coinciding
# codes would else have no volume. scikit-learn's own is absolute, and an AE's scale is arbitrary.
_SMALLEST_VARIANCE = 1e-6
_MOST_STEPS = 200


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of K Gaussians.

    Attributes:
        weights: (K,), summing to 1.
        means: (K, D).
        roots: one a component, (K, D, D), covariance = root @ root.T.
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    roots: NDArray[np.float64]

    def sample(self, n: int, generator: np.random.Generator) -> NDArray[np.float64]:
        """Draws, (n, D), float32 numbers as codes are.

        Args:
            n: draws.
            generator: of the draws.
        """
        components = generator.choice(len(self.weights), size=n, p=self.weights)
        noise = generator.standard_normal((n, self.means.shape[1]))
        draws = self.means[components] + np.einsum("nij,nj->ni", self.roots[components], noise)
        as_codes: NDArray[np.float64] = draws.astype(np.float32).astype(np.float64)
        return as_codes


def fit_mixture(codes: NDArray[np.floating], seed: int, components: int = COMPONENTS) -> Mixture:
    """Fit a mixture of Gaussians with full covariances to codes.

    Codes that are fewer than the components, or coincide, get fewer components.

    Args:
        codes: samples of the aggregate posterior, (N, D).
        seed: of the fit's start (k-means).
        components: K.

    Raises:
        LatentError: codes that are not finite.

    Source: Ghosh et al. 2020, section 4, arXiv:1903.12436 (10 components, full covariances).
    """
    points = checked_codes(codes)
    dim = points.shape[1]
    mean, scale = points.mean(axis=0), float(np.sqrt(points.var(axis=0).mean()))
    distinct = len(np.unique(points[: 50 * components], axis=0))
    if distinct < 2 or scale == 0.0:
        return Mixture(np.ones(1), points.mean(axis=0)[None], np.zeros((1, dim, dim)))

    # 1.6 s that only whoever fits a mixture waits for.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    fit = GaussianMixture(
        n_components=min(components, distinct),
        covariance_type="full",
        reg_covar=_SMALLEST_VARIANCE,
        max_iter=_MOST_STEPS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # A fit that stops after 200 steps is a mixture too, and k-means says when codes coincide.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit.fit((points - mean) / scale)
    return Mixture(
        fit.weights_ / fit.weights_.sum(),
        mean + scale * fit.means_,
        scale * np.linalg.cholesky(fit.covariances_),
    )
