"""Many pictures at once: decodings of codes, and the images of rows."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from explorer.live.model import OpenedModel
from explorer.live.threads import use_one_thread
from explorer.models.pictures import held_out_pictures

MOST_PICTURES = 400  # of one sheet
_PATIENCE = 2.0  # seconds that a sheet waits for the real images


Decode = Callable[[OpenedModel, NDArray[np.float32]], NDArray[np.uint8]]


def decode_pictures(model: OpenedModel, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Codes (k, D) as pictures, (k, H, W, C)."""
    use_one_thread()
    return model.codec.decode_pixels(latents)


def pictures_of_rows(
    model: OpenedModel, rows: NDArray[np.int64], decode: Decode = decode_pictures
) -> tuple[NDArray[np.uint8], bool]:
    """The pictures of encodings, (k, H, W, C), and whether they are the images themselves.

    Where the images are not at hand they are reconstructions.

    Args:
        model: the checkpoint.
        rows: (k,).
        decode: makes pictures (k, H, W, C) of codes (k, D).
    """
    index = model.encodings.index[rows]
    pictures = held_out_pictures(model.config.data, index, _PATIENCE)
    if pictures is not None:
        return pictures.transpose(0, 2, 3, 1), True
    return decode(model, model.encodings.mean[rows]), False


def shrink(pictures: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pictures made smaller by averaging boxes of pixels; none is made larger.

    Args:
        pictures: (k, H, W, C).
        side: the most pixels a side.
    """
    height, width = pictures.shape[1:3]
    largest = max(height, width)
    if largest <= side:
        return pictures
    down = _boxes(height, max(1, round(height * side / largest)))
    across = _boxes(width, max(1, round(width * side / largest)))
    # Matrix products over contiguous rows; einsum with three factors would not use them.
    narrow = np.einsum("khwc,xw->khxc", pictures.astype(np.float32), across, optimize=True)
    small = np.einsum("khxc,yh->kyxc", narrow, down, optimize=True)
    rounded: NDArray[np.uint8] = np.rint(small).astype(np.uint8)
    return rounded


def _boxes(size: int, count: int) -> NDArray[np.float32]:
    """Which share of each box each pixel has, (count, size); boxes need not end between pixels."""
    edges = np.linspace(0, size, count + 1)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    shares: NDArray[np.float32] = (np.clip(overlap, 0, None) * (count / size)).astype(np.float32)
    return shares
