"""What each latent axis carries, and over which range it is worth moving."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes

# Burda et al. 2016, section 5.2: below it the model has learnt not to use the axis.
ACTIVE_VARIANCE = 0.01
# 99 % of the aggregate posterior: its tails hold single odd images, which would stretch a slider.
SLIDER_QUANTILES = (0.005, 0.995)
# A range of fewer float32 numbers than this moves in visible steps, or not at all.
_DISTINCT_POSITIONS = 100
# Keeps these draws apart from any that a caller makes with the same seed: a collapsed posterior's
# samples would else be the very prior samples that they are compared with.
_STREAM = 0x5A


def sample_aggregate_posterior(
    mean: ArrayLike, log_var: ArrayLike | None, *, seed: int
) -> NDArray[np.float32]:
    """One draw z ~ q(z|x) per image: together, a sample of the aggregate posterior.

    Args:
        mean: posterior means, (N, D); for an AE its codes.
        log_var: posterior log variances, (N, D), or None for an AE.
        seed: of the draws; the same seed gives the same draws.

    Returns:
        (N, D); an AE's codes themselves, since its posterior is a point.

    Raises:
        LatentError: shapes that disagree, or values that are not finite.

    Source: aggregate posterior q(z) = E_x[q(z|x)]: Makhzani et al. 2016, arXiv:1511.05644.
    """
    means = checked_codes(mean, name="posterior means")
    if log_var is None:
        return means.astype(np.float32)
    log_variances = _checked_log_var(log_var, means.shape)
    noise = np.random.default_rng([seed, _STREAM]).standard_normal(means.shape)
    with np.errstate(over="ignore"):
        samples = (means + np.exp(0.5 * log_variances) * noise).astype(np.float32)
    broken = int((~np.isfinite(samples).all(axis=1)).sum())
    if broken:
        raise LatentError(
            f"{broken} of {len(samples)} posteriors are too wide to sample from: the largest log "
            f"variance is {log_variances.max():.4g}."
        )
    return samples


@dataclass(frozen=True, eq=False)
class AxisSummary:
    """Each latent axis in numbers; every array has one entry an axis, (D,).

    Attributes:
        information: how much the axis says about an image, in `unit`.
        unit: "nats" (KL to the prior, averaged over images) for a VAE; "variance" (of the codes,
            in the AE's own arbitrary scale) for an AE. Only the first compares between models.
        order: axes, the most informative first.
        low, high: the range worth moving over, low < high.
        typical: the mean code.
        active: whether Var_x(E[z|x]) > 0.01 (Burda et al.); for an AE, whose scale is arbitrary,
            over 0.01 of the largest axis's.
    """

    information: NDArray[np.float64]
    unit: str
    order: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    typical: NDArray[np.float64]
    active: NDArray[np.bool_]


def summarise_axes(mean: ArrayLike, log_var: ArrayLike | None, *, seed: int = 0) -> AxisSummary:
    """Information, range and activity of each latent axis.

    The range is the 0.5 % and 99.5 % quantiles of samples of the aggregate posterior, not of the
    means: on an axis that a VAE does not use, the means hardly move, while the decoder was trained
    over the whole prior.

    Args:
        mean: posterior means, (N, D); for an AE its codes.
        log_var: posterior log variances, (N, D), or None for an AE.
        seed: of the samples.

    Raises:
        LatentError: shapes that disagree, or values that are not finite.

    Source: active units: Burda et al. 2016, section 5.2, arXiv:1509.00519.
    """
    means = checked_codes(mean, name="posterior means")
    variance_of_means = means.var(axis=0)
    if log_var is None:
        information, unit = variance_of_means, "variance"
        scale = float(variance_of_means.max())
    else:
        information, unit = kl_per_axis(means, log_var).mean(axis=0), "nats"
        scale = 1.0
    samples = sample_aggregate_posterior(mean, log_var, seed=seed)
    low, high = _slider_range(samples)
    return AxisSummary(
        information=information,
        unit=unit,
        order=np.argsort(-information, kind="stable"),
        low=low,
        high=high,
        typical=means.mean(axis=0),
        active=variance_of_means > ACTIVE_VARIANCE * scale,
    )


def kl_per_axis(mean: ArrayLike, log_var: ArrayLike) -> NDArray[np.float64]:
    """KL(q(z|x) || N(0, I)) per image and latent axis.

    Args:
        mean: posterior means, (N, D).
        log_var: posterior log variances, (N, D).

    Returns:
        (N, D), nats, >= 0.

    Raises:
        LatentError: shapes that disagree, or values that are not finite.

    Source: Kingma & Welling 2014, appendix B, arXiv:1312.6114.
    """
    means = checked_codes(mean, name="posterior means")
    log_variances = _checked_log_var(log_var, means.shape)
    # expm1: exp(v) - 1 - v loses all its digits near v = 0, where an unused axis lies.
    with np.errstate(over="ignore"):
        kl = 0.5 * (means**2 + np.expm1(log_variances) - log_variances)
    if not np.isfinite(kl).all():
        raise LatentError(
            f"The posterior is too wide for its KL to be a number: the largest log variance is "
            f"{log_variances.max():.4g}."
        )
    return np.maximum(kl, 0.0)


def _slider_range(
    samples: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, high = np.quantile(samples.astype(np.float64), SLIDER_QUANTILES, axis=0)
    # An axis that is constant but for a few images still has those to show.
    narrow = high - low <= _narrowest(low, high)
    low = np.where(narrow, samples.min(axis=0), low)
    high = np.where(narrow, samples.max(axis=0), high)
    # A dead axis gets the prior's width of one standard deviation either side, or what float32
    # can still tell apart where the axis lies far out.
    narrow = high - low <= _narrowest(low, high)
    centre = 0.5 * (low + high)
    half = np.maximum(1.0, _narrowest(low, high))
    return np.where(narrow, centre - half, low), np.where(narrow, centre + half, high)


def _narrowest(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.maximum(np.abs(low), np.abs(high)).astype(np.float32)
    return _DISTINCT_POSITIONS * np.spacing(largest).astype(np.float64)


def _checked_log_var(log_var: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    log_variances = checked_codes(log_var, name="posterior log variances")
    if log_variances.shape != shape:
        raise LatentError(
            f"The posterior means have shape {shape}, their log variances {log_variances.shape}; "
            "they must be the same."
        )
    return log_variances
