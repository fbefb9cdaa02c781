"""Faces: cartoon portraits whose smile, gaze, hair and the rest are known exactly.

A face is a pile of filled polygons. Lengths are pixels of the finished image, measured from the
middle of the head with y downward; angles are degrees.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from explorer.images.generated import SIDE, FactorSpec, Scheme

HAIR_COLOURS = ("black", "brown", "red", "blond", "grey")
HAIR_STYLES = ("bald", "short", "bob", "long", "curls", "bun")

FACTORS = (
    FactorSpec("smile", -1, 1),  # frown to grin
    FactorSpec("mouth opening", 0, 1),
    FactorSpec("eye size", 3.5, 5.3, unit="px"),  # half the height of an eye
    FactorSpec("gaze", -1, 1),  # to the left of the picture, to its right
    FactorSpec("brow angle", -20, 20, unit="degrees"),  # worried to stern
    FactorSpec("head width", 32, 41, unit="px"),
    FactorSpec("skin tone", 0, 1),  # lightest to darkest
    FactorSpec("hair colour", choices=HAIR_COLOURS),
    FactorSpec("hair style", choices=HAIR_STYLES),
    FactorSpec("glasses", choices=("no", "yes")),
    FactorSpec("head tilt", -14, 14, unit="degrees"),  # positive: clockwise
)

Colour = tuple[float, float, float]
Points = NDArray[np.float64]
"""(n, 2): x to the right, y downward."""

_OVERSAMPLING = 5
_MIDDLE = (32.0, 32.0)  # of the head, in the image
_PIVOT = 14.0  # below the middle: the head tilts on its neck
_HALF_HEIGHT = 19.0  # of the head

_BACKGROUND = (206, 224, 233)
_SHIRT = (94, 129, 172)
_WHITE = (255, 255, 255)
_IRIS = (74, 48, 36)
_DARK = (34, 26, 30)
_MOUTH = (112, 28, 40)
_TONGUE = (226, 112, 116)
_FRAME = (44, 52, 84)
# Spread over the range of human skin, so that no stretch of the factor stands for few people.
_SKIN_TONES: tuple[Colour, ...] = (
    (255, 222, 198),
    (243, 198, 160),
    (224, 170, 125),
    (190, 130, 88),
    (141, 90, 60),
    (102, 64, 45),
)
_HAIR: tuple[Colour, ...] = (
    (38, 32, 38),
    (118, 70, 38),
    (190, 84, 36),
    (238, 196, 96),
    (158, 162, 172),
)


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour, the rest of the first."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def _skin(tone: float) -> Colour:
    """The colour at a tone of 0 to 1."""
    place = tone * (len(_SKIN_TONES) - 1)
    before = min(int(place), len(_SKIN_TONES) - 2)
    return _mix(_SKIN_TONES[before], _SKIN_TONES[before + 1], place - before)


def _arc(start: float, end: float, corners: int) -> Points:
    """Points of the unit circle, from one angle to another; 0 is right, 90 down."""
    turn = np.deg2rad(np.linspace(start, end, corners))
    # A cosine that is all but zero would leave it to the machine how half a pixel is rounded.
    return np.stack([np.cos(turn), np.sin(turn)], axis=1).round(12)


_CIRCLE = _arc(0, 360, 41)[:-1]
_SMALL_CIRCLE = _arc(0, 360, 17)[:-1]
# Around and back again, further in: what lies between is filled, the lens is not.
_RING = np.concatenate([_CIRCLE, _CIRCLE[:1], _CIRCLE[:1] * 0.81, _CIRCLE[::-1] * 0.81]) * 6.3
_ACROSS = np.linspace(-1, 1, 17)
_BOW = 1 - _ACROSS**2  # 1 in the middle, 0 at both ends


def _curve(*points: tuple[float, float], corners: int = 7) -> Points:
    """A smooth line through the points (Catmull-Rom)."""
    given = np.array(points)
    padded = np.concatenate([2 * given[:1] - given[1:2], given, 2 * given[-1:] - given[-2:-1]])
    steps = np.linspace(0, 1, corners, endpoint=False)[:, None]
    pieces = []
    for at in range(len(given) - 1):
        a, b, c, d = padded[at : at + 4]
        pieces.append(
            b
            + steps * (c - a) / 2
            + steps**2 * (2 * a - 5 * b + 4 * c - d) / 2
            + steps**3 * (d - a + 3 * (b - c)) / 2
        )
    return np.concatenate([*pieces, given[-1:]])


def _mirrored(outline: Points) -> Points:
    """The right half of an outline, and its mirror image on the left."""
    return np.concatenate([outline, outline[::-1] * (-1, 1)])


def _head_outline() -> Points:
    """Of width and height 2, full at the cheeks and a little narrower at the chin."""
    outline = _arc(0, 360, 65)[:-1].copy()
    below = np.clip(outline[:, 1], 0, None)
    outline[:, 0] *= 1 - 0.12 * below**2
    outline *= (1 + 0.05 * np.sin(2 * np.arctan2(outline[:, 1], outline[:, 0])) ** 2)[:, None]
    return outline


_HEAD = _head_outline()

# Outlines of hair: x in halves of the head's width, y in halves of its height.
_SHORT = np.concatenate(
    [
        _arc(180, 360, 31) * (1.09, 1.14) + (0, -0.02),
        _curve((1.08, 0.02), (0.95, -0.04), (0.9, -0.44), (0.3, -0.62), (-0.36, -0.76)),
        _curve((-0.36, -0.76), (-0.8, -0.5), (-0.95, -0.04), (-1.08, 0.02)),
    ]
)
_BOB_BEHIND = _mirrored(
    np.concatenate(
        [
            _arc(270, 360, 16) * (1.2, 1.16),
            _curve((1.2, 0), (1.3, 0.45), (1.26, 0.86), (1.0, 0.98), (0.5, 0.94)),
        ]
    )
)
_BOB_FRONT = _mirrored(
    np.concatenate(
        [
            _arc(270, 360, 16) * (1.2, 1.16),
            _curve((1.2, 0.36), (1.1, 0.4), (0.98, 0.3), (0.9, -0.5), (0.5, -0.62), (0, -0.65)),
        ]
    )
)
_LONG_BEHIND = _mirrored(
    np.concatenate(
        [
            _arc(270, 360, 16) * (1.15, 1.13),
            _curve((1.15, 0), (1.26, 0.6), (1.32, 1.3), (1.45, 2.4)),
        ]
    )
)
_LONG_FRONT = _mirrored(
    np.concatenate(
        [
            _arc(270, 360, 16) * (1.15, 1.13),
            _curve((1.2, 0.5), (1.06, 0.44), (0.97, 0.2), (0.84, -0.4), (0.5, -0.72), (0, -0.94)),
        ]
    )
)
_BUN = _mirrored(
    np.concatenate(
        [
            _arc(270, 360, 16) * (1.07, 1.09),
            _curve((1.07, 0.0), (0.97, -0.04), (0.8, -0.56), (0.4, -0.76), (0, -0.8)),
        ]
    )
)


def _cloud(corners: int, bumps: int, depth: float) -> Points:
    """A circle with a scalloped edge."""
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    radius = 1 + depth * np.abs(np.sin(turn * bumps / 2))
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)


_CURLS_BEHIND = _cloud(112, 14, 0.12) * (1.21, 1.2) + (0, -0.2)
_CURLS_FRONT = np.concatenate(
    [
        _arc(184, 356, 31) * (1.1, 1.15),
        _curve((1.0, -0.1), (0.92, -0.3), (0.94, -0.48), (0.7, -0.54), (0.52, -0.68)),
        _curve((0.52, -0.68), (0.26, -0.62), (0.0, -0.7), (-0.26, -0.62), (-0.52, -0.68)),
        _curve((-0.52, -0.68), (-0.7, -0.54), (-0.94, -0.48), (-0.92, -0.3), (-1.0, -0.1)),
    ]
)

_HAIR_BEHIND = {"bob": _BOB_BEHIND, "long": _LONG_BEHIND, "curls": _CURLS_BEHIND}
_HAIR_IN_FRONT = {
    "short": _SHORT,
    "bob": _BOB_FRONT,
    "long": _LONG_FRONT,
    "curls": _CURLS_FRONT,
    "bun": _BUN,
}
# On the forehead alone: what tells brown hair from brown skin.
_SHADOWS = {
    style: outline + (outline[:, 1:] < 0) * (0, 0.05) for style, outline in _HAIR_IN_FRONT.items()
}


class _Easel:
    """A large canvas, where polygons are placed upright or tilted with the head."""

    def __init__(self, tilt: float) -> None:
        side = SIDE * _OVERSAMPLING
        self._canvas = Image.new("RGB", (side, side), _BACKGROUND)
        self._pen = ImageDraw.Draw(self._canvas)
        turn = math.radians(tilt)
        cos, sin = math.cos(turn) * _OVERSAMPLING, math.sin(turn) * _OVERSAMPLING
        self._tilt = np.array([[cos, sin], [-sin, cos]])
        # Pillow takes whole numbers and means the centres of pixels.
        middle = np.array(_MIDDLE) * _OVERSAMPLING - 0.5
        pivot = np.array((0, _PIVOT))
        self._tilted_origin = middle + pivot * _OVERSAMPLING - pivot @ self._tilt
        self._upright_origin = middle

    def fill(self, outline: Points, colour: Colour, *, upright: bool = False) -> None:
        """Fill a polygon (n, 2) with a colour."""
        if upright:
            corners = outline * _OVERSAMPLING + self._upright_origin
        else:
            corners = outline @ self._tilt + self._tilted_origin
        # Rounded here, so that another machine's last bit of a sine is no other picture.
        whole = np.rint(corners).astype(np.int64).ravel().tolist()
        red, green, blue = colour
        self._pen.polygon(whole, fill=(round(red), round(green), round(blue)))

    def picture(self) -> NDArray[np.uint8]:
        """(3, SIDE, SIDE)."""
        pixels = np.asarray(self._canvas.reduce(_OVERSAMPLING))
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def draw(factors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The image (3, 64, 64) of one value a factor, in the order of FACTORS."""
    values = factors.tolist()
    smile, opening, eye, gaze, brow_angle, width, tone, colour, style_index, glasses, tilt = values
    skin = _skin(tone)
    hair = _HAIR[int(colour)]
    style = HAIR_STYLES[int(style_index)]
    shade = _mix(skin, (70, 24, 20), 0.22)
    half = np.array((width / 2, _HALF_HEIGHT))

    easel = _Easel(tilt)
    if style in _HAIR_BEHIND:
        easel.fill(_HAIR_BEHIND[style] * half, _mix(hair, (0, 0, 0), 0.14))
    elif style == "bun":
        easel.fill(_CIRCLE * (7.5, 6.5) + (0, -23.5), hair)
    _draw_body(easel, shade)
    if style not in _HAIR_BEHIND:
        for side in (-1, 1):
            easel.fill(_SMALL_CIRCLE * (3.4, 4.4) + (side * half[0], 3), shade)
    easel.fill(_HEAD * half, skin)
    if style == "bald":
        shine = _mix(skin, _WHITE, 0.35)
        easel.fill(_SMALL_CIRCLE * (4, 2) + (-0.2 * width, -14.6), shine)
    _draw_cheeks_and_nose(easel, skin, shade, width)
    _draw_mouth(easel, smile, opening, skin)
    apart = 0.225 * width
    for side in (-1, 1):
        _draw_eye(easel, side * apart, eye, gaze, skin)
    if style in _HAIR_IN_FRONT:
        easel.fill(_SHADOWS[style] * half, _mix(skin, _DARK, 0.4))
        easel.fill(_HAIR_IN_FRONT[style] * half, hair)
    for side in (-1, 1):
        _draw_brow(easel, side, apart, brow_angle, _mix(hair, _DARK, 0.58))
    if glasses:
        _draw_glasses(easel, apart, width)
    return easel.picture()


def _draw_body(easel: _Easel, shade: Colour) -> None:
    easel.fill(np.array([(-6.0, 12.0), (6.0, 12.0), (7.0, 27.0), (-7.0, 27.0)]), shade)
    easel.fill(_CIRCLE * (25, 15) + (0, 38.5), _SHIRT, upright=True)
    easel.fill(_CIRCLE * (8, 4.5) + (0, 23.2), shade, upright=True)


def _draw_cheeks_and_nose(easel: _Easel, skin: Colour, shade: Colour, width: float) -> None:
    blush = _mix(skin, (230, 90, 90), 0.28)
    for side in (-1, 1):
        easel.fill(_SMALL_CIRCLE * (3.6, 2.5) + (side * 0.33 * width, 8.4), blush)
    easel.fill(_SMALL_CIRCLE * (2.1, 1.5) + (0, 6.2), shade)


def _draw_mouth(easel: _Easel, smile: float, opening: float, skin: Colour) -> None:
    """Lips around an inside that opens: corners up for a smile, down for a frown."""
    x = _ACROSS * (7.0 + 0.7 * smile)
    line = 12.0 + 4.4 * smile * (_BOW - 0.5)
    above = line - 1.7 * opening * _BOW
    below = line + 4.3 * opening * _BOW
    lip = _mix(skin, (150, 30, 48), 0.66)
    edge = 0.6 + 0.5 * _BOW
    easel.fill(_between(x * 1.08, above - edge, below + edge), lip)
    teeth = above + 0.36 * (below - above)
    tongue = above + 0.66 * (below - above)
    easel.fill(_between(x, above, below), _MOUTH)
    easel.fill(_between(x * 0.92, above, teeth), _WHITE)
    easel.fill(_between(x * 0.7, tongue, below), _TONGUE)


def _between(
    x: NDArray[np.float64], upper: NDArray[np.float64], lower: NDArray[np.float64]
) -> Points:
    """The area between two lines over the same x (n,)."""
    return np.concatenate([np.stack([x, upper], axis=1), np.stack([x[::-1], lower[::-1]], axis=1)])


def _draw_eye(easel: _Easel, x: float, size: float, gaze: float, skin: Colour) -> None:
    outline = _CIRCLE * (1.02 * size, size)
    # The lashes: what the white, a little lower, leaves of them.
    easel.fill(outline + np.array((x, -0.7)), _mix(skin, _DARK, 0.8))
    easel.fill(outline + np.array((x, 0.2)), _WHITE)
    iris = np.array((x + 0.36 * size * gaze, 0.2))
    easel.fill(_SMALL_CIRCLE * (0.62 * size, 0.68 * size) + iris, _IRIS)
    easel.fill(_SMALL_CIRCLE * (0.4 * size) + iris, _DARK)
    easel.fill(_SMALL_CIRCLE * (0.22 * size) + iris + (-0.2 * size, -0.26 * size), _WHITE)


def _draw_brow(easel: _Easel, side: int, apart: float, angle: float, colour: Colour) -> None:
    """A bar over one eye; at a positive angle its inner end is the lower one."""
    x = _ACROSS * 4.6
    bow = -1.0 * _BOW
    thick = 0.65 + 0.45 * _BOW
    bar = _between(x, bow - thick, bow + thick)
    turn = math.radians(-angle)
    cos, sin = math.cos(turn), math.sin(turn)
    bar = bar @ np.array([[cos, sin], [-sin, cos]])
    easel.fill(bar * (side, 1) + (side * apart, -8.3), colour)


def _draw_glasses(easel: _Easel, apart: float, width: float) -> None:
    for side in (-1, 1):
        easel.fill(_RING + np.array((side * apart, 0.3)), _FRAME)
        inner, outer = apart + 5.8, width / 2 + 0.5
        temple = np.array([(inner, -1.1), (outer, -1.5), (outer, -0.3), (inner, 0.1)])
        easel.fill(temple * (side, 1), _FRAME)
    bridge = apart - 5.6
    easel.fill(np.array([(-bridge, -1.1), (bridge, -1.1), (bridge, 0.1), (-bridge, 0.1)]), _FRAME)


FACES = Scheme(
    name="faces",
    title="faces",
    version=1,
    seed=20180,
    factors=FACTORS,
    label="hair style",
    channels=3,
    draw=draw,
)


def draw_face(**factors: float | str) -> NDArray[np.uint8]:
    """One face, e.g. of smile=1, hair_style="bob"; the factors not given are in the middle.

    Returns:
        (3, 64, 64).

    Raises:
        ValueError: no such factor, or a value out of its bounds.
    """
    return draw(FACES.row(factors))
