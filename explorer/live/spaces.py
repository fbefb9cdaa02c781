"""One plane through a model's latent space, with all that is to be seen on it."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.errors import LatentError
from explorer.latent.interpolation import lerp, slerp
from explorer.latent.planes import Plane, axes_plane, latent_plane, principal_plane
from explorer.live.evidence import codes_of
from explorer.live.model import OpenedModel
from explorer.regularity.definitions import SCALE_FAIR
from explorer.regularity.prior import fit_gaussian, fit_noise

PRINCIPAL = "principal"
PATHS = {"lerp": lerp, "slerp": slerp}
STRETCH_SIDE = 44
MOST_CODES = 10_000  # and prior samples: neighbours take time by the square of it
ELLIPSES = 60
PATH_STEPS = 61
_MARGIN = 1.08
_OUTSIDE = 0.002  # share of the codes, and of the samples, that may lie beyond each edge
_AXES = re.compile(r"axes:(0|[1-9][0-9]{0,3}),(0|[1-9][0-9]{0,3})")

Extent = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Space:
    """A plane and what lies on it.

    Attributes:
        plane: the plane.
        pin: the code that is moved within it, (D,): the mean of all codes.
        places: of a draw from each image's posterior, (N, 2).
        extent: left, right, low, high of what is to be shown.
        circle: the prior's 1-sigma line, (S, 2).
        samples: of the prior, projected onto the plane, (M, 2).
        in_hole: whether each lies in a hole of the whole latent space, (M,); None where there are
            too few codes to say.
        ellipses: 1-sigma lines of some posteriors, (S, 2) each; none of an AE.
    """

    plane: Plane
    pin: NDArray[np.float32]
    places: NDArray[np.float32]
    extent: Extent
    circle: NDArray[np.float64]
    samples: NDArray[np.float32]
    in_hole: NDArray[np.bool_] | None
    ellipses: list[NDArray[np.float64]]

    @property
    def hole_share(self) -> float | None:
        """The share of the prior samples that lie in a hole, 0 to 1; None where nobody can say."""
        return None if self.in_hole is None else float(self.in_hole.mean())

    def codes(self, spots: NDArray[np.floating]) -> NDArray[np.float32]:
        """The codes of spots on the plane, (Q, 2) -> (Q, D)."""
        return self.plane.codes(spots, self.pin)


def open_plane(model: OpenedModel, which: str) -> Plane:
    """A plane by its name: "principal", or "axes:I,J" with axes from 0.

    Raises:
        LatentError: a plane that this model does not have.
    """
    found = _AXES.fullmatch(which)
    if found:
        return axes_plane(int(found[1]), int(found[2]), model.latent_dim)
    if which != PRINCIPAL:
        raise LatentError(f"There is no plane {which[:40]!r}: {PRINCIPAL!r} and 'axes:I,J' are.")
    if model.latent_dim <= 2:
        return latent_plane(model.latent_dim)
    return principal_plane(codes_of(model))


def look_at_space(model: OpenedModel, which: str, column: str) -> Space:
    """All that is to be seen on a plane; takes some seconds.

    Args:
        model: the checkpoint.
        which: see `open_plane`.
        column: whose prior is drawn, "as built" or "scale-fair".

    Raises:
        LatentError: a plane that this model does not have.
    """
    # scipy, which the first paint does not wait for.
    from explorer.latent.surface import gaussian_line, posterior_lines

    plane = open_plane(model, which)
    codes = codes_of(model)
    places = plane.places(codes)
    mean, covariance = prior_on(model, plane, column)
    circle = gaussian_line(mean, covariance)
    samples, in_hole = draw_prior_samples(codes, column)
    seen = plane.places(samples)
    extent = find_extent(places, seen, mean + 3.2 * (circle - mean))
    log_var = model.encodings.log_var
    ellipses: list[NDArray[np.float64]] = []
    if log_var is not None:
        count = len(log_var)
        rows = np.random.default_rng(0).permutation(count)[:ELLIPSES]
        ellipses = posterior_lines(plane, model.encodings.mean[rows], log_var[rows])
    return Space(
        plane=plane,
        pin=codes.mean(axis=0, dtype=np.float64).astype(np.float32),
        places=places,
        extent=extent,
        circle=circle,
        samples=seen,
        in_hole=in_hole,
        ellipses=ellipses,
    )


def prior_on(
    model: OpenedModel, plane: Plane, column: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (2,) and covariance (2, 2) of a column's prior, seen on a plane."""
    if column == SCALE_FAIR:
        mean, covariance = fit_gaussian(codes_of(model).astype(np.float64))
    else:
        mean, covariance = np.zeros(model.latent_dim), np.eye(model.latent_dim)
    seen: NDArray[np.float64] = plane.basis @ (mean - plane.centre)
    return seen, plane.basis @ covariance @ plane.basis.T


def draw_prior_samples(
    codes: NDArray[np.float32], column: str, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
    """As many prior samples as codes, at most 10,000, and which of them lie in a hole.

    The test of the hole rate (regularity/holes.py), in all D dimensions: a sample is in a hole
    where its fifth nearest code is farther off than for 95 % of the codes themselves.

    Args:
        codes: one a held-out image, (N, D).
        column: whose prior is drawn.
        seed: of the samples.

    Returns:
        (M, D) and (M,); None in place of the latter where fewer than six codes have no fifth
        neighbour.
    """
    from explorer.regularity.bootstrap import exceedance_threshold
    from explorer.regularity.holes import NEIGHBOUR, QUANTILE, Distances

    generator = np.random.default_rng(seed)
    if len(codes) > MOST_CODES:
        codes = codes[generator.permutation(len(codes))[:MOST_CODES]]
    wide = codes.astype(np.float64)
    noise = generator.standard_normal(wide.shape)
    samples = fit_noise(noise, wide) if column == SCALE_FAIR else noise
    if len(wide) <= NEIGHBOUR:
        return samples.astype(np.float32), None
    own = Distances.between(wide, wide, exclude_self=True)
    away = Distances.between(samples, wide)
    in_hole: NDArray[np.bool_] = away.fifth > exceedance_threshold(own.fifth, QUANTILE)
    return samples.astype(np.float32), in_hole


def find_extent(
    places: NDArray[np.float32], samples: NDArray[np.float32], ring: NDArray[np.float64]
) -> Extent:
    """A square that holds a ring (S, 2) and nearly all of places (N, 2) and of samples (M, 2)."""
    ends = [
        np.quantile(points.astype(np.float64), [_OUTSIDE, 1 - _OUTSIDE], axis=0)
        for points in (places, samples)
    ]
    both = np.vstack([*ends, ring])
    low, high = both.min(axis=0), both.max(axis=0)
    middle = (low + high) / 2
    half = max(float((high - low).max()) / 2, 1e-6) * _MARGIN
    return (
        float(middle[0] - half),
        float(middle[0] + half),
        float(middle[1] - half),
        float(middle[1] + half),
    )


def measure_stretch(model: OpenedModel, space: Space) -> NDArray[np.float64]:
    """How much the decoder magnifies area on the plane, log10, (G, G), the lowest row first."""
    from explorer.latent.surface import measure_magnification

    return measure_magnification(model.codec.decode, space.codes, space.extent, STRETCH_SIDE)


def manifold_sheet(model: OpenedModel, space: Space, column: str, side: int) -> NDArray[np.uint8]:
    """Decodings at spots that cut the prior of the plane into equal shares, (side², H, W, C).

    Source: Kingma & Welling 2014, figure 4, arXiv:1312.6114.
    """
    from explorer.latent.surface import manifold_spots

    mean, covariance = prior_on(model, space.plane, column)
    variances, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(variances, 0.0))) @ vectors.T
    return model.codec.decode_pixels(space.codes(mean + manifold_spots(side) @ root))


@dataclass(frozen=True, eq=False)
class Way:
    """The way between two images in one model.

    Attributes:
        codes: along it, (S, D), S = `PATH_STEPS`.
        density: local density at each, as a percentile, (S,).
        length: |z_end - z_start|.
    """

    codes: NDArray[np.float32]
    density: NDArray[np.float64]
    length: float

    def pictures(self, model: OpenedModel, steps: int) -> NDArray[np.uint8]:
        """Decodings at evenly spaced points of it, (steps, H, W, C)."""
        rows = np.linspace(0, len(self.codes) - 1, steps).round().astype(np.int64)
        return model.codec.decode_pixels(self.codes[rows])


def find_way(model: OpenedModel, rows: tuple[int, int], path: str) -> Way:
    """The way between the mean codes of two encodings.

    Args:
        model: the checkpoint.
        rows: of the encodings.
        path: "lerp" or "slerp".

    Raises:
        LatentError: another path.
    """
    if path not in PATHS:
        raise LatentError(f"There is no path {path[:40]!r}: {', '.join(PATHS)} are.")
    first, last = model.encodings.mean[list(rows)]
    codes = PATHS[path](first, last, PATH_STEPS)
    return Way(codes, model.density.percentile(codes), float(np.linalg.norm(last - first)))
