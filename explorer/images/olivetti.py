"""The Olivetti faces: forty people, ten photographs of each; quick to try, too few for more."""

import pickle
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from explorer.errors import CheckpointError, DataError, DataNotAtHandError
from explorer.images.dataset import ImageSet
from explorer.storage import load_arrays, save_arrays

PEOPLE = 40
PHOTOS = 10
SIDE = 64

# Of each person's photographs, the last ones.
_HELD_OUT = 2
_SHAPE = (PEOPLE * PHOTOS, SIDE, SIDE)
_LABELS = np.repeat(np.arange(PEOPLE), PHOTOS)
# scikit-learn stretches the published values to [0, 1]; the darkest was 0, the brightest this.
_BRIGHTEST = 242


def load_olivetti(
    folder: Path,
    *,
    allow_download: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> ImageSet:
    """400 faces, (N, 1, 64, 64), labelled with the person; two photographs of each held out.

    Args:
        folder: holds `olivetti.npz` (`images`, `labels`), or gets it from scikit-learn's copy.
        allow_download: False raises instead.
        progress: called before and after scikit-learn downloads it.

    Raises:
        DataNotAtHandError: it is not there and must not be downloaded.
        DataError: it cannot be downloaded, or what is there is something else.
    """
    path = folder / "olivetti.npz"
    images = _read(path) if path.is_file() else _fetch(folder, path, allow_download, progress)
    held_out = np.arange(len(images)) % PHOTOS >= PHOTOS - _HELD_OUT
    return ImageSet(
        name="olivetti",
        images=images[:, None],
        labels=_LABELS.astype(np.int64),
        classes=tuple(str(person + 1) for person in range(PEOPLE)),
        train_index=np.flatnonzero(~held_out).astype(np.int64),
        held_out_index=np.flatnonzero(held_out).astype(np.int64),
        credit="Olivetti faces, AT&T Laboratories Cambridge",
        licence="none stated",
    )


def _read(path: Path) -> NDArray[np.uint8]:
    """(400, 64, 64) of our own file."""
    remedy = "delete it, and the faces are downloaded again"
    try:
        # Labels may be of any kind of integer.
        arrays = load_arrays(
            path,
            required=("images", "labels"),
            max_bytes=PEOPLE * PHOTOS * (SIDE * SIDE + 8),
        )
    except CheckpointError as error:
        raise DataError(f"{str(error).removesuffix('.')}: {remedy}.") from error
    images, labels = arrays["images"], arrays["labels"]
    if images.shape != _SHAPE or images.dtype != np.uint8:
        raise DataError(
            f"images in {path} are {images.dtype} of shape {images.shape}, but should be uint8 of "
            f"shape {_SHAPE}: {remedy}."
        )
    if not np.array_equal(labels, _LABELS):
        raise DataError(
            f"labels in {path} are not {PHOTOS} of each person from 0 to {PEOPLE - 1} in order: "
            f"{remedy}."
        )
    return images


def _fetch(
    folder: Path,
    path: Path,
    allow_download: bool,
    progress: Callable[[str, int, int], None] | None,
) -> NDArray[np.uint8]:
    """(400, 64, 64) from scikit-learn, saved as our own file."""
    # scikit-learn takes 1.6 s to import, which only this set is to pay.
    from sklearn import datasets

    pickled = folder / "olivetti_py3.pkz"
    missing = not pickled.exists()
    if missing and not allow_download:
        raise DataNotAtHandError(
            f"The Olivetti faces are not on this machine: {path} is missing; allow the download."
        )
    if progress is not None:
        progress("Olivetti faces", 0, 1)
    try:
        faces = datasets.fetch_olivetti_faces(
            data_home=folder, download_if_missing=allow_download
        ).images
    except (
        OSError,
        EOFError,
        ValueError,
        LookupError,
        TypeError,
        ImportError,
        AttributeError,
        zlib.error,
        pickle.UnpicklingError,
    ) as error:
        remedy = (
            "check the connection and try again"
            if missing
            else f"delete {pickled}, and they are downloaded again"
        )
        raise DataError(
            f"The Olivetti faces could not be had from scikit-learn ({error}): {remedy}."
        ) from error
    images: NDArray[np.uint8] = np.rint(np.asarray(faces) * _BRIGHTEST).astype(np.uint8)
    try:
        save_arrays(path, {"images": images, "labels": _LABELS.astype(np.uint8)})
    except CheckpointError as error:
        raise DataError(
            f"{str(error).removesuffix('.')}: make room, or set EXPLORER_DATA to a folder that can "
            "be written."
        ) from error
    if progress is not None:
        progress("Olivetti faces", 1, 1)
    return images
