"""Planes through the latent space: maps that are exact, and that run both ways."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import LatentError
from explorer.latent.codes import checked_codes


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane (or a space of three axes) in the latent space.

    Attributes:
        centre: the code at the plane's origin, (D,).
        basis: orthonormal directions, (K, D); a row of zeros is an axis that carries nothing.
        names: of the K axes.
    """

    centre: NDArray[np.float64]
    basis: NDArray[np.float64]
    names: tuple[str, ...]

    def places(self, codes: ArrayLike) -> NDArray[np.float32]:
        """Where codes lie on the plane, seen at a right angle: (N, D) -> (N, K).

        Raises:
            LatentError: another D than the plane's, or codes that are not finite.
        """
        points = checked_codes(codes, dim=len(self.centre))
        found: NDArray[np.float64] = (points - self.centre) @ self.basis.T
        return found.astype(np.float32)

    def codes(self, spots: ArrayLike, pin: ArrayLike) -> NDArray[np.float32]:
        """A code moved within the plane: what it has across the plane, it keeps.

        Args:
            spots: where it shall lie, (Q, K).
            pin: the code that is moved, (D,).

        Returns:
            (Q, D).

        Raises:
            LatentError: spots or a pin of another shape than the plane's, or not finite.
        """
        onto = checked_codes(spots, name="spots", dim=len(self.basis))
        held = checked_codes(np.atleast_1d(pin)[None], name="pins", dim=len(self.centre))[0]
        offset = held - self.centre
        across = self.centre + offset - (offset @ self.basis.T) @ self.basis
        moved: NDArray[np.float64] = across + onto @ self.basis
        return moved.astype(np.float32)


def latent_plane(latent_dim: int) -> Plane:
    """The latent space itself, where it has one axis (it lies along x) or two.

    Raises:
        LatentError: if it has more.
    """
    if latent_dim not in (1, 2):
        raise LatentError(
            f"A latent space of {latent_dim} axes is no plane; one of 1 or 2 axes is."
        )
    names = tuple(axis_name(axis) for axis in range(latent_dim))
    return Plane(np.zeros(latent_dim), np.eye(2)[:, :latent_dim], (*names, "")[:2])


def axes_plane(i: int, j: int, latent_dim: int) -> Plane:
    """The plane of two latent axes, through the origin.

    Args:
        i: the axis along x, from 0.
        j: the axis along y, from 0.
        latent_dim: D.

    Raises:
        LatentError: an axis that is not there, or one axis twice.
    """
    for axis in (i, j):
        if not 0 <= axis < latent_dim:
            raise LatentError(
                f"There is no latent axis {axis}; axes 0 to {latent_dim - 1} are there to choose."
            )
    if i == j:
        raise LatentError(f"A plane needs two axes; axis {i} was given twice.")
    return Plane(np.zeros(latent_dim), np.eye(latent_dim)[[i, j]], (axis_name(i), axis_name(j)))


def principal_plane(codes: ArrayLike, components: int = 2) -> Plane:
    """The plane along which codes spread the most, through their mean.

    Args:
        codes: (N, D).
        components: of the plane, K; at most D.

    Raises:
        LatentError: codes of too few axes or not finite.
    """
    points = checked_codes(codes)
    dim = points.shape[1]
    if not 1 <= components <= dim:
        raise LatentError(
            f"{components} principal axes were asked for; codes of {dim} latent axes have 1 to "
            f"{dim}."
        )
    centre = points.mean(axis=0)
    basis = np.ascontiguousarray(principal_axes(points - centre, components).T)
    return Plane(centre, basis, tuple(f"principal axis {axis + 1}" for axis in range(components)))


def principal_axes(centred: NDArray[np.float64], components: int) -> NDArray[np.float64]:
    """The principal axes of codes about their mean as columns, (D, components), widest first."""
    _, vectors = np.linalg.eigh(centred.T @ centred)
    leading: NDArray[np.float64] = vectors[:, ::-1][:, :components]
    # An eigenvector's sign is the solver's whim: the largest loading is made positive.
    largest = np.abs(leading).argmax(axis=0)
    return leading * np.where(leading[largest, np.arange(components)] < 0.0, -1.0, 1.0)


def axis_name(axis: int) -> str:
    """What an axis that has no name of its own is called; users count from 1."""
    return f"z{axis + 1}"
