"""How the decoder bends the latent space: derivatives, paths, and the way there and back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from explorer.errors import LatentError
from explorer.regularity.bootstrap import mean_interval, median_interval, ratio_interval
from explorer.regularity.definitions import AS_BUILT, DEFINITIONS, NO_PRIOR, SCALE_FAIR
from explorer.regularity.estimate import Estimate, Findings
from explorer.regularity.information import active_axes
from explorer.regularity.prior import fit_gaussian

if TYPE_CHECKING:
    from explorer.regularity.subject import ModelUnderTest

JACOBIAN_CODES = 200
CYCLE_DRAWS = 2000
PAIRS = 500
STEPS = 16
# A decoder in float32 has no smaller singular value than this share of its largest.
_SMALLEST_SHARE = 1e-6
_SMALLEST = 1e-12


def measure_geometry(subject: "ModelUnderTest") -> Findings:
    """Jacobian, cycle error, perceptual path length and arc over chord.

    A model whose axes are all unused, or whose decoder draws one picture alone, has none of what
    cannot be measured without them.

    Raises:
        LatentError: fewer than 4 images, or codes that are not finite.
    """
    if subject.n < 4:
        raise LatentError(
            f"There are {subject.n} held-out images; the geometry needs at least 4, for two pairs."
        )
    from explorer.models.jacobian import pullback_metric

    active = active_axes(subject.mean, variational=subject.log_var is not None)
    estimates: list[Estimate] = []
    if active.any():
        rows = subject.rng("jacobian").permutation(subject.n)[:JACOBIAN_CODES]
        metric = pullback_metric(subject.codec, subject.codes[rows])
        _, covariance = fit_gaussian(subject.codes)
        kept = np.ix_(active, active)
        estimates += measure_jacobian(
            metric[:, kept[0], kept[1]], covariance[kept], seed=subject.seed, dim=subject.latent_dim
        )
        for column in (AS_BUILT, SCALE_FAIR):
            draws = subject.draw(column, CYCLE_DRAWS, "cycle")
            again = np.concatenate(
                [
                    subject.encode(subject.decode(draws[chunk]))[0]
                    for chunk in subject.chunks(CYCLE_DRAWS)
                ]
            )
            estimates.append(
                measure_cycle(
                    draws[:, active],
                    again[:, active].astype(np.float64),
                    np.sqrt(np.diag(covariance)[active]),
                    column=column,
                    seed=subject.seed,
                )
            )
    estimates += measure_paths(subject)
    return Findings(tuple(estimates))


def measure_jacobian(
    metric: NDArray[np.float64], covariance: NDArray[np.float64], *, seed: int, dim: int
) -> tuple[Estimate, ...]:
    """Largest singular value, condition number and log volume of the decoder's Jacobian.

    Each is a median over codes, and the codes are resampled. For N(0, I) they are per unit of z,
    for a fitted Gaussian per standard deviation of the codes: of J S^(1/2).

    Args:
        metric: J^T J at codes, on the active axes, (n, A, A).
        covariance: S of the codes, on the active axes, (A, A).
        seed: of the resamples.
        dim: D, of which A are active.

    Source: singular values of a generator's Jacobian: Odena et al. 2018, arXiv:1802.08768; volume:
    Arvanitidis et al. 2018, arXiv:1710.11379.
    """
    variances, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(variances, 0.0))) @ vectors.T
    generator = np.random.default_rng([seed, 15])
    count = len(covariance)
    note = f"{len(metric)} codes; on {count} active of {dim} dimensions."
    estimates = []
    for column, scaled in ((AS_BUILT, metric), (SCALE_FAIR, root @ metric @ root)):
        values = singular_values(scaled)
        found = {
            "jacobian_largest": values[:, -1],
            "jacobian_condition": values[:, -1] / values[:, 0],
            "jacobian_log_volume": np.log(values).sum(axis=1),
        }
        for key, each in found.items():
            low, high = median_interval(each, generator)
            estimates.append(
                Estimate(
                    key=key,
                    column=column,
                    value=float(np.median(each)),
                    low=low,
                    high=high,
                    chance=None,
                    ideal=None,
                    n=len(metric),
                    seed=seed,
                    note=note,
                )
            )
    return tuple(estimates)


def singular_values(metric: NDArray[np.float64]) -> NDArray[np.float64]:
    """Singular values of J, ascending, from J^T J: (n, A, A) -> (n, A), all above 0."""
    squares = np.linalg.eigvalsh(metric)
    values = np.sqrt(np.maximum(squares, 0.0))
    floors = np.maximum(_SMALLEST_SHARE * values[:, -1:], _SMALLEST)
    floored: NDArray[np.float64] = np.maximum(values, floors)
    return floored


def measure_cycle(
    draws: NDArray[np.float64],
    again: NDArray[np.float64],
    spread: NDArray[np.float64],
    *,
    column: str,
    seed: int,
) -> Estimate:
    """How far a drawn code lies from where the encoder puts its picture.

    The draws are resampled. The chance level is the distance to the code of another draw's picture.

    Args:
        draws: from the prior of the column, on active axes, (n, A).
        again: posterior means of their pictures, (n, A).
        spread: standard deviations of the codes, (A,).
        column: "as built" or "scale-fair".
        seed: of the resamples and of which other draw is taken.
    """
    generator = np.random.default_rng([seed, 16, int(column == SCALE_FAIR)])
    scale = np.where(spread > 0.0, spread, 1.0)
    shifts = np.roll(again, 1, axis=0)
    off, chance = (np.sqrt((((one - draws) / scale) ** 2).mean(axis=1)) for one in (again, shifts))
    found = mean_interval(off, generator)
    return Estimate(
        key="cycle_error",
        column=column,
        value=float(off.mean()),
        low=found.low,
        high=found.high,
        chance=float(chance.mean()),
        ideal=None,
        n=len(draws),
        seed=seed,
    )


@dataclass(frozen=True, eq=False)
class PathLengths:
    """Straight paths between codes, seen in features, (P,) each.

    Attributes:
        arc: length of the path in features.
        energy: S times the sum of the squared steps: its mean squared speed.
        chord: distance in features between its ends.
    """

    arc: NDArray[np.float64]
    energy: NDArray[np.float64]
    chord: NDArray[np.float64]

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> "PathLengths":
        """Of paths of S steps, features (P, S + 1, F)."""
        points = features.astype(np.float64)
        steps = np.linalg.norm(np.diff(points, axis=1), axis=2)
        chord = np.linalg.norm(points[:, -1] - points[:, 0], axis=1)
        return cls(steps.sum(axis=1), steps.shape[1] * (steps**2).sum(axis=1), chord)


def measure_paths(subject: "ModelUnderTest") -> tuple[Estimate, ...]:
    """Perceptual path length and arc over chord on straight paths between pairs of codes.

    Pairs of different held-out images, 16 steps from code to code. The pairs are resampled.
    Nothing where all pictures have the same features.

    Raises:
        LatentError: fewer than 4 images.
    """
    if subject.n < 4:
        raise LatentError(f"There are {subject.n} images; paths need at least 4, for two pairs.")
    pairs = min(PAIRS, subject.n // 2)
    order = subject.rng("paths").permutation(subject.n)[: 2 * pairs].reshape(2, pairs)
    first, last = subject.mean[order[0]], subject.mean[order[1]]
    along = np.linspace(0.0, 1.0, STEPS + 1)[None, :, None]
    codes = (1.0 - along) * first[:, None] + along * last[:, None]
    features = subject.features_of(codes.reshape(-1, codes.shape[2]))
    lengths = PathLengths.of(features.reshape(pairs, STEPS + 1, -1))
    return path_measures(lengths, seed=subject.seed, note=subject.extractor.note)


def path_measures(lengths: PathLengths, *, seed: int, note: str = "") -> tuple[Estimate, ...]:
    """The two metrics of paths; none where no path has two ends that differ.

    Args:
        lengths: of P paths.
        seed: of the resamples.
        note: which features they were seen in, where not in a classifier's.
    """
    # Ends that look alike have no chord to hold the path against.
    kept = lengths.chord > 1e-6 * max(float(lengths.chord.max()), np.finfo(np.float64).tiny)
    if not kept.any():
        return ()
    generator = np.random.default_rng([seed, 17])
    sayings = [note[0].upper() + note[1:] + "."] if note else []
    if not kept.all():
        sayings.append(f"{int((~kept).sum())} paths whose ends look alike are left out.")
    arc, energy, chord = lengths.arc[kept], lengths.energy[kept], lengths.chord[kept]
    return tuple(
        Estimate(
            key=key,
            column=NO_PRIOR,
            value=float(above.mean() / below.mean()),
            low=low,
            high=high,
            chance=None,
            ideal=DEFINITIONS[key].ideal,
            n=len(arc),
            seed=seed,
            note=" ".join(sayings),
        )
        for key, above, below in (
            ("perceptual_path_length", energy, chord**2),
            ("arc_over_chord", arc, chord),
        )
        for low, high in (ratio_interval(above, below, generator),)
    )
