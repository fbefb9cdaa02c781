"""Checkpoints of as many encodings as a benchmark needs, out of a shipped one's posteriors.

A code of the crowd is mean + eps * exp(log_var / 2) of a held-out image, with eps from N(0, I) of a
fixed seed: what the encoder itself holds to be likely. Posteriors, labels and indices come along.
Each code is placed on the shipped map by `explorer.latent.placement`; codes that share their
nearest neighbours share their place too, so where places coincide all are moved by about the
distance between neighbours on the shipped map. There is no map in three dimensions.

A crowd is kept in benchmarks/results/crowds/ and made again when the checkpoint is newer.

    python -m benchmarks.crowds 70000 1000000
"""

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.result import RESULTS
from explorer.latent.placement import Placement
from explorer.latent.projection import Projection, load_projection, save_projection
from explorer.models.checkpoint import CONFIG, ENCODINGS, PROJECTION, load_config, load_encodings
from explorer.models.library import SHIPPED
from explorer.storage import save_arrays, write_folder

SEED = 0
CROWDS = RESULTS / "crowds"
CHUNK = 50_000
LEFT_OUT = (ENCODINGS, PROJECTION)  # written anew; all else is copied


def crowd_of(folder: Path, count: int, parent: Path = CROWDS) -> Path:
    """A checkpoint of `count` encodings out of that in `folder`, made unless it is there.

    Returns:
        Its folder, `parent`/NAME-COUNT.
    """
    target = parent / f"{folder.name}-{count}"
    source = folder / ENCODINGS
    made = target / ENCODINGS
    if not made.is_file() or made.stat().st_mtime < source.stat().st_mtime:
        sys.stderr.write(f"Making {target} ...\n")
        write_folder(target, lambda new: _fill(new, folder, count))
    return target


def _fill(new: Path, folder: Path, count: int) -> None:
    encodings = load_encodings(folder, load_config(folder))
    projection = load_projection(folder / PROJECTION)
    rng = np.random.default_rng(SEED)
    # Every image as often as the others, in an order that says nothing.
    rows = rng.permutation(np.arange(count) % len(encodings.mean))
    codes = encodings.mean[rows]
    arrays = {"index": encodings.index[rows]}
    if encodings.log_var is not None:
        log_var = encodings.log_var[rows]
        codes = codes + rng.standard_normal(codes.shape, np.float32) * np.exp(log_var / 2)
        arrays["log_var"] = log_var
    arrays["mean"] = codes.astype(np.float32)
    if encodings.labels is not None:
        arrays["labels"] = encodings.labels[rows]
    save_arrays(new / ENCODINGS, arrays)

    exact = projection.method == "latent plane"
    placement = Placement(encodings.mean, projection.coordinates, exact=exact)
    places = np.concatenate(
        [placement.place(codes[start : start + CHUNK]) for start in range(0, count, CHUNK)]
    )
    if len(np.unique(places, axis=0)) < count:
        scale = _distance_between_neighbours(projection.coordinates)
        places = places + rng.standard_normal(places.shape, np.float32) * scale
    save_projection(
        new / PROJECTION,
        Projection(places.astype(np.float32), None, projection.method, projection.parameters, SEED),
    )
    for file in folder.iterdir():
        if file.is_file() and file.name not in LEFT_OUT:
            shutil.copyfile(file, new / file.name)
    assert (new / CONFIG).is_file()


def _distance_between_neighbours(places: NDArray[np.float32]) -> np.float32:
    """The median distance from a place to its nearest, (N, 2) -> data units of the map."""
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(places).query(places, 2)
    return np.float32(np.median(distances[:, 1]))


def main() -> None:
    """Make those that are missing."""
    parser = argparse.ArgumentParser(description="Make checkpoints of many encodings.")
    parser.add_argument("counts", type=int, nargs="*", default=[70_000, 1_000_000])
    parser.add_argument("--model", type=Path, default=SHIPPED / "mnist-vae-16", help="out of which")
    flags = parser.parse_args()
    for count in flags.counts:
        print(crowd_of(flags.model.resolve(), count))


if __name__ == "__main__":
    main()
