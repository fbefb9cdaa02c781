"""Sprites: one light shape on black, whose place, size, turn and kind are known exactly.

Every shape has its centroid at (x, y) and an area of scale², so that a factor means the same for
each of them.

The square looks the same after 90 degrees, the ellipse after 180, the star after 72 and the heart
after 360. Turned through a whole period a shape would come back to itself, so that two rotations
were one picture and the axis a circle. All shapes share -30 to 30 degrees instead, 12 short of the
shortest period: each rotation is one picture, none comes back, and it is independent of the shape.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from explorer.images.generated import SIDE, FactorSpec, Scheme

FACTORS = (
    FactorSpec("shape", choices=("square", "ellipse", "heart", "star")),
    # A star of scale 24 reaches 19.8 px from its centroid, so none is cut off by the border.
    FactorSpec("scale", 12, 24, unit="px"),
    FactorSpec("rotation", -30, 30, unit="degrees"),
    FactorSpec("x", 20, 44, unit="px"),
    FactorSpec("y", 20, 44, unit="px"),
)

_LIGHT = 255
_OVERSAMPLING = 8
_CORNERS = 72  # of a curved outline


def _square() -> NDArray[np.float64]:
    return np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])


def _ellipse() -> NDArray[np.float64]:
    turn = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    return np.stack([2 * np.cos(turn), np.sin(turn)], axis=1)


def _heart() -> NDArray[np.float64]:
    turn = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    x = 16 * np.sin(turn) ** 3
    y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
    return np.stack([x, -y], axis=1)


def _star() -> NDArray[np.float64]:
    turn = np.arange(10) * np.pi / 5
    radius = np.where(np.arange(10) % 2, 0.5, 1.0)
    return np.stack([radius * np.sin(turn), -radius * np.cos(turn)], axis=1)


def _normalise(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same polygon (n, 2) with area 1 and its centroid at the origin."""
    following = np.roll(outline, -1, axis=0)
    cross = outline[:, 0] * following[:, 1] - following[:, 0] * outline[:, 1]
    area = cross.sum() / 2
    centroid = ((outline + following) * cross[:, None]).sum(axis=0) / (6 * area)
    normal: NDArray[np.float64] = (outline - centroid) / math.sqrt(abs(area))
    return normal


_OUTLINES = tuple(_normalise(shape()) for shape in (_square, _ellipse, _heart, _star))


def draw(factors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The image (1, 64, 64) of one value a factor, in the order of FACTORS."""
    shape, scale, rotation, x, y = factors.tolist()
    turn = math.radians(rotation)
    cos, sin = math.cos(turn), math.sin(turn)
    outline = _OUTLINES[int(shape)] @ np.array([[cos, sin], [-sin, cos]]) * scale + (x, y)
    # Pillow takes whole numbers and means the centres of pixels. They are rounded here, so that
    # another machine's last bit of a sine is no other picture.
    corners = np.rint(outline * _OVERSAMPLING - 0.5).astype(np.int64)
    canvas = Image.new("L", (SIDE * _OVERSAMPLING, SIDE * _OVERSAMPLING))
    ImageDraw.Draw(canvas).polygon(corners.ravel().tolist(), fill=_LIGHT)
    return np.asarray(canvas.reduce(_OVERSAMPLING))[None]


SPRITES = Scheme(
    name="sprites",
    title="sprites",
    version=1,
    seed=20170,
    factors=FACTORS,
    label="shape",
    channels=1,
    draw=draw,
)


def draw_sprite(**factors: float | str) -> NDArray[np.uint8]:
    """One sprite, e.g. of shape="heart", x=30; the factors not given are in the middle.

    Returns:
        (1, 64, 64).

    Raises:
        ValueError: no such factor, or a value out of its bounds.
    """
    return draw(SPRITES.row(factors))
