"""Strokes put into a model's frame as its data set has them.

A drawn digit lies anywhere, at any size, often in thin strokes; a model knows digits of some
thickness, in the middle.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

# MNIST's own geometry: a box of 20 in a frame of 28, and strokes about a tenth of the box.
_BOX_SHARE = 20 / 28
_STROKE_SHARE = 0.1
_FINE = 8
_PARTS_SIDE = 96
_LEAST_PART = 0.03


def place_ink(
    strength: NDArray[np.float32], height: int, width: int, *, strokes: bool
) -> tuple[NDArray[np.float32], bool]:
    """Crop to the strokes and put them into a frame, with their aspect kept.

    Args:
        strength: (H, W) in [0, 1].
        height: of the frame.
        width: of the frame.
        strokes: True places them like MNIST: in a box of 20/28 of the frame, their centre of
            mass in the middle, strokes as thick as there. False lets things fill the frame, as
            in sets whose content touches the border, and thickens only what would vanish.

    Returns:
        (height, width) in [0, 1], and whether thin strokes were thickened.
    """
    box_height = round(height * _BOX_SHARE) if strokes else height
    box_width = round(width * _BOX_SHARE) if strokes else width
    least = 0.35 if strokes else 0.1
    crop = _crop(strength, least)
    # Fine enough to measure a stroke's width in parts of the model's pixels.
    fine = _fit(crop, box_height * _FINE, box_width * _FINE)
    if strokes:
        fine = np.clip(fine / (0.8 * _full(fine)), 0, 1)
    share = _STROKE_SHARE if strokes else 0.0
    wanted = _FINE * max(1.0, share * min(box_height, box_width))
    stroke = _stroke_width(fine)
    # A pattern measures thin too; only what would vanish is thickened in a thing.
    thickened = stroke < (wanted if strokes else 0.5 * wanted)
    if thickened:
        crop = _crop(_thicken(fine, int(np.ceil((wanted - stroke) / 2))), least)
    crop = _fit(crop, box_height, box_width)
    if strokes or thickened:
        # Averaging thins strokes out; data sets reach full strength.
        crop = np.clip(crop / _full(crop), 0, 1)

    rows, columns = crop.shape
    top, left = (height - rows) / 2, (width - columns) / 2
    if strokes:
        mass = float(crop.sum())
        # MNIST's own centre of mass lies at index 14 of 28.
        top = height / 2 - float(crop.sum(axis=1) @ np.arange(rows)) / mass
        left = width / 2 - float(crop.sum(axis=0) @ np.arange(columns)) / mass
    top = min(max(round(top), 0), height - rows)
    left = min(max(round(left), 0), width - columns)
    frame = np.zeros((height, width), np.float32)
    frame[top : top + rows, left : left + columns] = crop
    return frame, thickened


def keep_main_parts(strength: NDArray[np.float32], *, drop_border: bool) -> NDArray[np.float32]:
    """Clear specks: parts of less than 3 % of the largest part's area.

    Args:
        strength: (H, W) in [0, 1].
        drop_border: also clear parts that touch the border, if any others stay.

    Returns:
        (H, W) in [0, 1].
    """
    height, width = strength.shape
    block = -(-max(height, width) // _PARTS_SIDE)
    padded = np.pad(strength, ((0, -height % block), (0, -width % block)))
    # The maximum, not the mean, keeps thin strokes whole.
    coarse = padded.reshape(padded.shape[0] // block, block, -1, block).max(axis=(1, 3))
    parts = _label_parts(coarse > 0.1 * coarse.max())
    names, sizes = np.unique(parts[parts > 0], return_counts=True)
    if len(names) == 0:
        return strength
    kept = set(names.tolist())
    if drop_border:
        sides = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
        kept = kept - set(sides.tolist()) or kept
    chosen = np.isin(names, list(kept))
    main = names[chosen & (sizes >= _LEAST_PART * sizes[chosen].max())]
    # One cell around each part keeps its soft edge.
    wide = Image.fromarray(np.isin(parts, main).astype(np.uint8)).filter(ImageFilter.MaxFilter(3))
    mask = np.asarray(wide).repeat(block, axis=0).repeat(block, axis=1)[:height, :width]
    return np.asarray(np.where(mask > 0, strength, 0), np.float32)


def _label_parts(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Connected parts (8 neighbours) as one positive number each, 0 elsewhere."""
    names = np.pad(np.arange(1, mask.size + 1).reshape(mask.shape) * mask, 1)
    while True:
        wide = np.maximum(np.maximum(names[:-2], names[1:-1]), names[2:])
        wide = np.maximum(np.maximum(wide[:, :-2], wide[:, 1:-1]), wide[:, 2:]) * mask
        if np.array_equal(wide, names[1:-1, 1:-1]):
            return wide
        names[1:-1, 1:-1] = wide


def resize(levels: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Anti-aliased, clipped to [0, 1]."""
    image = Image.fromarray(np.ascontiguousarray(levels, dtype=np.float32))
    resized = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    return np.asarray(np.clip(resized, 0, 1), np.float32)


def _fit(levels: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Resize to the largest size inside (height, width) that keeps the aspect."""
    factor = min(height / levels.shape[0], width / levels.shape[1])
    rows = min(height, max(1, round(levels.shape[0] * factor)))
    columns = min(width, max(1, round(levels.shape[1] * factor)))
    return resize(levels, rows, columns)


def _crop(strength: NDArray[np.float32], least: float) -> NDArray[np.float32]:
    """The box around all that is stronger than `least`."""
    mask = Image.fromarray((strength > least).astype(np.uint8))
    box = mask.getbbox() or (0, 0, *mask.size)
    left, top, right, bottom = box
    return strength[top:bottom, left:right]


def _stroke_width(strength: NDArray[np.float32]) -> float:
    """Mean width in pixels: twice the area over the length of its outline."""
    inside = np.pad(strength > 0.5 * strength.max(), 1)
    outline = sum(
        int((inside & ~np.roll(inside, step, axis)).sum()) for axis in (0, 1) for step in (-1, 1)
    )
    # Steps along the pixel grid overstate a slanted outline by 4 / pi on average.
    return 2 * float(inside.sum()) / max(outline * np.pi / 4, 1)


def _full(strength: NDArray[np.float32]) -> float:
    """The strength of a full stroke."""
    inked = strength[strength > 0.1]
    return float(np.percentile(inked, 90)) if inked.size else 1.0


def _thicken(strength: NDArray[np.float32], rounds: int) -> NDArray[np.float32]:
    """Widen strokes by two pixels a round."""
    padded = np.pad(strength, rounds)
    image = Image.fromarray(np.rint(padded * 255).astype(np.uint8))
    for _ in range(rounds):
        image = image.filter(ImageFilter.MaxFilter(3))
    thick: NDArray[np.float32] = np.divide(np.asarray(image), np.float32(255))
    return thick
