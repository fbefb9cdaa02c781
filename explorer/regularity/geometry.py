"""How the decoder bends the latent space: derivatives, paths, and the way there and back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from explorer.errors import LatentError
from explorer.regularity.bootstrap import mean_interval, median_interval, ratio_interval
from explorer.regularity.information import active_axes
from explorer.regularity.measure import (
    AS_BUILT,
    GEOMETRY,
    LOWER,
    NO_DIRECTION,
    NO_PRIOR,
    SCALE_FAIR,
    Findings,
    Measure,
)
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
_NO_NULL = "No value would mean nothing: it describes, and compares models of the same images."


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
    measures: list[Measure] = []
    if active.any():
        rows = subject.rng("jacobian").permutation(subject.n)[:JACOBIAN_CODES]
        metric = pullback_metric(subject.codec, subject.codes[rows])
        _, covariance = fit_gaussian(subject.codes)
        kept = np.ix_(active, active)
        measures += measure_jacobian(
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
            measures.append(
                measure_cycle(
                    draws[:, active],
                    again[:, active].astype(np.float64),
                    np.sqrt(np.diag(covariance)[active]),
                    column=column,
                    seed=subject.seed,
                )
            )
    measures += measure_paths(subject)
    return Findings(tuple(measures))


def measure_jacobian(
    metric: NDArray[np.float64], covariance: NDArray[np.float64], *, seed: int, dim: int
) -> tuple[Measure, ...]:
    """Largest singular value, condition number and log volume of the decoder's Jacobian.

    Each is a median over codes, and the codes are resampled. As built they are per unit of z,
    scale-fair per standard deviation of the codes: of J S^(1/2).

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
    note = f"{len(metric)} codes; on {count} active of {dim} axes. "
    measures = []
    for column, scaled in ((AS_BUILT, metric), (SCALE_FAIR, root @ metric @ root)):
        values = singular_values(scaled)
        unit = "unit of z" if column == AS_BUILT else "standard deviation of the codes"
        found = (
            (
                "jacobian_largest",
                "Steepest direction",
                values[:, -1],
                None,
                f"grey levels (Euclidean over pixels) per {unit}",
                "How much the picture changes, at most, when its code is moved by one step.",
                f"Median over codes of the decoder mean image's largest singular value, per {unit}"
                ", on active axes; it grows with the contrast and the number of pixels, so it "
                "compares models of the same images.",
            ),
            (
                "jacobian_condition",
                "Steepest over flattest direction",
                values[:, -1] / values[:, 0],
                1.0,
                "ratio",
                "How much more the picture changes in the direction where it changes most than in "
                "the one where it changes least; 1 would be alike in all.",
                "Median over codes of the Jacobian's condition number on active axes, singular "
                "values below 1e-6 of the largest counted as that; it has no stable direction: a "
                "model that orders its axes by importance has a large one.",
            ),
            (
                "jacobian_log_volume",
                "Magnification",
                np.log(values).sum(axis=1),
                None,
                f"nats, of grey levels per {unit}, over {count} axes",
                "How much a small piece of the latent space is blown up on its way to pictures.",
                "Median over codes of log sqrt det(J^T J) on active axes; models with different "
                "numbers of active axes do not compare.",
            ),
        )
        for key, title, each, null, unit_here, student, researcher in found:
            low, high = median_interval(each, generator)
            measures.append(
                Measure(
                    key=key,
                    column=column,
                    title=title,
                    value=float(np.median(each)),
                    low=low,
                    high=high,
                    null=null,
                    unit=unit_here,
                    better=NO_DIRECTION,
                    n=len(metric),
                    seed=seed,
                    student=student,
                    researcher=researcher,
                    source="Odena et al. 2018, arXiv:1802.08768; Arvanitidis et al. 2018, "
                    "arXiv:1710.11379",
                    group=GEOMETRY,
                    note=note + ("" if null is not None else _NO_NULL),
                )
            )
    return tuple(measures)


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
) -> Measure:
    """How far a drawn code lies from where the encoder puts its picture.

    The draws are resampled. The null is the same distance to the code of another draw's picture.

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
    off, null = (np.sqrt((((one - draws) / scale) ** 2).mean(axis=1)) for one in (again, shifts))
    low, high = mean_interval(off, generator)
    return Measure(
        key="cycle_error",
        column=column,
        title="There and back",
        value=float(off.mean()),
        low=low,
        high=high,
        null=float(null.mean()),
        unit="standard deviations of the codes, an axis",
        better=NO_DIRECTION,
        n=len(draws),
        seed=seed,
        student=(
            "How far a random code lies from the code that its own picture gets when it is shown "
            "to the encoder."
        ),
        researcher=(
            "E|encode(decode(z)) - z|, root mean square over active axes in standard deviations of "
            "the codes, z from this column's prior; the null takes another draw's picture. It "
            "has no stable direction: a VAE's posterior mean is shrunk towards 0 by design."
        ),
        source="our definition",
        group=GEOMETRY,
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


def measure_paths(subject: "ModelUnderTest") -> tuple[Measure, ...]:
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


def path_measures(lengths: PathLengths, *, seed: int, note: str = "") -> tuple[Measure, ...]:
    """The two measures of paths; none where no path has two ends that differ.

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
    energy_low, energy_high = ratio_interval(energy, chord**2, generator)
    bend_low, bend_high = ratio_interval(arc, chord, generator)
    return (
        Measure(
            key="perceptual_path_length",
            column=NO_PRIOR,
            title="Evenness of the way",
            value=float(energy.mean() / (chord**2).mean()),
            low=energy_low,
            high=energy_high,
            null=1.0,
            unit="times that of a straight, even way",
            better=LOWER,
            n=len(arc),
            seed=seed,
            student=(
                "How jerkily the picture changes on the straight way from one image's code to "
                "another's; 1 is a change as even as can be."
            ),
            researcher=(
                "Perceptual path length, E[S sum |step|^2] with S = 16 steps of lerp between "
                "posterior means, in features, over E[|chord|^2], so that the features' scale "
                "drops out; at least 1, by Jensen."
            ),
            source="Karras et al. 2019, section 4.1, arXiv:1812.04948; normalised by us",
            group=GEOMETRY,
            note=" ".join(sayings),
        ),
        Measure(
            key="arc_over_chord",
            column=NO_PRIOR,
            title="Detour of the way",
            value=float(arc.mean() / chord.mean()),
            low=bend_low,
            high=bend_high,
            null=1.0,
            unit="times the straight distance",
            better=LOWER,
            n=len(arc),
            seed=seed,
            student=(
                "How much longer the way of the pictures is than the direct one, on the straight "
                "way between two codes; 1 is no detour."
            ),
            researcher=(
                "Mean arc over mean chord in features, 16 steps of lerp between posterior means of "
                "pairs of held-out images; at least 1."
            ),
            source="after Shao, Kumar & Fletcher 2018, arXiv:1711.08014; our definition",
            group=GEOMETRY,
            note=" ".join(sayings),
        ),
    )
