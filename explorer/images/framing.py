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
    strength: NDArray[np.float32],
    height: int,
    width: int,
    *,
    strokes: bool,
    thicken: bool = True,
) -> tuple[NDArray[np.float32], bool]:
    """Crop to the strokes and put them into a frame, with their aspect kept.

    Args:
        strength: (H, W) in [0, 1].
        height: of the frame.
        width: of the frame.
        strokes: True places them like MNIST: in a box of 20/28 of the frame, their centre of
            mass in the middle, strokes as thick as there. False lets things fill the frame, as
            in sets whose content touches the border, and thickens only what would vanish.
        thicken: False leaves thin strokes as thin as they become.

    Returns:
        (height, width) in [0, 1], and whether thin strokes were thickened.
    """
    box_height, box_width = _box_sides(height, width, strokes)
    least = _least(strokes)
    crop = _crop(strength, least)
    # Fine enough to measure a stroke's width in parts of the model's pixels.
    fine = _fit(crop, box_height * _FINE, box_width * _FINE)
    if strokes:
        fine = np.clip(fine / (0.8 * _full(fine)), 0, 1)
    share = _STROKE_SHARE if strokes else 0.0
    wanted = _FINE * max(1.0, share * min(box_height, box_width))
    stroke = _stroke_width(fine)
    # A pattern measures thin too; only what would vanish is thickened in a thing.
    thickened = thicken and stroke < (wanted if strokes else 0.5 * wanted)
    if thickened:
        crop = _crop(_thicken(fine, int(np.ceil((wanted - stroke) / 2))), least)
    crop = _fit(crop, box_height, box_width)
    if strokes or thickened:
        # Averaging thins strokes out; data sets reach full strength.
        crop = np.clip(crop / _full(crop), 0, 1)

    mass = crop if strokes else None
    return _put(crop, np.zeros((height, width), np.float32), mass), thickened


def place_tones(
    levels: NDArray[np.float32],
    strength: NDArray[np.float32],
    height: int,
    width: int,
    *,
    strokes: bool,
) -> NDArray[np.float32]:
    """Crop to the strokes and place them as `place_ink` does, with all levels as they are.

    Args:
        levels: (H, W) in [0, 1], what is cropped.
        strength: (H, W) in [0, 1], where the strokes are.
        height: of the frame.
        width: of the frame.
        strokes: whether they are placed like MNIST's, or fill the frame.

    Returns:
        (height, width) in [0, 1]; around the crop lies the level of the paper.
    """
    box = _box(strength, _least(strokes))
    sides = _box_sides(height, width, strokes)
    paper = levels[strength <= 0]
    ground = float(np.median(paper)) if paper.size else 0.0
    frame = np.full((height, width), ground, np.float32)
    mass = _fit(strength[box], *sides) if strokes else None
    return _put(_fit(levels[box], *sides), frame, mass)


def _least(strokes: bool) -> float:
    """The strength from which something belongs to the box."""
    return 0.35 if strokes else 0.1


def _box_sides(height: int, width: int, strokes: bool) -> tuple[int, int]:
    share = _BOX_SHARE if strokes else 1.0
    return max(1, round(height * share)), max(1, round(width * share))


def _put(
    crop: NDArray[np.float32], frame: NDArray[np.float32], mass: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Put a crop into the middle of a frame, by its centre of mass if that is given."""
    rows, columns = crop.shape
    height, width = frame.shape
    top, left = (height - rows) / 2, (width - columns) / 2
    total = 0.0 if mass is None else float(mass.sum())
    if mass is not None and total > 0:
        # MNIST's own centre of mass lies at index 14 of 28.
        top = height / 2 - float(mass.sum(axis=1) @ np.arange(rows)) / total
        left = width / 2 - float(mass.sum(axis=0) @ np.arange(columns)) / total
    top = min(max(round(top), 0), height - rows)
    left = min(max(round(left), 0), width - columns)
    frame[top : top + rows, left : left + columns] = crop
    return frame


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
    """The part around all that is stronger than `least`."""
    return strength[_box(strength, least)]


def _box(strength: NDArray[np.float32], least: float) -> tuple[slice, slice]:
    """Rows and columns of what is stronger than `least`; all where nothing is."""
    mask = Image.fromarray((strength > least).astype(np.uint8))
    left, top, right, bottom = mask.getbbox() or (0, 0, *mask.size)
    return slice(top, bottom), slice(left, right)


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
