"""What a selection of codes has in common."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes


@dataclass(frozen=True, eq=False)
class SelectionSummary:
    """Some codes in numbers.

    Attributes:
        count: of them.
        mix: how many are of each class, (K,); those without a class are in none.
        mean: their mean code, (D,).
        spread: their standard deviation along each axis, (D,).
        radius: root mean square of their distances to the mean.
    """

    count: int
    mix: NDArray[np.int64]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    radius: float


def summarise_selection(
    codes: ArrayLike, labels: ArrayLike | None, class_count: int, rows: ArrayLike
) -> SelectionSummary:
    """Count, class mix, mean and spread of selected codes.

    Args:
        codes: all of them, (N, D).
        labels: their classes, (N,), -1 where there is none; None where no code has one.
        class_count: K.
        rows: the selected ones, (S,), each once.

    Raises:
        LatentError: rows that are not there or stand twice, none at all, labels that do not fit,
            or selected codes that are not finite.
    """
    everything: NDArray[np.generic] = np.asarray(codes)
    chosen = _checked_rows(rows, len(everything))
    points = checked_codes(everything[chosen], name="selected codes")
    mix = np.zeros(class_count, dtype=np.int64)
    if labels is not None:
        classes = np.asarray(labels)
        if classes.shape != (len(everything),) or classes.dtype.kind not in "iu":
            raise LatentError(
                f"The labels must be {len(everything)} whole numbers, one a code; they are "
                f"{classes.dtype} of shape {classes.shape}."
            )
        classes = classes[chosen]
        if classes.max() >= class_count:
            raise LatentError(
                f"The label {classes.max()} is beyond the last of {class_count} classes, "
                f"{class_count - 1}."
            )
        mix = np.bincount(classes[classes >= 0], minlength=class_count).astype(np.int64)
    mean = points.mean(axis=0)
    variance = points.var(axis=0)
    return SelectionSummary(
        count=len(points),
        mix=mix,
        mean=mean.astype(np.float32),
        spread=np.sqrt(variance).astype(np.float32),
        radius=float(np.sqrt(variance.sum())),
    )


def _checked_rows(rows: ArrayLike, count: int) -> NDArray[np.int64]:
    given: NDArray[np.generic] = np.asarray(rows)
    if given.ndim != 1 or given.size == 0:
        raise LatentError(
            f"A selection is a list of at least 1 row; it has shape {given.shape}. Select some "
            "codes first."
        )
    if given.dtype.kind not in "iu":
        raise LatentError(f"The selected rows must be whole numbers; they are {given.dtype}.")
    if given.min() < 0 or given.max() >= count:
        wrong = given.min() if given.min() < 0 else given.max()
        raise LatentError(f"There is no row {wrong}; rows 0 to {count - 1} are there to select.")
    chosen = given.astype(np.int64)
    if twice := len(chosen) - len(np.unique(chosen)):
        raise LatentError(
            f"{twice} of {len(chosen)} selected rows stand twice; each may be selected once."
        )
    return chosen
