"""An upright 8-bit picture put into a model's frame: polarity, contrast and framing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from explorer.images.decoding import over, to_array
from explorer.images.framing import place_ink, place_tones
from explorer.images.ink import Ink, find_ink
from explorer.images.preparation import AUTO, FRAMINGS, Decision, Preparation

SHOWN_SIDE = 256

# Border brightness nearer than this to black or white: strokes or things on a plain ground
# (MNIST 0.000, Fashion-MNIST 0.05, the 8 x 8 digits 0.17; faces 0.45 to 0.6).
_PLAIN_GROUND = 0.2
# Nearer than this, nothing touches the border, so there is a margin to keep.
_MARGIN_GROUND = 0.01
_LEAST_CONTRAST = 8
_CUT_OFF = 1.0  # percent at either end, of a picture whose contrast is stretched as a whole

_INK_BOX, _CENTRE, _PAD, _WHOLE = FRAMINGS[1:]


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
    def dark_ground(self) -> bool:
        """Whether the data's ground is dark."""
        return self.background < 0.5

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in Pillow's order."""
        return self.image_shape[2], self.image_shape[1]

    @property
    def _distance(self) -> float:
        return min(self.background, 1 - self.background)


@dataclass(frozen=True, eq=False)
class IntakeStep:
    """One step of an upload's preparation.

    Attributes:
        title: what was done, in a few words.
        detail: more of it.
        picture: the picture after it, (H, W) or (H, W, 3), at most 256 a side.
        decisions: the choices that it stands for; () where there was none.
        whole: whether nothing is cut off yet: a crop by hand is of the last such picture.
    """

    title: str
    detail: str
    picture: NDArray[np.uint8]
    decisions: tuple[Decision, ...] = ()
    whole: bool = False


@dataclass(eq=False)
class Course:
    """What happens to one upload, step by step.

    Attributes:
        target: what the model takes.
        preparation: what was chosen.
        steps: those done so far.
        decisions: those made so far.
    """

    target: ModelInput
    preparation: Preparation
    steps: list[IntakeStep] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def show(
        self,
        title: str,
        detail: str,
        picture: Image.Image,
        *decisions: Decision,
        whole: bool = False,
    ) -> None:
        """Add a step."""
        self.steps.append(IntakeStep(title, detail, shown(picture), decisions, whole))

    def decide(self, choice: str, taken: str, words: str, options: Sequence[str]) -> Decision:
        """Note how a choice was made.

        Args:
            choice: the field of `Preparation`.
            taken: one of its values.
            words: what was done and why.
            options: the values that make sense here.
        """
        guessed = getattr(self.preparation, choice) == AUTO
        others = tuple(option for option in options if option != taken)
        decision = Decision(choice, taken, guessed, words, others)
        self.decisions.append(decision)
        return decision


def shrink(picture: Image.Image, factor: float) -> Image.Image:
    """Resize both sides; a factor above 1 changes nothing."""
    if factor >= 1:
        return picture
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


def shown(picture: Image.Image) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3), at most 256 a side; transparency lies over grey."""
    return to_array(over(shrink(picture, SHOWN_SIDE / max(picture.size)), 128))


def fit_to_model(picture: Image.Image, course: Course) -> NDArray[np.uint8]:
    """An L or RGB picture of the model's channels as (H, W) or (H, W, 3) of its size.

    Where the guesses lose a picture that has contrast at the model's size, it is only scaled.
    """
    begun = len(course.steps), len(course.decisions)
    fit = _fit_drawing if course.target.plain_ground else _fit_picture
    pixels = fit(picture, course)
    if not _is_flat(pixels) or not _was_guessed(picture, course):
        return pixels
    scaled = _scale(picture, course.target)
    if _is_flat(to_array(scaled)):
        return pixels
    del course.steps[begun[0] :], course.decisions[begun[1] :]
    return _fit_plainly(picture, scaled, course)


def _was_guessed(picture: Image.Image, course: Course) -> bool:
    """Whether a blank result is the guesses' fault; what was chosen is done as it was chosen."""
    target, chosen = course.target, course.preparation
    if chosen.framing not in (AUTO, _INK_BOX):
        return False
    if not target.plain_ground or chosen.polarity == AUTO:
        return True
    # With strokes on the other side, it is the choice that left none.
    return find_ink(to_array(picture), strokes=target.margin) is None


def _scale(picture: Image.Image, target: ModelInput) -> Image.Image:
    """The whole picture at the model's size; of that size already, as it is."""
    if picture.size == target.size:
        return picture
    return picture.resize(target.size, Image.Resampling.LANCZOS, reducing_gap=3)


def _is_flat(pixels: NDArray[np.uint8]) -> bool:
    """Whether hardly anything can be seen in (H, W) or (H, W, 3)."""
    levels = pixels.reshape(-1, 1 if pixels.ndim == 2 else pixels.shape[2])
    return bool((np.ptp(levels, axis=0) < _LEAST_CONTRAST).all())


def _fit_plainly(picture: Image.Image, scaled: Image.Image, course: Course) -> NDArray[np.uint8]:
    """The picture in the frame with nothing told apart or cut off that would leave it blank."""
    chosen, plain_ground = course.preparation, course.target.plain_ground
    lost = (
        "neither strokes nor a thing were told from a ground in it"
        if plain_ground
        else ("what was cut out of it is blank")
    )
    if chosen.polarity == "invert":
        picture = _invert(picture, "as chosen", course)
        scaled = ImageOps.invert(scaled)
    else:
        words = "light and dark as they are, since the guess left a blank picture"
        course.decide("polarity", "keep", words, ("keep", "invert"))
    words = "brightness as it is, since the guess left a blank picture"
    course.decide("contrast", "keep", words, ("keep",))
    middle = ImageOps.fit(picture, course.target.size, Image.Resampling.LANCZOS)
    kept = picture.size == course.target.size
    framing = _WHOLE
    if not kept and not _is_flat(to_array(middle)):
        framing, scaled = _CENTRE, middle
    how = (
        "pixels kept"
        if kept
        else ("the middle resized" if framing == _CENTRE else "the whole picture resized")
    )
    detail = f"the picture has contrast, but {lost}: {how}, with no guess about it"
    decision = course.decide("framing", framing, detail, FRAMINGS[2:])
    course.show("Scaled plainly", detail, scaled, decision)
    return _finish(to_array(scaled), "", course)


def _fit_drawing(picture: Image.Image, course: Course) -> NDArray[np.uint8]:
    """For data on a plain ground: strokes and things are told from the paper."""
    target, chosen = course.target, course.preparation
    dark_strokes = None
    if chosen.polarity != AUTO:
        dark_strokes = (chosen.polarity == "invert") == target.dark_ground
    ink = find_ink(to_array(picture), strokes=target.margin, dark=dark_strokes)
    if ink is None and chosen.framing in (AUTO, _INK_BOX):
        course.decide(
            "polarity",
            "keep" if chosen.polarity == AUTO else chosen.polarity,
            "no strokes were found",
            ("keep", "invert"),
        )
        course.decide("framing", _INK_BOX, "there is nothing to crop to", FRAMINGS[1:])
        pixels = np.full(target.image_shape[1:], round(255 * target.background), np.uint8)
        note = "the upload is blank: no strokes were found in it"
        if dark_strokes is not None:
            note = (
                f"no strokes {'darker' if dark_strokes else 'lighter'} than their ground were "
                "found: swap light and dark, or choose another framing"
            )
        return _finish(pixels, note, course)

    if ink is not None:
        picture = _match_polarity(picture, ink, course)
    elif chosen.polarity == "invert":
        picture = _invert(picture, "as chosen", course)
    else:
        course.decide("polarity", "keep", "no strokes were found", ("keep", "invert"))
    same_size = picture.size == target.size
    kept = same_size and chosen.framing == AUTO
    if ink is not None and chosen.contrast != "keep" and (not kept or chosen.contrast != AUTO):
        flat = _on_ground(ink.strength, target)
        detail = "ground made flat" + (" and strokes full" if target.margin else "")
        if ink.uneven > 0.05:
            detail += f"; the paper's brightness varied by {ink.uneven:.0%}"
        decision = course.decide("contrast", "stretch", detail, ("stretch", "keep"))
        stretched = Image.fromarray(flat)
        course.show("Contrast stretched", detail, stretched, decision)
    else:
        stretched = None
        words = "brightness as it is" + (", since it has the model's size" if kept else "")
        course.decide("contrast", "keep", words, ("stretch", "keep") if ink else ("keep",))
    if kept:
        detail = "it has the model's size: pixels kept"
        course.decide("framing", _WHOLE, detail, FRAMINGS[1:])
        return _finish(to_array(stretched or picture), detail, course)
    if ink is not None and chosen.framing in (AUTO, _INK_BOX):
        return _place_drawing(picture, ink, stretched is not None, course)
    ground = None if stretched is None else (0 if target.dark_ground else 255,)
    return _frame(stretched or picture, chosen.framing, ground, course)


def _match_polarity(picture: Image.Image, ink: Ink, course: Course) -> Image.Image:
    """The picture with its strokes as light or dark as the data's."""
    target = course.target
    inverted = ink.dark == target.dark_ground
    own = "darker" if ink.dark else "lighter"
    if inverted:
        detail = (
            f"strokes are {own} than their ground, the data's are "
            f"{'lighter' if target.dark_ground else 'darker'}"
        )
        return _invert(picture, detail, course)
    course.decide(
        "polarity",
        "keep",
        f"strokes are {own} than their ground, as the data's are",
        ("keep", "invert"),
    )
    return picture


def _invert(picture: Image.Image, detail: str, course: Course) -> Image.Image:
    picture = ImageOps.invert(picture)
    decision = course.decide("polarity", "invert", detail, ("keep", "invert"))
    course.show("Inverted", detail, picture, decision)
    return picture


def _place_drawing(
    picture: Image.Image, ink: Ink, stretched: bool, course: Course
) -> NDArray[np.uint8]:
    """Cropped to what is drawn, and placed as the data do."""
    target = course.target
    _, height, width = target.image_shape
    detail = "cropped to what is drawn, " + (
        "put into the middle by its centre of mass, with the data's margin"
        if target.margin
        else "filling the frame as the data do"
    )
    decisions = [course.decide("framing", _INK_BOX, detail, FRAMINGS[1:])]
    if stretched:
        wanted = course.preparation.strokes != "keep"
        placed, thickened = place_ink(
            ink.strength, height, width, strokes=target.margin, thicken=wanted
        )
        if thickened:
            more = "thin strokes made thicker, or they would fade at this size"
            detail += f"; {more}"
            decisions.append(course.decide("strokes", "thicken", more, ("thicken", "keep")))
        else:
            words = "strokes as thick as they are"
            options = ("keep",) if wanted else ("thicken", "keep")
            decisions.append(course.decide("strokes", "keep", words, options))
        pixels = _on_ground(placed, target)
    else:
        levels = np.divide(to_array(picture), np.float32(255), dtype=np.float32)
        tones = place_tones(levels, ink.strength, height, width, strokes=target.margin)
        pixels = np.rint(255 * tones).astype(np.uint8)
    course.show("Cropped and centred", detail, Image.fromarray(pixels), *decisions)
    return _finish(pixels, "", course)


def _on_ground(strength: NDArray[np.float32], target: ModelInput) -> NDArray[np.uint8]:
    levels = np.rint(255 * strength).astype(np.uint8)
    return levels if target.dark_ground else 255 - levels


def _fit_picture(picture: Image.Image, course: Course) -> NDArray[np.uint8]:
    """For data without a plain ground: faces, scenes, colour."""
    chosen = course.preparation
    blank = _is_flat(to_array(picture))
    if chosen.polarity == "invert":
        picture = _invert(picture, "as chosen", course)
    else:
        words = "brightness is no matter of strokes and ground in these data"
        course.decide("polarity", "keep", words, ("keep", "invert"))
    if chosen.contrast == "stretch":
        picture = ImageOps.autocontrast(picture, cutoff=_CUT_OFF, preserve_tone=True)
        detail = f"the darkest and lightest {_CUT_OFF:g} % made black and white"
        decision = course.decide("contrast", "stretch", detail, ("stretch", "keep"))
        course.show("Contrast stretched", detail, picture, decision)
    else:
        course.decide("contrast", "keep", "brightness as it is", ("stretch", "keep"))
    note = "the upload is blank: all its pixels are alike" if blank else ""
    if picture.size == course.target.size:
        detail = "it has the model's size: pixels kept"
        course.decide("framing", _WHOLE, detail, (_WHOLE,))
        return _finish(to_array(picture), note, course)
    framing = _CENTRE if chosen.framing in (AUTO, _INK_BOX) else chosen.framing
    return _frame(picture, framing, None, course, note)


def _frame(
    picture: Image.Image,
    framing: str,
    ground: tuple[int, ...] | None,
    course: Course,
    note: str = "",
) -> NDArray[np.uint8]:
    """The whole picture or its middle in the model's frame: (H, W) or (H, W, 3).

    Args:
        picture: L or RGB.
        framing: "centre crop", "pad" or "whole".
        ground: what pads; None pads with the median of the picture's border.
        course: where the step goes.
        note: about the result.
    """
    target = course.target
    width, height = target.size
    detail = f"resized to {width} × {height} pixels"
    title = "Cropped and resized"
    # Of a picture of the model's aspect, all three are the same.
    uncropped = picture.width * height == picture.height * width
    if framing == _CENTRE:
        fitted = ImageOps.fit(picture, target.size, Image.Resampling.LANCZOS)
        if not uncropped:
            detail = f"the middle cropped to the model's aspect, then {detail}"
    elif framing == _PAD:
        title = "Padded and resized"
        level = ground if ground is not None else _border_level(picture)
        inside = ImageOps.contain(picture, target.size, Image.Resampling.LANCZOS)
        fitted = Image.new(picture.mode, target.size, level[0] if len(level) == 1 else level)
        fitted.paste(inside, ((width - inside.width) // 2, (height - inside.height) // 2))
        detail = f"shown whole with ground around it, {detail}"
    else:
        title = "Squeezed"
        fitted = picture.resize(target.size, Image.Resampling.LANCZOS, reducing_gap=3)
        detail = f"shown whole, whatever its aspect, {detail}"
    words = detail
    if course.preparation.framing == _INK_BOX:
        words += "; these data have no plain ground, so there is no ink to crop to"
    options = FRAMINGS[1:] if target.plain_ground else FRAMINGS[2:]
    course.show(title, words, fitted, course.decide("framing", framing, words, options))
    return _finish(to_array(fitted), note, course)


def _border_level(picture: Image.Image) -> tuple[int, ...]:
    pixels = to_array(picture).reshape(picture.height, picture.width, -1)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return tuple(int(level) for level in np.median(border, axis=0))


def _finish(pixels: NDArray[np.uint8], note: str, course: Course) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    size = f"{width} × {height} pixels, {'grey' if pixels.ndim == 2 else 'colour'}"
    course.steps.append(IntakeStep("Model input", f"{size}; {note}" if note else size, pixels))
    return pixels
