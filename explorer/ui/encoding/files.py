"""Pictures and tables as files, made in memory."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def to_png(picture: NDArray[np.uint8]) -> bytes:
    """(H, W) or (H, W, 3) as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=4)
    return file.getvalue()


def to_data_url(picture: NDArray[np.uint8]) -> str:
    """(H, W) or (H, W, 3) as a PNG that stands in a page itself."""
    return "data:image/png;base64," + base64.b64encode(to_png(picture)).decode()


def to_npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays by name as a compressed .npz, which `numpy.load` opens without pickle."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **dict(arrays))
    return file.getvalue()
