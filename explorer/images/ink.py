"""Strokes told apart from the paper that they are on, under uneven light."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from explorer.images.framing import keep_main_parts, resize

# Of the full range: below it, a difference from the paper is noise or a stain.
_LEAST_CONTRAST = 0.06
# Of the pixels: fewer are specks.
_LEAST_AREA = 0.0005
# Grids this fine show light, and hardly strokes.
_PAPER_SIDE = 96
# A smooth surface that misses more of the border than this has met the edge of a shadow.
_SHADOW_SHARE = 0.12
_NEAR_PAPER = 0.15
# Grain below this is a drawing program's, not a camera's.
_CLEAN = 0.002
_PHOTO_SIDE = 200


@dataclass(frozen=True, eq=False)
class Ink:
    """What is drawn in a picture.

    Attributes:
        strength: (H, W) in [0, 1]: 0 is paper, 1 a full stroke.
        dark: whether the strokes are darker than the paper.
        uneven: how far the paper's brightness varies, in [0, 1].
    """

    strength: NDArray[np.float32]
    dark: bool
    uneven: float


def find_ink(grey: NDArray[np.uint8], *, strokes: bool, dark: bool | None = None) -> Ink | None:
    """Tell what is drawn from the paper under uneven light.

    The paper is what most of the border shows, continued inwards as a smooth surface, so that
    filled shapes stay filled. Where a shadow's edge breaks that surface, strokes are told from
    the surroundings, wider than any stroke.

    Args:
        grey: (H, W).
        strokes: True for writing, which has one full strength. False for things, whose tones
            are kept.
        dark: whether the strokes are darker than the paper; None finds out.

    Returns:
        None when nothing is drawn.
    """
    asked = dark
    levels = np.divide(grey, np.float32(255), dtype=np.float32)
    small = _shrink(levels, _PAPER_SIDE)
    surface = _fit_surface(small)
    residual = small - _evaluate(surface, small.shape)
    noise = _noise(residual)
    paper = _evaluate(surface, levels.shape)

    dark = _energy(-residual, noise) >= _energy(residual, noise) if asked is None else asked
    border = residual[_border_mask(residual.shape)]
    shadowed = strokes and (np.abs(border) > max(4 * _grain(small), 0.08)).mean() > _SHADOW_SHARE
    if shadowed:
        # The shadow itself lies on one side of the surface, so the strokes' side is asked anew.
        around = _surroundings(small, small.shape)
        noise = _noise(small - around)
        if asked is None:
            dark = _energy(around - small, noise) >= _energy(small - around, noise)
        paper = _surroundings(small, levels.shape)

    difference = _calm(paper - levels if dark else levels - paper)
    noise = _noise(difference)
    # Light falls on paper and ink alike, so their ratio tells the ink, not their difference.
    light = np.maximum(paper if dark else 1 - paper, np.float32(0.1))
    strength: NDArray[np.float32] = np.divide(difference, light, dtype=np.float32)
    marked = (difference > 5 * noise) & (strength > _LEAST_CONTRAST)
    if marked.mean() < _LEAST_AREA:
        return None
    full = float(np.percentile(strength[marked], 95 if strokes else 99.5))
    floor = 0.0
    if noise > _CLEAN:
        floor = min(max(0.2 if strokes else 0.05, 4 * noise / full), 0.5) * full
    stretched = np.clip((strength - floor) / (full - floor), 0, 1)
    parts = keep_main_parts(stretched.astype(np.float32), drop_border=shadowed)
    return Ink(parts, bool(dark), float(np.ptp(paper)))


def _calm(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the grain of a photograph away; a small picture has no pixel to spare."""
    if min(levels.shape) < _PHOTO_SIDE or _noise(levels) < _CLEAN:
        return levels
    around = np.pad(levels, 1, mode="edge")
    rows = (around[:-2] + 2 * around[1:-1] + around[2:]) / 4
    return np.asarray((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4, np.float32)


def _shrink(levels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    height, width = levels.shape
    factor = side / max(height, width)
    if factor >= 1:
        return levels
    return resize(levels, max(1, round(height * factor)), max(1, round(width * factor)))


def _border_mask(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    deep = max(1, round(0.05 * min(shape)))
    mask = np.ones(shape, bool)
    mask[deep:-deep, deep:-deep] = False
    return mask


def _noise(difference: NDArray[np.float32]) -> float:
    """Standard deviation of the paper's own grain (1.4826 times the median deviation)."""
    paper = difference[np.abs(difference) < _NEAR_PAPER]
    return 1.4826 * float(np.median(np.abs(paper))) if paper.size else 0.0


def _grain(levels: NDArray[np.float32]) -> float:
    """Standard deviation from pixel to pixel, which the edge of a shadow hardly adds to."""
    bends = np.abs(np.diff(levels, 2, axis=int(levels.shape[1] > levels.shape[0])))
    # Of three independent pixels in the weights 1, -2, 1.
    return 1.4826 * float(np.median(bends)) / 6**0.5 if bends.size else 0.0


def _energy(side: NDArray[np.float32], noise: float) -> float:
    """How much lies on one side of the paper, beyond noise."""
    return float((np.maximum(side - 4 * noise - 0.02, 0) ** 2).sum())


def _terms(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """1, x, y, x², xy, y² at every pixel, (6, H, W), with x and y in [-1, 1]."""
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    return np.stack([np.ones(shape), x, y, x * x, x * y, y * y])


def _fit_surface(levels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Six coefficients of the paper's brightness.

    It starts from the border's most common level and takes in what lies near the surface, ever
    nearer: what is drawn falls out, also where it touches the border.
    """
    terms = _terms(levels.shape).reshape(6, -1).T
    values = levels.reshape(-1).astype(np.float64)
    near_border = _border_mask(levels.shape).reshape(-1)
    surface = np.array([_common_level(values[near_border]), 0, 0, 0, 0, 0])
    fitted = terms @ surface
    for tolerance, everywhere in ((0.3, False), (0.15, False), (0.15, True), (0.1, True)) + (
        (0.06, True),
    ) * 3:
        paper = np.abs(values - fitted) < tolerance
        if not everywhere:
            paper &= near_border
        # Too few points would bend the surface at will; the last good one stays.
        if paper.sum() < 24:
            break
        # A touch of ridge keeps a flat, narrow or partly hidden paper flat.
        chosen = terms[paper]
        ridge = 1e-3 * len(chosen) * np.diag([0, 1, 1, 1, 1, 1])
        surface = np.linalg.solve(chosen.T @ chosen + ridge, chosen.T @ values[paper])
        fitted = terms @ surface
    return surface


def _common_level(values: NDArray[np.float64]) -> float:
    counts, edges = np.histogram(values, bins=20, range=(0, 1))
    # Neighbours count too, or a level on the edge of two bins would lose its majority.
    at = int(np.argmax(np.convolve(counts, [1, 2, 1], mode="same")))
    return float(edges[at] + edges[at + 1]) / 2


def _evaluate(surface: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The surface's brightness at every pixel, (H, W) in [0, 1]."""
    level, x1, y1, x2, xy, y2 = surface.astype(np.float32)
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    across, down = level + x * (x1 + x * x2), y * (y1 + y * y2)
    return np.asarray(np.clip(across + down + y * (xy * x), 0, 1), np.float32)


def _surroundings(small: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The median of a window wider than any stroke, which keeps a shadow's edge where it is.

    Args:
        small: (h, w).
        shape: (H, W) of the answer.
    """
    image = Image.fromarray(np.rint(small * 255).astype(np.uint8))
    image = image.filter(ImageFilter.MedianFilter(max(3, max(small.shape) // 4 | 1)))
    resized = image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    paper: NDArray[np.float32] = np.divide(np.asarray(resized), np.float32(255))
    return paper
