"""The real images behind a checkpoint's encodings, where they are at hand."""

import threading
import time
from functools import partial

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DataError
from explorer.images.dataset import ImageSet
from explorer.images.registry import DATA_SETS, load_again, load_images
from explorer.models.config import DataConfig

ASK_AGAIN = 30.0  # seconds after which images that were not at hand are looked for again
MOST_KEPT = 3  # sets in memory

_lock = threading.Lock()
_loaded: dict[tuple[str, str], ImageSet] = {}
_reasons: dict[tuple[str, str], str] = {}  # why they were missed
_missed: dict[tuple[str, str], float] = {}


def images_at_hand(data: DataConfig, patience: float = -1) -> ImageSet | None:
    """The very images a model was made for, if they can be had without a download.

    The first call for a data set reads it, which takes up to a second or two, or, if it is one
    that we draw ourselves, draws it, which takes up to half a minute; later ones answer at once.

    Args:
        data: what config.json says of them.
        patience: seconds to wait for another caller who is reading; -1 waits to the end.

    Returns:
        The images, or None if they are not here (yet) or are no longer the same.
    """
    key = (data.name, data.fingerprint)
    if not _lock.acquire(timeout=patience):
        return None
    try:
        if key in _loaded:
            _loaded[key] = _loaded.pop(key)
            return _loaded[key]
        if time.monotonic() - _missed.get(key, -ASK_AGAIN) < ASK_AGAIN:
            return None
        images = _load(data)
        if images is None:
            _missed[key] = time.monotonic()
            return None
        _loaded[key] = images
        while len(_loaded) > MOST_KEPT:
            del _loaded[next(iter(_loaded))]
        return images
    finally:
        _lock.release()


def known_at_hand(data: DataConfig) -> bool | None:
    """Whether the images are at hand, as far as is known without reading or waiting; else None."""
    key = (data.name, data.fingerprint)
    if key in _loaded:
        return True
    return False if time.monotonic() - _missed.get(key, -ASK_AGAIN) < ASK_AGAIN else None


def _load(data: DataConfig) -> ImageSet | None:
    size = None if data.name in DATA_SETS else (data.image_shape[1], data.image_shape[2])
    try:
        return load_again(
            data.name,
            data.fingerprint,
            # Whether files were left out in the training, the fingerprint tells.
            partial(load_images, size=size, allow_download=False, skip_bad=True),
        )
    except (DataError, OSError) as error:
        _reasons[data.name, data.fingerprint] = str(error)
        return None


def explain_missing(data: DataConfig) -> str:
    """Why images are not at hand, as the last look for them found, and what to do."""
    known = _reasons.get((data.name, data.fingerprint), "")
    return (
        f"The images of {data.name} are not at hand, or are no longer those that the model was "
        f"made for. {known}".strip()
    )


def held_out_pictures(
    data: DataConfig, index: NDArray[np.int64], patience: float = -1
) -> NDArray[np.uint8] | None:
    """Pixels of the images at `index`, (n, C, H, W), or None where they are not at hand.

    Args:
        data: what config.json says of them.
        index: rows of the data set, (n,).
        patience: as for `images_at_hand`.
    """
    images = images_at_hand(data, patience)
    if images is None or (len(index) and index.max() >= len(images.images)):
        return None
    return images.images[index]
