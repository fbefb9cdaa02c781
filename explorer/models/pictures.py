"""The real images behind a checkpoint's encodings, where they are at hand."""

import threading

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DataError
from explorer.images.dataset import ImageSet
from explorer.images.registry import DATA_SETS, load_images
from explorer.models.config import DataConfig

_lock = threading.Lock()
_loaded: dict[tuple[str, str], ImageSet | None] = {}


def images_at_hand(data: DataConfig) -> ImageSet | None:
    """The very images a model was made for, if they can be had without a download.

    The first call for a data set reads it, which takes up to a second or two; later ones answer
    at once.

    Args:
        data: what config.json says of them.

    Returns:
        The images, or None if they are not here or are no longer the same.
    """
    key = (data.name, data.fingerprint)
    with _lock:
        if key not in _loaded:
            _loaded[key] = _load(data)
        return _loaded[key]


def _load(data: DataConfig) -> ImageSet | None:
    size = None if data.name in DATA_SETS else (data.image_shape[1], data.image_shape[2])
    try:
        images = load_images(data.name, size=size, allow_download=False)
    except (DataError, OSError):
        return None
    return images if images.fingerprint == data.fingerprint else None


def forget_images() -> None:
    """Look again at the next call, after data has come to hand."""
    with _lock:
        _loaded.clear()


def held_out_pictures(data: DataConfig, index: NDArray[np.int64]) -> NDArray[np.uint8] | None:
    """Pixels of the images at `index`, (n, C, H, W), or None where they are not at hand."""
    images = images_at_hand(data)
    if images is None or (len(index) and index.max() >= len(images.images)):
        return None
    return images.images[index]
