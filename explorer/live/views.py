"""Views: maps of a checkpoint's codes, each by its name, and the ways to and fro.

map             the checkpoint's own projection; exact where it is the latent plane
map-3d          its 3-D projection
axes:I,J        the plane of two latent axes
principal       the plane of the first two principal axes; principal-3d the first three
fit:KEY         a projection fitted in the app
"""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from explorer.errors import LatentError
from explorer.latent.placement import Placement
from explorer.latent.planes import Plane, axes_plane, latent_plane, principal_plane
from explorer.latent.projection import LATENT_PLANE, PRINCIPAL_COMPONENTS, Projection
from explorer.live.once import once
from explorer.storage import cache_folder

if TYPE_CHECKING:
    from explorer.latent.fitting import MapFits

MAP, MAP_3D, PRINCIPAL, PRINCIPAL_3D = "map", "map-3d", "principal", "principal-3d"
FIT = "fit:"
LATENT_AXES = "latent axes"


class FindsCodes(Protocol):
    """What gives spots on a flat map their codes."""

    def codes(self, spots: NDArray[np.float32]) -> NDArray[np.float32]:
        """(Q, 2) -> (Q, D)."""
        ...


class View:
    """One map of a checkpoint's codes.

    Args:
        name: of the view.
        codes: (N, D).
        coordinates: their places, (N, 2) or (N, 3); of a plane they are found from it.
        method: what gave the map.
        plane: the plane that the view is; None where places can only be approximated.

    Attributes:
        dims: 2 or 3.
        exact: whether a code's place is its own, or approximated from its neighbours'.
    """

    def __init__(
        self,
        name: str,
        codes: NDArray[np.float32],
        coordinates: NDArray[np.float32],
        method: str,
        plane: Plane | None = None,
    ) -> None:
        self.name = name
        self.coordinates = coordinates
        self.dims = coordinates.shape[1]
        self.method = method
        self.plane = plane
        self.exact = plane is not None
        self._codes = codes

    @property
    def takes_spots(self) -> bool:
        """Whether the server is the one to ask for the code of a spot.

        On a plane through a larger space a spot has no code of its own: the pinned code is moved,
        which the browser, that knows it, does itself.
        """
        return self.dims == 2 and (self.plane is None or self.name == MAP)

    @once
    def _placement(self) -> Placement:
        return Placement(self._codes, self.coordinates, exact=False)

    @once
    def spot_codes(self) -> FindsCodes:
        """What finds codes for spots.

        Raises:
            LatentError: if this view takes none.
        """
        if not self.takes_spots:
            raise LatentError(f"On the view {self.name} a spot has no code of its own.")
        if self.plane is not None:
            return _SpotsThemselves(self._codes.shape[1])
        from explorer.latent.spots import SpotCodes

        return SpotCodes(self._codes, self.coordinates)

    def prepare(self, *, spots: bool = False) -> None:
        """Do now what the first place, or the first spot, would wait for.

        Args:
            spots: for spots too.
        """
        if self.plane is None:
            _ = self._placement
        if spots:
            self.spot_codes.codes(self.coordinates[:1])

    def place(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """The places of codes, (Q, D) -> (Q, dims).

        Raises:
            LatentError: another D, or codes that are not finite.
        """
        if self.plane is not None:
            return self.plane.places(latents)
        return self._placement.place(latents)


class _SpotsThemselves:
    """On the latent plane a spot is its code; of one axis its x is."""

    def __init__(self, latent_dim: int) -> None:
        self._latent_dim = latent_dim

    def codes(self, spots: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(spots, np.float32)[:, : self._latent_dim]


def open_view(
    name: str, codes: NDArray[np.float32], projection: Projection, fits: "MapFits | None"
) -> View:
    """Open a view of a checkpoint's codes.

    Args:
        name: of the view, one that `protocol.check_view_name` lets through.
        codes: (N, D).
        projection: the checkpoint's own.
        fits: the projections fitted in the app; needed for one of these alone.

    Raises:
        LatentError: if these codes have no such view.
    """
    if name == MAP:
        return _own_map(codes, projection)
    if name == MAP_3D:
        if projection.coordinates_3d is None:
            raise LatentError(
                "This checkpoint has no 3-D map; fit one, or take the first three principal axes."
            )
        return View(name, codes, projection.coordinates_3d, projection.method)
    if name in (PRINCIPAL, PRINCIPAL_3D):
        plane = principal_plane(codes, 3 if name == PRINCIPAL_3D else 2)
        return View(name, codes, plane.places(codes), PRINCIPAL_COMPONENTS, plane)
    kind, _, rest = name.partition(":")
    if kind == "axes":
        x, y = (int(axis) for axis in rest.split(","))
        plane = axes_plane(x, y, codes.shape[1])
        return View(name, codes, plane.places(codes), LATENT_AXES, plane)
    assert fits is not None
    request, coordinates = fits.request_of(rest), fits.stored(rest)
    # The key is a hash of the codes too: another model's map is none of this one.
    if (
        request is None
        or coordinates is None
        or fits.key(codes, projection.coordinates, request) != rest
    ):
        raise LatentError(
            "This map is no longer kept, is damaged or is of other codes: fit it again with its "
            "settings."
        )
    return View(name, codes, coordinates, request.method)


def _own_map(codes: NDArray[np.float32], projection: Projection) -> View:
    if projection.method != LATENT_PLANE or codes.shape[1] > 2:
        return View(MAP, codes, projection.coordinates, projection.method)
    plane = latent_plane(codes.shape[1])
    if not np.allclose(plane.places(codes), projection.coordinates, rtol=1e-5):
        raise LatentError(
            f"The map says that it is the latent plane of these {codes.shape[1]}-dimensional "
            "codes, but shows other places: train the checkpoint again, or copy it again."
        )
    return View(MAP, codes, projection.coordinates, projection.method, plane)


def open_fits() -> "MapFits":
    """The maps fitted in the app: in EXPLORER_CACHE, else in the user's cache."""
    from explorer.latent.fitting import MapFits

    return MapFits(cache_folder() / "maps")


def fitted_views(
    codes: NDArray[np.float32], projection: Projection, fits: "MapFits"
) -> list[dict[str, Any]]:
    """The views of these codes that were fitted in the app and are kept, with their settings."""
    return [
        {"view": f"{FIT}{key}", "request": request.fields()}
        for key, request in fits.stored_for(codes, projection.coordinates).items()
    ]


def damaged_views(
    codes: NDArray[np.float32], projection: Projection, fits: "MapFits"
) -> str | None:
    """Which kept maps of these codes cannot be read, in a sentence; None if all can."""
    found = fits.damaged_for(codes, projection.coordinates)
    if not found:
        return None
    several = f"{len(found)} fitted maps" if len(found) > 1 else "A fitted map"
    return f"{several} cannot be read and must be fitted again: {found[0]}"
