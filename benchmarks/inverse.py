"""From a position on a map to a code: the app's guess beside a mean and the nearest code.

A map (UMAP) has no inverse, so what the decoder shows at a position is a guess. Four are set
beside each other on the same maps:

- mean: the Gaussian-weighted mean of the codes of the 24 nearest points, the baseline;
- rescaled: that mean, at the neighbours' own mean distance from the middle of all codes;
- nearest: the code of the nearest point;
- app: what the app does, `explorer.latent.spots.SpotCodes`.

Held-out positions: 1,000 of the encoded images (or all), a tenth of them left out of the map at a
time. At the position of each left-out image a code is guessed; its distance to the image's own
code, its norm and density beside those of the own code, and the squared error of the decoded guess
to the image. Paths: 60 straight ways over the map in 400 steps, half of them between random
positions and half between images; the largest step of the code on each. Time: one query at a time.

Empty land: of 1,500 random positions on the map, the share that the app says is empty, and of the
left-out images' positions the same; the share of random positions that the density of the guessed
code would have called a hole, and the median of that density.

    python -m benchmarks.inverse
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.result import print_table, save_result
from explorer.errors import ExplorerError
from explorer.latent.axes import sample_aggregate_posterior
from explorer.latent.density import LocalDensity
from explorer.latent.projection import load_projection
from explorer.latent.spots import SpotCodes
from explorer.models.checkpoint import PROJECTION, load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED
from explorer.models.pictures import held_out_pictures

MODELS = (
    "mnist-vae-16",
    "mnist-ae-16",
    "fashion-mnist-vae-16",
    "sprites-vae-10",
    "digits-vae-8",
)
HELD_OUT, FOLDS = 1000, 10
PATHS, STEPS = 60, 400
POSITIONS, QUERIES = 1500, 500

Guess = Callable[[NDArray[np.float64]], NDArray[np.float32]]


def weighted_mean(
    codes: NDArray[np.float32], places: NDArray[np.float64], *, rescaled: bool = False
) -> Guess:
    """The baseline, or that at the norm of what it is a mean of."""
    middle = codes.mean(axis=0)
    tree, neighbours, bandwidth = cKDTree(places), min(24, len(places)), 0.5

    def guess(spots: NDArray[np.float64]) -> NDArray[np.float32]:
        distances, rows = tree.query(spots, list(range(1, neighbours + 1)))
        share = distances / np.maximum(distances[:, -1:], 1e-300)
        weights = np.exp(-0.5 * (share / bandwidth) ** 2) - np.exp(-0.5 / bandwidth**2)
        weights = np.where(share.min(axis=1, keepdims=True) < 1.0, weights, 1.0)
        weights /= weights.sum(axis=1, keepdims=True)
        offsets = codes[rows] - middle
        mean = np.einsum("qk,qkd->qd", weights, offsets)
        if rescaled:
            norms = np.einsum("qk,qk->q", weights, np.linalg.norm(offsets, axis=2))
            mean *= (norms / np.maximum(np.linalg.norm(mean, axis=1), 1e-12))[:, None]
        found: NDArray[np.float32] = (middle + mean).astype(np.float32)
        return found

    return guess


def nearest_code(codes: NDArray[np.float32], places: NDArray[np.float64]) -> Guess:
    """The code of the nearest point: jumps from one to the next."""
    tree = cKDTree(places)
    return lambda spots: codes[tree.query(spots)[1]]


def app_codes(codes: NDArray[np.float32], places: NDArray[np.float64]) -> Guess:
    """What the app does."""
    return SpotCodes(codes, places).codes


GUESSES: dict[str, Callable[[NDArray[np.float32], NDArray[np.float64]], Guess]] = {
    "mean": weighted_mean,
    "rescaled": partial(weighted_mean, rescaled=True),
    "nearest": nearest_code,
    "app": app_codes,
}


def guess_left_out(
    make: Callable[[NDArray[np.float32], NDArray[np.float64]], Guess],
    codes: NDArray[np.float32],
    places: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Codes guessed at the positions of images that the map is without, (R, D)."""
    found = np.empty((len(rows), codes.shape[1]), np.float32)
    for fold in np.array_split(np.arange(len(rows)), FOLDS):
        kept = np.delete(np.arange(len(codes)), rows[fold])
        found[fold] = make(codes[kept], places[kept])(places[rows[fold]])
    return found


def left_out_empty(
    codes: NDArray[np.float32], places: NDArray[np.float64], rows: NDArray[np.int64]
) -> float:
    """The share of images whose position the map without them calls empty."""
    found = []
    for fold in np.array_split(rows, FOLDS):
        kept = np.delete(np.arange(len(codes)), fold)
        spots = SpotCodes(codes[kept], places[kept])
        found += [spots.support(place).empty for place in places[fold]]
    return float(np.mean(found))


def straight_paths(
    places: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Ways over a map, (PATHS, STEPS, 2)."""
    low, high = places.min(axis=0), places.max(axis=0)
    ends = generator.uniform(low, high, (2, PATHS // 2, 2))
    images = places[generator.integers(len(places), size=(2, PATHS - PATHS // 2))]
    first, last = np.concatenate([ends, images], axis=1)
    share = np.linspace(0.0, 1.0, STEPS)[:, None]
    found: NDArray[np.float64] = first[:, None] + share * (last - first)[:, None]
    return found


def measure_model(name: str, seed: int) -> dict[str, Any]:
    """All figures of one checkpoint's map."""
    folder = SHIPPED / name
    config = load_config(folder)
    encodings = load_encodings(folder, config)
    codes = encodings.mean
    places = load_projection(folder / PROJECTION).coordinates.astype(np.float64)
    codec = Codec.from_folder(folder)
    density = LocalDensity(sample_aggregate_posterior(codes, encodings.log_var, seed=0))
    generator = np.random.default_rng([16, seed])
    rows = generator.choice(len(codes), min(HELD_OUT, len(codes)), replace=False)
    pictures = held_out_pictures(config.data, encodings.index[rows], 60.0)
    images = None if pictures is None else np.divide(pictures, 255.0)
    own = codes[rows]
    own_norms = np.linalg.norm(own.astype(np.float64), axis=1)
    paths = straight_paths(places, generator)
    positions = generator.uniform(places.min(axis=0), places.max(axis=0), (POSITIONS, 2))
    figures: dict[str, Any] = {
        "codes": len(codes),
        "own_density": float(np.median(density.percentile(own))),
        "guesses": {},
    }
    for guess_name, make in GUESSES.items():
        found = guess_left_out(make, codes, places, rows)
        guess = make(codes, places)
        steps = np.diff(guess(paths.reshape(-1, 2)).reshape(PATHS, STEPS, -1), axis=1)
        largest = np.linalg.norm(steps, axis=2).max(axis=1)
        seconds = []
        for position in positions[:QUERIES]:
            started = time.perf_counter()
            guess(position[None])
            seconds.append(time.perf_counter() - started)
        error = None if images is None else float(np.mean((codec.decode(found) - images) ** 2))
        norms = np.linalg.norm(found.astype(np.float64), axis=1)
        figures["guesses"][guess_name] = {
            "distance": float(np.linalg.norm(found - own, axis=1).mean()),
            "norm": float(np.median(norms / own_norms)),
            "density": float(np.median(density.percentile(found))),
            "squared_error": error,
            "largest_step": float(np.median(largest)),
            "largest_step_of_all": float(largest.max()),
            "milliseconds": 1000.0 * float(np.median(seconds)),
        }
    spots = SpotCodes(codes, places)
    guessed = spots.codes(positions)
    figures["empty"] = {
        "said_empty": float(np.mean([spots.support(one).empty for one in positions])),
        "left_out_said_empty": left_out_empty(codes, places, rows),
        "guess_called_hole": float(density.is_hole(guessed).mean()),
        "density_of_guess": float(np.median(density.percentile(guessed))),
    }
    return figures


def print_model(name: str, figures: dict[str, Any]) -> None:
    """One table of a model: figures, and the ratio to the baseline."""
    baseline = figures["guesses"]["mean"]

    def cell(found: dict[str, Any], key: str, digits: int) -> str:
        value, base = found[key], baseline[key]
        if value is None:
            return "-"
        return f"{value:.{digits}f} ({value / base:.2f})"

    rows = [
        [
            guess_name,
            cell(found, "distance", 2),
            f"{found['norm']:.2f}",
            f"{found['density']:.0f}",
            cell(found, "squared_error", 4),
            cell(found, "largest_step", 2),
            cell(found, "largest_step_of_all", 2),
            f"{found['milliseconds']:.2f}",
        ]
        for guess_name, found in figures["guesses"].items()
    ]
    print_table(
        f"{name}: {figures['codes']:,} codes; own codes' median density "
        f"{figures['own_density']:.0f}; in brackets the ratio to the mean",
        ("guess", "distance", "norm", "density", "squared error", "step", "of all", "ms"),
        rows,
    )
    empty = figures["empty"]
    print(
        f"Random positions said to be empty: {empty['said_empty']:.1%} (left-out images: "
        f"{empty['left_out_said_empty']:.1%}); the random positions' guesses called a hole: "
        f"{empty['guess_called_hole']:.1%}, median density {empty['density_of_guess']:.0f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=MODELS, metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args(arguments)
    figures = {}
    try:
        for name in flags.models:
            figures[name] = measure_model(name, flags.seed)
            print_model(name, figures[name])
    except ExplorerError as error:
        parser.error(str(error))
    save_result("inverse", {"seed": flags.seed, "models": figures})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
