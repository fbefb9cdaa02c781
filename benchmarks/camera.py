"""A simulated phone: a digit written on paper, photographed by hand.

What happens to a digit (H, W), light on dark as in MNIST, from the pen to the file:

1. Pen. Enlarged with cubic interpolation and sharpened, as a pen's edge is sharp, at a threshold
   that leaves its strokes as wide as MNIST's or down to about half of it. The ink has 10 to 30 % of
   the paper's brightness, and is black, blue or pencil grey.
2. Paper. White to yellowish, with a faint grain of fibres. The digit lies anywhere on it, as high
   as 25 to 55 % of the shorter side of the picture.
3. Perspective. Turned by up to 8 degrees, the picture's corners moved by up to 7 % of its sides.
4. Light. From one side: it falls to 50 to 90 % across the picture; the lens darkens the corners by
   up to 15 %.
5. Lens. Out of focus or shaken: a Gaussian blur of 0.5 to 2.5 pixels.
6. Sensor. Shot noise and read noise, together 1 to 3 % at mid grey, in each colour.
7. File. JPEG of quality 40 to 90, stored on its side or head as a phone stores it, with the EXIF
   note that says so.

`hard` photographs have one or both of two more: the edge of a hand's shadow across the picture, and
ruled paper. Everything is drawn from one seed.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

SIZE = (720, 960)  # width and height of a photograph, upright

_ORIENTATION = 0x0112
# How a sensor holds what the EXIF note turns upright again.
_STORED = {
    1: None,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
_PENS = ((0.0, 0.0, 0.0), (0.0, 0.05, 0.25), (0.12, 0.12, 0.12))


def photograph(digit: NDArray[np.uint8], seed: int, *, hard: bool = False) -> bytes:
    """A JPEG of a digit (H, W), light on dark, written on paper."""
    rng = np.random.default_rng([2, seed])
    width, height = SIZE
    ink = _project(_write(digit, rng), rng)

    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    paper = rng.uniform(0.78, 0.97) * (1 - np.array([0, rng.uniform(0, 0.04), rng.uniform(0, 0.1)]))
    fibres = np.asarray(
        Image.fromarray(rng.normal(0, 0.012, (height // 4, width // 4)).astype(np.float32)).resize(
            SIZE, Image.Resampling.BICUBIC
        )
    )
    scene = paper * (1 + fibres[..., None])
    if hard and rng.random() < 0.7:
        scene = _rule(scene, rng)
    pen = np.array(_PENS[rng.integers(len(_PENS))]) + rng.uniform(0.1, 0.3)
    scene = scene * (1 - ink[..., None] * (1 - pen))

    angle = rng.uniform(0, 2 * np.pi)
    along = (x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle)
    light = 1 - (1 - rng.uniform(0.5, 0.9)) * (along - along.min()) / np.ptp(along)
    light = light * (
        1 - rng.uniform(0, 0.15) * 2 * ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)
    )
    if hard and rng.random() < 0.7:
        light = light * _shade(x, y, rng)
    scene = _blur(scene * light[..., None], rng.uniform(0.5, 2.5))

    noise = rng.uniform(0.01, 0.03)
    scene = scene + rng.normal(0, 1, scene.shape) * noise * np.sqrt(0.2 + 1.6 * scene)
    levels = np.rint(255 * np.clip(scene, 0, 1)).astype(np.uint8)
    return _store(Image.fromarray(levels), rng)


def _write(digit: NDArray[np.uint8], rng: np.random.Generator) -> Image.Image:
    """Ink in [0, 1] on a sheet as large as the picture."""
    width, height = SIZE
    side = round(min(SIZE) * rng.uniform(0.25, 0.55) * 28 / 20)
    large = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    soft = np.asarray(large.filter(ImageFilter.GaussianBlur(side / 80)), np.float32) / 255
    ink = 1 / (1 + np.exp(-(soft - rng.uniform(0.35, 0.65)) / 0.06))
    sheet = np.zeros((height, width), np.float32)
    # Around the digit is an empty seventh of its frame; the rest keeps perspective from cutting it.
    left, top = (int(rng.uniform(0.04, 0.96) * (whole - side)) for whole in SIZE)
    sheet[top : top + side, left : left + side] = ink
    return Image.fromarray(sheet)


def _project(sheet: Image.Image, rng: np.random.Generator) -> NDArray[np.float32]:
    """The sheet as the camera sees it, (H, W)."""
    width, height = SIZE
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    turn = np.deg2rad(rng.uniform(-8, 8))
    spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    middle = corners.mean(axis=0)
    seen = (corners - middle) @ spin + middle + rng.uniform(-0.07, 0.07, (4, 2)) * SIZE
    # The eight coefficients that take a place in the picture to one on the sheet.
    rows, wanted = [], []
    for (x, y), (u, v) in zip(seen, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    found = np.linalg.solve(np.array(rows), np.array(wanted))
    seen_sheet = sheet.transform(
        SIZE, Image.Transform.PERSPECTIVE, found.tolist(), Image.Resampling.BICUBIC
    )
    return np.clip(np.asarray(seen_sheet, np.float32), 0, 1)


def _rule(scene: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Ruled paper: faint blue lines, a little aslant."""
    height, width = scene.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    spacing = rng.uniform(45, 90)
    place = (y + rng.uniform(-0.08, 0.08) * x) % spacing
    line = np.clip(1.5 - np.abs(place - spacing / 2), 0, 1)[..., None]
    return scene * (1 - line * np.array([0.3, 0.2, 0.06]) * rng.uniform(0.4, 1))


def _shade(
    x: NDArray[np.float32], y: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """What the shadow of a hand leaves of the light: its edge crosses the picture."""
    width, height = SIZE
    angle = rng.uniform(0, 2 * np.pi)
    across = (x - width * rng.uniform(0.3, 0.7)) * np.cos(angle)
    across += (y - height * rng.uniform(0.3, 0.7)) * np.sin(angle)
    depth, softness = rng.uniform(0.25, 0.5), rng.uniform(4, 30)
    shade: NDArray[np.float32] = 1 - depth / (1 + np.exp(-np.clip(across / softness, -50, 50)))
    return shade


def _blur(scene: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    planes = [
        Image.fromarray(np.ascontiguousarray(scene[..., channel], np.float32))
        for channel in range(3)
    ]
    # Pillow blurs 8 bits only: two planes, of what is above and below a step, keep 16.
    return np.stack([_blur_plane(plane, radius) for plane in planes], axis=-1)


def _blur_plane(plane: Image.Image, radius: float) -> NDArray[np.float64]:
    levels = np.clip(np.asarray(plane, np.float64), 0, 1)
    deep = np.rint(levels * 65535).astype(np.uint16)
    coarse = Image.fromarray((deep >> 8).astype(np.uint8))
    fine = Image.fromarray((deep & 255).astype(np.uint8))
    blurred = [
        np.asarray(part.filter(ImageFilter.GaussianBlur(radius)), np.float64)
        for part in (coarse, fine)
    ]
    return (blurred[0] * 256 + blurred[1]) / 65535


def _store(upright: Image.Image, rng: np.random.Generator) -> bytes:
    orientation = list(_STORED)[rng.integers(len(_STORED))]
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    turn = _STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    buffer = io.BytesIO()
    stored.save(buffer, "JPEG", quality=int(rng.integers(40, 91)), exif=exif)
    return buffer.getvalue()
