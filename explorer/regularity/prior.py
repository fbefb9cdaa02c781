"""How well the cloud of all codes fits the prior."""

import numpy as np
from numpy.typing import NDArray

from explorer.regularity.bootstrap import centred_interval
from explorer.regularity.measure import (
    AS_BUILT,
    HEADLINE,
    LOWER,
    OUR_DEFINITION,
    PRIOR,
    SCALE_FAIR,
    Findings,
    Measure,
)

# A cloud that is flat along some direction is infinitely far from N(0, I); with its variance
# counted as no less than this, such a direction costs 6.4 nats and the figure stays a number.
VARIANCE_FLOOR = 1e-6
_RESAMPLES = 500
_NULL_DRAWS = 20
# The kernel between all pairs of 4,000 codes takes 128 MB; the estimate is unbiased at any number.
MMD_CODES = 4000
# Directions of less than this share of the widest one's variance are flat: rounding, not codes.
_FLAT = 1e-12


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
    """Squared maximum mean discrepancy between codes and prior; as built and scale-fair.

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
    measures = []
    for column, points in ((AS_BUILT, codes), (SCALE_FAIR, whiten(codes))):
        flat = codes.shape[1] - points.shape[1]
        value, resampled = _mmd_with_resamples(points, generator) if points.size else (0.0, [0.0])
        low, high = centred_interval(value, np.asarray(resampled))
        fair = column == SCALE_FAIR
        measures.append(
            Measure(
                key="mmd",
                column=column,
                title="Kernel distance from the prior",
                value=value,
                low=low,
                high=high,
                null=0.0,
                unit="squared kernel distance, 0 to 2",
                better=LOWER,
                n=len(codes),
                seed=seed,
                student=(
                    "How unlike the cloud of codes and a cloud of random codes are when both are "
                    "looked at through a blur as wide as the prior."
                ),
                researcher=(
                    f"Unbiased MMD^2 of the codes{', whitened,' if fair else ''} to N(0, I) with "
                    "the kernel exp(-|z - z'|^2 / (2 D)), the prior's part in closed form; around "
                    "0 for draws from the prior, and almost blind to holes."
                ),
                source="Zhao, Song & Ermon 2019, arXiv:1706.02262; closed form: Rustamov 2021, "
                "arXiv:1901.03227",
                group=PRIOR,
                note=" ".join(
                    part
                    for part in (
                        f"{flat} directions without any spread are left out." if flat else "",
                        note,
                    )
                    if part
                ),
            )
        )
    return Findings(tuple(measures))


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
