"""The nearest codes of a code, exactly."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes
from explorer.latent.ranking import smallest

# Squared distances held at once. 2 million float64 stay near the cache (16 MB); ten times as many
# took twice as long.
_CHUNK = 2_000_000


def nearest(
    queries: ArrayLike,
    codes: ArrayLike,
    k: int,
    *,
    exclude_self: bool = False,
    progress: Callable[[float], None] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k nearest codes of each query, by Euclidean distance, with none approximated.

    Matrix products rank the codes; the distances of the chosen k are then taken again from
    differences, so that they are right also where two codes nearly coincide far from the origin.
    Memory is bounded whatever Q and N are.

    Args:
        queries: (Q, D).
        codes: (N, D).
        k: how many, 1 to N (to N - 1 with `exclude_self`).
        exclude_self: the queries are the codes, and none is its own neighbour; a duplicate of it,
            at distance 0, still is.
        progress: told the share of queries that are answered.

    Returns:
        distances (Q, k), ascending, and index (Q, k) into `codes`; equal distances stand in the
        order of their index.

    Raises:
        LatentError: shapes that disagree, values that are not finite, or k out of range.
    """
    candidates = checked_codes(codes)
    points = checked_codes(queries, name="queries", dim=candidates.shape[1])
    if exclude_self and points.shape != candidates.shape:
        raise LatentError(
            f"exclude_self needs the queries to be the codes; there are {len(points)} queries and "
            f"{len(candidates)} codes."
        )
    most = len(candidates) - int(exclude_self)
    if not 1 <= k <= most:
        raise LatentError(
            f"{k} neighbours were asked for; {len(candidates)} codes allow 1 to {most}."
        )

    # Squares of coordinates about the centre are small, and their differences keep their digits.
    centre = candidates.mean(axis=0)
    centred = candidates - centre
    squares = np.einsum("nd,nd->n", centred, centred)
    distances = np.empty((len(points), k), dtype=np.float32)
    index = np.empty((len(points), k), dtype=np.int64)
    rows = max(1, _CHUNK // len(candidates))
    for start in range(0, len(points), rows):
        chunk = points[start : start + rows]
        # |query|² is the same along a row and does not change its ranking.
        ranking = squares - 2.0 * ((chunk - centre) @ centred.T)
        if exclude_self:
            here = np.arange(len(chunk))
            ranking[here, start + here] = np.inf
        chosen = np.sort(smallest(ranking, k), axis=1)
        exact = np.sqrt(((candidates[chosen] - chunk[:, None, :]) ** 2).sum(axis=2))
        order = np.argsort(exact, axis=1, kind="stable")
        distances[start : start + rows] = np.take_along_axis(exact, order, axis=1)
        index[start : start + rows] = np.take_along_axis(chosen, order, axis=1)
        if progress is not None:
            progress(min(1.0, (start + rows) / len(points)))
    return distances, index
