"""How near a picture comes to another: PSNR and SSIM."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DataError

# Wang et al. 2004, section III.B and III.C.
_SIDE, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03


def psnr(
    images: NDArray[np.floating[Any]], references: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio, 10 log10(1 / mean squared error) with a peak of 1.

    Args:
        images: (N, C, H, W) in [0, 1].
        references: what they should be, (N, C, H, W) in [0, 1].

    Returns:
        (N,), decibels; infinite where there is no difference.

    Raises:
        DataError: shapes that differ.
    """
    one, other = _checked(images, references)
    error = ((one - other) ** 2).mean(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return np.asarray(-10 * np.log10(error))


def ssim(
    images: NDArray[np.floating[Any]], references: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Mean structural similarity, as its authors compute it.

    An 11 x 11 Gaussian window of 1.5 pixels, only where it lies in the picture as a whole, for a
    range of 1; channels are averaged. A picture smaller than the window gets the largest odd one
    that fits.

    Args:
        images: (N, C, H, W) in [0, 1].
        references: what they should be, (N, C, H, W) in [0, 1].

    Returns:
        (N,), at most 1, which only the reference itself has.

    Raises:
        DataError: shapes that differ.

    Source: Wang, Bovik, Sheikh & Simoncelli 2004, "Image quality assessment: from error visibility
    to structural similarity", equation 13.
    """
    one, other = _checked(images, references)
    side = min(_SIDE, *(extent - 1 + extent % 2 for extent in one.shape[2:]))
    means = _blur(one, side), _blur(other, side)
    variances = (
        _blur(one * one, side) - means[0] ** 2,
        _blur(other * other, side) - means[1] ** 2,
    )
    covariance = _blur(one * other, side) - means[0] * means[1]
    c1, c2 = _K1**2, _K2**2
    similarity = (
        (2 * means[0] * means[1] + c1)
        * (2 * covariance + c2)
        / ((means[0] ** 2 + means[1] ** 2 + c1) * (variances[0] + variances[1] + c2))
    )
    return np.asarray(similarity.mean(axis=(1, 2, 3)))


def _blur(values: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Gaussian means over side x side windows that lie in the picture as a whole."""
    offsets = np.arange(side) - (side - 1) / 2
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    weights /= weights.sum()
    for axis in (2, 3):
        windows = np.lib.stride_tricks.sliding_window_view(values, side, axis=axis)
        values = windows @ weights
    return values


def _checked(
    images: NDArray[np.floating[Any]], references: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if images.shape != references.shape or images.ndim != 4 or 0 in images.shape:
        raise DataError(
            f"Pictures of the shape {images.shape} cannot be compared with {references.shape}; "
            "both must be (N, C, H, W) and the same."
        )
    return images.astype(np.float64), references.astype(np.float64)
