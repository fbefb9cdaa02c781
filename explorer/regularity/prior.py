"""How well the cloud of all codes fits the prior."""

import numpy as np
from numpy.typing import NDArray

from explorer.regularity.bootstrap import centred_interval, kept
from explorer.regularity.definitions import AS_BUILT, DEFINITIONS, SCALE_FAIR
from explorer.regularity.estimate import Estimate, Findings

# A cloud that is flat along some direction is infinitely far from N(0, I); with its variance
# counted as no less than this, such a direction costs 6.4 nats and the figure stays a number.
VARIANCE_FLOOR = 1e-6
_RESAMPLES = 500
# The kernel between all pairs of 4,000 codes takes 128 MB; the estimate is unbiased at any number.
MMD_CODES = 4000
# Directions of less than this share of the widest one's variance are flat: rounding, not codes.
_FLAT = 1e-12


def measure_prior_match(codes: NDArray[np.float64], *, seed: int) -> tuple[Estimate, Estimate]:
    """KL(N(m, S) || N(0, I)) / D, m and S of the codes, less its bias; and 0 for the fitted prior.

    The codes are resampled; the interval is the spread of the resamples about the value.

    Args:
        codes: aggregate posterior samples of a VAE, codes of an AE, (N, D), N at least D + 2.
        seed: of the resamples.
    """
    n, dim = codes.shape
    generator = np.random.default_rng([seed, 3])
    mean, covariance = fit_gaussian(codes)
    bias = kl_bias(covariance, n)
    value = max(kl_to_standard_normal(mean, covariance) - bias, 0.0) / dim
    resampled = np.empty(_RESAMPLES)
    for draw in range(_RESAMPLES):
        counts = generator.multinomial(n, np.full(n, 1.0 / n))
        resampled[draw] = kl_to_standard_normal(*fit_gaussian(codes, counts)) / dim
    low, high = centred_interval(value, resampled)
    ideal = DEFINITIONS["prior_match"].ideal
    against_prior = Estimate(
        key="prior_match",
        column=AS_BUILT,
        value=value,
        low=max(low, 0.0),
        high=high,
        chance=None,
        ideal=ideal,
        n=n,
        seed=seed,
        resamples=kept(resampled - resampled.mean() + value),
    )
    against_fit = Estimate(
        key="prior_match",
        column=SCALE_FAIR,
        value=0.0,
        low=0.0,
        high=0.0,
        chance=None,
        ideal=ideal,
        n=n,
        seed=seed,
    )
    return against_prior, against_fit


def kl_bias(covariance: NDArray[np.float64], n: int) -> float:
    """How far `kl_to_standard_normal` of the moments of n draws lies above that of the truth.

    Exact for draws from a Gaussian: E |m|^2 is too large by tr(S) / n, and E log det S differs
    from log det of the truth by a sum of digammas that depends on n and D alone.

    Args:
        covariance: S, (D, D); directions at the variance floor do not count.
        n: draws, more than D.

    Returns:
        Nats, summed over the axes, >= 0.

    Source: Muirhead 1982, Aspects of Multivariate Statistical Theory, section 3.2 (the moments of
    log det of a Wishart matrix).
    """
    from scipy.special import digamma

    variances = np.linalg.eigvalsh(covariance)
    rank = int((variances > VARIANCE_FLOOR).sum())
    shifts = digamma((n - np.arange(1, rank + 1)) / 2.0) + np.log(2.0 / (n - 1))
    return float(0.5 * (np.maximum(variances, 0.0).sum() / n - shifts.sum()))


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


def whiten(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Codes turned and scaled so that their mean is 0 and their covariance I.

    Directions in which the codes do not vary are left out, so that fewer axes may come back.

    Args:
        codes: (N, D).

    Returns:
        (N, R), R the rank of the covariance, 0 to D.
    """
    mean, covariance = fit_gaussian(codes)
    variances, vectors = np.linalg.eigh(covariance)
    # Equal codes of float32 have a mean that is a rounding error away from them.
    rounding = np.finfo(np.float32).eps ** 2 * float(mean @ mean)
    kept = variances > max(_FLAT * variances[-1], rounding)
    white: NDArray[np.float64] = (codes - mean) @ (vectors[:, kept] / np.sqrt(variances[kept]))
    return white


def measure_mmd(codes: NDArray[np.float64], *, seed: int, note: str = "") -> Findings:
    """Squared maximum mean discrepancy between codes and prior, N(0, I) and a fitted Gaussian.

    The codes are resampled; a code is never compared with its own copy. Of more than 4,000 codes
    a random 4,000 are taken.

    Args:
        codes: aggregate posterior samples of a VAE, codes of an AE, (N, D), N at least 3.
        seed: of sub-sample and resamples.
        note: what is to be said of the images.
    """
    n = len(codes)
    generator = np.random.default_rng([seed, 14])
    if n > MMD_CODES:
        codes = codes[np.sort(generator.choice(n, MMD_CODES, replace=False))]
        note = " ".join([f"{MMD_CODES:,} of the {n:,} codes.", *([note] if note else [])])
    estimates = []
    for column, points in ((AS_BUILT, codes), (SCALE_FAIR, whiten(codes))):
        flat = codes.shape[1] - points.shape[1]
        value, resampled = (
            _mmd_with_resamples(points, generator) if points.size else (0.0, np.zeros(1))
        )
        low, high = centred_interval(value, resampled)
        sayings = [f"{flat} directions without any spread are left out."] if flat else []
        estimates.append(
            Estimate(
                key="mmd",
                column=column,
                value=value,
                low=low,
                high=high,
                chance=None,
                ideal=DEFINITIONS["mmd"].ideal,
                n=len(codes),
                seed=seed,
                note=" ".join([*sayings, *([note] if note else [])]),
            )
        )
    return Findings(tuple(estimates))


def mmd_to_standard_normal(codes: NDArray[np.float64]) -> float:
    """The estimate that InfoVAE training adds to its loss (`models.objectives.mmd_to_prior`).

    Args:
        codes: (N, D), N at least 2.

    Returns:
        An unbiased estimate of MMD^2, which may lie below 0.
    """
    kernel, across, prior = _mmd_parts(codes)
    n = len(codes)
    return float((kernel.sum() - n) / (n * (n - 1)) - 2.0 * across.mean() + prior)


def _mmd_parts(
    codes: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The kernel between the codes (N, N), of each with the prior (N,), of the prior itself."""
    dim = codes.shape[1]
    squares = np.einsum("nd,nd->n", codes, codes)
    kernel = squares[:, None] + squares[None, :] - 2.0 * (codes @ codes.T)
    np.maximum(kernel, 0.0, out=kernel)
    kernel /= -2.0 * dim
    np.exp(kernel, out=kernel)
    np.fill_diagonal(kernel, 1.0)
    across = (dim / (dim + 1)) ** (dim / 2) * np.exp(-squares / (2 * (dim + 1)))
    return kernel, across, (dim / (dim + 2)) ** (dim / 2)


def _mmd_with_resamples(
    codes: NDArray[np.float64], generator: np.random.Generator
) -> tuple[float, NDArray[np.float64]]:
    n = len(codes)
    kernel, across, prior = _mmd_parts(codes)
    value = float((kernel.sum() - n) / (n * (n - 1)) - 2.0 * across.mean() + prior)
    counts = generator.multinomial(n, np.full(n, 1.0 / n), size=_RESAMPLES).astype(np.float64)
    # Pairs of different codes alone: a code and its copy would count as two that coincide.
    own = (counts**2).sum(axis=1)
    within = (np.einsum("bn,bn->b", counts @ kernel, counts) - own) / (n**2 - own)
    return value, within - 2.0 * counts @ across / n + prior
