"""What a plane through a latent space is like: posteriors' ellipses, decoder's stretch."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from explorer.latent.planes import Plane

CIRCLE_STEPS = 96


def unit_circle() -> NDArray[np.float64]:
    """Points of the unit circle, closed, (S, 2)."""
    angle = np.linspace(0.0, 2.0 * np.pi, CIRCLE_STEPS + 1)
    return np.column_stack([np.cos(angle), np.sin(angle)])


def gaussian_line(
    mean: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The 1-sigma line of a Gaussian on a plane.

    Args:
        mean: (2,).
        covariance: (2, 2).

    Returns:
        (S, 2), closed.
    """
    variances, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(variances, 0.0))
    line: NDArray[np.float64] = mean + unit_circle() @ root.T
    return line


def posterior_lines(
    plane: Plane, mean: NDArray[np.float32], log_var: NDArray[np.float32]
) -> list[NDArray[np.float64]]:
    """The 1-sigma lines of diagonal posteriors, seen on a plane at true scale.

    Args:
        plane: of two directions.
        mean: (n, D).
        log_var: (n, D).

    Returns:
        n lines, (S, 2) each.
    """
    places = plane.places(mean).astype(np.float64)
    lines = []
    for place, row in zip(places, np.exp(log_var.astype(np.float64)), strict=True):
        covariance = (plane.basis * row) @ plane.basis.T
        lines.append(gaussian_line(place, covariance))
    return lines


def grid_spots(
    extent: tuple[float, float, float, float], columns: int, rows: int
) -> NDArray[np.float64]:
    """The middles of a grid's cells, (rows * columns, 2), the lowest row first.

    Args:
        extent: left, right, low, high.
        columns: cells across.
        rows: cells up.
    """
    left, right, low, high = extent
    x = left + (right - left) * (np.arange(columns) + 0.5) / columns
    y = low + (high - low) * (np.arange(rows) + 0.5) / rows
    across, up = np.meshgrid(x, y)
    return np.column_stack([across.ravel(), up.ravel()])


def manifold_spots(side: int) -> NDArray[np.float64]:
    """Spots that cut N(0, I) of a plane into equal shares, (side * side, 2), the highest row first.

    Source: Kingma & Welling 2014, figure 4: the inverse CDF of the normal on a regular grid.
    """
    quantiles = ndtri((np.arange(side) + 0.5) / side)
    across, up = np.meshgrid(quantiles, quantiles[::-1])
    return np.column_stack([across.ravel(), up.ravel()])


def measure_magnification(
    decode: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    codes_of: Callable[[NDArray[np.float64]], NDArray[np.float32]],
    extent: tuple[float, float, float, float],
    side: int,
) -> NDArray[np.float64]:
    """How much the decoder stretches area on a plane: log10 of sqrt(det(J^T J)).

    J, the pictures' change with the two directions, is taken from central differences between the
    cells of the grid, so it tells of changes over a cell.

    Args:
        decode: codes (n, D) to images (n, C, H, W).
        codes_of: spots (n, 2) to codes (n, D).
        extent: left, right, low, high.
        side: cells a side, at least 3.

    Returns:
        (side, side), the lowest row first.

    Source: Bishop, Svensen & Williams 1997, magnification factors; for VAEs Chen et al. 2018,
    arXiv:1711.01204.
    """
    left, right, low, high = extent
    images = decode(codes_of(grid_spots(extent, side, side)))
    flat = images.reshape(side, side, -1).astype(np.float64)
    up = np.gradient(flat, (high - low) / side, axis=0)
    across = np.gradient(flat, (right - left) / side, axis=1)
    first = np.einsum("yxp,yxp->yx", across, across)
    second = np.einsum("yxp,yxp->yx", up, up)
    mixed = np.einsum("yxp,yxp->yx", across, up)
    area = np.sqrt(np.maximum(first * second - mixed**2, 0.0))
    logs: NDArray[np.float64] = np.log10(np.maximum(area, 1e-12))
    return logs
