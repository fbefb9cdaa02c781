"""Attribute vectors: which way a code goes to become more of something."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes

MEANS, SLOPE = "means", "slope"


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction in latent space.

    Attributes:
        vector: of length 1, (D,).
        step: how far one step goes, in latent units: from one group's mean to the other's, or one
            standard deviation of a factor.
        method: "means" or "slope".
        n: codes of the two groups, from and to; of a factor all and 0.
    """

    vector: NDArray[np.float32]
    step: float
    method: str
    n: tuple[int, int]

    def apply(self, codes: ArrayLike, steps: float = 1.0) -> NDArray[np.float32]:
        """Codes so many steps further, (N, D) -> (N, D); negative steps go back.

        Raises:
            LatentError: codes of another width or not finite, or a number of steps that is not.
        """
        given = checked_codes(codes, dim=len(self.vector))
        if not np.isfinite(steps):
            raise LatentError(f"{steps} steps cannot be gone; give a finite number.")
        moved = given + steps * self.step * self.vector.astype(np.float64)
        return checked_codes(moved, name="moved codes").astype(np.float32)


def direction_between(start: ArrayLike, end: ArrayLike) -> Direction:
    """The direction from one group of codes to another: the difference of their means.

    Fisher's discriminant was tried and is not offered: see docs/ENCODE.md.

    Args:
        start: codes of the group that has little of it, (N, D).
        end: codes of the group that has much of it, (M, D).

    Raises:
        LatentError: codes that cannot be used, or groups with the same mean.

    Source: White 2016, "Sampling generative networks", section 3.3, arXiv:1609.04468.
    """
    low = checked_codes(start, name="codes of the first group")
    high = checked_codes(end, name="codes of the second group", dim=low.shape[1])
    difference = high.mean(axis=0) - low.mean(axis=0)
    length = float(np.linalg.norm(difference))
    if not length > 0:
        raise LatentError(
            "Both groups have the same mean, so no direction leads from one to the other: pick "
            "other pictures."
        )
    vector = (difference / length).astype(np.float32)
    return Direction(vector, length, MEANS, (len(low), len(high)))


def direction_of_label(
    codes: ArrayLike, labels: ArrayLike, label: int, against: int | None = None
) -> Direction:
    """The direction to a class, from another one or from all others.

    Args:
        codes: (N, D).
        labels: (N,).
        label: of the class it leads to.
        against: of the class it leads from; None for all others.

    Raises:
        LatentError: as for `direction_between`, or a class that no code has.
    """
    given = checked_codes(codes)
    classes = np.asarray(labels)
    if classes.shape != given.shape[:1]:
        raise LatentError(f"{len(given)} codes have labels of the shape {classes.shape}.")
    high = classes == label
    low = ~high if against is None else classes == against
    if label == against or not high.any() or not low.any():
        raise LatentError(
            f"There are {int(high.sum())} codes of class {label} and {int(low.sum())} of "
            f"{'others' if against is None else f'class {against}'}: give two classes that have "
            "codes."
        )
    return direction_between(given[low], given[high])


def direction_of_values(codes: ArrayLike, values: ArrayLike) -> Direction:
    """The direction in which a factor grows: along its covariance with the codes.

    A step is as far as codes lie apart, in a linear regression of the code on the factor, for one
    standard deviation of the factor.

    Args:
        codes: (N, D), at least 3.
        values: the factor, (N,), not all the same.

    Raises:
        LatentError: codes or values that cannot be used.
    """
    given = checked_codes(codes)
    factor = checked_codes(np.asarray(values).reshape(-1, 1), name="values")[:, 0]
    if len(factor) != len(given) or len(given) < 3:
        raise LatentError(
            f"There are {len(given)} codes and {len(factor)} values; at least 3 are needed, as "
            "many of one as of the other."
        )
    spread = float(factor.std())
    centred = factor - factor.mean()
    slopes = centred @ (given - given.mean(axis=0)) / len(given)
    length = float(np.linalg.norm(slopes))
    if not spread > 0 or not length > 0:
        raise LatentError(
            "The values are all the same, or the codes do not follow them: no direction leads "
            "from less to more."
        )
    vector = slopes / length
    return Direction(vector.astype(np.float32), length / spread, SLOPE, (len(given), 0))


def random_directions(
    dim: int, count: int, seed: int, *, like: ArrayLike | None = None
) -> NDArray[np.float32]:
    """Directions drawn at random, of length 1.

    Args:
        dim: D.
        count: how many.
        seed: of the draws.
        like: codes (N, D), N at least 2: the directions are drawn from a Gaussian of their
            covariance, so that they lead where codes lie; None draws uniformly from the sphere.

    Returns:
        (count, D).

    Raises:
        LatentError: codes that cannot be used, or that all coincide.
    """
    drawn = np.random.default_rng(seed).standard_normal((count, dim))
    if like is not None:
        codes = checked_codes(like, dim=dim)
        centred = codes - codes.mean(axis=0)
        _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
        if not sizes.max(initial=0.0) > 0:
            raise LatentError(
                f"All {len(codes)} codes coincide: no direction leads from one to another."
            )
        drawn = drawn[:, : len(sizes)] * sizes @ axes
    unit: NDArray[np.float32] = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit
