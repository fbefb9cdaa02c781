"""The map of a latent space: each code's place in two (and three) dimensions."""

import json
import math
import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from io import TextIOBase
from pathlib import Path
from typing import Any, Self

import numpy as np
import platformdirs
from numpy.typing import ArrayLike, NDArray

from explorer.errors import CheckpointError, LatentError
from explorer.latent.codes import checked_codes
from explorer.latent.metrics import EUCLIDEAN, LENGTHS, METRICS, compared, neighbourhoods
from explorer.latent.planes import principal_axes, principal_plane
from explorer.storage import cache_folder, is_writable, load_arrays, save_arrays, temporary_cache

UMAP = "umap"
LATENT_PLANE = "latent plane"
PRINCIPAL_COMPONENTS = "principal components"
METHODS = (UMAP, LATENT_PLANE, PRINCIPAL_COMPONENTS)

# What a map that is fitted while somebody waits may be asked for.
NEIGHBOURS_ALLOWED = (2, 200)
FEWEST_MAPPED, MOST_MAPPED = 4, 100_000

# 5 million places in 2-D and 3-D; a map of more cannot be drawn.
_MAX_BYTES = 100_000_000
# Starting places fill a square of this side, as umap's own do, with noise of this size so that no
# two coincide (equal places are never pushed apart).
_SIDE, _NOISE = 10.0, 1e-3
# As many as the legacy generator inside umap can tell apart.
_SEEDS = 2**32


@dataclass(frozen=True, eq=False)
class Projection:
    """A map of codes.

    Attributes:
        coordinates: (N, 2).
        coordinates_3d: (N, 3), or None where there is no 3-D map.
        method: "umap"; "latent plane" (D <= 2: the map is the latent space itself, exact); or
            "principal components" (too few distinct codes for a neighbourhood map).
        parameters: what gave the map, enough to fit it again.
        seed: of the fit.
    """

    coordinates: NDArray[np.float32]
    coordinates_3d: NDArray[np.float32] | None
    method: str
    parameters: dict[str, int | float | str] = field(default_factory=dict)
    seed: int = 0


def fit_projection(
    codes: ArrayLike,
    *,
    seed: int = 0,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    three_d: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Projection:
    """A map on which codes that are neighbours in the latent space stay neighbours.

    UMAP over exact neighbours, started from the principal components. Codes of one or two axes
    need no projection and are their own map (one axis lies along x); with three axes the 3-D map
    is the latent space itself. Equal codes share a place and are fitted once. Fewer than
    `n_neighbors` + 1 distinct codes have no neighbourhoods to keep; their map is their principal
    components. The same codes and seed give the same map on one machine.

    The first fit in a process compiles for ten to twenty seconds; it may be stopped by raising
    from `progress`.

    Args:
        codes: (N, D).
        seed: of the fit.
        n_neighbors: how many neighbours (a code counts as its own first) make a neighbourhood.
        min_dist: how tightly places may be packed, 0 to 1.
        three_d: fit a 3-D map too.
        progress: told what is being done, in a few words, several times a second.

    Raises:
        LatentError: codes that are not finite (it says how many) or of no shape (N, D), or a
            parameter out of range.

    Source: McInnes et al. 2018, arXiv:1802.03426.
    """
    points = checked_codes(codes)
    if n_neighbors < 2:
        raise LatentError(f"n_neighbors is {n_neighbors}; a neighbourhood needs at least 2.")
    if not 0.0 <= min_dist <= 1.0:
        raise LatentError(f"min_dist is {min_dist}; it lies between 0 and 1.")
    if not 0 <= seed < _SEEDS:
        raise LatentError(f"The seed is {seed}; it lies between 0 and {_SEEDS - 1}.")
    tell = progress or _ignore
    if points.shape[1] <= 2:
        plane = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
        return Projection(plane.astype(np.float32), None, LATENT_PLANE, seed=seed)

    distinct, group = _distinct(points)
    centred = distinct - distinct.mean(axis=0)
    scores = _principal_components(centred, components=3)

    if len(distinct) > n_neighbors:
        flat, solid = _fit_umap(centred, scores, seed, n_neighbors, min_dist, three_d, tell)
        if np.isfinite(flat).all() and (solid is None or np.isfinite(solid).all()):
            return Projection(
                flat[group],
                None if solid is None else solid[group],
                UMAP,
                {
                    "n_neighbors": n_neighbors,
                    "min_dist": min_dist,
                    "metric": "euclidean",
                    "init": PRINCIPAL_COMPONENTS,
                    "umap-learn": version("umap-learn"),
                },
                seed,
            )
    return _principal_map(scores[group], len(distinct), n_neighbors, three_d, seed)


def project_principal(codes: ArrayLike, *, seed: int = 0) -> Projection:
    """The principal components as a map, where no UMAP could be fitted.

    Args:
        codes: (N, D), D at least 3.
        seed: that the other map would have had.

    Raises:
        LatentError: codes that are not finite (it says how many) or of no shape (N, D).
    """
    points = checked_codes(codes)
    distinct, group = _distinct(points)
    scores = _principal_components(distinct - distinct.mean(axis=0), components=3)
    return _principal_map(scores[group], len(distinct), 15, True, seed)


def _principal_map(
    scores: NDArray[np.float64], distinct: int, n_neighbors: int, three_d: bool, seed: int
) -> Projection:
    places = scores.astype(np.float32)
    return Projection(
        places[:, :2].copy(),
        places if three_d else None,
        PRINCIPAL_COMPONENTS,
        {"n_neighbors": n_neighbors, "distinct_codes": distinct},
        seed,
    )


def _fit_umap(
    centred: NDArray[np.float64],
    scores: NDArray[np.float64],
    seed: int,
    n_neighbors: int,
    min_dist: float,
    three_d: bool,
    tell: Callable[[str], None],
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """The 2-D and the 3-D map of distinct codes; umap leaves a code it cannot place as NaN."""
    tell("finding neighbours")
    # The map does not change with the scale of the codes, but umap's float32 would overflow.
    scaled = _unit_scale(centred)
    known = neighbourhoods(scaled, n_neighbors, EUCLIDEAN)

    tell("loading umap")
    umap_model = _import_umap()

    def fit(components: int) -> NDArray[np.float32]:
        tell(f"{components}-D map: preparing")
        start = _starting_places(scores[:, :components], seed)
        return _run_umap(umap_model, scaled, known, start, min_dist, seed, tell)

    flat = fit(2)
    solid: NDArray[np.float32] | None = None
    if three_d:
        if centred.shape[1] == 3:
            tell("3-D map: preparing")
            solid = centred.astype(np.float32)
        else:
            solid = fit(3)
    return flat, solid


def _run_umap(
    umap_model: Callable[..., Any],
    scaled: NDArray[np.float64],
    known: tuple[NDArray[np.int32], NDArray[np.float32]],
    start: NDArray[np.float32],
    min_dist: float,
    seed: int,
    tell: Callable[[str], None],
) -> NDArray[np.float32]:
    """Places of distinct codes from their neighbourhoods and starting places, (N, K)."""
    index, reach = known
    components = start.shape[1]
    model = umap_model(
        n_components=components,
        n_neighbors=index.shape[1],
        min_dist=min_dist,
        init=start,
        random_state=seed,
        n_jobs=1,
        # Copies, since umap marks neighbours it drops in the arrays that it is given.
        precomputed_knn=(index.copy(), reach.copy()),
        tqdm_kwds={
            "file": _EpochStream(f"{components}-D map", tell),
            "disable": False,
            "desc": "",
            "bar_format": "{n_fmt} of {total_fmt}",
            "mininterval": 0.2,
            "leave": False,
        },
    )
    with warnings.catch_warnings():
        # Only a model that transforms new codes needs the index; here Placement does that.
        warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\]", category=UserWarning)
        return np.asarray(model.fit_transform(scaled.astype(np.float32)), dtype=np.float32)


def _distinct(
    points: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The distinct ones among codes, and for each code which one it is."""
    _, first, group = np.unique(points, axis=0, return_index=True, return_inverse=True)
    # In the order of the data, so that a single duplicate does not turn the whole map over.
    rank = np.argsort(first)
    return points[first[rank]], np.argsort(rank)[group.reshape(-1)]


def _unit_scale(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = centred / np.sqrt((centred**2).sum(axis=1).mean())
    return scaled


def _give_numba_a_cache() -> None:
    """Name a folder for what numba compiles where it would find none: umap fails to import then."""
    setting = os.environ.get("NUMBA_CACHE_DIR")
    user = platformdirs.user_cache_path("numba", appauthor=False)
    if is_writable(Path(setting) if setting else user) or is_writable(user):
        return
    packages = [find_spec(name) for name in ("umap", "pynndescent")]
    beside = [Path(one.origin).parent for one in packages if one is not None and one.origin]
    if not all(is_writable(folder / "__pycache__") for folder in beside):
        kept = cache_folder()
        folder = kept if is_writable(kept) else temporary_cache(kept)
        os.environ["NUMBA_CACHE_DIR"] = str(folder / "numba")


def _import_umap() -> Callable[..., Any]:
    # Before numba is imported, which looks for its cache as it goes.
    _give_numba_a_cache()
    with warnings.catch_warnings():
        # Says that its TensorFlow variant is not to be had, which nobody asked for.
        warnings.filterwarnings(
            "ignore", message="Tensorflow not installed", category=ImportWarning
        )
        import umap
    model: Callable[..., Any] = umap.UMAP
    return model


class _EpochStream(TextIOBase):
    """What umap's progress bar writes to: each line it draws is told as a few words."""

    def __init__(self, what: str, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._what = what
        self._tell = tell

    def write(self, text: str) -> int:
        # Beside another bar, umap's also writes escape sequences that move the cursor.
        if (epochs := text.strip()) and epochs[0].isdigit():
            self._tell(f"{self._what}: epoch {epochs}")
        return len(text)


def _principal_components(centred: NDArray[np.float64], *, components: int) -> NDArray[np.float64]:
    """Scores of centred codes of at least as many axes, (N, components)."""
    scores: NDArray[np.float64] = centred @ principal_axes(centred, components)
    return scores


def _starting_places(scores: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
    largest = np.abs(scores).max()
    noise = np.random.default_rng(seed).normal(scale=_NOISE, size=scores.shape)
    places: NDArray[np.float64] = _SIDE * scores / largest + noise
    return places.astype(np.float32)


@dataclass(frozen=True)
class MapRequest:
    """What somebody wants a map to be like.

    Attributes:
        method: "umap" or "principal components", which looks at nothing below but `components`.
        n_neighbors: how many neighbours (a code counts as its own first) make a neighbourhood,
            2 to 200.
        min_dist: how tightly places may be packed, 0 to 1.
        metric: how codes are compared: "euclidean", "cosine", "manhattan" or "correlation".
        components: of the map, 2 or 3.
        seed: of the fit.

    Raises:
        LatentError: a value that is not allowed.
    """

    method: str = UMAP
    n_neighbors: int = 15
    min_dist: float = 0.1
    metric: str = EUCLIDEAN
    components: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        _check_choice("method", self.method, (UMAP, PRINCIPAL_COMPONENTS))
        _check_whole("n_neighbors", self.n_neighbors, *NEIGHBOURS_ALLOWED)
        if isinstance(self.min_dist, bool) or not isinstance(self.min_dist, int | float):
            raise LatentError(f"min_dist is {self.min_dist!r}; it must be a number from 0 to 1.")
        if not 0.0 <= self.min_dist <= 1.0:
            raise LatentError(f"min_dist is {self.min_dist}; it must be a number from 0 to 1.")
        _check_choice("metric", self.metric, METRICS)
        _check_whole("components", self.components, 2, 3)
        _check_whole("seed", self.seed, 0, _SEEDS - 1)
        # 0 and 0.0 ask for the same map and must have the same key.
        object.__setattr__(self, "min_dist", float(self.min_dist))

    @classmethod
    def from_fields(cls, fields: object) -> Self:
        """A request from what JSON gave; what is left out keeps its default.

        Raises:
            LatentError: no object of known names, or a value that is not allowed.
        """
        if not isinstance(fields, Mapping):
            raise LatentError(f"A map is asked for by an object of settings, not by {fields!r}.")
        known = asdict(cls())
        if foreign := sorted(str(name) for name in fields if name not in known):
            raise LatentError(f"A map has no setting {foreign[0]!r}; it has {', '.join(known)}.")
        return cls(**fields)

    def fields(self) -> dict[str, int | float | str]:
        """The settings, ready for JSON."""
        return asdict(self)


def _check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise LatentError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")


def _check_whole(name: str, value: object, low: int, high: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not low <= value <= high:  # type: ignore[operator]
        raise LatentError(f"{name} is {value!r}; it must be a whole number from {low} to {high}.")


def check_mappable(codes: ArrayLike) -> NDArray[np.float64]:
    """The codes, if there is a map of them to be fitted, (N, D).

    Raises:
        LatentError: fewer than 4 codes or more than 100,000, all of them identical, some of them
            not finite, or no codes at all.
    """
    shape = np.shape(codes)
    if len(shape) == 2 and 0 < shape[0] < FEWEST_MAPPED:
        raise LatentError(
            f"A map needs at least {FEWEST_MAPPED} codes; there are {shape[0]}. Encode more images."
        )
    if len(shape) == 2 and shape[0] > MOST_MAPPED:
        raise LatentError(
            f"A map is fitted here to at most {MOST_MAPPED:,} codes; there are {shape[0]:,}. Use "
            "the checkpoint's own map, or a plane of its axes."
        )
    points = checked_codes(codes)
    if (points == points[0]).all():
        raise LatentError(
            f"All {len(points)} codes are identical, so there is nothing to map; look at the model "
            "that gave them."
        )
    return points


def fit_map(
    codes: ArrayLike,
    request: MapRequest,
    *,
    progress: Callable[[str, float | None], None],
) -> NDArray[np.float32]:
    """The map that was asked for, or the reason why there is none.

    With the same settings it is the map of `fit_projection`; other metrics too are given exact
    neighbours. It never falls back to another method.

    Args:
        codes: (N, D), N from 4 to 100,000.
        request: what the map shall be like.
        progress: told what is being done, in a few words, and the share of umap's epochs that are
            done (0 to 1), None before they begin; at last 1.

    Returns:
        (N, components).

    Raises:
        LatentError: codes that cannot be mapped, or not with these settings.

    Source: McInnes et al. 2018, arXiv:1802.03426.
    """
    points = check_mappable(codes)
    if request.method == PRINCIPAL_COMPONENTS:
        progress("finding principal components", None)
        places = principal_plane(points, request.components).places(points)
        progress("principal components found", 1.0)
        return places

    distinct, group = _distinct(compared(points, request.metric))
    most = len(distinct) - 1
    if request.n_neighbors > most:
        what = "distinct codes" if request.metric == EUCLIDEAN else "codes that this metric tells"
        way = (
            f"ask for at most {most} neighbours"
            if most >= NEIGHBOURS_ALLOWED[0]
            else "compare them by another metric"
        )
        raise LatentError(
            f"n_neighbors is {request.n_neighbors}, but there are only {len(distinct)} {what} "
            f"apart; {way}, or for principal components."
        )
    centred = distinct - distinct.mean(axis=0)
    scores = _principal_components(centred, components=min(3, centred.shape[1]))
    scores = np.pad(scores, ((0, 0), (0, 3 - scores.shape[1])))[:, : request.components]
    scaled = _unit_scale(centred)

    progress("finding neighbours", None)
    known = neighbourhoods(
        # A direction is already of unit scale, and would be none about another centre.
        scaled if request.metric in LENGTHS else distinct,
        request.n_neighbors,
        request.metric,
        lambda share: progress(f"finding neighbours: {math.floor(100 * share)} %", None),
    )
    progress("loading umap", None)
    umap_model = _import_umap()
    what = f"{request.components}-D map"
    progress(f"{what}: preparing", None)

    def tell(words: str) -> None:
        epochs = re.search(r"epoch (\d+) of (\d+)$", words)
        progress(words, int(epochs[1]) / int(epochs[2]) if epochs else None)

    start = _starting_places(scores, request.seed)
    places = _run_umap(umap_model, scaled, known, start, request.min_dist, request.seed, tell)
    if broken := int((~np.isfinite(places).all(axis=1)).sum()):
        raise LatentError(
            f"umap left {broken} of {len(places)} codes without a place; ask for more neighbours, "
            "or for principal components."
        )
    progress(f"{what}: done", 1.0)
    return places[group]


def _ignore(what: str) -> None:
    """Stands in where nobody listens."""


def save_projection(path: str | os.PathLike[str], projection: Projection) -> None:
    """Write a projection as an .npz, whole or not at all.

    Raises:
        CheckpointError: the file cannot be written.
    """
    arrays: dict[str, NDArray[Any]] = {
        "coordinates": projection.coordinates,
        "method": np.array(projection.method),
        "parameters": np.array(json.dumps(projection.parameters, sort_keys=True)),
        "seed": np.array(projection.seed, dtype=np.int64),
    }
    if projection.coordinates_3d is not None:
        arrays["coordinates_3d"] = projection.coordinates_3d
    save_arrays(path, arrays)


def load_projection(path: str | os.PathLike[str]) -> Projection:
    """Read what `save_projection` wrote; the file may come from anyone.

    Raises:
        CheckpointError: missing, damaged or foreign file; an array that is missing, unexpected,
            too large, of the wrong shape or type, not finite, or that needs pickle.
    """
    arrays = load_arrays(
        path,
        required=("coordinates", "method", "parameters", "seed"),
        optional=("coordinates_3d",),
        max_bytes=_MAX_BYTES,
    )
    coordinates = _checked_places(path, "coordinates", arrays["coordinates"], 2)
    solid = arrays.get("coordinates_3d")
    if solid is not None:
        solid = _checked_places(path, "coordinates_3d", solid, 3)
        if len(solid) != len(coordinates):
            raise CheckpointError(
                f"{path}: 'coordinates' has {len(coordinates)} places, 'coordinates_3d' "
                f"{len(solid)}; they must be as many."
            )
    method = _checked_text(path, "method", arrays["method"])
    if method not in METHODS:
        raise CheckpointError(f"{path}: the method {method!r} is none of {', '.join(METHODS)}.")
    seed = arrays["seed"]
    if seed.shape != () or seed.dtype.kind not in "iu":
        raise CheckpointError(
            f"{path}: 'seed' must be one whole number; it has shape {seed.shape}, {seed.dtype}."
        )
    parameters = _checked_parameters(path, _checked_text(path, "parameters", arrays["parameters"]))
    return Projection(coordinates, solid, method, parameters, int(seed))


def _checked_places(
    path: str | os.PathLike[str], name: str, array: NDArray[Any], width: int
) -> NDArray[np.float32]:
    if array.dtype.kind != "f" or array.ndim != 2 or array.shape[1] != width or len(array) == 0:
        raise CheckpointError(
            f"{path}: {name!r} must be floats of shape (N, {width}); it is {array.dtype} of shape "
            f"{array.shape}."
        )
    with np.errstate(over="ignore"):
        places: NDArray[np.float32] = array.astype(np.float32)
    if broken := int((~np.isfinite(places).all(axis=1)).sum()):
        raise CheckpointError(f"{path}: {broken} of {len(places)} rows of {name!r} are not finite.")
    return places


def _checked_text(path: str | os.PathLike[str], name: str, array: NDArray[Any]) -> str:
    if array.shape != () or array.dtype.kind != "U":
        raise CheckpointError(
            f"{path}: {name!r} must be one text; it has shape {array.shape}, {array.dtype}."
        )
    return str(array)


def _checked_parameters(path: str | os.PathLike[str], text: str) -> dict[str, int | float | str]:
    try:
        parameters = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: 'parameters' is not JSON: {error}.") from error
    if not isinstance(parameters, dict) or not all(
        isinstance(value, int | float | str) for value in parameters.values()
    ):
        raise CheckpointError(
            f"{path}: 'parameters' must be a JSON object of numbers and texts; it is {text[:80]}."
        )
    return parameters
