"""Images to pictures: one alone, or many on a contact sheet."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_picture(image: NDArray[np.floating[Any]] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One image as a picture.

    Args:
        image: (C, H, W), C 1 or 3, floats in [0, 1] (clipped to it) or uint8.

    Returns:
        (H, W) or (H, W, 3) uint8, rounded to nearest.
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"an image must be (1 or 3, H, W), got {image.shape}")
    picture = _to_bytes(image)
    return picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)


def tile(
    images: NDArray[np.float32] | NDArray[np.uint8],
    columns: int,
    *,
    scale: int = 1,
    gap: int = 1,
    background: int = 255,
) -> NDArray[np.uint8]:
    """Many images on one sheet, row by row.

    Args:
        images: (n, C, H, W), C 1 or 3, floats in [0, 1] or uint8, n >= 1.
        columns: images a row; a sheet with fewer images is narrower.
        scale: each pixel becomes scale x scale pixels.
        gap: pixels between two images, not scaled; none around the sheet.
        background: grey level of gaps and unused places, 0 to 255.

    Returns:
        (H', W') or (H', W', 3) uint8.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        raise ValueError(f"images must be (n >= 1, 1 or 3, H, W), got {images.shape}")
    if columns < 1 or scale < 1 or gap < 0:
        raise ValueError(f"columns {columns}, scale {scale}, gap {gap}: must be >= 1, 1, 0")
    count, channels, height, width = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    height, width = height * scale, width * scale
    pixels = _to_bytes(images).repeat(scale, axis=2).repeat(scale, axis=3)
    # One gap too many at the right and at the bottom makes every cell alike; it is cut off.
    cells = np.full(
        (rows * columns, channels, height + gap, width + gap), background, dtype=np.uint8
    )
    cells[:count, :, :height, :width] = pixels
    grid = cells.reshape(rows, columns, channels, height + gap, width + gap)
    sheet = grid.transpose(0, 3, 1, 4, 2).reshape(
        rows * (height + gap), columns * (width + gap), channels
    )[: rows * (height + gap) - gap, : columns * (width + gap) - gap]
    return np.ascontiguousarray(sheet[..., 0] if channels == 1 else sheet)


def _to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.dtype != np.uint8:
        values = np.rint(np.clip(values, 0, 1) * 255)
    return values.astype(np.uint8, copy=False)
