"""What the codes say about the images, and how the KL term splits into its parts."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import LatentError
from explorer.latent.axes import ACTIVE_VARIANCE, kl_per_axis
from explorer.latent.codes import checked_codes
from explorer.regularity.bootstrap import RESAMPLES, mean_interval
from explorer.regularity.definitions import DEFINITIONS, NO_PRIOR
from explorer.regularity.estimate import Estimate, Findings

# Codes at which the aggregate posterior is evaluated, each against every image. Their number is
# what the intervals are made of; the time grows with it, with N and with D.
MOST_POINTS = 2000
_POINT_AXES = 32_000
# Densities held at once: 1 million float64 stay in the cache.
_CHUNK = 1_000_000
_LOG_2PI = math.log(2.0 * math.pi)
# From here on the images are told apart so well that N is what limits the mutual information.
_NEAR_CEILING = 0.9


def measure_information(
    mean: NDArray[np.floating],
    log_var: NDArray[np.floating] | None,
    *,
    seed: int,
    note: str = "",
) -> Findings:
    """Active units; and, of a model with a posterior, the KL, axis by axis and split in three.

    An AE has no posterior, so there are only its active units.

    Args:
        mean: posterior means of held-out images, (N, D), N at least 2; an AE's codes.
        log_var: posterior log variances, (N, D), or None for an AE.
        seed: of draws and resamples.
        note: what is to be said of the images.

    Raises:
        LatentError: values that are not finite, shapes that disagree, or one image.
    """
    means = checked_codes(mean, name="posterior means")
    if len(means) < 2:
        raise LatentError("There is 1 image; information needs at least 2 to tell apart.")
    active = _active_units(means, variational=log_var is not None, seed=seed, note=note)
    if log_var is None:
        scale = float(means.var(axis=0).max())
        rows = _axis_rows(means, None, ACTIVE_VARIANCE * scale)
        return Findings((active,), {"axes": rows})
    kl = kl_per_axis(means, log_var)
    found = mean_interval(kl.sum(axis=1), np.random.default_rng([seed, 11]))
    total = Estimate(
        key="kl",
        column=NO_PRIOR,
        value=float(kl.sum(axis=1).mean()),
        low=found.low,
        high=found.high,
        chance=0.0,
        ideal=None,
        n=len(means),
        seed=seed,
        note=note,
    )
    split = measure_kl_split(means, log_var, seed=seed, note=note)
    rows = _axis_rows(means, kl, ACTIVE_VARIANCE)
    return Findings((active, total, *split), {"axes": rows})


def active_axes(mean: NDArray[np.floating], *, variational: bool) -> NDArray[np.bool_]:
    """Which axes a model uses, (D,): Var_x(E[z|x]) > 0.01; an AE's over 0.01 of its largest.

    Source: Burda et al. 2016, section 5.2, arXiv:1509.00519; the AE's threshold is ours.
    """
    variances = mean.astype(np.float64).var(axis=0)
    scale = 1.0 if variational else float(variances.max())
    active: NDArray[np.bool_] = variances > ACTIVE_VARIANCE * scale
    return active


def _active_units(
    means: NDArray[np.float64], *, variational: bool, seed: int, note: str
) -> Estimate:
    n, dim = means.shape
    generator = np.random.default_rng([seed, 10])
    count = int(active_axes(means, variational=variational).sum())
    centred = means - means.mean(axis=0)
    squares = centred**2
    resampled = np.empty(RESAMPLES)
    for draw in range(RESAMPLES):
        weights = generator.multinomial(n, np.full(n, 1.0 / n)) / n
        variances = weights @ squares - (weights @ centred) ** 2
        scale = 1.0 if variational else variances.max()
        resampled[draw] = (variances > ACTIVE_VARIANCE * scale).sum()
    low, high = np.quantile(resampled, (0.025, 0.975))
    sayings = [f"Of {dim} latent dimensions."]
    if not variational:
        sayings.append("An AE's dimensions count as active over 0.01 of its widest one.")
    return Estimate(
        key="active_units",
        column=NO_PRIOR,
        value=float(count),
        low=min(float(low), count),
        high=max(float(high), count),
        chance=None,
        ideal=None,
        n=n,
        seed=seed,
        note=" ".join([*sayings, *([note] if note else [])]),
    )


def _axis_rows(
    means: NDArray[np.float64], kl: NDArray[np.float64] | None, threshold: float
) -> list[dict[str, Any]]:
    """For each axis what it carries, as plain values."""
    variances = means.var(axis=0)
    rows: list[dict[str, Any]] = []
    for axis, variance in enumerate(variances):
        row: dict[str, Any] = {
            "axis": axis,
            "variance": float(f"{variance:.6g}"),
            "active": bool(variance > threshold),
        }
        if kl is not None:
            error = kl[:, axis].std(ddof=1) / math.sqrt(len(kl))
            row["kl"] = float(f"{kl[:, axis].mean():.6g}")
            row["standard_error"] = float(f"{error:.3g}")
        rows.append(row)
    return rows


@dataclass(frozen=True, eq=False)
class KlSplit:
    """The three parts of the KL term at each point, (M,), nats.

    Attributes:
        mutual_information: log q(z|x) - log q(z).
        total_correlation: log q(z) - sum over axes of log q(z_d).
        dimension_wise: sum over axes of log q(z_d) - log p(z_d).
    """

    mutual_information: NDArray[np.float64]
    total_correlation: NDArray[np.float64]
    dimension_wise: NDArray[np.float64]


def split_kl(
    mean: NDArray[np.float64],
    log_var: NDArray[np.float64],
    codes: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> KlSplit:
    """Split log q(z|x) - log p(z) at codes drawn from their posteriors.

    q(z) is the aggregate posterior of these very N images, each counted 1/N, the code's own among
    them; the sum over all of them is taken in log space, so that nothing is estimated but the mean
    over codes.

    Args:
        mean: posterior means of all images, (N, D).
        log_var: their log variances, (N, D).
        codes: drawn from the posteriors of some of them, (M, D).
        rows: which ones, (M,).

    Returns:
        The parts at each code; their sum is log q(z|x) - log p(z).
    """
    n, dim = mean.shape
    inverse = np.exp(-log_var)
    joint, marginals, own = np.empty(len(codes)), np.zeros(len(codes)), np.empty(len(codes))
    # One axis of one chunk at a time: a chunk of codes against all images.
    step = max(1, _CHUNK // n)
    for start in range(0, len(codes), step):
        chunk = slice(start, start + step)
        together = np.zeros((len(codes[chunk]), n))
        for axis in range(dim):
            along = (codes[chunk, axis, None] - mean[None, :, axis]) ** 2 * inverse[:, axis]
            along += log_var[:, axis] + _LOG_2PI
            along *= -0.5
            together += along
            marginals[chunk] += _log_mean_exp(along)
        own[chunk] = together[np.arange(len(together)), rows[chunk]]
        joint[chunk] = _log_mean_exp(together)
    prior = -0.5 * (codes**2 + _LOG_2PI).sum(axis=1)
    return KlSplit(own - joint, joint - marginals, marginals - prior)


def _log_mean_exp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the mean of exponentials along the last axis."""
    most = values.max(axis=-1, keepdims=True)
    found: NDArray[np.float64] = most[..., 0] + np.log(np.exp(values - most).mean(axis=-1))
    return found


def measure_kl_split(
    mean: NDArray[np.floating], log_var: NDArray[np.floating], *, seed: int, note: str = ""
) -> tuple[Estimate, Estimate, Estimate]:
    """Mutual information, total correlation and dimension-wise KL of held-out images.

    The codes at which they are evaluated are resampled. The ideal value of the total
    correlation is measured at the same N: each axis's posteriors are dealt to the images at random,
    which keeps every marginal and leaves no dependence.

    Args:
        mean: posterior means, (N, D), N at least 2.
        log_var: posterior log variances, (N, D).
        seed: of codes, dealing and resamples.
        note: what is to be said of the images.

    Raises:
        LatentError: shapes that disagree or values that are not finite.

    Source: Hoffman & Johnson 2016; Chen et al. 2018, section 3, arXiv:1802.04942.
    """
    means = checked_codes(mean, name="posterior means")
    log_variances = checked_codes(log_var, name="posterior log variances", dim=means.shape[1])
    n, dim = means.shape
    generator = np.random.default_rng([seed, 12])
    count = min(n, MOST_POINTS, max(100, _POINT_AXES // dim))
    rows = np.sort(generator.choice(n, count, replace=False))
    # Drawn in float64: in float32, posteriors narrower than a float32 step would lose their draws.
    found = _split_at(means, log_variances, rows, seed)
    dealt = [generator.permutation(n) for _ in range(dim)]
    dealt_split = _split_at(
        np.column_stack([means[order, axis] for axis, order in enumerate(dealt)]),
        np.column_stack([log_variances[order, axis] for axis, order in enumerate(dealt)]),
        rows,
        seed,
    )
    ceiling = math.log(n)
    information = float(found.mutual_information.mean())
    notes = [f"At most log N = {ceiling:.2f} nats can be seen with {n:,} images."]
    correlation_notes = []
    if information > _NEAR_CEILING * ceiling:
        notes.append("The value is at that ceiling: the model tells the images apart, and more.")
        correlation_notes.append(
            "The mutual information is at its ceiling, so that this is an upper bound; read it "
            "beside its ideal value."
        )
    if count < n:
        correlation_notes.append(f"Evaluated at {count:,} codes against all {n:,} images.")
        notes.append(f"Evaluated at {count:,} codes against all {n:,} images.")

    def estimate(
        key: str,
        values: NDArray[np.float64],
        sayings: list[str],
        *,
        chance: float | None = None,
        ideal: float | None = None,
    ) -> Estimate:
        found = mean_interval(values, generator)
        return Estimate(
            key=key,
            column=NO_PRIOR,
            value=float(values.mean()),
            low=found.low,
            high=found.high,
            chance=chance,
            ideal=ideal,
            n=n,
            seed=seed,
            note=" ".join([*sayings, *([note] if note else [])]),
        )

    return (
        estimate("mutual_information", found.mutual_information, notes, chance=0.0),
        estimate(
            "total_correlation",
            found.total_correlation,
            correlation_notes,
            ideal=float(dealt_split.total_correlation.mean()),
        ),
        estimate(
            "dimension_wise_kl",
            found.dimension_wise,
            correlation_notes[-1:] if count < n else [],
            ideal=DEFINITIONS["dimension_wise_kl"].ideal,
        ),
    )


def _split_at(
    means: NDArray[np.float64],
    log_variances: NDArray[np.float64],
    rows: NDArray[np.int64],
    seed: int,
) -> KlSplit:
    noise = np.random.default_rng([seed, 13]).standard_normal((len(rows), means.shape[1]))
    codes = means[rows] + np.exp(0.5 * log_variances[rows]) * noise
    return split_kl(means, log_variances, codes, rows)
