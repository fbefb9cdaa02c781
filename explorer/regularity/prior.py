"""How well the cloud of all codes fits the prior."""

import numpy as np
from numpy.typing import NDArray

from explorer.regularity.bootstrap import centred_interval
from explorer.regularity.measure import (
    AS_BUILT,
    HEADLINE,
    LOWER,
    OUR_DEFINITION,
    SCALE_FAIR,
    Measure,
)

# A cloud that is flat along some direction is infinitely far from N(0, I); with its variance
# counted as no less than this, such a direction costs 6.4 nats and the figure stays a number.
VARIANCE_FLOOR = 1e-6
_RESAMPLES = 500
_NULL_DRAWS = 20


def measure_prior_match(codes: NDArray[np.float64], *, seed: int) -> tuple[Measure, Measure]:
    """KL(N(m, S) || N(0, I)) / D, m and S of the codes; as built and scale-fair.

    The codes are resampled; the interval is the spread of the resamples about the value. The null
    is measured: the mean over 20 sets of as many draws from N(0, I) as there are codes.

    Args:
        codes: aggregate posterior samples of a VAE, codes of an AE, (N, D), N at least D + 2.
        seed: of the resamples and of the null's draws.
    """
    n, dim = codes.shape
    generator = np.random.default_rng([seed, 3])
    mean, covariance = fit_gaussian(codes)
    value = kl_to_standard_normal(mean, covariance) / dim
    resampled = np.empty(_RESAMPLES)
    for draw in range(_RESAMPLES):
        counts = generator.multinomial(n, np.full(n, 1.0 / n))
        resampled[draw] = kl_to_standard_normal(*fit_gaussian(codes, counts)) / dim
    low, high = centred_interval(value, resampled)
    null = float(
        np.mean(
            [
                kl_to_standard_normal(*fit_gaussian(generator.standard_normal((n, dim)))) / dim
                for _ in range(_NULL_DRAWS)
            ]
        )
    )
    as_built = Measure(
        key="prior_match",
        column=AS_BUILT,
        title="Distance from the prior",
        value=value,
        low=max(low, 0.0),
        high=high,
        null=null,
        unit="nats per latent axis",
        better=LOWER,
        n=n,
        seed=seed,
        student=(
            "How far the cloud of all codes is from the round cloud that random codes are drawn "
            "from: 0 would mean the same centre, width and shape."
        ),
        researcher=(
            "KL(N(m, S) || N(0, I)) / D with m, S of aggregate-posterior samples (variances below "
            "1e-6 counted as 1e-6): the Gaussian part of KL(q(z) || p(z)) and so a lower bound on "
            "it, blind to holes; the null is what as many draws from the prior give."
        ),
        source=f"{OUR_DEFINITION}, after KL(q(z) || p(z)) in Hoffman & Johnson 2016",
        group=HEADLINE,
        headline=True,
    )
    scale_fair = Measure(
        key="prior_match",
        column=SCALE_FAIR,
        title="Distance from the prior",
        value=0.0,
        low=0.0,
        high=0.0,
        null=0.0,
        unit="nats per latent axis",
        better=LOWER,
        n=n,
        seed=seed,
        student=(
            "Always 0, and no merit of the model: here the prior is a Gaussian that was fitted to "
            "these very codes."
        ),
        researcher=(
            "0 by construction, not measured: the scale-fair prior is N(m, S) itself; what it "
            "cannot mend is in the hole and escape rates of this column."
        ),
        source=f"{OUR_DEFINITION}, after the density fitted to an AE's codes in Ghosh et al. 2020, "
        "arXiv:1903.12436",
        group=HEADLINE,
        headline=True,
    )
    return as_built, scale_fair


def fit_gaussian(
    codes: NDArray[np.float64], counts: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (D,) and unbiased covariance (D, D) of codes (N, D), each counted `counts` times."""
    n = len(codes)
    if counts is None:
        mean = codes.mean(axis=0)
        centred = weighted = codes - mean
    else:
        mean = counts @ codes / n
        centred = codes - mean
        weighted = centred * counts[:, None]
    return mean, weighted.T @ centred / (n - 1)


def kl_to_standard_normal(mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    """KL(N(m, S) || N(0, I)), with the variances of S floored at `VARIANCE_FLOOR`.

    Args:
        mean: m, (D,).
        covariance: S, (D, D).

    Returns:
        Nats, summed over the axes, >= 0.

    Source: closed form for Gaussians, e.g. Kingma & Welling 2014, appendix B, on S's eigenvalues.
    """
    variances = np.maximum(np.linalg.eigvalsh(covariance), VARIANCE_FLOOR)
    kl = 0.5 * (np.sum(variances - 1.0 - np.log(variances)) + mean @ mean)
    return float(max(kl, 0.0))


def draw_gaussian(
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    n: int,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Draws from N(m, S), (n, D); S may be singular.

    They are float32 numbers, as codes are: where S is zero, a draw is then the code itself and not
    a rounding error away from it.
    """
    variances, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(variances, 0.0))
    draws: NDArray[np.float64] = mean + generator.standard_normal((n, len(mean))) @ root.T
    return draws.astype(np.float32).astype(np.float64)


def fit_noise(noise: NDArray[np.float64], codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Noise of N(0, I) on the scale of a model's codes: z = m + S^(1/2) eps, so z ~ N(m, S).

    The symmetric root turns the noise as little as possible, so that the same eps keeps its
    meaning in every model as far as their scales allow.

    Args:
        noise: eps, (n, D).
        codes: samples of the aggregate posterior, (N, D).

    Returns:
        (n, D).
    """
    mean, covariance = fit_gaussian(codes)
    variances, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(variances, 0.0))) @ vectors.T
    placed: NDArray[np.float64] = mean + noise @ root
    return placed
