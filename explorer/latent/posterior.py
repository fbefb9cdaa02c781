"""One image's posterior seen from outside: its outline on a plane."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes

POINTS = 96  # of an outline: its corners are then below a pixel at any size on a screen


def posterior_ellipse(
    mean: ArrayLike,
    log_var: ArrayLike | None,
    centre: ArrayLike,
    basis: ArrayLike,
    *,
    deviations: float = 2.0,
    points: int = POINTS,
) -> NDArray[np.float32]:
    """The outline of a posterior on a linear view, at the view's own scale.

    What is seen of N(mean, diag(s^2)) on the plane place(z) = basis (z - centre) is a Gaussian of
    covariance basis diag(s^2) basis^T; its outline is the ellipse so many standard deviations
    from the middle. Two of them hold 86 % of the draws' places.

    Args:
        mean: (D,).
        log_var: (D,), or None for an AE: a point.
        centre: of the view, (D,).
        basis: of the view, (2, D), orthonormal.
        deviations: how far out, at least 0.
        points: of the outline, at least 3; its last is its first.

    Returns:
        (points, 2).

    Raises:
        LatentError: shapes that disagree, values that are not finite, or too few points.
    """
    middle, spread = _checked(mean, log_var)
    axes = checked_codes(basis, name="axes of the view", dim=len(middle))
    origin = checked_codes(np.atleast_2d(centre), name="centre of the view", dim=len(middle))[0]
    if len(axes) != 2 or points < 3 or not deviations >= 0:
        raise LatentError(
            f"An ellipse of {points} points at {deviations} standard deviations on {len(axes)} "
            "axes cannot be drawn: at least 3 points, at least 0, and 2 axes are needed."
        )
    scaled = axes * spread
    # The root of the covariance, from the singular values of its factor: no negative variances.
    left, sizes, _ = np.linalg.svd(scaled, full_matrices=False)
    angles = np.linspace(0, 2 * np.pi, points)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    outline = axes @ (middle - origin) + deviations * (left * sizes @ circle).T
    outline[-1] = outline[0]
    found: NDArray[np.float32] = outline.astype(np.float32)
    return found


def _checked(
    mean: ArrayLike, log_var: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviations, (D,) each; 0 for an AE."""
    centre = checked_codes(np.atleast_1d(mean)[None], name="posterior means")[0]
    if log_var is None:
        return centre, np.zeros_like(centre)
    given = checked_codes(
        np.atleast_1d(log_var)[None], name="posterior log variances", dim=len(centre)
    )[0]
    with np.errstate(over="ignore"):
        spread = np.exp(0.5 * given)
    if not (spread < np.finfo(np.float32).max).all():
        raise LatentError(
            "The posterior is too wide to draw from: its largest log variance is "
            f"{given.max():.4g}."
        )
    return centre, spread
