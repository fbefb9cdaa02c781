"""How an upload becomes a model's input: what may be chosen, and what was done in the end.

Every choice is "auto" by default: a guess from the picture itself and from the model's data. What
was guessed is told as a `Decision`, with what else could have been chosen, so that a wrong guess
is one click away from right.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from explorer.errors import ConfigError

AUTO = "auto"
TURNS = (AUTO, "0", "90", "180", "270")
GROUNDS = (AUTO, "dark", "light")
POLARITIES = (AUTO, "keep", "invert")
CONTRASTS = (AUTO, "stretch", "keep")
FRAMINGS = (AUTO, "ink box", "centre crop", "pad", "whole")
STROKES = (AUTO, "keep", "thicken")

_CHOICES = {
    "turn": TURNS,
    "ground": GROUNDS,
    "polarity": POLARITIES,
    "contrast": CONTRASTS,
    "framing": FRAMINGS,
    "strokes": STROKES,
}


@dataclass(frozen=True)
class Preparation:
    """What is chosen about an upload; the defaults guess.

    Attributes:
        turn: degrees to the right from how the file stores it; auto: as its EXIF note says.
        crop: what to keep of the upright picture, by hand: left, top, right and bottom as shares of
            its sides; None keeps all of it.
        ground: what lies under a transparent picture; auto: the data's own ground, or its opposite
            where the picture would vanish on it.
        polarity: whether dark and light change places; auto: where strokes are dark on light and
            the data's are light on dark, or the other way round.
        contrast: whether the ground is made flat and full of the data's brightness, and strokes
            full; auto: where the data have a plain ground.
        framing: "ink box" crops to what is drawn and places it as the data do, "centre crop" cuts
            the middle to the model's aspect, "pad" shows the whole with ground around it, "whole"
            squeezes it into the frame; auto: the ink box where the data have a plain ground and
            the size is not the model's own already, else the middle.
        strokes: of an ink box of writing, whether strokes thinner than the data's are made as
            thick as theirs; auto: yes.

    Raises:
        ConfigError: a value that is not allowed.
    """

    turn: str = AUTO
    crop: tuple[float, float, float, float] | None = None
    ground: str = AUTO
    polarity: str = AUTO
    contrast: str = AUTO
    framing: str = AUTO
    strokes: str = AUTO

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")
        if self.crop is not None:
            _check_crop(self.crop)

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of the choices that are not left to the guess."""
        return tuple(
            choice.name for choice in fields(self) if getattr(self, choice.name) != choice.default
        )


def _check_crop(crop: Any) -> None:  # noqa: ANN401 (it is what is found out here)
    try:
        left, top, right, bottom = (float(share) for share in crop)
        # NaN compares to nothing.
        sound = 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise ConfigError(
            f"crop is {crop!r}; it must be left, top, right and bottom as shares from 0 to 1, left "
            "before right and top before bottom."
        )


@dataclass(frozen=True)
class Decision:
    """One choice as it was made for one upload.

    Attributes:
        choice: the field of `Preparation`.
        taken: what was done, as one of its values; "auto" where no other value would do the same.
        guessed: whether it was left to the guess.
        words: what was done and why, in plain words.
        others: the other values that make sense for this picture and this model.
    """

    choice: str
    taken: str
    guessed: bool
    words: str
    others: tuple[str, ...]

    def instead(self, preparation: Preparation, other: str) -> Preparation:
        """The same preparation with another value for this choice.

        Raises:
            ConfigError: a value that is not allowed.
        """
        changes: dict[str, Any] = {self.choice: other}
        return replace(preparation, **changes)


def crop_box(
    crop: tuple[float, float, float, float], width: int, height: int
) -> tuple[int, int, int, int]:
    """The pixels of a crop by hand: left, top, right, bottom; at least one each way."""
    left, top = math.floor(crop[0] * width), math.floor(crop[1] * height)
    left, top = min(left, width - 1), min(top, height - 1)
    right = max(left + 1, round(crop[2] * width))
    bottom = max(top + 1, round(crop[3] * height))
    return left, top, right, bottom
