"""Where a code stands under the prior N(0, I)."""

import math

from explorer.errors import LatentError


def radius_quantile(radius: float, latent_dim: int) -> float:
    """P(|z| <= radius) for z ~ N(0, I): how far out a code lies, as a share of prior draws.

    Args:
        radius: norm of a code, at least 0.
        latent_dim: D.

    Returns:
        0 to 1.

    Raises:
        LatentError: a radius that is negative or NaN, or no axes.

    Source: |z|² is chi-squared with D degrees of freedom.
    """
    if not radius >= 0.0:
        raise LatentError(f"The radius is {radius}; it must be a number of at least 0.")
    if latent_dim < 1:
        raise LatentError(f"latent_dim is {latent_dim}; a code has at least 1 axis.")
    if math.isinf(radius):
        return 1.0
    # The first paint must not wait for scipy.
    from scipy.special import gammainc

    return float(gammainc(0.5 * latent_dim, 0.5 * radius * radius))
