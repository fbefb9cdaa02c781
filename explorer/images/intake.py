"""One untrusted upload, made into what a model knows, with every step to be seen.

Nothing is written to disk, and nothing of the file but its pixels is kept.
"""

import io
import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from explorer.errors import UploadError
from explorer.images.decoding import (
    UnreadableImageError,
    decode_image,
    find_turn,
    has_frames,
    is_deep,
    largest_value,
    open_image,
    over,
    to_array,
    to_plain,
    white_value,
)
from explorer.images.framing import place_ink
from explorer.images.ink import find_ink

MAX_BYTES = 20 * 2**20
SHOWN_SIDE = 256

# A larger picture is shrunk to about this many pixels before it is looked at.
_WORK_PIXELS = 1_000_000
# Border brightness nearer than this to black or white: strokes or things on a plain ground
# (MNIST 0.000, Fashion-MNIST 0.05, the 8 x 8 digits 0.17; faces 0.45 to 0.6).
_PLAIN_GROUND = 0.2
# Nearer than this, nothing touches the border, so there is a margin to keep.
_MARGIN_GROUND = 0.01
_LEAST_CONTRAST = 8

_FOREIGN = (
    (re.compile(rb"\A.{4}ftyp(avif|avis)", re.DOTALL), "an AVIF picture"),
    (re.compile(rb"\A.{4}ftyp(hei|hev|mif|msf)", re.DOTALL), "a HEIC picture"),
    (re.compile(rb"\A\s*%PDF-"), "a PDF document"),
    (re.compile(rb"\A\s*(\xef\xbb\xbf)?\s*<.{0,2000}<?svg[\s>]", re.DOTALL), "an SVG drawing"),
)
_MODE_WORDS = {"L": "grey", "LA": "grey with transparency", "RGBA": "colour with transparency"}


@dataclass(frozen=True, eq=False)
class ModelInput:
    """What a model takes: its data set's shape (C, H, W) and mean border brightness in [0, 1]."""

    image_shape: tuple[int, int, int]
    background: float

    @property
    def plain_ground(self) -> bool:
        """Whether the data are grey things on a plain dark or light ground."""
        return self.image_shape[0] == 1 and self._distance < _PLAIN_GROUND

    @property
    def margin(self) -> bool:
        """Whether the ground runs all around what is shown, as in MNIST."""
        return self.plain_ground and self._distance < _MARGIN_GROUND

    @property
    def _distance(self) -> float:
        return min(self.background, 1 - self.background)


@dataclass(frozen=True, eq=False)
class IntakeStep:
    """One step, in plain words, and the picture after it: (H, W) or (H, W, 3), at most 256."""

    title: str
    detail: str
    picture: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An upload ready for the model: (C, H, W) float32 in [0, 1], and how it came about."""

    name: str
    image: NDArray[np.float32]
    steps: tuple[IntakeStep, ...]


def prepare_upload(data: bytes, name: str, target: ModelInput) -> PreparedImage:
    """Make one uploaded image into a model's input.

    Args:
        data: the file's bytes; what they are is told from them alone.
        name: the file's name, for messages only.
        target: what the model takes.

    Raises:
        UploadError: empty, too large, of another format, damaged.
    """
    shown_name = _shorten(name)
    try:
        _check_bytes(data)
        with open_image(io.BytesIO(data)) as image:
            steps: list[IntakeStep] = []
            picture = _decode(image, target, steps)
    except UnreadableImageError as error:
        raise UploadError(f"{shown_name}: {error}.") from error

    picture = _to_channels(picture, target, steps)
    if target.image_shape[0] == 1:
        pixels = _prepare_grey(picture, target, steps)
    else:
        pixels = _fill_frame(picture, target, steps).transpose(2, 0, 1)
    image_array = pixels.reshape(target.image_shape).astype(np.float32) / np.float32(255)
    return PreparedImage(shown_name, image_array, tuple(steps))


def _shorten(name: str) -> str:
    """The last part of a file name, printable and not endless."""
    printable = "".join(sign for sign in re.split(r"[/\\]", name)[-1] if sign.isprintable())
    if not printable.strip():
        return "The upload"
    return printable if len(printable) <= 60 else f"{printable[:40]}…{printable[-16:]}"


def _check_bytes(data: bytes) -> None:
    if not data:
        raise UnreadableImageError("the file is empty (0 bytes): choose another one")
    if len(data) > MAX_BYTES:
        raise UnreadableImageError(
            f"the file has {len(data) / 2**20:.1f} MiB, the limit is {MAX_BYTES // 2**20} MiB: "
            "save it smaller, 1000 pixels a side are plenty"
        )
    for pattern, what in _FOREIGN:
        if pattern.match(data[:4096]):
            raise UnreadableImageError(
                f"this is {what}, which cannot be read: export it as PNG or JPEG"
            )


def _decode(image: Image.Image, target: ModelInput, steps: list[IntakeStep]) -> Image.Image:
    """The upload as 8-bit L or RGB, upright."""
    stored = "JPEG" if image.format == "MPO" else image.format
    detail = f"{stored}, {image.width} × {image.height} pixels, mode {image.mode}"
    if has_frames(image):
        detail += "; it holds several frames, the first one is used"
    # A large JPEG decodes at half its size or less, when that is still plenty.
    image.draft(None, (2048, 2048))
    decode_image(image)

    deep = ""
    white = None
    if is_deep(image):
        largest = largest_value(image)
        white = white_value(image.mode, largest)
        deep = f"values up to {largest:g} scaled so that {white:g} is white"
    plain = to_plain(image, white)
    words = _MODE_WORDS.get(plain.mode, "colour")
    steps.append(IntakeStep("As uploaded", detail, _shown(plain)))
    if deep:
        steps.append(IntakeStep("Brightness scaled", deep, _shown(plain)))
    elif image.mode not in ("L", "LA", "RGB", "RGBA"):
        was = {"1": "black and white", "P": "a palette"}.get(image.mode, image.mode)
        steps.append(IntakeStep("Colours converted", f"from {was} to {words}", _shown(plain)))

    turn = find_turn(image)
    if turn is not None:
        plain = plain.transpose(turn[0])
        steps.append(
            IntakeStep("Turned upright", f"{turn[1]}, as the camera's note says", _shown(plain))
        )
    plain = _shrink(plain)
    if plain.mode in ("LA", "RGBA"):
        plain = _fill_transparency(plain, target, steps)
    return plain


def _shrink(picture: Image.Image) -> Image.Image:
    factor = math.sqrt(_WORK_PIXELS / (picture.width * picture.height))
    return _scale(picture, factor)


def _scale(picture: Image.Image, factor: float) -> Image.Image:
    """Resize both sides; a factor above 1 changes nothing."""
    if factor >= 1:
        return picture
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


def _fill_transparency(
    picture: Image.Image, target: ModelInput, steps: list[IntakeStep]
) -> Image.Image:
    """Lay the picture over the data's ground, or over its opposite where it would vanish."""
    alpha = np.asarray(picture.getchannel("A"), np.float32)
    level = round(255 * target.background)
    detail = f"laid over the data's own ground ({target.background:.0%} bright)"
    if alpha.any():
        visible = float(np.average(np.asarray(picture.convert("L")), weights=alpha))
        if abs(visible - level) < abs(visible - (255 - level)):
            level = 255 - level
            detail = (
                f"laid over {level / 255:.0%} brightness, since what is visible is about as "
                f"{'dark' if level > 127 else 'bright'} as the data's own ground"
            )
    filled = over(picture, level)
    steps.append(IntakeStep("Transparency filled", detail, _shown(filled)))
    return filled


def _to_channels(picture: Image.Image, target: ModelInput, steps: list[IntakeStep]) -> Image.Image:
    wanted = "L" if target.image_shape[0] == 1 else "RGB"
    if picture.mode == wanted:
        return picture
    converted = picture.convert(wanted)
    if wanted == "L":
        step = ("Made grey", "the model knows brightness only (0.30 red, 0.59 green, 0.11 blue)")
    else:
        step = ("Made colour", "the model takes colour: red, green and blue are alike")
    steps.append(IntakeStep(*step, _shown(converted)))
    return converted


def _prepare_grey(
    picture: Image.Image, target: ModelInput, steps: list[IntakeStep]
) -> NDArray[np.uint8]:
    """(H, W)."""
    if not target.plain_ground:
        return _fill_frame(picture, target, steps)
    _, height, width = target.image_shape
    dark_ground = target.background < 0.5
    ink = find_ink(to_array(picture), strokes=target.margin)
    if ink is None:
        pixels = np.full((height, width), round(255 * target.background), np.uint8)
        return _finish(pixels, "the upload is blank: no strokes were found in it", steps)

    if ink.dark == dark_ground:
        picture = ImageOps.invert(picture)
        detail = (
            f"strokes are {'darker' if ink.dark else 'lighter'} than their ground, the data's "
            f"are {'lighter' if dark_ground else 'darker'}"
        )
        steps.append(IntakeStep("Inverted", detail, _shown(picture)))
    if picture.size == (width, height):
        return _finish(to_array(picture), "it has the model's size: pixels kept", steps)

    flat = _on_ground(ink.strength, dark_ground)
    detail = "ground made flat" + (" and strokes full" if target.margin else "")
    if ink.uneven > 0.05:
        detail += f"; the paper's brightness varied by {ink.uneven:.0%}"
    steps.append(IntakeStep("Contrast stretched", detail, _shown(Image.fromarray(flat))))

    placed, thickened = place_ink(ink.strength, height, width, strokes=target.margin)
    detail = "cropped to what is drawn, " + (
        "put into the middle by its centre of mass, with the data's margin"
        if target.margin
        else "filling the frame as the data do"
    )
    if thickened:
        detail += "; thin strokes made thicker, or they would fade at this size"
    pixels = _on_ground(placed, dark_ground)
    steps.append(IntakeStep("Cropped and centred", detail, _shown(Image.fromarray(pixels))))
    return _finish(pixels, "", steps)


def _on_ground(strength: NDArray[np.float32], dark_ground: bool) -> NDArray[np.uint8]:
    levels = np.rint(255 * strength).astype(np.uint8)
    return levels if dark_ground else 255 - levels


def _fill_frame(
    picture: Image.Image, target: ModelInput, steps: list[IntakeStep]
) -> NDArray[np.uint8]:
    """Crop the centre to the model's aspect and resize: (H, W) or (H, W, 3)."""
    _, height, width = target.image_shape
    blank = all(high - low < _LEAST_CONTRAST for low, high in _extrema(picture))
    if picture.size != (width, height):
        uncropped = picture.width * height == picture.height * width
        picture = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
        detail = f"resized to {width} × {height} pixels"
        if not uncropped:
            detail = f"the middle cropped to the model's aspect, then {detail}"
        steps.append(IntakeStep("Cropped and resized", detail, _shown(picture)))
    note = "the upload is blank: all its pixels are alike" if blank else ""
    return _finish(to_array(picture), note, steps)


def _extrema(picture: Image.Image) -> list[tuple[int, int]]:
    pixels = to_array(picture).reshape(-1, len(picture.getbands()))
    return list(zip(pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist(), strict=True))


def _finish(pixels: NDArray[np.uint8], note: str, steps: list[IntakeStep]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    size = f"{width} × {height} pixels, {'grey' if pixels.ndim == 2 else 'colour'}"
    steps.append(IntakeStep("Model input", f"{size}; {note}" if note else size, pixels))
    return pixels


def _shown(picture: Image.Image) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3), at most 256 a side; transparency lies over grey."""
    small = _scale(picture, SHOWN_SIDE / max(picture.size))
    return to_array(over(small, 128))
