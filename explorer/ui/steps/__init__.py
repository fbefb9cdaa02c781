"""The browser component that shows how a picture was prepared, with every choice a click away."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from explorer.ui.sources import source

_component = st.components.v2.component(
    "latent_explorer.steps",
    html='<section class="steps" aria-label="How the picture became the model\'s input"></section>',
    css=source("steps/steps.css"),
    js=source("steps/steps.js"),
    isolate_styles=False,
)


@dataclass(frozen=True)
class Step:
    """One small picture.

    Attributes:
        title, detail: what was done.
        source: the picture as a data URL.
        width, height: of it, pixels.
        upright: whether a crop by hand is drawn on this one.
    """

    title: str
    detail: str
    source: str
    width: int
    height: int
    upright: bool


@dataclass(frozen=True)
class Choice:
    """One thing that can be chosen.

    Attributes:
        name: what events call it.
        title: for the user.
        words: what was done and why.
        taken: the option that was taken, or "auto".
        guessed: whether it was left to the guess.
        options: value and label of each, without "auto".
    """

    name: str
    title: str
    words: str
    taken: str
    guessed: bool
    options: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class StepsRequest:
    """What the component shows.

    Attributes:
        picture: the id of the picture that this is about.
        steps: in order.
        choices: those that make sense here.
        crop: what is kept of the upright picture: left, top, right, bottom as shares; None for all.
        changed: whether anything is not left to the guess.
        others: how many other pictures there are.
    """

    picture: int
    steps: Sequence[Step]
    choices: Sequence[Choice]
    crop: Sequence[float] | None
    changed: bool
    others: int


@dataclass(frozen=True)
class StepsEvent:
    """What the user chose.

    Attributes:
        kind: "choose", "crop", "guess" (all anew) or "all" (the same for all pictures).
        picture: the id.
        choice, value: of "choose".
        crop: of "crop"; None keeps all of the picture.
    """

    kind: str
    picture: int
    choice: str = ""
    value: str = ""
    crop: tuple[float, float, float, float] | None = None


def show_steps(request: StepsRequest, *, key: str, on_event: Any) -> None:  # noqa: ANN401
    """Show the steps; `on_event` is called before the script runs again, asks `steps_event`."""
    _component(key=key, data=asdict(request), on_event_change=on_event)


def steps_event(key: str) -> StepsEvent | None:
    """What was chosen under this key, in this run."""
    value = getattr(st.session_state.get(key), "event", None)
    if not isinstance(value, dict):
        return None
    crop = value.get("crop")
    box = None
    if isinstance(crop, list | tuple) and len(crop) == 4:
        left, top, right, bottom = (float(share) for share in crop)
        if math.isfinite(left + top + right + bottom):
            box = (left, top, right, bottom)
    return StepsEvent(
        str(value.get("kind")),
        int(value.get("picture") or 0),
        str(value.get("choice") or ""),
        str(value.get("value") or ""),
        box,
    )
