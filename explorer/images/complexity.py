"""How much there is to see in a picture: its length when it is compressed without loss."""

import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NATS_A_BYTE = 8 * math.log(2)


def measure_complexity(
    images: NDArray[np.floating[Any]] | NDArray[np.uint8],
) -> NDArray[np.float64]:
    """The length of each image, coded as PNG codes it: filtered rows, then deflate.

    A compressor that knows nothing of the data is a model that fits every picture alike: it needs
    little for a blank page, more for a digit and most for noise, whatever their contrast (a total
    variation would call a faint digit simple). Without filters if that is shorter; without the
    file's headers, which are the same for all.

    Args:
        images: (N, C, H, W), floats in [0, 1] (rounded to 8 bits) or uint8.

    Returns:
        (N,), nats, so that it stands beside a bound. Whole bytes: steps of 5.5 nats.

    Source: Serrà et al. 2020, "Input complexity and out-of-distribution detection with
    likelihood-based generative models", section 3, arXiv:1909.11480; filters and their choice by
    least absolute sum: PNG specification, sections 9 and 12.8.
    """
    pixels: NDArray[np.uint8] = (
        images.astype(np.uint8, copy=False)
        if images.dtype == np.uint8
        else np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)
    )
    rows = pixels.transpose(0, 2, 3, 1)  # channels beside one another, as in a PNG
    plain = np.ascontiguousarray(rows).reshape(len(rows), -1)
    filtered = _filter(rows)
    lengths = [
        min(_deflated(one.tobytes()), _deflated(other.tobytes()))
        for one, other in zip(plain, filtered, strict=True)
    ]
    return np.array(lengths, dtype=np.float64) * _NATS_A_BYTE


def _deflated(content: bytes) -> int:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return len(packer.compress(content)) + len(packer.flush())


def _filter(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each row of (N, H, W, C) as a filter's number and the bytes it leaves, (N, H, 1 + W C)."""
    count, height, width, channels = rows.shape
    here = rows.astype(np.int16)
    left, up, corner = (np.zeros_like(here) for _ in range(3))
    left[:, :, 1:] = here[:, :, :-1]
    up[:, 1:] = here[:, :-1]
    corner[:, 1:, 1:] = here[:, :-1, :-1]
    guess = left + up - corner
    far = [np.abs(guess - one) for one in (left, up, corner)]
    paeth = np.where(
        (far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], up, corner)
    )
    predictions = (np.zeros_like(here), left, up, (left + up) // 2, paeth)
    left_over = np.stack([(here - one).astype(np.uint8) for one in predictions], axis=2)
    left_over = left_over.reshape(count, height, len(predictions), width * channels)
    # As signed bytes: 255 is a step of -1.
    sizes = np.abs(left_over.view(np.int8).astype(np.int16)).sum(axis=3)
    best = sizes.argmin(axis=2)
    chosen = np.take_along_axis(left_over, best[:, :, None, None], axis=2)[:, :, 0]
    return np.concatenate([best[:, :, None].astype(np.uint8), chosen], axis=2)
