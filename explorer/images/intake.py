"""One untrusted upload, made into what a model knows, with every step to be seen.

Nothing is written to disk, and nothing of the file but its pixels is kept.
"""

import io
import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from explorer.errors import UploadError
from explorer.images.decoding import (
    UnreadableImageError,
    decode_image,
    find_turn,
    is_deep,
    largest_value,
    open_image,
    over,
    to_plain,
    white_value,
)
from explorer.images.fitting import (
    SHOWN_SIDE,
    Course,
    IntakeStep,
    ModelInput,
    fit_to_model,
    shrink,
)
from explorer.images.frames import count_blocks, count_frames, count_scans
from explorer.images.preparation import AUTO, TURNS, Decision, Preparation, crop_box

__all__ = [
    "MAX_BYTES",
    "MAX_FRAMES",
    "SHOWN_SIDE",
    "IntakeStep",
    "ModelInput",
    "PreparedImage",
    "over_limit",
    "prepare_upload",
]

MAX_BYTES = 20 * 2**20
MAX_FRAMES = 1000
MAX_SCANS = 30
MAX_BLOCKS = 20_000

# A larger picture is shrunk to about this many pixels before it is looked at; one that is cropped
# by hand may lose most of them, and is shrunk to more before that.
_WORK_PIXELS = 1_000_000
_CROP_PIXELS = 4_000_000

_MODE_WORDS = {"L": "grey", "LA": "grey with transparency", "RGBA": "colour with transparency"}
_TRANSPOSES = {
    "90": (Image.Transpose.ROTATE_270, "turned by 90° to the right"),
    "180": (Image.Transpose.ROTATE_180, "turned by 180°"),
    "270": (Image.Transpose.ROTATE_90, "turned by 90° to the left"),
}


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An upload ready for the model, and how it came about.

    Attributes:
        name: the file's, shortened.
        image: (C, H, W) float32 in [0, 1].
        steps: what was done, in order.
        decisions: every choice as it was made, also those that changed nothing.
        preparation: what was asked for.
    """

    name: str
    image: NDArray[np.float32]
    steps: tuple[IntakeStep, ...]
    decisions: tuple[Decision, ...]
    preparation: Preparation


def prepare_upload(
    data: bytes,
    name: str,
    target: ModelInput,
    preparation: Preparation = Preparation(),  # noqa: B008 (frozen)
) -> PreparedImage:
    """Make one uploaded image into a model's input.

    Args:
        data: the file's bytes; what they are is told from them alone.
        name: the file's name, for messages only.
        target: what the model takes.
        preparation: what is chosen; by default all is guessed.

    Raises:
        UploadError: empty, too large, of another format, damaged.
    """
    shown_name = shorten(name)
    course = Course(target, preparation)
    try:
        _check_bytes(data)
        with open_image(io.BytesIO(data)) as image:
            frames = _check_parts(image, data)
            picture = _decode(image, frames, course)
    except UnreadableImageError as error:
        raise UploadError(f"{shown_name}: {error}.") from error

    picture = _to_channels(picture, course)
    pixels = fit_to_model(picture, course)
    if pixels.ndim == 3:
        pixels = pixels.transpose(2, 0, 1)
    image_array = pixels.reshape(target.image_shape).astype(np.float32) / np.float32(255)
    return PreparedImage(
        shown_name, image_array, tuple(course.steps), tuple(course.decisions), preparation
    )


def shorten(name: str) -> str:
    """The last part of a file name, printable and not endless."""
    printable = "".join(sign for sign in re.split(r"[/\\]", name)[-1] if sign.isprintable())
    if not printable.strip():
        return "The upload"
    return printable if len(printable) <= 60 else f"{printable[:40]}…{printable[-16:]}"


def over_limit(size: int) -> str:
    """Why a file of so many bytes is not read."""
    return (
        f"the file has {size / 2**20:.1f} MiB, the limit is {MAX_BYTES // 2**20} MiB: "
        "save it smaller, 1000 pixels a side are plenty"
    )


def _check_bytes(data: bytes) -> None:
    if not data:
        raise UnreadableImageError("the file is empty (0 bytes): choose another one")
    if len(data) > MAX_BYTES:
        raise UnreadableImageError(over_limit(len(data)))
    if count_blocks(data, MAX_BLOCKS) > MAX_BLOCKS:
        raise UnreadableImageError(
            f"it holds more than {MAX_BLOCKS:,} blocks beside its pixels, the limit is "
            f"{MAX_BLOCKS:,}: save it again, as PNG"
        )


def _check_parts(image: Image.Image, data: bytes) -> int:
    """See that there are not more frames or scans than can be meant; the number of frames."""
    frames = count_frames(image, data, MAX_FRAMES)
    if frames > MAX_FRAMES:
        raise UnreadableImageError(
            f"it holds more than {MAX_FRAMES:,} frames, the limit is {MAX_FRAMES:,}: save the one "
            "that is meant as PNG"
        )
    if image.format in ("JPEG", "MPO") and (scans := count_scans(data)) > MAX_SCANS:
        raise UnreadableImageError(
            f"the JPEG has {scans:,} scans, the limit is {MAX_SCANS}: save it again, as PNG or an "
            "ordinary JPEG"
        )
    return frames


def _decode(image: Image.Image, frames: int, course: Course) -> Image.Image:
    """The upload as 8-bit L or RGB, upright, and of it what was chosen."""
    stored = "JPEG" if image.format == "MPO" else image.format
    detail = f"{stored}, {image.width} × {image.height} pixels, mode {image.mode}"
    if frames > 1:
        detail += f"; it holds {frames:,} frames, the first one is used"
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
    was = {"1": "black and white", "P": "a palette"}.get(image.mode, image.mode)
    converted = image.mode not in ("L", "LA", "RGB", "RGBA")
    turn = find_turn(image)
    # What follows needs copies, and 40 million pixels take 160 MB each time.
    plain = _shrink(plain, _CROP_PIXELS if course.preparation.crop else _WORK_PIXELS)
    course.show("As uploaded", detail, plain, whole=True)
    if deep:
        course.show("Brightness scaled", deep, plain, whole=True)
    elif converted:
        course.show("Colours converted", f"from {was} to {words}", plain, whole=True)

    plain = _turn(plain, turn, course)
    if course.preparation.crop is not None:
        plain = _crop(plain, course.preparation.crop, course)
    if plain.mode in ("LA", "RGBA"):
        plain = _fill_transparency(plain, course)
    return plain


def _shrink(picture: Image.Image, pixels: int) -> Image.Image:
    return shrink(picture, math.sqrt(pixels / (picture.width * picture.height)))


def _turn(
    plain: Image.Image, noted: tuple[Image.Transpose, str] | None, course: Course
) -> Image.Image:
    """As the camera's note says, or as chosen instead of it."""
    chosen = course.preparation.turn
    if chosen == AUTO:
        if noted is None:
            words = "as it is stored; it has no note of a camera that says otherwise"
            course.decide("turn", "0", words, TURNS[1:])
            return plain
        words = f"{noted[1]}, as the camera's note says"
        same = [degrees for degrees, (way, _) in _TRANSPOSES.items() if way == noted[0]]
        # A mirrored picture is none of the four.
        decision = course.decide("turn", same[0] if same else AUTO, words, TURNS[1:])
        turned = plain.transpose(noted[0])
        course.show("Turned upright", words, turned, decision, whole=True)
        return turned
    if chosen == "0":
        course.decide("turn", chosen, "as it is stored, as chosen", TURNS[1:])
        return plain
    way, words = _TRANSPOSES[chosen]
    words += ", as chosen"
    turned = plain.transpose(way)
    decision = course.decide("turn", chosen, words, TURNS[1:])
    course.show("Turned", words, turned, decision, whole=True)
    return turned


def _crop(
    plain: Image.Image, crop: tuple[float, float, float, float], course: Course
) -> Image.Image:
    box = crop_box(crop, plain.width, plain.height)
    cut = _shrink(plain.crop(box), _WORK_PIXELS)
    left, top, right, bottom = (f"{share:.0%}" for share in crop)
    course.show("Cropped by hand", f"from {left} to {right} across and {top} to {bottom} down", cut)
    return cut


def _fill_transparency(picture: Image.Image, course: Course) -> Image.Image:
    """Lay the picture over the data's ground, or over its opposite where it would vanish."""
    if picture.getchannel("A").getextrema() == (255, 255):
        return picture.convert("L" if picture.mode == "LA" else "RGB")  # nothing shines through
    chosen, background = course.preparation.ground, course.target.background
    level = round(255 * background)
    if chosen != AUTO:
        level = 0 if chosen == "dark" else 255
        detail = f"laid over {'black' if chosen == 'dark' else 'white'}, as chosen"
    else:
        alpha = np.asarray(picture.getchannel("A"), np.float32)
        detail = f"laid over the data's own ground ({background:.0%} bright)"
        if alpha.any():
            visible = float(np.average(np.asarray(picture.convert("L")), weights=alpha))
            if abs(visible - level) < abs(visible - (255 - level)) or abs(visible - level) < 32:
                # The opposite of a half-bright ground is as half-bright as it.
                far = abs(visible - (255 - level)) >= 32
                level = 255 - level if far else (255 if visible < 128 else 0)
                detail = (
                    f"laid over {level / 255:.0%} brightness, since what is visible is about as "
                    f"{'dark' if level > visible else 'bright'} as the data's own ground"
                )
    filled = over(picture, level)
    # The grounds of the data lie between black and white, and are neither.
    taken = {0: "dark", 255: "light"}.get(level, AUTO)
    decision = course.decide("ground", taken, detail, ("dark", "light"))
    course.show("Transparency filled", detail, filled, decision)
    return filled


def _to_channels(picture: Image.Image, course: Course) -> Image.Image:
    wanted = "L" if course.target.image_shape[0] == 1 else "RGB"
    if picture.mode == wanted:
        return picture
    converted = picture.convert(wanted)
    if wanted == "L":
        step = ("Made grey", "the model knows brightness only (0.30 red, 0.59 green, 0.11 blue)")
    else:
        step = ("Made colour", "the model takes colour: red, green and blue are alike")
    course.show(*step, converted)
    return converted
