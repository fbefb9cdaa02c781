"""One door to every set of images: a name, a folder of images or of IDX files, an .npz file."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import platformdirs
from PIL import Image

from explorer.errors import DataError, DataNotAtHandError
from explorer.images.archive import load_archive
from explorer.images.binarized import load_binarized
from explorer.images.dataset import ImageSet, check_bytes, check_sides
from explorer.images.digits import load_digits
from explorer.images.faces import FACES
from explorer.images.folder import fit_picture, load_folder
from explorer.images.generated import FactorSpec, load_generated, parse_count
from explorer.images.idx import FASHION_MNIST, MNIST, load_idx
from explorer.images.idx_folder import is_idx_path, load_idx_folder
from explorer.images.listing import NoImagesError
from explorer.images.names import unescape_path
from explorer.images.olivetti import load_olivetti
from explorer.images.sprites import SPRITES
from explorer.storage import is_writable, temporary_cache

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and how much there is (bytes or files)."""

DATA_SETS = ("digits", "mnist", "fashion-mnist", "binarized-mnist", "olivetti", "sprites", "faces")

_IDX_SOURCES = {source.name: source for source in (MNIST, FASHION_MNIST)}
_SCHEMES = {scheme.name: scheme for scheme in (SPRITES, FACES)}


def data_folder() -> Path:
    """Where downloads, drawings and decoded folders go: EXPLORER_DATA, else the user's cache."""
    setting = os.environ.get("EXPLORER_DATA")
    if setting:
        return Path(setting).expanduser()
    folder = platformdirs.user_cache_path("latent-explorer", appauthor=False)
    if folder.is_dir() or is_writable(folder):
        return folder
    return temporary_cache(folder)


def known_factors(spec: str) -> tuple[FactorSpec, ...]:
    """The factors that a set of this spec is drawn from, without drawing it; () where unknown."""
    scheme = _SCHEMES.get(spec.partition(":")[0])
    return () if scheme is None else scheme.factors


def load_images(
    spec: str,
    *,
    size: tuple[int, int] | None = None,
    allow_download: bool = True,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> ImageSet:
    """Load a set of images.

    Args:
        spec: a name of `DATA_SETS`, or the path of a folder of images, of a folder of IDX files
            (with their common beginning, where it holds several sets) or of an .npz file. A
            drawn set takes its number of images after a colon: "sprites:50000".
        size: (H, W) that every image is cropped (centre) and resized to; None keeps them.
        allow_download: whether a named set may be fetched when it is not on this machine, or,
            where that takes longer than a page may wait, drawn.
        skip_bad: whether a folder's files that cannot be decoded are left out, instead of refusing
            the folder.
        progress: called while files are downloaded or read, or images drawn.

    Raises:
        DataNotAtHandError: a named set is not here and must not be downloaded or drawn.
        DataError: nothing of that name, or something about it cannot be used.
    """
    if size is not None:
        check_sides(*size, "The size asked for", "choose another --size")
    if spec == "digits":
        image_set = load_digits()
    elif spec in _IDX_SOURCES:
        image_set = load_idx(
            _IDX_SOURCES[spec],
            data_folder() / spec,
            allow_download=allow_download,
            progress=progress,
        )
    elif spec == "binarized-mnist":
        image_set = load_binarized(
            data_folder() / "binarized_mnist", allow_download=allow_download, progress=progress
        )
    elif spec == "olivetti":
        image_set = load_olivetti(
            data_folder() / "olivetti", allow_download=allow_download, progress=progress
        )
    elif (scheme := _SCHEMES.get(spec.partition(":")[0])) is not None:
        image_set = load_generated(
            scheme,
            parse_count(scheme, spec),
            data_folder() / scheme.name,
            allow_drawing=allow_download,
            progress=progress,
        )
    else:
        path = _find_path(spec)
        if is_idx_path(path):
            image_set = load_idx_folder(path, progress=progress)
        elif path.is_dir():
            cache = data_folder() / "folders"
            try:
                return load_folder(
                    path, size=size, cache=cache, skip_bad=skip_bad, progress=progress
                )
            except NoImagesError as error:
                image_set = load_idx_folder(_find_idx_below(path, error), progress=progress)
        else:
            image_set = load_archive(path)
    return image_set if size is None else _resize_set(image_set, size, progress)


def _find_idx_below(folder: Path, error: NoImagesError) -> Path:
    """The one folder of IDX files below, as torchvision's MNIST/raw.

    Raises:
        NoImagesError: the error, if there is none.
        DataError: there are several, naming them.
    """
    below = [place for pattern in ("*", "*/raw") for place in sorted(folder.glob(pattern))]
    found = [place for place in below if place.is_dir() and is_idx_path(place)]
    if not found:
        raise error
    if len(found) > 1:
        names = ", ".join(str(place) for place in found)
        raise DataError(
            f"The folder {folder} holds several sets of IDX files: give one of {names}."
        )
    return found[0]


def load_again(name: str, fingerprint: str, load: Callable[[str], ImageSet]) -> ImageSet:
    """Load the very images that a run or a checkpoint was made with, also after they were moved.

    Where nothing is left at their path, what bears its name in `data_folder` is tried.

    Args:
        name: of the set, as it was loaded then.
        fingerprint: theirs.
        load: loads a set by its name.

    Raises:
        DataError: they are not there, or not the same any more; why, and what to do.
    """
    reasons = []
    named = name.partition(":")[0] in DATA_SETS
    places = [name]
    if not named:
        path = Path(name)
        places += [
            str(data_folder() / path.name),
            str(data_folder() / path.parent.name / path.name),
        ]
    for place in dict.fromkeys(places):
        try:
            images = load(place)
        except DataError as error:
            if place == name:
                reasons.append(str(error))
            continue
        if images.fingerprint == fingerprint:
            return images
        reasons.append(f"What is in {place} now has another fingerprint.")
    remedy = f" Put them back, or set EXPLORER_DATA to the folder that holds {Path(name).name} now."
    if named:
        remedy = ""
    raise DataNotAtHandError(f"{' '.join(reasons)}{remedy}")


def _find_path(spec: str) -> Path:
    allowed = (
        f"{', '.join(DATA_SETS)}, or the path of a folder of images or of IDX files, or of an "
        ".npz file"
    )
    try:
        path = unescape_path(spec)
        is_folder, is_file = path.is_dir() or is_idx_path(path), path.is_file()
    except (OSError, RuntimeError) as error:
        raise DataError(f"{spec!r} is not a data set ({error}): give {allowed}.") from error
    if is_file and path.suffix.lower() != ".npz":
        raise DataError(f"{path} is a file, but not an .npz file: give {allowed}.")
    # An empty spec would be the current folder.
    if not spec or not (is_folder or is_file):
        raise DataError(f"There is no data set {spec!r}: give {allowed}.")
    return path


def _resize_set(image_set: ImageSet, size: tuple[int, int], progress: Progress | None) -> ImageSet:
    if image_set.image_shape[1:] == size:
        return image_set
    count, channels = image_set.images.shape[:2]
    check_bytes(count, *size, channels, f"{image_set.name} at the size asked for")
    resized = np.empty((count, channels, *size), np.uint8)
    for row, image in enumerate(image_set.images):
        for channel, plane in enumerate(image):
            resized[row, channel] = np.asarray(fit_picture(Image.fromarray(plane), *size))
        if progress is not None and (row % 1000 == 999 or row + 1 == count):
            progress(f"Resizing {image_set.name}", row + 1, count)
    return replace(image_set, images=resized)
