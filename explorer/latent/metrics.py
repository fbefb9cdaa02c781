"""Neighbourhoods of codes by several metrics, all of them exact."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from explorer.latent.neighbours import nearest
from explorer.latent.ranking import smallest

EUCLIDEAN, COSINE, MANHATTAN, CORRELATION = "euclidean", "cosine", "manhattan", "correlation"
METRICS = (EUCLIDEAN, COSINE, MANHATTAN, CORRELATION)
# Metrics of lengths; the others compare directions.
LENGTHS = (EUCLIDEAN, MANHATTAN)

# A code this much shorter than its largest entry, once centred, is constant but for rounding.
_ROUNDING = 1e-12
_DIGITS = 12
# Distances held at once, as in neighbours.py.
_CHUNK = 2_000_000


def compared(points: NDArray[np.float64], metric: str) -> NDArray[np.float64]:
    """What of the codes a metric compares.

    Half the squared Euclidean distance of what is returned is the cosine (or correlation) distance
    of the codes.

    Args:
        points: checked codes, (N, D).
        metric: one of METRICS.

    Returns:
        The codes themselves, (N, D), or their directions, (N, D + 1). A code without a direction
        has the last axis to itself, at distance 1 from all that have one.
    """
    if metric in LENGTHS:
        return points
    vectors = points
    if metric == CORRELATION:
        vectors = points - points.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    without = norms <= _ROUNDING * np.abs(points).max(axis=1, keepdims=True)
    directions = np.where(without, 0.0, vectors / np.where(without, 1.0, norms))
    # Rounded, so that what points the same way is the same; 0.0 makes -0.0 the same as 0.0.
    return np.concatenate([np.round(directions, _DIGITS) + 0.0, without], axis=1)


def neighbourhoods(
    points: NDArray[np.float64],
    n_neighbors: int,
    metric: str,
    progress: Callable[[float], None] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The nearest neighbours of each code, itself first.

    Args:
        points: what `compared` gave, (N, D), distinct.
        n_neighbors: how many, itself among them, 2 to N.
        metric: one of METRICS.
        progress: told the share of codes that are done.

    Returns:
        index and distance, each (N, n_neighbors), the nearest first.
    """
    if metric == MANHATTAN:
        distances, others = _nearest_manhattan(points, n_neighbors - 1, progress)
    else:
        distances, others = nearest(
            points, points, n_neighbors - 1, exclude_self=True, progress=progress
        )
    if metric not in LENGTHS:
        distances = 0.5 * distances**2
    own = np.arange(len(points))
    index = np.column_stack([own, others]).astype(np.int32)
    reach = np.column_stack([np.zeros_like(own), distances]).astype(np.float32)
    return index, reach


def _nearest_manhattan(
    points: NDArray[np.float64], k: int, progress: Callable[[float], None] | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    # The first paint must not wait for scipy.
    from scipy.spatial.distance import cdist

    distances = np.empty((len(points), k), dtype=np.float32)
    index = np.empty((len(points), k), dtype=np.int64)
    rows = max(1, _CHUNK // len(points))
    for start in range(0, len(points), rows):
        chunk = points[start : start + rows]
        apart = cdist(chunk, points, "cityblock")
        here = np.arange(len(chunk))
        apart[here, start + here] = np.inf
        chosen = np.sort(smallest(apart, k), axis=1)
        found = np.take_along_axis(apart, chosen, axis=1)
        order = np.argsort(found, axis=1, kind="stable")
        distances[start : start + rows] = np.take_along_axis(found, order, axis=1)
        index[start : start + rows] = np.take_along_axis(chosen, order, axis=1)
        if progress is not None:
            progress(min(1.0, (start + rows) / len(points)))
    return distances, index
